"""Which device a trial trains on, with how many threads, and how many trials run at once.

``num_gpus=1`` on a machine without a GPU would wait for ever in silence, and Ray would give every
worker one thread (design 3.16): so the resources are chosen here, on purpose, and said.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from fre_hpo.errors import NoResources

MOST_AT_ONCE = 4
"""Trials at once on CPUs where nothing else is asked for.  Two trials of one thread do half as much again
as one of two; but what runs at once cannot learn from one another."""


@dataclass(frozen=True)
class Machine:
    """What there is to place trials on: this machine, or all nodes of a cluster."""

    cpus: int
    gpus: int
    mps: bool = False


@dataclass(frozen=True)
class Placement:
    """device: as torch names it in the worker.  threads: torch's, on the CPU.  cpus_per_trial and
    gpus_per_trial: what Ray reserves.  parallel: trials at once."""

    device: str
    threads: int
    cpus_per_trial: float
    gpus_per_trial: float
    parallel: int

    def __str__(self) -> str:
        trials = "one trial" if self.parallel == 1 else f"{self.parallel} trials"
        if self.device == "cpu":
            threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
            return f"{trials} at a time on the CPU, {threads} each"
        return f"{trials} at a time on {self.device}{self._share()}"

    def _share(self) -> str:
        if self.gpus_per_trial in (0, 1):
            return ""
        unit = "of a GPU" if self.gpus_per_trial < 1 else "GPUs"
        return f", {self.gpus_per_trial:g} {unit} each"


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
    if chosen == "cuda":
        return _on_gpus(machine, 1 if one_slot else parallel, gpus_per_trial or 1.0)
    if gpus_per_trial:
        raise NoResources(problem="--gpus-per-trial needs a GPU, and none is used: leave it away.")
    if chosen == "mps":
        return _on_cpus(machine, chosen, parallel or 1)
    return _on_cpus(machine, chosen, 1 if one_slot else parallel)


def _device(machine: Machine, wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if machine.gpus else "mps" if machine.mps else "cpu"
    missing = (wanted == "cuda" and not machine.gpus) or (wanted == "mps" and not machine.mps)
    if missing:
        problem = f"--device {wanted} was asked for, and none was found here: use --device auto."
        raise NoResources(problem=problem)
    return wanted


def _on_cpus(machine: Machine, device: str, parallel: int | None) -> Placement:
    trials = parallel or min(machine.cpus, MOST_AT_ONCE)
    threads = max(machine.cpus // trials, 1)
    return Placement(device, threads, min(threads, machine.cpus / trials), 0, trials)


def _on_gpus(machine: Machine, parallel: int | None, share: float) -> Placement:
    if share > 1 and share % 1:
        raise NoResources(
            problem=f"--gpus-per-trial {share:g} cannot be placed: a trial takes a part of one "
            "GPU, or whole ones."
        )
    room = machine.gpus * int(1 / share) if share < 1 else machine.gpus // int(share)
    if room < 1:
        raise NoResources(
            problem=f"--gpus-per-trial {share:g} asks for more GPUs than there are "
            f"({machine.gpus}): use a smaller number."
        )
    trials = parallel or room
    threads = max(machine.cpus // max(min(trials, room), 1), 1)
    return Placement("cuda", threads, min(1, machine.cpus / trials), share, trials)


def usable_cpus() -> int:
    """The cores that this process may use, which a container or a batch system can limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
