"""A coordinator to be tried: a study, an executor that plays scripts, a clock that takes no time."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import optuna
from sqlalchemy import event

from fre_hpo.scheduling.clock import Clock
from fre_hpo.scheduling.coordinator import Coordinator, Plan
from fre_hpo.scheduling.executor import Arrival, Lost, OutOfMemory, Raised
from fre_hpo.scheduling.live import Live
from fre_hpo.scheduling.placement import Placement
from fre_hpo.scheduling.publisher import NoPublisher, Publisher
from fre_hpo.scheduling.shared import SharedCheckpoints
from fre_hpo.scheduling.state import Outcome
from fre_hpo.study.connection import Connection
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.lock import coordinator_lock
from fre_hpo.study.order import Order, Wish
from fre_hpo.study.records import TrialRecord
from fre_hpo.study.spec import TrainingSpec
from fre_hpo.training.loop import EpochRow
from fre_hpo.trial import Checkpoint, Epoch, Job, Report, Result, Started, StopFlag, Stopped
from ledgers import CLASSES, create, make_spec, objective

EPOCHS = 3
PATIENCE = 600.0
NAME = "cells"
Content = Report | Lost | OutOfMemory | Raised
Script = Callable[[Job], Iterator[Content]]
BROKEN = Raised("ValueError", "the code is broken", "Traceback ...")


class FastClock(Clock):
    """Its seconds pass only when somebody waits."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


# --- what workers report -------------------------------------------------------------------------


def row(epoch: int, miou: float) -> EpochRow:
    return EpochRow(epoch, 1.0, miou, miou, miou, (miou,) * len(CLASSES), 1e-3, 0.1)


def sealed(epoch: int) -> bytes:
    """A checkpoint with the checksum that ends every real one."""
    content = str(epoch).encode()
    return content + hashlib.sha256(content).digest()


def begin(job: Job) -> Started:
    done = 0 if job.checkpoint is None else int(job.checkpoint[:-32])
    return Started(done, "host:1", 1, "cpu", "float32")


def epochs_of(job: Job, first: int = 1, last: int = EPOCHS) -> Iterator[Content]:
    """Epochs, each with its checkpoint."""
    miou = objective(job.parameters)
    for epoch in range(first, last + 1):
        yield Epoch(row(epoch, miou), miou, 1, 1)
        yield Checkpoint(epoch, sealed(epoch))


def result_of(job: Job) -> Result:
    miou = objective(job.parameters)
    curve = tuple(row(epoch, miou) for epoch in range(1, EPOCHS + 1))
    confusion = [[[1, 0, 0], [0, 1, 0], [0, 0, 1]]]
    return Result(miou, 1, EPOCHS, (miou,) * 3, ("a",), confusion, curve, b"network")


def train(job: Job) -> Iterator[Content]:
    """A trial that goes well: one checkpoint an epoch, the value from the parameters."""
    started = begin(job)
    yield started
    yield from epochs_of(job, started.epoch + 1)
    yield result_of(job)


class Scripted:
    """Every attempt plays a script; all that run advance by one report at each poll."""

    def __init__(self, script: Script = train, slots: int = 2) -> None:
        self.script = script
        self.slots = slots
        self.clock = FastClock()
        self.jobs: list[Job] = []
        self.alone: list[tuple[int, int]] = []
        self.cancelled: list[int] = []
        self.playing: dict[int, tuple[Job, Iterator[Content]]] = {}
        self.stopping: set[int] = set()
        self.checkpoints: dict[int, int] = {}
        self.extra: list[Arrival] = []
        self.most_at_once = 0
        self.placement = Placement("cpu", 1, 1, 0, slots)
        self.demands: list[int] = []
        self.leaving: frozenset[int] = frozenset()
        self.sentences: list[str] = []

    def capacity(self, demand: int) -> int:
        self.demands.append(demand)
        return self.slots

    def displaced(self) -> frozenset[int]:
        return self.leaving & self.playing.keys()

    def news(self) -> list[str]:
        said, self.sentences = self.sentences, []
        return said

    def submit(self, job: Job, *, alone: bool = False) -> None:
        assert job.number not in self.playing, "one attempt at a time"
        assert not (alone and self.playing), "nothing else is trained meanwhile"
        self.jobs.append(job)
        if alone:
            self.alone.append((job.number, job.attempt))
        self.playing[job.number] = (job, self.script(job))
        self.stopping.discard(job.number)
        self.checkpoints.pop(job.number, None)
        self.most_at_once = max(self.most_at_once, len(self.playing))

    def poll(self, timeout: float) -> list[Arrival]:
        self.clock.sleep(timeout)
        arrivals, self.extra = self.extra, []
        for number, (job, _) in list(self.playing.items()):
            arrivals += self._advance(number, job)
        return arrivals

    def _advance(self, number: int, job: Job) -> list[Arrival]:
        """A trial that was cancelled while another one advanced delivers nothing."""
        if number not in self.playing:
            return []
        arrival = Arrival(number, job.attempt, self._next(number))
        if isinstance(arrival.content, Checkpoint):
            self.checkpoints[number] = arrival.content.epoch
        if arrival.last:
            self.playing.pop(number, None)
        return [arrival] if arrival.last or number in self.playing else []

    def _next(self, number: int) -> Content:
        if number in self.stopping and number in self.checkpoints:
            return Stopped(self.checkpoints[number])
        return next(self.playing[number][1])

    def stop(self, number: int) -> None:
        """It goes on to its next checkpoint, unless it has one already."""
        self.stopping.add(number)

    def cancel(self, number: int) -> None:
        self.cancelled.append(number)
        self.playing.pop(number, None)

    def close(self) -> None:
        self.playing.clear()

    def attempts_at(self, number: int) -> list[int]:
        return [job.attempt for job in self.jobs if job.number == number]


# --- the study -----------------------------------------------------------------------------------


class Listener:
    """Remembers all that was said."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.states: list[str] = []
        self.ended: list[tuple[int, str]] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def moved(self, live: Live) -> None:
        if self.states[-1:] != [live.state]:
            self.states.append(live.state)

    def trial_ended(self, trial: TrialRecord, live: Live) -> None:
        self.ended.append((trial.number, trial.state))


class House:
    """A study on SQLite with coordinators to run, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/fre-hpo.db"
        (folder / "fre-hpo.db").write_bytes(_study())
        self.folder = StudyFolder(folder / NAME)
        self.clock = FastClock()
        self.stop = StopFlag()
        self.listener = Listener()
        self.publisher: Publisher = NoPublisher()
        self.shared: SharedCheckpoints | None = None
        self.ledger: Any = self.taken_over()

    def opened(self) -> Ledger:
        """The study through a connection of its own; no commit waits for the disk."""
        connection = Connection(self.url, create=False)
        event.listen(connection.engine, "connect", _without_waiting)
        connection.engine.dispose()
        return Ledger.open(connection, NAME)

    def taken_over(self) -> Ledger:
        ledger = self.opened()
        ledger.take_over()
        return ledger

    def coordinator(
        self, executor: Scripted, wanted: int = 3, slots: int | None = None, **plan: Any
    ) -> Coordinator:
        executor.clock = self.clock
        executor.slots = slots or executor.slots
        return Coordinator(
            self.ledger,
            self.folder,
            executor,
            coordinator_lock(self.ledger.url, NAME),
            Plan(wanted, **{"seconds": None, "retries": 2, "patience": PATIENCE, **plan}),
            self.stop,
            self.listener,
            self.publisher,
            self.clock,
            self.shared,
        )

    def run(
        self, executor: Scripted, wanted: int = 3, slots: int | None = None, **plan: Any
    ) -> Outcome:
        return self.coordinator(executor, wanted, slots, **plan).run()

    def restarted(self) -> House:
        """As a later start finds the study."""
        self.give(Wish.RUN)
        self.stop = StopFlag()
        self.ledger = self.taken_over()
        return self

    # --- what others do -------------------------------------------------------------------------

    def give(self, wish: Wish) -> None:
        self.opened().give(Order.by("somebody", wish))

    def client(self) -> optuna.Study:
        """The study as another Optuna client has it."""
        return optuna.load_study(study_name=NAME, storage=optuna.storages.RDBStorage(self.url))

    # --- what is there --------------------------------------------------------------------------

    def states(self) -> list[str]:
        return [record.state for record in self.opened().records()]

    def events(self, *names: str) -> list[dict[str, Any]]:
        lines = self.folder.events.read_text(encoding="utf-8").splitlines()
        return [e for e in map(json.loads, lines) if e["event"] in names]

    def curve(self, number: int) -> list[int]:
        return [int(line["epoch"]) for line in self.folder.trial(number).read_curve()]

    def points(self, number: int) -> list[int]:
        """The epochs of the curve that the storage has."""
        return sorted(self.client().trials[number].intermediate_values)

    def contents(self) -> tuple[list[Any], dict[str, bytes]]:
        """Every row of every table, and every file of the study's folder."""
        with sqlite3.connect(self.url.removeprefix("sqlite:///")) as database:
            rows: list[Any] = list(database.iterdump())
        database.close()
        files = [path for path in self.folder.path.rglob("*") if path.is_file()]
        return rows, {str(path): path.read_bytes() for path in files}


def _without_waiting(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


@cache
def _study() -> bytes:
    """A database with one study, which takes longer to make than a test needs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"
        ledger = create(f"sqlite:///{path}", NAME, make_spec(training=TrainingSpec(epochs=EPOCHS)))
        ledger._connection.engine.dispose()
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        return path.read_bytes()
