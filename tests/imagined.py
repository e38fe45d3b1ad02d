"""A storage, a ledger and a lock in memory, and faults at any call: thousands of searches in seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fre_hpo.errors import DiskFull, EndedElsewhere, LockLost, StorageUnreachable, StudyGone
from fre_hpo.scheduling.clock import Clock
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Asked
from fre_hpo.study.order import Order, Wish
from fre_hpo.study.records import TrialRecord
from fre_hpo.study.spec import TrainingSpec
from ledgers import make_charter, make_spec

T = TypeVar("T")
GENTLE = ("gone before", "gone after", "full before")
FAULTS = (*GENTLE, "killed before", "killed after")
LOCAL = ("name", "shown", "url", "charter", "spec", "path")
ENDED = ("COMPLETE", "FAIL", "PRUNED")


class Killed(BaseException):
    """The coordinator's process ends here, as by kill -9."""


# --- faults --------------------------------------------------------------------------------------


class Faults:
    """What goes wrong at which call, counted from 1 over all that may fail.

    gone: the storage is out of reach for ``outage`` seconds, before the call or after it was carried
    out.  full: the disk is, for as long, for every call that may write to it.
    """

    def __init__(self, clock: Clock, plan: dict[int, str], outage: float = 3.0) -> None:
        self.clock = clock
        self.plan = plan
        self.outage = outage
        self.calls: list[str] = []
        self.gone_until = self.full_until = 0.0
        self.outages = 0

    def call(self, name: str, call: Callable[[], T], *, disk: bool = False) -> T:
        self.calls.append(name)
        kind, _, when = self.plan.pop(len(self.calls), "").partition(" ")
        if when == "after":
            result = self._carry_out(call, disk=disk)
            self._begin(kind)
            self._raise(kind, disk=disk)
            return result
        self._begin(kind)
        self._raise(kind, disk=disk)
        return self._carry_out(call, disk=disk)

    def _carry_out(self, call: Callable[[], T], *, disk: bool) -> T:
        if disk and self.clock.now() < self.full_until:
            raise DiskFull(path="a file")
        if not disk and self.clock.now() < self.gone_until:
            raise StorageUnreachable(storage="somewhere", reason="gone")
        return call()

    def _begin(self, kind: str) -> None:
        if kind == "gone":
            self.outages += 1
            self.gone_until = self.clock.now() + self.outage
        if kind == "full":
            self.full_until = self.clock.now() + self.outage

    def _raise(self, kind: str, *, disk: bool) -> None:
        if kind == "killed":
            raise Killed
        if kind == "gone" and not disk:
            raise StorageUnreachable(storage="somewhere", reason="gone")
        if kind == "full":
            raise DiskFull(path="a file")


class Faulty:
    """Something whose every method and property may fail."""

    def __init__(self, target: Any, faults: Faults, *, disk: bool = False) -> None:
        self._target = target
        self._faults = faults
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        target, faults, disk = self._target, self._faults, self._disk
        if name in LOCAL:
            return getattr(target, name)
        if isinstance(getattr(type(target), name, None), property):
            return faults.call(name, lambda: getattr(target, name), disk=disk)
        found = getattr(target, name)
        if not callable(found):
            return found

        def method(*args: Any, **kwargs: Any) -> Any:
            return faults.call(name, lambda: found(*args, **kwargs), disk=disk)

        return method


class FaultyFolder(Faulty):
    """A study's folder on a disk that may be full; ``guard`` is told of every call."""

    def __init__(self, folder: StudyFolder, faults: Faults, guard: Callable[[], None]) -> None:
        super().__init__(folder, faults, disk=True)
        self._guard = guard

    def trial(self, number: int) -> Faulty:
        self._guard()
        return Faulty(self._target.trial(number), self._faults, disk=True)

    def log(self, event: str, **facts: Any) -> None:
        self._guard()
        self._faults.call("log", lambda: self._target.log(event, **facts), disk=True)


# --- the storage ---------------------------------------------------------------------------------


@dataclass
class Row:
    number: int
    state: str = "RUNNING"
    params: dict[str, int | float] = field(default_factory=dict)
    attempts: int = 0
    seed: int | None = None
    points: dict[int, float] = field(default_factory=dict)
    value: float | None = None
    told_by_us: bool = False
    files: set[str] = field(default_factory=set)

    def record(self) -> TrialRecord:
        facts = dict.fromkeys(
            ("best_epoch", "epochs", "started_at", "finished_at", "worker", "reason")
        )
        return TrialRecord(
            number=self.number,
            state=self.state,
            value=self.value,
            params=dict(self.params),
            class_iou={},
            attempts=self.attempts,
            seed=self.seed,
            **facts,
        )


@dataclass
class Storage:
    """One study as the database has it.  holder: of the lock."""

    rows: list[Row] = field(default_factory=list)
    generation: int = 0
    order: Order = field(default_factory=lambda: Order(Wish.RUN))
    live: dict[str, Any] | None = None
    holder: int | None = None
    deleted: bool = False

    def number_of(self, state: str) -> int:
        return sum(row.state == state for row in self.rows)

    def tell(self, number: int, state: str) -> None:
        """Another client ends a trial."""
        row = self.rows[number]
        row.state, row.value = state, 0.5 if state == "COMPLETE" else None


class Lock:
    """Held by a generation of the study's coordinators; lost with every outage, as PostgreSQL's."""

    def __init__(self, storage: Storage, faults: Faults, owner: int) -> None:
        self._storage = storage
        self._faults = faults
        self._owner = owner
        self._held_since = -1

    def acquire(self) -> bool:
        if self._storage.holder not in (None, self._owner):
            return False
        self._storage.holder = self._owner
        self._held_since = self._faults.outages
        return True

    def check(self) -> None:
        if self._held_since != self._faults.outages:
            raise StorageUnreachable(storage="somewhere", reason="the connection was lost")
        if self._storage.holder != self._owner:
            raise LockLost(study="cells")

    def release(self) -> None:
        if self._storage.holder == self._owner:
            self._storage.holder = None


@dataclass
class Attaching:
    """A publisher that shows one file of each trial."""

    ledger: Any

    def trial_ends(self, trial: TrialRecord) -> None:
        self.ledger.attach(trial.number, "picture.png")

    def study_changed(self, state: str) -> None:
        self.ledger.records()


class ImaginedLedger:
    """The ledger of one coordinator: its methods and what they promise, on a storage in memory."""

    name = "cells"
    shown = "somewhere"

    def __init__(self, storage: Storage, faults: Faults, epochs: int) -> None:
        self.charter = make_charter(make_spec(training=TrainingSpec(epochs=epochs)))
        self.spec = self.charter.spec
        self._storage = storage
        self._faults = faults
        storage.generation += 1
        self.generation = storage.generation

    # --- reading --------------------------------------------------------------------------------

    @property
    def order(self) -> Order:
        self._there()
        return self._storage.order

    @property
    def live(self) -> dict[str, Any] | None:
        return self._storage.live

    @property
    def in_charge(self) -> bool:
        self._there()
        return self.generation == self._storage.generation

    def records(self) -> list[TrialRecord]:
        self._there()
        return [row.record() for row in self._storage.rows]

    def states(self) -> dict[int, str]:
        return {record.number: record.state for record in self.records()}

    def record(self, number: int) -> TrialRecord:
        self._there()
        return self._storage.rows[number].record()

    def state(self, number: int) -> str:
        return self._storage.rows[number].state

    def _there(self) -> None:
        if self._storage.deleted:
            raise StudyGone(study=self.name)

    # --- writing --------------------------------------------------------------------------------

    def _fence(self) -> None:
        self._there()
        if not self.in_charge:
            raise LockLost(study=self.name)

    def _row(self, number: int) -> Row:
        """A row to be written to."""
        self._fence()
        row = self._storage.rows[number]
        if row.state in ENDED:
            raise EndedElsewhere(number=number, state=row.state)
        return row

    def set_live(self, live: dict[str, Any]) -> None:
        self._fence()
        self._storage.live = live

    def enqueue(self, parameters: dict[str, int | float]) -> None:
        self._fence()
        rows = self._storage.rows
        rows.append(Row(len(rows), "WAITING", dict(parameters)))

    def ask(self) -> Asked:
        row = self._faults.call("row", self._take_row)
        return self._faults.call("parameters", lambda: self._asked(row))

    def _take_row(self) -> Row:
        """As Optuna does: the first row that waits, else a new one."""
        self._fence()
        rows = self._storage.rows
        for row in rows:
            if row.state == "WAITING":
                row.state = "RUNNING"
                return row
        rows.append(Row(len(rows)))
        return rows[-1]

    def _asked(self, row: Row) -> Asked:
        self._fence()
        drawn = {"B": 1 + row.number % 64, "X": 1.0 + row.number}
        row.params = {**drawn, **row.params}
        row.seed = 0
        return Asked(row.number, dict(row.params), 0, row.attempts)

    def ask_again(self, number: int) -> Asked:
        row = self._row(number)
        row.state = "RUNNING"
        return self._asked(row)

    def begin_attempt(self, number: int, attempt: int) -> None:
        self._row(number).attempts = attempt

    def set_worker(self, number: int, worker: str) -> None:
        self._row(number)

    def report(self, number: int, epoch: int, miou: float) -> None:
        self._row(number).points[epoch] = miou

    def report_missing(self, number: int, curve: dict[int, float]) -> None:
        stored = self._storage.rows[number].points
        for epoch, miou in curve.items():
            if epoch not in stored:
                self.report(number, epoch, miou)

    def put_back(self, number: int) -> None:
        self._row(number).state = "WAITING"

    def attach(self, number: int, name: str) -> None:
        if name not in self._storage.rows[number].files:
            self._row(number).files.add(name)

    def complete(self, number: int, miou: float, **_: Any) -> None:
        self._end(number, "COMPLETE", miou)

    def fail(self, number: int, epoch: int | None, reason: str) -> None:
        self._end(number, "FAIL", None)

    def _end(self, number: int, state: str, value: float | None) -> None:
        row = self._storage.rows[number]
        if row.told_by_us and (row.state, row.value) == (state, value):
            return
        row = self._row(number)
        row.state, row.value, row.told_by_us = state, value, True
