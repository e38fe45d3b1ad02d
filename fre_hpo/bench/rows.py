"""Studies with many rows, written in seconds instead of the hours that their trials would take."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import MetaData, Table, insert

from fre_hpo import data
from fre_hpo.bench.setup import Setup
from fre_hpo.data import Dataset
from fre_hpo.study import records
from fre_hpo.study.charter import Charter
from fre_hpo.study.connection import Connection
from fre_hpo.study.ledger import CURVE_POINTS, Ledger, training_seed
from fre_hpo.study.recipe import find, resolve
from fre_hpo.study.sampler import DRAW, distributions

AT_ONCE = 20_000
"""Rows in one statement."""


@contextmanager
def new_study(setup: Setup, **settings: Any) -> Iterator[tuple[Ledger, Dataset]]:
    """A study that this process coordinates, on the database of the setup, else on a SQLite file; deleted
    in the end."""
    spec = resolve(find("phantom"), "fre", settings).spec
    dataset = data.load("phantom", None, spec.options)
    name = f"bench-{uuid.uuid4().hex[:12]}"
    charter = Charter(
        id=uuid.uuid4().hex,
        spec=spec,
        overrides={},
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        recipe="phantom",
        data_folder=None,
        versions={"python": platform.python_version()},
        created_at=records.now(),
    )
    connection = Connection(setup.storage or f"sqlite:///{setup.folder / name}.db", create=True)
    ledger = Ledger.create(connection, name, charter)
    try:
        ledger.take_over()
        yield ledger, dataset
    finally:
        ledger.delete()


def kind_of(setup: Setup) -> str:
    """Of the database."""
    return "SQLite" if setup.storage is None else "PostgreSQL"


def fill(ledger: Ledger, trials: int, state: TrialState, points: int = CURVE_POINTS) -> None:
    """Add trials that were trained, or are, with so many points of their curves; their parameters are
    drawn from the study's space, and the best ones lie in its middle."""
    rng = np.random.default_rng(0)
    first = len(ledger.states())
    for _ in range(trials):
        ledger._storage.create_new_trial(ledger._study_id, _trial(ledger, rng, state))
    add_curves(ledger, range(first, first + trials), points)


def add_curves(ledger: Ledger, trials: Iterable[int], points: int = CURVE_POINTS) -> None:
    """The first so many points of the curves of trials, by the thousand."""
    engine = ledger._connection.engine
    table = Table("trial_intermediate_values", MetaData(), autoload_with=engine)
    epochs = ledger.spec.training.epochs
    steps = np.unique(np.linspace(1, epochs, CURVE_POINTS, dtype=int))[:points].tolist()
    fixed = {"intermediate_value": 0.5, "intermediate_value_type": "FINITE"}
    ids = [ledger._id(number) for number in trials]
    rows = [{"trial_id": trial, "step": step, **fixed} for trial in ids for step in steps]
    with engine.begin() as transaction:
        for first in range(0, len(rows), AT_ONCE):
            transaction.execute(insert(table), rows[first : first + AT_ONCE])


def _trial(ledger: Ledger, rng: np.random.Generator, state: TrialState) -> FrozenTrial:
    space = distributions(ledger.spec.parameters)
    where = rng.uniform(size=len(space))
    params = {name: _between(space[name], share) for name, share in zip(space, where, strict=True)}
    facts = {DRAW: params, records.SEED: training_seed(ledger.spec, 0), records.ATTEMPTS: 1}
    times = {records.STARTED_AT: records.now(), records.WORKER: "bench:1"}
    ended = state.is_finished()
    epochs = {records.BEST_EPOCH: 7, records.EPOCHS: ledger.spec.training.epochs} if ended else {}
    class_iou = dict.fromkeys(ledger.charter.classes, 0.5)
    done = {records.CLASS_IOU: class_iou, records.FINISHED_AT: records.now()} if ended else {}
    return FrozenTrial(
        number=-1,
        trial_id=-1,
        state=state,
        value=float(1 - np.abs(where - 0.5).mean()) if ended else None,
        datetime_start=datetime.now(),
        datetime_complete=datetime.now() if ended else None,
        params=params,
        distributions=space,
        user_attrs={**facts, **times, **epochs, **done},
        system_attrs={},
        intermediate_values={},
    )


def _between(distribution: Any, share: float) -> int | float:
    low, high = distribution.low, distribution.high
    value = low * (high / low) ** share if distribution.log else low + share * (high - low)
    return round(value) if isinstance(low, int) else float(value)
