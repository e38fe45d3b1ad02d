"""The Ray executor: one actor for each running trial, anywhere in a cluster (design 3.2).

The actor's ``run`` streams reports and checkpoints; its ``stop`` sits in a concurrency group of its own,
because cancelling a stream would lose the checkpoint that a stop asks for.  Ray retries nothing.  An
actor whose trial went well takes the next one: loading torch and its optimisers takes seconds.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from fre_hpo.errors import ClusterLost, DataDamaged
from fre_hpo.scheduling import failures
from fre_hpo.scheduling.cluster_watch import OUR_VERSION, ClusterWatch, View
from fre_hpo.scheduling.executor import Arrival, Lost, OutOfMemory, Raised
from fre_hpo.scheduling.neighbours import Neighbours
from fre_hpo.scheduling.placement import Machine, Node, Placement, Wanted
from fre_hpo.scheduling.share import Share
from fre_hpo.trial import Job, Report, Result, StopFlag, Stopped, TrainingData

FETCH_SECONDS = 30
"""Ray says that a report is here before it is asked for it; should it be gone again, the wait must end."""

IDLE_SECONDS = 5.0
"""So long an actor waits for its next trial, and then gives back what it reserves."""


class TrialActor:
    """Trains one trial after the other, in a worker process of its own."""

    def __init__(self) -> None:
        self._number = -1
        self._stop = StopFlag()
        self._verified = ""

    @ray.method(num_returns="streaming")
    def run(self, job: Job, data: TrainingData, fingerprint: str) -> Iterator[Report | str]:
        """First the id of the node that it came to, then the trial's reports.

        data: read from the node's memory, where it was brought once.  Raises DataDamaged.
        """
        self._number, self._stop = job.number, StopFlag()
        yield ray.get_runtime_context().get_node_id()
        self._verify(data, fingerprint)
        yield from trial.run(job, data, self._stop)

    def _verify(self, data: TrainingData, fingerprint: str) -> None:
        """Once in each process."""
        if self._verified != fingerprint:
            if data.fingerprint() != fingerprint:
                raise DataDamaged(host=socket.gethostname())
            self._verified = fingerprint

    @ray.method(concurrency_group="control")
    def stop(self, number: int) -> None:
        if number == self._number:
            self._stop.raise_()


@dataclass(eq=False)
class _Running:
    """An actor with its stream of reports.  node: where it was sent, and then where it is.  sharing: how
    many trials share a GPU with what it reserves.  begun: it has reported from there."""

    job: Job
    actor: Any
    stream: Any
    node: str | None
    alone: bool
    sharing: int = 1
    begun: bool = False


@dataclass(frozen=True, eq=False)
class _Idle:
    """An actor that is done with its trial and may take another one on its node."""

    actor: Any
    node: str | None
    since: float
    sharing: int


class RayExecutor:
    """Runs trials wherever there is room on a Ray that is already connected.

    wanted: chooses the placement anew when nodes come and go.  shared: the cluster is not ours alone, so
    that other searches on it get their share.
    """

    def __init__(
        self, data: TrainingData, placement: Placement, wanted: Wanted, *, shared: bool = False
    ) -> None:
        self.placement = placement
        self._wanted = wanted
        self._training_data = data
        self._data = ray.put(data)
        self._fingerprint = data.fingerprint()
        self._actor = ray.remote(
            max_restarts=0, max_task_retries=0, concurrency_groups={"control": 1}
        )(TrialActor)
        self._running: dict[int, _Running] = {}
        self._idle: list[_Idle] = []
        self._unbegun: list[Arrival] = []
        self._news: list[str] = []
        self._strangers: set[str] = set()
        self._share = Share() if shared else None
        self._watch = ClusterWatch(Neighbours(self._share.search) if self._share else None)

    # --- room -----------------------------------------------------------------------------------

    def capacity(self, demand: int) -> int:
        view = self._watch.view
        self._place_anew(view)
        self._tell_of_strangers(view)
        room = sum(self.placement.room(node) for node in view.nodes)
        if self._share is None:
            return room
        claim = self._share.claim(self.placement.device, room, demand, len(self._running))
        self._watch.claim = claim
        return self._share.of(claim, view.others, self._news)

    def _place_anew(self, view: View) -> None:
        cpus, gpus = sum(n.cpus for n in view.nodes), sum(n.gpus for n in view.nodes)
        placement = self._wanted.again(self.placement, Machine(int(cpus), int(gpus)))
        if placement != self.placement:
            self.placement = placement
            self._news.append(f"Nodes joined: training {placement}.")

    def _tell_of_strangers(self, view: View) -> None:
        for host in view.strangers.keys() - self._strangers:
            self._news.append(
                f"{host} gets no trials: it runs fre-hpo {view.strangers[host]}, this search "
                f"{OUR_VERSION}; install the same version there."
            )
        self._strangers = set(view.strangers)

    def displaced(self) -> frozenset[int]:
        view = self._watch.view
        rooms = {node.id: self.placement.room(node) for node in view.nodes}
        unfit = [
            number
            for number, running in self._running.items()
            if running.node in view.leaving
            or rooms.get(running.node or "") == 0
            or running.job.device != self.placement.device
        ]
        fit = [number for number in self._running if number not in unfit]
        most = len(fit) if self._share is None or self._share.slots is None else self._share.slots
        return frozenset((*unfit, *fit[most:]))

    def news(self) -> list[str]:
        news, self._news = self._news, []
        return news

    # --- trials ---------------------------------------------------------------------------------

    def submit(self, job: Job, *, alone: bool = False) -> None:
        if alone:
            self._dismiss(self._idle)
        node = self._choose(alone)
        if node and not alone:
            job = replace(job, threads=self.placement.threads_on(node))
        actor = self._take_idle(node) or self._actor.options(**self._options(node, alone)).remote()
        stream = actor.run.remote(job, self._data, self._fingerprint)
        where, sharing = node.id if node else None, 1 if alone else self.placement.sharing
        self._running[job.number] = _Running(job, actor, stream, where, alone, sharing)

    def _choose(self, alone: bool) -> Node | None:
        nodes = self._watch.view.nodes
        if alone:
            return self.placement.largest(nodes)
        load = Counter(running.node for running in self._running.values() if running.node)
        return self.placement.roomiest(nodes, load)

    def _take_idle(self, node: Node | None) -> Any:
        fit = (idle for idle in self._idle if idle.sharing == self.placement.sharing)
        found = next((idle for idle in fit if node and idle.node == node.id), None)
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
        cpus, gpus = self.placement.cpus_per_trial, self.placement.gpus_per_trial
        if alone and gpus:
            gpus = max(1, gpus)
        if node is None:
            return {"num_cpus": cpus, "num_gpus": gpus, "scheduling_strategy": "SPREAD"}
        cpus = node.cpus if alone and not gpus else self.placement.cpus_on(node)
        strategy = NodeAffinitySchedulingStrategy(node.id, soft=True, _spill_on_unavailable=True)
        return {"num_cpus": cpus, "num_gpus": gpus, "scheduling_strategy": strategy}

    def poll(self, timeout: float) -> list[Arrival]:
        """As the contract says; raises ClusterLost."""
        if reason := self._watch.lost():
            raise ClusterLost(reason=reason)
        self._dismiss([idle for idle in self._idle if self._is_done_with(idle)])
        unbegun, self._unbegun = self._unbegun, []
        if ended := unbegun + self._losses():
            return ended
        streams = {running.stream: running for running in self._running.values()}
        if not streams:
            return []
        ready, _ = ray.wait(list(streams), num_returns=len(streams), timeout=0)
        if not ready:
            ready, _ = ray.wait(list(streams), num_returns=1, timeout=timeout)
        arrivals = (self._next(streams[stream]) for stream in ready)
        return [arrival for arrival in arrivals if arrival]

    def _is_done_with(self, idle: _Idle) -> bool:
        """It waited long enough, stands in the way of a node that leaves, or reserves too little."""
        waited = time.monotonic() - idle.since
        leaves = idle.node in self._watch.view.leaving
        return waited > IDLE_SECONDS or leaves or idle.sharing != self.placement.sharing

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
            running.node, running.begun = item, True
            return None
        if isinstance(item, Lost):
            self._watch.refresh()  # or the next attempt would be sent to the same dead node
        if isinstance(item, OutOfMemory) and running.sharing > 1:
            item = self._back_off(running, item)
        arrival = _arrival(running, item)
        if isinstance(item, Result) and not running.alone:
            del self._running[running.job.number]
            since = time.monotonic()
            self._idle.append(_Idle(running.actor, running.node, since, running.sharing))
        elif arrival.last:
            self._release(running)
        return arrival

    def _back_off(self, running: _Running, item: OutOfMemory) -> OutOfMemory:
        """Fewer trials share a GPU from now on, unless that was decided since this one began."""
        if running.sharing == self.placement.sharing:
            self.placement = self.placement.backed_off()
        return replace(item, sharing=running.sharing, now=self.placement.sharing)

    def stop(self, number: int) -> None:
        """One that waits for its worker, or loads torch there, has nothing to hand over."""
        running = self._running.get(number)
        if running and running.begun:
            running.actor.stop.remote(number)
        elif running:
            self._release(running)
            self._unbegun.append(_arrival(running, Stopped(None)))

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
        if isinstance(error.cause, DataDamaged):
            return Lost(str(error.cause))
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
