"""Which device a trial trains on, with how many threads, how many trials run at once, and where.

``num_gpus=1`` on a machine without a GPU would wait for ever in silence, and Ray would give every
worker one thread (design 3.16): so the resources are chosen here, on purpose, and said.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from fre_hpo.errors import NoResources

MOST_AT_ONCE = 4
"""Trials at once on a machine's CPUs where nothing else is asked for.  Two trials of one thread do half as
much again as one of two; but what runs at once cannot learn from one another."""
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Machine:
    """What there is to place trials on: this machine, or all nodes of a cluster."""

    cpus: int
    gpus: int
    mps: bool = False


@dataclass(frozen=True)
class Node:
    """One machine of a cluster, and what Ray may give away of it."""

    id: str
    cpus: float
    gpus: float


@dataclass(frozen=True)
class Placement:
    """device: as torch names it in the worker.  threads: torch's, on the CPU.  cpus_per_trial and
    gpus_per_trial: what Ray reserves.  parallel: trials at once with what there is at the start, 0 while a
    cluster has no CPU yet.  limit: the most that were asked for, None for as many as there is room for."""

    device: str
    threads: int
    cpus_per_trial: float
    gpus_per_trial: float
    parallel: int
    limit: int | None = None

    def __str__(self) -> str:
        if not self.parallel:
            lacking = "GPU" if self.device == "cuda" else "CPU"
            return f"nothing yet, for there is no {lacking}: trials begin when nodes join"
        trials = "one trial" if self.parallel == 1 else f"{self.parallel} trials"
        if self.device == "cpu":
            threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
            return f"{trials} at a time on the CPU, {threads} each"
        return f"{trials} at a time on {self.device}{self._share()}{self._more()}"

    def _share(self) -> str:
        if self.gpus_per_trial in (0, 1):
            return ""
        unit = "of a GPU" if self.gpus_per_trial < 1 else "GPUs"
        return f", {self.gpus_per_trial:g} {unit} each"

    def _more(self) -> str:
        """A --parallel above what there is must not wait in silence."""
        if self.limit is None or self.limit <= self.parallel:
            return ""
        return f"; up to {self.limit} when GPUs join"

    @property
    def sharing(self) -> int:
        """How many trials share a GPU; 1 where each has one or more to itself, and on CPUs."""
        return int(1 / self.gpus_per_trial + _ROUNDING) if 0 < self.gpus_per_trial < 1 else 1

    def backed_off(self) -> Placement:
        """After trials that share a GPU ran out of its memory: one fewer from now on."""
        fewer = max(self.sharing - 1, 1)
        parallel = max(self.parallel * fewer // self.sharing, 1)
        return (
            self
            if fewer == self.sharing
            else replace(self, gpus_per_trial=1 / fewer, parallel=parallel)
        )

    def cpus_on(self, node: Node) -> float:
        """What a trial reserves there: a machine smaller than those of the start takes one trial, too."""
        return min(self.cpus_per_trial, node.cpus)

    def room(self, node: Node) -> int:
        """How many trials a node trains at once."""
        if node.cpus <= 0:
            return 0
        room = int(node.cpus / self.cpus_on(node) + _ROUNDING)
        if self.gpus_per_trial:
            return min(room, _trials_on_gpus(int(node.gpus), self.gpus_per_trial))
        return room if self.limit else min(room, MOST_AT_ONCE)

    def roomiest(self, nodes: Iterable[Node], load: Mapping[str, int]) -> Node | None:
        """The node with the most room left; None where no trial can be trained at all.

        load: node -> trials that train there.
        """
        fit = [node for node in nodes if self.room(node)]
        return max(fit, key=lambda node: self.room(node) - load.get(node.id, 0), default=None)

    def threads_on(self, node: Node) -> int:
        """For torch there: never more than what it reserves."""
        return max(1, min(self.threads, int(self.cpus_on(node) + _ROUNDING)))

    def largest(self, nodes: Iterable[Node]) -> Node | None:
        """Where a trial that ran out of memory has the most to itself."""
        fit = [node for node in nodes if self.room(node)]
        return max(fit, key=lambda node: (node.gpus, node.cpus), default=None)


@dataclass(frozen=True)
class Wanted:
    """What was asked for; None means automatic.

    one_slot: the executor runs one trial at a time.  elastic: nodes may join later, so that what is not
    there yet is waited for.
    """

    device: str = "auto"
    parallel: int | None = None
    gpus_per_trial: float | None = None
    one_slot: bool = False
    elastic: bool = False

    def on(self, machine: Machine) -> Placement:
        """Raises NoResources when it is not there."""
        share = self.gpus_per_trial or 1.0
        for_gpus = self.device == "cuda" or (self.device == "auto" and bool(self.gpus_per_trial))
        if self.elastic and for_gpus and not _trials_on_gpus(machine.gpus, share):
            return Placement("cuda", 1, 1, share, 0, self.parallel)
        return place(
            machine, self.device, self.parallel, self.gpus_per_trial, one_slot=self.one_slot
        )

    def again(self, now: Placement, machine: Machine) -> Placement:
        """After nodes came or went: chosen once more where there was nothing yet, and where the first GPUs
        came while trials were trained on CPUs."""
        nothing_yet = not now.parallel and (machine.gpus if now.device == "cuda" else machine.cpus)
        better = self.device == "auto" and now.device == "cpu" and machine.gpus
        return self.on(machine) if nothing_yet or better else now


def place(
    machine: Machine,
    device: str,
    parallel: int | None,
    gpus_per_trial: float | None,
    *,
    one_slot: bool,
) -> Placement:
    """Choose; None means automatic.  ``one_slot``: the executor runs one trial at a time.

    Raises NoResources when what was asked for is not there.
    """
    chosen = _device(machine, device)
    if one_slot and parallel not in (None, 1):
        raise NoResources(
            problem="The inline executor trains one trial at a time: leave --parallel away, or use "
            "--executor ray."
        )
    limit = 1 if one_slot or (chosen == "mps" and not parallel) else parallel
    if chosen == "cuda":
        return _on_gpus(machine, limit, gpus_per_trial or 1.0)
    if gpus_per_trial:
        raise NoResources(problem="--gpus-per-trial needs a GPU, and none is used: leave it away.")
    return _on_cpus(machine, chosen, limit)


def _device(machine: Machine, wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if machine.gpus else "mps" if machine.mps else "cpu"
    missing = (wanted == "cuda" and not machine.gpus) or (wanted == "mps" and not machine.mps)
    if missing:
        problem = f"--device {wanted} was asked for, and none was found here: use --device auto."
        raise NoResources(problem=problem)
    return wanted


def _on_cpus(machine: Machine, device: str, limit: int | None) -> Placement:
    if not machine.cpus:
        return Placement(device, 1, 1, 0, 0, limit)
    trials = limit or min(machine.cpus, MOST_AT_ONCE)
    threads = max(machine.cpus // trials, 1)
    return Placement(device, threads, min(threads, machine.cpus / trials), 0, trials, limit)


def _on_gpus(machine: Machine, limit: int | None, share: float) -> Placement:
    if share > 1 and share % 1:
        raise NoResources(
            problem=f"--gpus-per-trial {share:g} cannot be placed: a trial takes a part of one "
            "GPU, or whole ones."
        )
    room = _trials_on_gpus(machine.gpus, share)
    if room < 1:
        raise NoResources(
            problem=f"--gpus-per-trial {share:g} asks for more GPUs than there are "
            f"({machine.gpus}): use a smaller number."
        )
    trials = min(limit or room, room)
    threads = max(machine.cpus // trials, 1)
    return Placement("cuda", threads, min(1, machine.cpus / trials), share, trials, limit)


def _trials_on_gpus(gpus: int, share: float) -> int:
    return gpus * int(1 / share) if share < 1 else gpus // int(share)


def usable_cpus() -> int:
    """The cores that this process may use, which a container or a batch system can limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
