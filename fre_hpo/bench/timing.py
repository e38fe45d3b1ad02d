"""Arms timed by turns: whatever else the machine does meanwhile, it does to all of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from fre_hpo.bench.measures import Timing

LEAST, MOST = 5, 40
"""Rounds."""
SHORTEST = 0.02
"""Seconds that are timed at once; shorter work is repeated within a round."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Work:
    """What is timed.  enter: called before it, outside the timing, to set what holds for the process."""

    name: str
    run: Callable[[], object]
    enter: Callable[[], object] = _nothing


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Work, device: torch.device, times: int = 1) -> float:
    """Wall time of one run, from the mean of ``times`` runs in a row."""
    work.enter()
    synchronise(device)
    started = time.perf_counter()
    for _ in range(times):
        work.run()
    synchronise(device)
    return (time.perf_counter() - started) / times


def interleave(
    works: Sequence[Work],
    device: torch.device,
    seconds: float,
    *,
    least: int = LEAST,
    most: int = MOST,
) -> list[Timing]:
    """Time all arms in rounds: each round runs every arm once, in an order that rotates.

    There are ``least`` to ``most`` rounds, as many as begin within ``seconds``; the warm-up, two runs of
    each arm with whatever they compile, is timed apart.
    """
    warmups = [seconds_of(work, device) for work in works]
    peaks, repeats = zip(*(_try(work, device) for work in works), strict=True)
    rounds: list[list[float]] = [[] for _ in works]
    ends = time.perf_counter() + seconds
    while (done := len(rounds[0])) < least or (done < most and time.perf_counter() < ends):
        for turn in range(len(works)):
            arm = (turn + done) % len(works)
            rounds[arm].append(seconds_of(works[arm], device, repeats[arm]))
    return [
        Timing(work.name, tuple(taken), warmup, peak)
        for work, taken, warmup, peak in zip(works, rounds, warmups, peaks, strict=True)
    ]


def _try(work: Work, device: torch.device) -> tuple[float | None, int]:
    """A warm run: the MB it needs beyond what lies on the device, and how often a round repeats it."""
    if device.type != "cuda":
        return None, math.ceil(SHORTEST / seconds_of(work, device))
    resident = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    taken = seconds_of(work, device)
    peak = (torch.cuda.max_memory_allocated(device) - resident) / 1e6
    return peak, math.ceil(SHORTEST / taken)
