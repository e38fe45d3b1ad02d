"""Parallel coordinates: an axis upright for each parameter and for the mIoU, a line for each trial."""

from __future__ import annotations

from collections.abc import Sequence

from fre_hpo.results.figures.axes import Axis, range_axis, value_axis, whole_axis
from fre_hpo.results.figures.description import (
    INK,
    MIDDLE,
    Fact,
    Figure,
    Label,
    Layer,
    Line,
    Panel,
    Points,
)
from fre_hpo.results.figures.palette import Scale
from fre_hpo.results.figures.trials import (
    MIOU,
    complete,
    heading,
    miou_scale,
    title,
    value,
    values_of,
)
from fre_hpo.results.study_view import StudyView
from fre_hpo.study.records import TrialRecord

HEIGHT = 80.0
BESIDE = 0.02
"""How far the numbers stand from their axis, which are 1 apart."""


def parallel_figure(
    views: Sequence[StudyView], palette: str, *, same_scale: bool = False
) -> Figure:
    panels = [_panel(view, views if same_scale else (view,), palette) for view in views]
    return Figure("parallel", tuple(panels), columns=1, width=MIDDLE, height=HEIGHT)


def _panel(view: StudyView, peers: Sequence[StudyView], palette: str) -> Panel:
    rails = {**_parameter_rails(view), MIOU: value_axis(MIOU, values_of(peers) or [0.0, 1.0])}
    names = tuple((float(i), rail.title) for i, rail in enumerate(rails.values()))
    x = Axis("", -0.3, len(rails) - 0.7, names, shown=False)
    y = Axis("", -0.02, 1.02, (), shown=False)
    scale = miou_scale(peers, palette)
    layers: tuple[Layer, ...] = (
        *_upright(list(rails.values())),
        *_trials(view, rails, scale),
        *_ends(view, rails),
    )
    labels = [label for i, rail in enumerate(rails.values()) for label in _numbers(i, rail)]
    message = "" if scale else "No trial is complete yet."
    return Panel(view.name, heading(view), x, y, layers, tuple(labels), scale, message)


def _parameter_rails(view: StudyView) -> dict[str, Axis]:
    """Where nothing is searched, the trials differ in their seed."""
    if not view.spec.searched:
        seeds = [r.seed for r in complete(view) if r.seed is not None] or [0]
        return {"seed": whole_axis("seed", min(seeds), max(seeds))}
    return {
        name: range_axis(
            title(view, name), space.low, space.high, log=space.log, integer=space.integer
        )
        for name, space in view.spec.searched.items()
    }


def _upright(rails: Sequence[Axis]) -> list[Line]:
    return [
        Line(f"axis-{i}", (float(i), float(i)), (0.0, 1.0), INK, 0.8) for i in range(len(rails))
    ]


def _numbers(index: int, rail: Axis) -> list[Label]:
    return [
        Label(text, index, rail.fraction(at), index - BESIDE, rail.fraction(at), "right")
        for at, text in rail.ticks
    ]


def _trials(view: StudyView, rails: dict[str, Axis], scale: Scale | None) -> list[Line]:
    """The best trial's line thick, above the others."""
    records = complete(view)
    return [
        _line(record, rails, scale, 2.2 if record is records[-1] else 0.9)
        for record in records
        if scale
    ]


def _line(record: TrialRecord, rails: dict[str, Axis], scale: Scale, width: float) -> Line:
    there = {**record.params, "seed": record.seed, MIOU: value(record)}
    known = {name: there.get(name) for name in rails}
    heights = [
        (float(i), rail.fraction(at))
        for i, (name, rail) in enumerate(rails.items())
        if (at := known[name]) is not None
    ]
    facts = [Fact("trial", (record.number,))]
    facts += [Fact("mIoU" if n == MIOU else n, (known[n],)) for n in rails]
    return Line(
        f"trial-{record.number}",
        tuple(i for i, _ in heights),
        tuple(h for _, h in heights),
        scale.colour(value(record)),
        width,
        facts=tuple(facts),
    )


def _ends(view: StudyView, rails: dict[str, Axis]) -> list[Points]:
    """A dot for each trial on the axis of the mIoU."""
    records = complete(view)
    values = tuple(map(value, records))
    known = (Fact("trial", tuple(r.number for r in records)), Fact("mIoU", "value", ".4f"))
    heights = tuple(rails[MIOU].fraction(v) for v in values)
    ends = (float(len(rails) - 1),) * len(records)
    return [Points("trials", ends, heights, values=values, facts=known)] if records else []
