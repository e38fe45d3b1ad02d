"""Colours: a scale from low to high, in one palette like the paper's and one for every eye."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from fre_hpo.results.figures.axes import Ticks, linear_ticks, spread

Stops = tuple[str, ...]

PALETTES: dict[str, Stops] = {
    "paper": (
        "#3b4cc0",
        "#6282ea",
        "#8db0fe",
        "#abc3f4",
        "#c6c3c9",
        "#eab59d",
        "#f4987a",
        "#dd5f4b",
        "#b40426",
    ),
    "safe": (
        "#440154",
        "#472d7b",
        "#3b528b",
        "#2c728e",
        "#21918c",
        "#28ae80",
        "#5ec962",
        "#addc30",
        "#fde725",
    ),
}
"""paper: blue to red, after Moreland, 2009, with a middle that is still seen on white;
safe: viridis, van der Walt & Smith, 2015."""

LINES: Stops = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00")
"""For lines that must be told apart, the best trial's first: Okabe & Ito, 2008."""

PLAIN = "#3f7cc0"
"""For marks that a scale does not colour."""

LEAST = 0.002
"""The shortest range of mIoU that a scale covers: beyond it differences are not worth a colour."""
ENOUGH_FOR_OUTLIERS = 8
CROWDED = 0.1


@dataclass(frozen=True)
class Scale:
    """Colours from ``low`` to ``high``; clipped: whether lower values have the lowest colour."""

    title: str
    low: float
    high: float
    stops: Stops
    ticks: Ticks
    clipped: bool

    def colour(self, value: float) -> str:
        """#rrggbb, interpolated between the stops."""
        share = min(max((value - self.low) / (self.high - self.low), 0), 1) * (len(self.stops) - 1)
        index = min(int(share), len(self.stops) - 2)
        below, above = (_channels(stop) for stop in self.stops[index : index + 2])
        mixed = (a + (share - index) * (b - a) for a, b in zip(below, above, strict=True))
        return "#" + "".join(f"{round(v):02x}" for v in mixed)


def _channels(stop: str) -> tuple[int, ...]:
    return tuple(int(stop[i : i + 2], 16) for i in (1, 3, 5))


def scale_of(title: str, values: Sequence[float], palette: str) -> Scale | None:
    """A scale for so many values; None for none.

    A few trials that learned nothing would leave one colour to all others: where three quarters of the
    trials share a tenth of the scale, Tukey's far outliers below them are clipped.
    """
    if not values:
        return None
    kept = _without_outliers(sorted(values))
    low, high = spread(kept, LEAST)
    clipped = min(values) < low
    ticks = linear_ticks(low, high)
    if clipped:
        ticks = ((low, f"≤ {low:.3f}"), *_away_from(ticks, low, (high - low) / 8))
    return Scale(title, low, high, PALETTES[palette], ticks, clipped)


def _without_outliers(values: list[float]) -> list[float]:
    if len(values) < ENOUGH_FOR_OUTLIERS:
        return values
    lower, _, upper = statistics.quantiles(values)
    if values[-1] - lower >= CROWDED * (values[-1] - values[0]):
        return values
    fence = lower - 3 * max(upper - lower, LEAST)
    return [v for v in values if v >= fence]


def _away_from(ticks: Ticks, value: float, distance: float) -> Ticks:
    return tuple((v, text) for v, text in ticks if v - value >= distance)
