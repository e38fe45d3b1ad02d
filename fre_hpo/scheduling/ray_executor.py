"""The Ray executor: one actor per trial, on this machine or anywhere in a cluster (design 3.2).

The actor's ``run`` streams reports and checkpoints; its ``stop`` sits in a concurrency group of its own,
because cancelling a stream would lose the checkpoint that a stop asks for.  Ray retries nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from fre_hpo import trial
from fre_hpo.scheduling import failures
from fre_hpo.scheduling.executor import Arrival, Lost, Raised
from fre_hpo.scheduling.placement import Placement
from fre_hpo.trial import Job, Report, StopFlag, TrainingData


class TrialActor:
    """One attempt at one trial, in a worker process of its own."""

    def __init__(self) -> None:
        self._stop = StopFlag()

    @ray.method(num_returns="streaming")
    def run(self, job: Job, data: TrainingData) -> Iterator[Report]:
        yield from trial.run(job, data, self._stop)

    @ray.method(concurrency_group="control")
    def stop(self) -> None:
        self._stop.raise_()


@dataclass(eq=False)
class _Running:
    """An actor with its stream of reports."""

    job: Job
    actor: Any
    stream: Any


class RayExecutor:
    """Runs up to ``placement.parallel`` trials at once on a Ray that is already connected."""

    def __init__(self, data: TrainingData, placement: Placement) -> None:
        self._data = ray.put(data)
        self._actor = ray.remote(
            num_cpus=placement.cpus_per_trial,
            num_gpus=placement.gpus_per_trial,
            max_restarts=0,
            max_task_retries=0,
            concurrency_groups={"control": 1},
        )(TrialActor)
        self._running: dict[int, _Running] = {}

    def submit(self, job: Job) -> None:
        actor = self._actor.remote()
        self._running[job.number] = _Running(job, actor, actor.run.remote(job, self._data))

    def poll(self, timeout: float) -> list[Arrival]:
        streams = {running.stream: running for running in self._running.values()}
        if not streams:
            return []
        ready, _ = ray.wait(list(streams), num_returns=len(streams), timeout=0)
        if not ready:
            ready, _ = ray.wait(list(streams), num_returns=1, timeout=timeout)
        return [self._next(streams[stream]) for stream in ready]

    def _next(self, running: _Running) -> Arrival:
        """The next item of a stream; behind the last one the worker is let go."""
        arrival = Arrival(running.job.number, running.job.attempt, _item(running.stream))
        if arrival.last:
            self._release(running)
        return arrival

    def stop(self, number: int) -> None:
        if number in self._running:
            self._running[number].actor.stop.remote()

    def close(self) -> None:
        for running in list(self._running.values()):
            self._release(running)

    def _release(self, running: _Running) -> None:
        """Free the worker's process, its memory and its resources."""
        if self._running.get(running.job.number) is running:
            del self._running[running.job.number]
        ray.kill(running.actor)


def _item(stream: Any) -> Report | Lost | Raised:
    try:
        report: Report = ray.get(next(stream))
    except RayTaskError as error:
        return failures.sort(error.cause, trace=str(error))
    except RayError as error:
        return Lost(_first_line(error))
    return report


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
