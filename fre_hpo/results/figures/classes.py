"""The IoU of each class, a dot for each trial: which classes are hard, and what the best trial gained."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from fre_hpo.results.figures.axes import Axis, linear_ticks, spread
from fre_hpo.results.figures.description import (
    FAINT,
    INK,
    MIDDLE,
    Fact,
    Figure,
    Label,
    Layer,
    Panel,
    Points,
)
from fre_hpo.results.figures.trials import complete, heading, miou_scale, value
from fre_hpo.results.study_view import StudyView
from fre_hpo.study.records import TrialRecord

AROUND, EACH = 26.0, 11.0
"""mm of height around the classes, and for each of them."""
THICK = 0.3
"""How far dots of a class lie from its middle, at most; classes are 1 apart."""
ABSENT = "not in the validation split"
GOLDEN = 0.6180339887498949
LONGEST = 26
MEAN_ROOM = 0.16
ABOVE = 0.2
"""How far the words stand above the line of a class."""

Dot = tuple[TrialRecord, int, float]
"""A trial, the number of a class, its IoU."""


def classes_figure(views: Sequence[StudyView], palette: str, *, same_scale: bool = False) -> Figure:
    panels = [_panel(view, views if same_scale else (view,), palette) for view in views]
    most = max(len(view.classes) for view in views)
    return Figure("classes", tuple(panels), 1, MIDDLE, AROUND + EACH * max(most, 2))


def _panel(view: StudyView, peers: Sequence[StudyView], palette: str) -> Panel:
    dots = _dots(view)
    x = _iou_axis([iou for peer in peers for _, _, iou in _dots(peer)])
    layers = [*_trials(view, dots), *_best(view, dots), *_means(view, dots)] if dots else []
    labels = [*_mean_labels(view, dots, x), *_absent_labels(view, dots, x)] if dots else []
    message = "" if dots else "No trial is complete yet."
    return Panel(
        view.name,
        heading(view),
        x,
        _class_axis(view),
        tuple(layers),
        tuple(labels),
        miou_scale(peers, palette) if dots else None,
        message,
    )


def _dots(view: StudyView) -> list[Dot]:
    """By trial, the best last."""
    return [
        (record, index, iou)
        for record in complete(view)
        for index, name in enumerate(view.classes)
        if (iou := record.class_iou.get(name)) is not None
    ]


def _iou_axis(ious: Sequence[float]) -> Axis:
    """Between the lowest and the highest IoU, and beyond it room for the means."""
    low, high = spread(list(ious) or [0.0, 1.0], 0.01)
    room = (high - low) * 0.04
    low, high = low - room, high + room
    ticks = linear_ticks(low, min(high, 1.0))
    beyond = high + (high - low) * MEAN_ROOM
    return Axis("IoU on the validation split", low, beyond, ticks, drawn=(low, high))


def _class_axis(view: StudyView) -> Axis:
    """The first class at the top."""
    names = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in view.classes]
    ticks = tuple((_row(view, index), name) for index, name in enumerate(names))
    return Axis("", -0.6, len(view.classes) - 0.4, ticks, drawn=(0, 0), rules=True)


def _row(view: StudyView, index: int) -> float:
    return float(len(view.classes) - 1 - index)


def _height(view: StudyView, dot: Dot) -> float:
    """Around the class's row; golden sections spread any number of trials evenly."""
    record, index, _ = dot
    return _row(view, index) + THICK * (2 * (record.number * GOLDEN % 1) - 1)


def _trials(view: StudyView, dots: Sequence[Dot]) -> list[Layer]:
    records = [record for record, _, _ in dots]
    return [
        Points(
            "trials",
            tuple(iou for _, _, iou in dots),
            tuple(_height(view, dot) for dot in dots),
            values=tuple(map(value, records)),
            facts=(
                Fact("class", tuple(view.classes[index] for _, index, _ in dots)),
                Fact("IoU", "x", ".4f"),
                Fact("trial", tuple(record.number for record in records)),
                Fact("mIoU", "value", ".4f"),
            ),
        )
    ]


def _best(view: StudyView, dots: Sequence[Dot]) -> list[Layer]:
    """A ring around the best trial's dots."""
    best = [dot for dot in dots if dot[0] is dots[-1][0]]
    x, y = tuple(iou for _, _, iou in best), tuple(_height(view, dot) for dot in best)
    return [Points("best", x, y, "ring", key="best trial")]


def _means(view: StudyView, dots: Sequence[Dot]) -> list[Layer]:
    means = _mean_of(view, dots)
    known = (Fact("class", tuple(view.classes[i] for i in means)), Fact("mean IoU", "x", ".4f"))
    rows = tuple(_row(view, index) for index in means)
    return [Points("means", tuple(means.values()), rows, "tick", facts=known)]


def _mean_of(view: StudyView, dots: Sequence[Dot]) -> dict[int, float]:
    """Class number -> mean over the trials, of the classes that the split has; of one trial there is none."""
    ious = {
        index: [iou for _, other, iou in dots if other == index]
        for index in range(len(view.classes))
    }
    return {index: statistics.fmean(found) for index, found in ious.items() if len(found) > 1}


def _mean_labels(view: StudyView, dots: Sequence[Dot], x: Axis) -> list[Label]:
    """At the right end, above the class's line."""
    right = x.at(0.995)
    return [
        Label(f"mean {mean:.3f}", mean, row, right, row + ABOVE, "right", INK)
        for index, mean in _mean_of(view, dots).items()
        for row in [_row(view, index)]
    ]


def _absent_labels(view: StudyView, dots: Sequence[Dot], x: Axis) -> list[Label]:
    present = {index for _, index, _ in dots}
    return [
        Label(ABSENT, x.at(0.02), row, x.at(0.02), row + ABOVE, "left", FAINT)
        for index in range(len(view.classes))
        if index not in present
        for row in [_row(view, index)]
    ]
