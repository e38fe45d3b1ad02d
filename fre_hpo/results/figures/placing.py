"""Where labels stand: beside their point, where nothing else is; lines' names one below the other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from fre_hpo.results.figures.axes import Axis
from fre_hpo.results.figures.description import Label

LETTER = 1.6
LINE = 3.6
"""Width of a letter and height of a line at 8 pt, in mm."""
NEAR = 0.045
_STEPS = [n / 20 for n in range(21)]
_MARGIN = 0.04
_COVERED = 10.0
_OUTSIDE = 1000.0

Point = tuple[float, float]
Box = tuple[float, float, float, float]


Anchor = Literal["left", "right", "center"]


def beside(
    text: str, point: Point, others: Sequence[Point], x: Axis, y: Axis, size: tuple[float, float]
) -> Label | None:
    """A label where it covers no point, as near as possible; None where there is no such place.

    size: of the panel between its axes, in mm.  Beside the point it needs no leader.
    """
    at = x.fraction(point[0]), y.fraction(point[1])
    around = [at, *((x.fraction(a), y.fraction(b)) for a, b in others)]
    lines = text.splitlines()
    width, height = max(map(len, lines)) * LETTER / size[0], len(lines) * LINE / size[1]
    box = min(_boxes(at, width, height), key=lambda b: _cost(b, around, at))
    if _cost(box, around, at) >= _COVERED:
        return None
    left, right, bottom, top = box
    anchor = _anchor(box, at[0])
    text_x = {"left": left, "right": right, "center": (left + right) / 2}[anchor]
    leader = _distance(box, at) > 2 * NEAR
    return Label(text, *point, x.at(text_x), y.at((bottom + top) / 2), anchor, leader=leader)


def _boxes(at: Point, width: float, height: float) -> Iterator[Box]:
    """Left, right, bottom and top in fractions of the panel: first those beside the point, then any."""
    x, y = at
    middles = [
        (x + right * (NEAR + width / 2), y + up * (NEAR + height / 2))
        for right, up in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
    ]
    middles += [(across, upright) for across in _STEPS for upright in _STEPS]
    for across, upright in middles:
        yield across - width / 2, across + width / 2, upright - height / 2, upright + height / 2


def _anchor(box: Box, x: float) -> Anchor:
    """Words end or begin on the side on which their point is."""
    left, right, _, _ = box
    if x <= left:
        return "left"
    return "right" if x >= right else "center"


def _cost(box: Box, points: Sequence[Point], at: Point) -> float:
    left, right, bottom, top = box
    covered = sum(
        left - _MARGIN < x < right + _MARGIN and bottom - _MARGIN < y < top + _MARGIN
        for x, y in points
    )
    outside = max(-left, 0) + max(right - 1, 0) + max(-bottom, 0) + max(top - 1, 0)
    return _COVERED * covered + _OUTSIDE * outside + round(_distance(box, at), 6)


def _distance(box: Box, at: Point) -> float:
    left, right, bottom, top = box
    across = max(left - at[0], at[0] - right, 0)
    upright = max(bottom - at[1], at[1] - top, 0)
    return math.hypot(across, upright)


def apart(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Positions near the wanted ones, in their order, at least so far apart and between low and high as
    long as there is room."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed: list[float] = []
    for index in order:
        floor = placed[-1] + least if placed else low
        placed.append(max(wanted[index], floor))
    ceiling = high
    for rank in reversed(range(len(placed))):
        placed[rank] = min(placed[rank], ceiling)
        ceiling = placed[rank] - least
    return [placed[order.index(i)] for i in range(len(wanted))]
