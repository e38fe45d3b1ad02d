"""At how many workers a coordinator stops keeping up: the real one, with workers that only pretend.

An epoch takes each a second.  A worker whose last ``ROOM`` reports were not taken waits, as real ones do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
from optuna.trial import TrialState

from fre_hpo.bench.measures import Figure, Part
from fre_hpo.bench.rows import add_curves, fill, kind_of, new_study
from fre_hpo.bench.setup import Setup
from fre_hpo.bench.sleeping import CHECKPOINT_SECONDS
from fre_hpo.scheduling.coordinator import Coordinator, Plan
from fre_hpo.scheduling.executor import Arrival
from fre_hpo.scheduling.observer import Silent
from fre_hpo.scheduling.placement import Placement
from fre_hpo.service.publishing import StudyPage
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import CURVE_POINTS
from fre_hpo.study.lock import coordinator_lock
from fre_hpo.training.ahead import ROOM
from fre_hpo.training.loop import EpochRow
from fre_hpo.trial import Epoch, Job, Report, Result, Started, StopFlag

WORKERS, TINY_WORKERS = (8, 32, 128, 512), (4, 8)
EPOCHS = 2000
CHECKPOINT, NETWORK = 93_000_000, 31_000_000
"""Bytes of the paper's network: with the optimiser's state, and alone."""
CLASSES = 3


class TimeOver(Exception):
    """The measurement is done."""


@dataclass
class Worker:
    """Trains one trial.  due: when its next report is ready; taken: when the last ones were taken."""

    job: Job
    epoch: int
    due: float
    taken: list[float] = field(default_factory=list)


@dataclass
class Pretended:
    """An executor of so many slots in which nothing is computed; raises TimeOver so many seconds after the
    last one was filled.

    freed: when slots fell free that are free still.  idle: how long others had been.  late: by how many
    seconds each report was taken late.  waited: seconds in which nothing was to do.
    """

    slots: int
    seconds: float
    placement: Placement
    workers: dict[int, Worker] = field(default_factory=dict)
    freed: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    epochs: int = 0
    late: list[float] = field(default_factory=list)
    waited: float = 0.0
    began: float | None = None
    ended: float = 0.0
    cpu: float = 0.0

    def capacity(self, demand: int) -> int:
        return self.slots

    def displaced(self) -> frozenset[int]:
        return frozenset()

    def news(self) -> list[str]:
        return []

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """The first ones are at points of their own in their trials."""
        now = time.monotonic()
        if self.freed:
            self.idle.append(now - self.freed.pop(0))
        begun = job.attempt > 1
        epoch = round(EPOCHS * (len(self.workers) + 0.5) / self.slots) if begun else 0
        self.workers[job.number] = Worker(job, epoch, now)
        if len(self.workers) == self.slots and self.began is None:
            self.began, self.cpu = now, -time.process_time()

    def poll(self, timeout: float) -> list[Arrival]:
        now = time.monotonic()
        if self.began is not None and now - self.began > self.seconds:
            self.ended, self.cpu = now, self.cpu + time.process_time()
            raise TimeOver
        due = [worker for worker in self.workers.values() if worker.due <= now]
        if not due:
            first = min((w.due for w in self.workers.values()), default=now + timeout)
            pause = min(max(first - now, 0.0), timeout)
            time.sleep(pause)
            self.waited += pause if self.began is not None else 0.0
            return []
        return [self._next(worker, now) for worker in sorted(due, key=lambda w: w.due)]

    def _next(self, worker: Worker, now: float) -> Arrival:
        """Its report; the next is due a second after this one was, or later where it had to wait."""
        report = self._report(worker)
        if self.began is not None:
            self.late.append(now - worker.due)
        worker.taken = [*worker.taken[-ROOM:], now]
        full = worker.taken[0] if len(worker.taken) > ROOM else 0.0
        worker.due = max(worker.due + 1, full)
        if isinstance(report, Result):
            del self.workers[worker.job.number]
            self.freed.append(now)
        return Arrival(worker.job.number, worker.job.attempt, report)

    def _report(self, worker: Worker) -> Report:
        if not worker.taken:
            return Started(worker.epoch, "bench:1", 1, "cpu", "float32")
        worker.epoch += 1
        if worker.epoch > EPOCHS:
            return _result()
        self.epochs += self.began is not None
        return Epoch(_row(worker.epoch), 0.5, 1, 1)

    def stop(self, number: int) -> None:
        self.cancel(number)

    def cancel(self, number: int) -> None:
        self.workers.pop(number, None)

    def close(self) -> None:
        self.workers.clear()


@dataclass(frozen=True)
class Kept:
    """What a coordinator made of so many workers.  rate: epochs a second that were taken.  busy: the share
    of its time that it did not wait.  idle: seconds that a slot stood free between two trials."""

    workers: int
    rate: float
    busy: float
    cpu: float
    late: float
    idle: float | None


def measure(setup: Setup) -> Part:
    """Each number of workers for as long as a comparison is timed."""
    counts = TINY_WORKERS if setup.tiny else WORKERS
    kept = [_kept(setup, count) for count in counts]
    write = _checkpoint_seconds(setup.folder / "checkpoint")
    figures = [figure for one in kept for figure in _figures(one)]
    disk = [
        Figure("to write a checkpoint of 93 MB", 1000 * write, "ms"),
        Figure("workers whose checkpoints fill the disk", CHECKPOINT_SECONDS / write, "workers"),
    ]
    return Part(
        name="scaling",
        about=f"the coordinator with workers that pretend to train, an epoch a second, "
        f"{EPOCHS} epochs a trial, each at another point of its trial ({kind_of(setup)})",
        unit="%",
        figures=(*figures, *disk),
    )


def _figures(kept: Kept) -> Iterator[Figure]:
    name = f"{kept.workers} workers"
    yield Figure(f"{name}: of their epochs taken in time", 100 * kept.rate / kept.workers, "%")
    yield Figure(f"{name}: the coordinator is busy", 100 * kept.busy, "%")
    yield Figure(f"{name}: its CPU for each epoch", 1000 * kept.cpu, "ms")
    yield Figure(f"{name}: a report is taken late by (median)", 1000 * kept.late, "ms")
    if kept.idle is not None:
        yield Figure(f"{name}: a slot is free between two trials (median)", kept.idle, "s")


def _kept(setup: Setup, count: int) -> Kept:
    """A coordinator that takes up as many trials as an earlier one left."""
    settings = {"training.epochs": EPOCHS, "training.checkpoint_seconds": CHECKPOINT_SECONDS}
    with new_study(setup, **settings) as (ledger, dataset):
        fill(ledger, count, TrialState.RUNNING, points=0)
        for number in range(count):
            add_curves(ledger, [number], round(CURVE_POINTS * (number + 0.5) / count))
        executor = Pretended(count, max(setup.seconds, 2), Placement("cpu", 1, 1, 0, count))
        folder = StudyFolder(setup.folder / ledger.name)
        plan = Plan(wanted=10**6, seconds=None, retries=3, patience=60)
        lock = coordinator_lock(ledger.url, ledger.name)
        page = StudyPage(ledger, folder, dataset)
        coordinator = Coordinator(ledger, folder, executor, lock, plan, StopFlag(), Silent(), page)
        lock.acquire()
        try:
            with suppress(TimeOver):
                coordinator.run()
        finally:
            lock.release()
    return _summary(executor)


def _summary(executor: Pretended) -> Kept:
    assert executor.began is not None
    seconds = executor.ended - executor.began
    return Kept(
        workers=executor.slots,
        rate=executor.epochs / seconds,
        busy=1 - executor.waited / seconds,
        cpu=executor.cpu / max(executor.epochs, 1),
        late=median(executor.late),
        idle=median(executor.idle) if executor.idle else None,
    )


def _row(epoch: int) -> EpochRow:
    return EpochRow(epoch, 1.0, 0.5, 0.5, None, (0.5,) * CLASSES, 1e-3, 1.0)


def _result() -> Result:
    """With as much to write as a real one."""
    curve = tuple(_row(epoch) for epoch in range(1, EPOCHS + 1))
    confusion = [[[1] * CLASSES] * CLASSES]
    iou = (0.5,) * CLASSES
    return Result(0.5, 1, EPOCHS, iou, ("a",), confusion, curve, bytes(NETWORK))


def _checkpoint_seconds(folder: Path) -> float:
    """To write one where others lie, as the coordinator does."""
    trial = StudyFolder(folder).trial(0)
    content = np.random.default_rng(0).bytes(CHECKPOINT)
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        trial.save_checkpoint(content)
        seconds.append(time.perf_counter() - begun)
    return median(seconds)
