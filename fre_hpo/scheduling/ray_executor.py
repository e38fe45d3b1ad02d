"""The Ray executor: one actor for each running trial, anywhere in a cluster (design 3.2).

The actor's ``run`` streams reports and checkpoints; its ``stop`` sits in a concurrency group of its own,
because cancelling a stream would lose the checkpoint that a stop asks for.  Ray retries nothing.  An
actor whose trial went well takes the next one: loading torch and its optimisers takes seconds.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fre_hpo import trial
from fre_hpo.errors import ClusterLost
from fre_hpo.scheduling import failures
from fre_hpo.scheduling.cluster_watch import ClusterWatch
from fre_hpo.scheduling.executor import Arrival, Lost, OutOfMemory, Raised
from fre_hpo.scheduling.placement import Node, Placement
from fre_hpo.trial import Job, Report, Result, StopFlag, TrainingData

FETCH_SECONDS = 30
"""Ray says that a report is here before it is asked for it; should it be gone again, the wait must end."""

IDLE_SECONDS = 5.0
"""So long an actor waits for its next trial, and then gives back what it reserves."""


class TrialActor:
    """Trains one trial after the other, in a worker process of its own."""

    def __init__(self) -> None:
        self._number = -1
        self._stop = StopFlag()

    @ray.method(num_returns="streaming")
    def run(self, job: Job, data: TrainingData) -> Iterator[Report | str]:
        """First the id of the node that it came to, then the trial's reports."""
        self._number, self._stop = job.number, StopFlag()
        yield ray.get_runtime_context().get_node_id()
        yield from trial.run(job, data, self._stop)

    @ray.method(concurrency_group="control")
    def stop(self, number: int) -> None:
        if number == self._number:
            self._stop.raise_()


@dataclass(eq=False)
class _Running:
    """An actor with its stream of reports.  node: where it was sent, and then where it is."""

    job: Job
    actor: Any
    stream: Any
    node: str | None
    alone: bool


@dataclass(frozen=True, eq=False)
class _Idle:
    """An actor that is done with its trial and may take another one on its node."""

    actor: Any
    node: str | None
    since: float


class RayExecutor:
    """Runs trials wherever there is room on a Ray that is already connected."""

    def __init__(self, data: TrainingData, placement: Placement) -> None:
        self._placement = placement
        self._training_data = data
        self._data = ray.put(data)
        self._actor = ray.remote(
            max_restarts=0, max_task_retries=0, concurrency_groups={"control": 1}
        )(TrialActor)
        self._running: dict[int, _Running] = {}
        self._idle: list[_Idle] = []
        self._watch = ClusterWatch()

    def capacity(self) -> int:
        return sum(self._placement.room(node) for node in self._watch.view.nodes)

    def submit(self, job: Job, *, alone: bool = False) -> None:
        if alone:
            self._dismiss(self._idle)
        node = self._choose(alone)
        actor = self._take_idle(node) or self._actor.options(**self._options(node, alone)).remote()
        stream = actor.run.remote(job, self._data)
        self._running[job.number] = _Running(job, actor, stream, node.id if node else None, alone)

    def _choose(self, alone: bool) -> Node | None:
        nodes = self._watch.view.nodes
        if alone:
            return self._placement.largest(nodes)
        load = Counter(running.node for running in self._running.values() if running.node)
        return self._placement.roomiest(nodes, load)

    def _take_idle(self, node: Node | None) -> Any:
        found = next((idle for idle in self._idle if node and idle.node == node.id), None)
        if found is None:
            return None
        self._idle.remove(found)
        return found.actor

    def _dismiss(self, idle: list[_Idle]) -> None:
        """Let idle actors go, and what they reserve."""
        for one in list(idle):
            self._idle.remove(one)
            ray.kill(one.actor)

    def _options(self, node: Node | None, alone: bool) -> dict[str, Any]:
        """What Ray is asked for.  Other users of the cluster may have taken that node: then Ray chooses
        another one."""
        cpus, gpus = self._placement.cpus_per_trial, self._placement.gpus_per_trial
        if alone and gpus:
            gpus = max(1, gpus)
        if node is None:
            return {"num_cpus": cpus, "num_gpus": gpus, "scheduling_strategy": "SPREAD"}
        cpus = node.cpus if alone and not gpus else self._placement.cpus_on(node)
        strategy = NodeAffinitySchedulingStrategy(node.id, soft=True, _spill_on_unavailable=True)
        return {"num_cpus": cpus, "num_gpus": gpus, "scheduling_strategy": strategy}

    def poll(self, timeout: float) -> list[Arrival]:
        """As the contract says; raises ClusterLost."""
        if reason := self._watch.lost():
            raise ClusterLost(reason=reason)
        self._dismiss([i for i in self._idle if time.monotonic() - i.since > IDLE_SECONDS])
        if losses := self._losses():
            return losses
        streams = {running.stream: running for running in self._running.values()}
        if not streams:
            return []
        ready, _ = ray.wait(list(streams), num_returns=len(streams), timeout=0)
        if not ready:
            ready, _ = ray.wait(list(streams), num_returns=1, timeout=timeout)
        arrivals = (self._next(streams[stream]) for stream in ready)
        return [arrival for arrival in arrivals if arrival]

    def _losses(self) -> list[Arrival]:
        """The trials of nodes that are gone.  Ray would tell, too, but can take minutes over it.

        The data is put anew: of the old object Ray would for half a minute look for a dead node's copy.
        """
        gone = self._watch.view.gone
        lost = [running for running in self._running.values() if running.node in gone]
        for running in lost:
            self._release(running)
        if lost:
            self._data = ray.put(self._training_data)
        return [_arrival(running, Lost("its node is gone")) for running in lost]

    def _next(self, running: _Running) -> Arrival | None:
        """The next item of a stream; behind the last one the worker is let go."""
        item = _item(running.stream)
        if isinstance(item, str):
            running.node = item
            return None
        arrival = _arrival(running, item)
        if isinstance(item, Result) and not running.alone:
            del self._running[running.job.number]
            self._idle.append(_Idle(running.actor, running.node, time.monotonic()))
        elif arrival.last:
            self._release(running)
        return arrival

    def stop(self, number: int) -> None:
        if number in self._running:
            self._running[number].actor.stop.remote(number)

    def cancel(self, number: int) -> None:
        if number in self._running:
            self._release(self._running[number])

    def close(self) -> None:
        """A lost cluster is left as it is: asked to end a worker, it would not answer."""
        self._watch.close()
        if self._watch.lost():
            return
        for running in list(self._running.values()):
            self._release(running)
        self._dismiss(self._idle)

    def _release(self, running: _Running) -> None:
        """Free the worker's process, its memory and its resources; nothing of it arrives any more."""
        del self._running[running.job.number]
        ray.kill(running.actor)


def _arrival(running: _Running, content: Report | Lost | OutOfMemory | Raised) -> Arrival:
    return Arrival(running.job.number, running.job.attempt, content)


def _item(stream: Any) -> Report | Lost | OutOfMemory | Raised | str:
    try:
        item: Report | str = ray.get(next(stream), timeout=FETCH_SECONDS)
    except RayTaskError as error:
        return failures.sort(error.cause, trace=str(error))
    except OutOfMemoryError as error:
        return OutOfMemory(_first_line(error))
    except ActorDiedError:
        return Lost("its process died")
    except ActorUnavailableError:
        return Lost("its process is out of reach")
    except RayError as error:
        return Lost(_first_line(error))
    return item


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
