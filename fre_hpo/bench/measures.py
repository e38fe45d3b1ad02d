"""What was measured, as plain values: arms, ratios, single figures, and what was left out and why.

The field names are those of the JSON report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

FASTER, SLOWER, SAME, FEW = "faster", "slower", "no difference shown", "too few rounds"
RESAMPLES = 2000
FEWEST_ROUNDS = 3
GATE = 0.8
"""A fast path at less than this speed of its plain twin is a fault."""


@dataclass(frozen=True)
class Timing:
    """One arm: the seconds of each round, the seconds before the first one (compilation included) and
    the MB that it needed at most; None where there was no warm-up or memory was not measured."""

    name: str
    rounds: tuple[float, ...]
    warmup: float | None
    memory_mb: float | None = None

    @property
    def median(self) -> float:
        return float(np.median(self.rounds))


@dataclass(frozen=True)
class Arm:
    """One arm of a part; ``median`` in the part's unit, ``warmup`` in seconds."""

    name: str
    median: float
    warmup: float | None = None
    memory_mb: float | None = None


@dataclass(frozen=True)
class Ratio:
    """How many times as fast ``to`` is as ``of``: the median of the rounds' ratios with its 95 % interval.

    goal: what it should be at least.  gated: ``of`` is the plain twin of the fast path ``to``.
    """

    of: str
    to: str
    median: float
    low: float
    high: float
    verdict: str
    goal: float | None = None
    gated: bool = False

    @property
    def fails(self) -> bool:
        """Whether a fast path is shown to be slower than the gate allows."""
        return self.gated and self.high < GATE


@dataclass(frozen=True)
class Figure:
    """A single number; ``goal`` in words."""

    name: str
    value: float
    unit: str
    goal: str = ""


@dataclass(frozen=True)
class LeftOut:
    """Something that was not measured."""

    name: str
    reason: str


@dataclass(frozen=True)
class Part:
    """One part of the report; ``about`` says in a sentence what was measured."""

    name: str
    about: str
    unit: str
    arms: tuple[Arm, ...] = ()
    ratios: tuple[Ratio, ...] = ()
    figures: tuple[Figure, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(of: Timing, to: Timing, *, goal: float | None = None, gated: bool = False) -> Ratio:
    """The ratio of two arms that were timed in the same rounds."""
    paired = np.divide(of.rounds, to.rounds)
    low, high = interval(paired.tolist())
    median = float(np.median(paired))
    return Ratio(of.name, to.name, median, low, high, _verdict(len(paired), low, high), goal, gated)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % bootstrap interval of the median; the same values give the same interval."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(np.asarray(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return float(low), float(high)


def _verdict(rounds: int, low: float, high: float) -> str:
    if rounds < FEWEST_ROUNDS:
        return FEW
    if low <= 1 <= high:
        return SAME
    return FASTER if low > 1 else SLOWER


def as_arms(timings: Sequence[Timing], scale: float) -> tuple[Arm, ...]:
    """Timings in a unit of which ``scale`` make a second."""
    return tuple(Arm(t.name, t.median * scale, t.warmup, t.memory_mb) for t in timings)
