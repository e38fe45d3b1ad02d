"""A probe at the start of a search: how many of its trials share a GPU best.

On one GPU of the cluster workers train the study's own job: one alone, then one more as long as there is
memory for it and all together get faster.  They begin each window together and warm.  A GPU slows down as
it heats up, so that the order is unfair to company, which is the careful side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median
from typing import Any, Protocol

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from fre_hpo import trial
from fre_hpo.scheduling import failures
from fre_hpo.scheduling.executor import OutOfMemory
from fre_hpo.scheduling.packing import (
    MOST,
    WINDOWS,
    WORTH,
    Extent,
    Finding,
    Notes,
    gains,
    has_room,
    probe_seconds,
)
from fre_hpo.training.pace import Memory, Pace, Pacer
from fre_hpo.trial import Job, TrainingData

WINDOW_SECONDS = 2.0
FREE_SECONDS = 20.0
"""So long a GPU is waited for: on a cluster other searches may have them all."""
PATIENCE_SECONDS = 300.0
"""Nothing that is waited for takes so long, but an epoch of five minutes."""
BY = "a probe"


class Crowded(Exception):
    """There was not enough memory for as many trials."""


class Stand(Protocol):
    """A GPU on which trials are tried together."""

    def add(self) -> Memory:
        """One more trial, warm; what it takes and leaves.  Raises Crowded."""

    def window(self) -> float:
        """Epochs a second of all, while all train.  Raises Crowded."""


@dataclass(frozen=True)
class Probed:
    """rates: of 1, 2, ... trials at once, epochs a second in each window.  trials: how many are to share a
    GPU.  why: what ended the probe before company ceased to pay, if something did.  settled: whether that
    holds for other searches, too."""

    rates: tuple[tuple[float, ...], ...]
    trials: int
    why: str = ""
    settled: bool = True

    def sentence(self, gpu: str) -> str:
        names = ["one trial", *(f"{count} at once" for count in range(2, len(self.rates) + 1))]
        medians = [
            f"{name} {median(rates):.3g}" for name, rates in zip(names, self.rates, strict=True)
        ]
        first, *others = medians
        measured = ", ".join([f"{first} epochs a second", *others])
        share = "each has a GPU to itself" if self.trials == 1 else f"{self.trials} share a GPU"
        return f"A probe on {gpu} trained {measured}: {share}{self.why and f', for {self.why}'}."


# --- the climb -----------------------------------------------------------------------------------


def climb(stand: Stand, extent: Extent, now: Callable[[], float] = time.monotonic) -> Probed:
    """Try one trial, then one more as long as that pays, there is memory, and a search of this extent
    gains by knowing it.  Raises Crowded where not even one fits."""
    begun = now()
    memory = stand.add()
    prepared = now() - begun
    rates = [_windows(stand)]
    rate, spent = median(rates[0]), now() - begun
    cost = probe_seconds(spent, prepared, WINDOW_SECONDS, rate, extent.most)
    if extent.lasts(rate) < WORTH * cost:
        return Probed(tuple(rates), 1, "the search is too short for a longer probe", settled=False)
    before = None
    while len(rates) < extent.most:
        if not has_room(memory.taken, memory.free, memory.total, before):
            return Probed(tuple(rates), len(rates), "its memory holds no more")
        before = memory.free
        try:
            memory = stand.add()
            rates.append(_windows(stand))
        except Crowded:
            return Probed(tuple(rates), len(rates), "its memory holds no more")
        if not gains(rates[-2], rates[-1]):
            return Probed(tuple(rates), len(rates) - 1)
    return Probed(tuple(rates), len(rates), settled=extent.most == MOST)


def _windows(stand: Stand) -> tuple[float, ...]:
    return tuple(stand.window() for _ in range(WINDOWS))


# --- on Ray --------------------------------------------------------------------------------------


class ProbeActor:
    """Trains the study's own job when it is told to, in a worker process of its own."""

    def device_name(self, device: str) -> str:
        return trial.device_name(device)

    def begin(self, job: Job, data: TrainingData) -> Memory:
        self._pacer = Pacer(trial.prepare(job, data), job.threads)
        return self._pacer.warm_up()

    def train(self, seconds: float) -> Pace:
        return self._pacer.train(seconds)


class RayStand:
    """Part of a Ray cluster that nobody else gets meanwhile: a GPU, or for a job on the CPU a core."""

    def __init__(self, job: Job, data: TrainingData, group: Any, most: int) -> None:
        self._job = _endless(job)
        self._data = ray.put(data)
        kind = {"num_gpus": 1 / MOST} if job.device == "cuda" else {"num_cpus": 1 / MOST}
        strategy = PlacementGroupSchedulingStrategy(group)
        actor = ray.remote(max_restarts=0, scheduling_strategy=strategy, **{"num_cpus": 0, **kind})
        self._actors = [actor(ProbeActor).remote() for _ in range(most)]
        self._training: list[Any] = []
        names = _get([actor.device_name.remote(job.device) for actor in self._actors])
        self.gpu: str = names[0]

    def add(self) -> Memory:
        actor = self._actors[len(self._training)]
        memory: Memory = _get(actor.begin.remote(self._job, self._data))
        self._training.append(actor)
        return memory

    def window(self) -> float:
        paces: list[Pace] = _get([a.train.remote(WINDOW_SECONDS) for a in self._training])
        return sum(pace.rate for pace in paces)

    def close(self) -> None:
        for actor in self._actors:
            ray.kill(actor)


def probe(
    job: Job, data: TrainingData, extent: Extent, notes: Notes, say: Callable[[str], None]
) -> Finding | None:
    """How many trials of a search share a GPU best; None where nothing was learned, and each has one to
    itself.  A sentence says what came of it, whatever it is.

    job: of the study, with any parameters; its device tells where.  notes: where a finding is remembered;
    those that name no machine are of the GPU on which the probe comes to be.
    """
    say("Probing how many trials share a GPU best, for about a minute ...")
    try:
        with _stand(job, data, extent.most) as stand:
            notes = notes if notes.place else notes.of(stand.gpu)
            return notes.read() or _found(stand, extent, notes, say)
    except (Crowded, RayError, TimeoutError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        say(f"The probe came to nothing ({reason}): each trial has a GPU to itself.")
        return None


def _found(stand: RayStand, extent: Extent, notes: Notes, say: Callable[[str], None]) -> Finding:
    probed = climb(stand, extent)
    say(probed.sentence(stand.gpu))
    finding = Finding(probed.trials, stand.gpu, f"{datetime.now(UTC):%Y-%m-%d}", BY)
    if probed.settled:
        notes.write(finding)
    return finding


@contextmanager
def _stand(job: Job, data: TrainingData, most: int) -> Iterator[RayStand]:
    """Raises TimeoutError where no GPU is free."""
    kind = "GPU" if job.device == "cuda" else "CPU"
    group = placement_group([{kind: 1}])
    stand = None
    try:
        if not group.wait(FREE_SECONDS):
            raise TimeoutError(f"no {kind} is free")
        stand = RayStand(job, data, group, most)
        yield stand
    finally:
        if stand:
            stand.close()
        remove_placement_group(group)


def _endless(job: Job) -> Job:
    """The same training, for as long as the probe wants it."""
    training = job.spec.training.model_copy(update={"epochs": 10**6})
    return replace(job, spec=job.spec.model_copy(update={"training": training}))


def _get(wanted: Any) -> Any:
    """What actors return; raises Crowded when one runs out of memory."""
    try:
        return ray.get(wanted, timeout=PATIENCE_SECONDS)
    except RayTaskError as error:
        sorted_error = failures.sort(error.cause, trace=str(error))
        if isinstance(sorted_error, OutOfMemory):
            raise Crowded(sorted_error.reason) from error
        raise
