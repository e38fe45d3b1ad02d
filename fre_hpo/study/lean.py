"""Reading a study without the curves of the trials that run, which nobody asked for.

Optuna reads with every look at a study's trials each point of those that run, again and again: with many
workers nearly all that a coordinator does.  A trial that has ended it reads once, and with all its points.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import event, select
from sqlalchemy.orm import ORMExecuteState, with_loader_criteria


class LeanReading:
    """Set up for one storage; what a thread reads within ``on`` lacks the points of trials that run.

    The rows of trials are read before their points: one that ends in between is not taken for ended.
    """

    def __init__(self, storage: optuna.storages.RDBStorage) -> None:
        self._within = threading.local()
        ended = select(models.TrialModel.trial_id).where(
            models.TrialModel.state != TrialState.RUNNING
        )
        points = models.TrialIntermediateValueModel
        self._option = with_loader_criteria(points, points.trial_id.in_(ended))
        event.listen(storage.scoped_session, "do_orm_execute", self._before)

    @contextmanager
    def on(self) -> Iterator[None]:
        self._within.is_on = True
        try:
            yield
        finally:
            self._within.is_on = False

    def _before(self, state: ORMExecuteState) -> None:
        if getattr(self._within, "is_on", False) and state.is_select:
            state.statement = state.statement.options(self._option)
