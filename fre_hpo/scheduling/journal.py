"""Telling what happens: the live view in the storage, the event log, whoever watches."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from fre_hpo.scheduling.clock import Clock
from fre_hpo.scheduling.live import PUBLISH_SECONDS, Live, RunningTrial
from fre_hpo.scheduling.observer import Observer
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.records import TrialRecord, params_text


class Journal:
    """The live view of one run of a search, and all who are told of it."""

    def __init__(
        self, ledger: Ledger, folder: StudyFolder, observer: Observer, clock: Clock, live: Live
    ) -> None:
        self._ledger = ledger
        self._folder = folder
        self._observer = observer
        self._clock = clock
        self._before = live.elapsed
        self._begun = clock.now()
        self._published = -PUBLISH_SECONDS
        self.live = live

    @property
    def elapsed(self) -> float:
        """Seconds that the study has run, over all its starts."""
        return self._before + self._clock.now() - self._begun

    def change(self, **fields: Any) -> None:
        """Change the live view."""
        self.live = replace(self.live, **fields, time=time.time(), elapsed=self.elapsed)
        self._observer.moved(self.live)

    def set_trial(self, trial: RunningTrial) -> None:
        self.change(running=self.live.with_trial(trial).running)

    def drop_trial(self, number: int) -> None:
        self.change(running=self.live.without_trial(number).running)

    def publish(self, *, now: bool = False) -> None:
        """Write the live view into the study, every few seconds or now."""
        if now or self._clock.now() - self._published >= PUBLISH_SECONDS:
            self.change()
            self._ledger.set_live(self.live.to_plain())
            self._published = self._clock.now()

    def log(self, event: str, **facts: Any) -> None:
        self._folder.log(event, **facts)

    def log_trial(self, event: str, number: int, attempt: int, **facts: Any) -> None:
        """An event of a trial, with the worker that has it."""
        worker = next((t.worker for t in self.live.running if t.number == number), None)
        self._folder.log(event, trial=number, attempt=attempt, worker=worker, **facts)

    def trials_logged(self, event: str) -> set[int]:
        return self._folder.trials_logged(event)

    def say(self, sentence: str) -> None:
        """Tell whoever looks, at this terminal and elsewhere."""
        self.live = self.live.with_happening(sentence)
        self._observer.say(sentence)

    def trial_began(self, trial: RunningTrial) -> None:
        """Told elsewhere only: a terminal shows what runs."""
        what = f", {params_text(trial.params)}," if trial.params else ""
        where = f"{trial.worker} ({trial.device})"
        how = f"goes on after epoch {trial.epoch}" if trial.epoch else "begins"
        self.live = self.live.with_happening(f"Trial {trial.number}{what} {how} on {where}.")

    def trial_ended(self, trial: TrialRecord) -> None:
        self.live = self.live.with_happening(_ended_sentence(trial))
        self._observer.trial_ended(trial, self.live)


def _ended_sentence(trial: TrialRecord) -> str:
    what = f", {params_text(trial.params)}," if trial.params else ""
    if trial.value is not None:
        return f"Trial {trial.number}{what} is complete: mIoU {trial.value:.4f}."
    return f"Trial {trial.number}{what} failed: {trial.reason or 'ended by somebody else'}."
