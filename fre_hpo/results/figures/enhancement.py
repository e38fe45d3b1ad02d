"""The paper's Fig. 9: the sum of the deepest feature maps while networks are trained - without FRE, the
maps that are enhanced, and those that are not - before and after the multiplication by X."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from fre_hpo.results.figures.axes import Axis, in_words, log_ticks, value_axis
from fre_hpo.results.figures.description import DOUBLE, Figure, Panel
from fre_hpo.results.figures.features import what_trial
from fre_hpo.results.figures.over_epochs import Course, epoch_axis, names_at_ends
from fre_hpo.results.traced import TracedTrial

ENHANCING: Final = frozenset({"fre", "fre-fixed"})
WITHOUT: Final = "baseline"
TITLE = "sum over the maps"
FACT = "sum"
HEIGHT = 66.0
SIZE = (76.0, 44.0)
"""A panel between its axes, in mm, about."""
WIDE = 10.0
"""From such a ratio of the largest to the smallest sum on, the axis is logarithmic."""
ROOM = 1.15
AT_EDGE = "; 0 is drawn at the lower edge"
GREY, RED, BLUE = "#5c5c5c", "#d55e00", "#0072b2"


def enhancement_figure(
    baseline: TracedTrial | None, enhanced: Sequence[TracedTrial], *, same_scale: bool = False
) -> Figure:
    """Two panels for each enhancing trial, before and after the multiplication; the baseline is in all.

    same_scale: one axis for all panels.
    """
    pairs = [(trial, after) for trial in enhanced for after in (False, True)]
    every = [value for trial in enhanced for value in _sums(baseline, trial)]
    panels = [_panel(baseline, *pair, every if same_scale else ()) for pair in pairs]
    return Figure("enhancement", tuple(panels), 2, DOUBLE, HEIGHT)


def _panel(
    baseline: TracedTrial | None, trial: TracedTrial, after: bool, every: Sequence[float]
) -> Panel:
    """every: the values of all panels where they share one axis."""
    courses = _courses(baseline, trial, after)
    x = epoch_axis(_epochs(baseline, trial), [c.words for c in courses], SIZE[0])
    y = _axis(every or _values(courses), log=_far_apart(every or _sums(baseline, trial)))
    drawn = [tuple(max(value, y.low) for value in course.values) for course in courses]
    when = "after" if after else "before"
    zeros = y.log and min(_values(courses)) <= 0
    return Panel(
        f"{trial.study}-{when}",
        trial.study,
        x,
        y,
        tuple(course.line(FACT, d) for course, d in zip(courses, drawn, strict=True)),
        names_at_ends(courses, x, y, SIZE),
        note=f"{when} the multiplication, {what_trial(trial)}" + (AT_EDGE if zeros else ""),
    )


def _courses(baseline: TracedTrial | None, trial: TracedTrial, after: bool) -> list[Course]:
    """What is not enhanced stays what it is."""
    columns = trial.columns
    count, maps = round(columns["enhanced"][-1]), trial.spec.maps
    factor = in_words(float(f"{_factor(trial):.4g}"))
    by = f"\ntimes {factor}" if after else f"\n({count} of {maps} maps)"
    sums = columns["enhanced_after" if after else "enhanced_sum"]
    rest = f"not enhanced\n({maps - count} maps)"
    found = [
        Course("enhanced", f"enhanced{by}", trial.epochs, sums, RED),
        Course("not-enhanced", rest, trial.epochs, columns["rest_sum"], BLUE),
    ]
    if baseline is None:
        return found
    words = f"without FRE\n({baseline.spec.maps} maps)"
    sums = baseline.columns["all_sum"]
    return [Course("without-fre", words, baseline.epochs, sums, GREY), *found]


def _values(courses: Sequence[Course]) -> list[float]:
    return [value for course in courses for value in course.values]


def _sums(baseline: TracedTrial | None, trial: TracedTrial) -> list[float]:
    """Before and after: one kind of axis for both."""
    return [v for after in (False, True) for v in _values(_courses(baseline, trial, after))]


def _factor(trial: TracedTrial) -> float:
    return {**trial.spec.fixed, **trial.record.params}["X"]


def _epochs(baseline: TracedTrial | None, trial: TracedTrial) -> int:
    return max(t.spec.training.epochs for t in (baseline, trial) if t)


def _far_apart(values: Sequence[float]) -> bool:
    positive = [value for value in values if value > 0] or [1.0]
    return max(positive) / min(positive) >= WIDE


def _axis(values: Sequence[float], *, log: bool) -> Axis:
    """On a logarithmic axis a sum of 0 has no place."""
    if not log:
        return value_axis(TITLE, values)
    positive = [value for value in values if value > 0] or [1.0]
    low, high = min(positive), max(positive)
    room = ROOM if min(values) > 0 else 3.0
    low, high = low / room, high * ROOM
    return Axis(TITLE, low, high, log_ticks(low, high), _minor(low, high), log=True)


def _minor(low: float, high: float) -> tuple[float, ...]:
    """2, 3, ..., 9 times each power of ten, where powers of ten alone have words."""
    if high / low < 1000:
        return ()
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    found = (n * 10.0**p for p in powers for n in range(2, 10))
    return tuple(value for value in found if low <= value <= high)
