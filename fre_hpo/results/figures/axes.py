"""Axes that people can read: ranges with a little room, ticks at round numbers, few enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Number = int | float
Ticks = tuple[tuple[float, str], ...]

ROOM = 0.05
"""Share of an axis that is left free at each end, so that no mark at the edge is cut."""
MOST_TICKS = 10
_STEPS = (1, 2, 5)
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_NEARLY = 1e-9


@dataclass(frozen=True)
class Axis:
    """low, high: what is shown.  drawn: how far the line of the axis goes.  minor: ticks without a label.
    shown: whether there is a line at all.  rules: whether every tick goes on as a line behind the marks."""

    title: str
    low: float
    high: float
    ticks: Ticks
    minor: tuple[float, ...] = ()
    log: bool = False
    drawn: tuple[float, float] | None = None
    shown: bool = True
    rules: bool = False

    def fraction(self, value: float) -> float:
        """Where a value stands: 0 at the low end, 1 at the high one."""
        low, high, at = (self._scaled(v) for v in (self.low, self.high, value))
        return (at - low) / (high - low)

    def at(self, fraction: float) -> float:
        """The value that stands at a fraction of the axis."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        value = low + fraction * (high - low)
        return 10**value if self.log else value

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


def range_axis(title: str, low: Number, high: Number, *, log: bool, integer: bool) -> Axis:
    """An axis over a search range, whose bounds belong to it."""
    whole = Axis(title, low, high, (), log=log)
    ticks = log_ticks(low, high, integer=integer) if log else linear_ticks(low, high)
    minor = _nines(low, high) if log and _is_decades([v for v, _ in ticks]) else ()
    return Axis(
        title,
        whole.at(-ROOM),
        whole.at(1 + ROOM),
        ticks,
        minor,
        log,
        drawn=(whole.at(-ROOM), whole.at(1 + ROOM)),
    )


def value_axis(title: str, values: Sequence[float], least: float = 0.01) -> Axis:
    """An axis over measured values, which may be one only; ``least``: the shortest that is shown."""
    low, high = spread(values, least)
    room = (high - low) * ROOM
    low, high = low - room, high + room
    return Axis(title, low, high, linear_ticks(low, high))


def whole_axis(title: str, low: int, high: int) -> Axis:
    """An axis of whole numbers such as seeds, with half a step beyond its ends."""
    ticks = linear_ticks(low - 0.5, high + 0.5)
    return Axis(
        title, low - 0.5, high + 0.5, tuple((v, f"{v:.0f}") for v, _ in ticks if v == int(v))
    )


def spread(values: Sequence[float], least: float) -> tuple[float, float]:
    """The range of values, widened around its middle where it is too short to be shown."""
    low, high = min(values), max(values)
    missing = max(least - (high - low), 0)
    return low - missing / 2, high + missing / 2


def linear_ticks(low: float, high: float, about: int = 5) -> Ticks:
    """Multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((n * power for n in (*_STEPS, 10)), key=lambda s: abs(math.log(s / rough)))
    first, last = math.ceil(low / step - _NEARLY), math.floor(high / step + _NEARLY)
    decimals = max(0, -math.floor(math.log10(step) + _NEARLY))
    values = [round(n * step, decimals) + 0.0 for n in range(first, last + 1)]
    return tuple((v, f"{v:.{decimals}f}" if decimals else in_words(v)) for v in values)


def log_ticks(low: float, high: float, *, integer: bool = False) -> Ticks:
    """Powers of two for a range that ends at one, powers of ten over three decades and more, else 1-2-5;
    equal steps where the range is shorter than a decade."""
    decades = math.log10(high / low)
    if integer and math.log2(high).is_integer() and high / low >= 4:
        values = _thinned(_powers(2, low, high))
    elif decades >= 3 - _NEARLY:
        values = _thinned(_powers(10, low, high))
    elif decades >= 1 - _NEARLY:
        values = [n * p for p in _powers(10, low / 10, high) for n in _STEPS]
    else:
        return linear_ticks(low, high)
    return tuple((v, _power_in_words(v)) for v in values if _within(v, low, high))


def _powers(base: int, low: float, high: float) -> list[float]:
    first, last = (math.log(v, base) for v in (low, high))
    return [float(base) ** n for n in range(math.ceil(first - _NEARLY), int(last + _NEARLY) + 1)]


def _thinned(values: list[float]) -> list[float]:
    """Every second, third, ..., the highest among them."""
    step = -(-len(values) // MOST_TICKS)
    return values[::-1][::step][::-1]


def _nines(low: float, high: float) -> tuple[float, ...]:
    """2, 3, ..., 9 times each power of ten."""
    powers = _powers(10, low / 10, high)
    return tuple(n * p for p in powers for n in range(2, 10) if _within(n * p, low, high))


def _is_decades(values: Sequence[float]) -> bool:
    return len(values) > 1 and all(abs(b / a - 10) < _NEARLY for a, b in pairwise(values))


def _within(value: float, low: float, high: float) -> bool:
    return low * (1 - _NEARLY) <= value <= high * (1 + _NEARLY)


def _power_in_words(value: float) -> str:
    """1000, 10⁴."""
    power = math.log10(value)
    if value >= 10_000 and power.is_integer():
        return f"10{str(int(power)).translate(_SUPERSCRIPTS)}"
    return in_words(value)


def in_words(value: float) -> str:
    """0.5, 1000, 25,000."""
    return f"{value:,.12g}" if abs(value) >= 10_000 else f"{value:.12g}"
