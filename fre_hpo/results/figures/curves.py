"""How the best trials were learned: their validation mIoU over the epochs, smoothed, named at their ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fre_hpo.results.figures.axes import Axis, linear_ticks, spread
from fre_hpo.results.figures.description import (
    MIDDLE,
    Fact,
    Figure,
    Label,
    Layer,
    Line,
    Panel,
    Points,
)
from fre_hpo.results.figures.palette import LINES
from fre_hpo.results.figures.placing import LETTER, LINE, apart
from fre_hpo.results.figures.trials import MIOU, best_epochs, complete, value
from fre_hpo.results.study_view import StudyView
from fre_hpo.study.records import TrialRecord, params_text

BEST = len(LINES)
"""So many trials are drawn."""
WINDOW = 40
"""A value is the mean of those at most one part in so many of the epochs away."""
HEIGHT = 80.0
AXES = (110.0, 62.0)
"""The panel between its axes, in mm, about."""
RISE = 1 / 3
"""The beginning of a training, whose values may lie below the axis."""

Curve = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class _Learned:
    """A trial with its curve, as it was measured and smoothed."""

    record: TrialRecord
    colour: str
    raw: Curve
    smooth: Curve


def curves_figure(
    views: Sequence[StudyView], *, same_scale: bool = False, most: int | None = None
) -> Figure:
    """most: points of a curve that are drawn, all of them by default."""
    panels = [_panel(view, views if same_scale else (view,), most) for view in views]
    return Figure("curves", tuple(panels), columns=1, width=MIDDLE, height=HEIGHT)


def _panel(view: StudyView, peers: Sequence[StudyView], most: int | None) -> Panel:
    epochs = view.spec.training.epochs
    learned = _learned(view)
    all_learned = [found for peer in peers for found in _learned(peer)]
    names = [_name(found.record) for found in learned]
    x = _epoch_axis(epochs, max(map(len, names), default=0), smoothing(epochs))
    y = _miou_axis(all_learned)
    layers: list[Layer] = [*_lines(view, learned, most), *_best_points(learned)]
    return Panel(
        view.name,
        view.name,
        x,
        y,
        tuple(layers),
        _labels(learned, names, x, y),
        message="" if learned else "No trial is complete yet.",
    )


def _learned(view: StudyView) -> list[_Learned]:
    best = [r for r in complete(view)[::-1][:BEST] if view.curves.get(r.number)]
    return [
        _Learned(record, colour, _raw(view, record), _smooth(view, record))
        for record, colour in zip(best, LINES, strict=False)
    ]


def _raw(view: StudyView, record: TrialRecord) -> Curve:
    curve = view.curves[record.number]
    epochs = sorted(curve)
    return tuple(epochs), tuple(curve[epoch] for epoch in epochs)


def _smooth(view: StudyView, record: TrialRecord) -> Curve:
    half = smoothing(view.spec.training.epochs)
    epochs, values = _raw(view, record)
    return epochs, tuple(_mean_around(epochs, values, epoch, half) for epoch in epochs)


def smoothing(epochs: int) -> int:
    """Epochs before and after, over which the mean is taken; 0 for short trainings, drawn as they are."""
    return epochs // WINDOW


def _mean_around(
    epochs: Sequence[float], values: Sequence[float], epoch: float, half: int
) -> float:
    near = [v for e, v in zip(epochs, values, strict=True) if abs(e - epoch) <= half]
    return sum(near) / len(near)


def _name(record: TrialRecord) -> str:
    """trial 12: B=162, X=632."""
    return f"trial {record.number}: {params_text(record.params)}".removesuffix(": -")


def _epoch_axis(epochs: int, letters: int, half: int) -> Axis:
    """As long as the training, and beyond it room for the names."""
    how = f"epoch (bold: mean of ±{half} epochs; dot: best epoch)" if half else "epoch (dot: best)"
    first, last = (0, epochs) if epochs > 1 else (0, 2)
    share = min((letters * LETTER + 7) / AXES[0], 0.5)
    high = first + (last - first) / (1 - share)
    ticks = tuple((v, t) for v, t in linear_ticks(first, last) if v == int(v))
    return Axis(how, first, high, ticks, drawn=(first, last))


def _miou_axis(learned: Sequence[_Learned]) -> Axis:
    """From the lowest value after the first rise, which comes from below."""
    later = [v for found in learned for v in _later(found.smooth)] or [0.0, 1.0]
    tops = [value(found.record) for found in learned]
    low, high = spread([*later, *tops], 0.01)
    room = (high - low) * 0.08
    low, high = low - room, high + room
    return Axis(MIOU, low, high, linear_ticks(low, high))


def _later(curve: Curve) -> list[float]:
    epochs, values = curve
    return [v for e, v in zip(epochs, values, strict=True) if e >= RISE * epochs[-1]]


def _thinned(curve: Curve, most: int | None) -> Curve:
    """Every second, third, ... point, the last one among them."""
    step = -(-len(curve[0]) // most) if most else 1
    epochs, values = (numbers[::-1][::step][::-1] for numbers in curve)
    return epochs, values


def _lines(view: StudyView, learned: Sequence[_Learned], most: int | None) -> list[Line]:
    """The best trial's above the others."""
    raw, smooth = [], []
    for rank, found in reversed(list(enumerate(learned))):
        number = Fact("trial", (found.record.number,))
        known = (number, Fact("epoch", "x"), Fact("mIoU", "y", ".4f"))
        if smoothing(view.spec.training.epochs):
            name = f"measured-{found.record.number}"
            raw.append(Line(name, *_thinned(found.raw, most), found.colour, 0.5, 0.35, known))
            known = (number, Fact("epoch", "x"), Fact("mean mIoU", "y", ".4f"))
        width = 1.0 if rank else 1.8
        name = f"curve-{found.record.number}"
        smooth.append(Line(name, *_thinned(found.smooth, most), found.colour, width, 1.0, known))
    return [*raw, *smooth]


def _best_points(learned: Sequence[_Learned]) -> list[Points]:
    """The value that counts, at its epoch, which need not be among the stored ones."""
    return [
        Points(
            f"best-epoch-{found.record.number}",
            (float(found.record.best_epoch),),
            (value(found.record),),
            colour=found.colour,
            facts=(
                Fact("trial", (found.record.number,)),
                Fact("mIoU", "y", ".4f"),
                best_epochs([found.record]),
            ),
        )
        for found in learned
        if found.record.best_epoch is not None
    ]


def _labels(
    learned: Sequence[_Learned], names: Sequence[str], x: Axis, y: Axis
) -> tuple[Label, ...]:
    """Beside the lines' ends, one below the other, each led to its own."""
    ends = [(found.smooth[0][-1], found.smooth[1][-1]) for found in learned]
    heights = apart([y.fraction(v) for _, v in ends], 1.25 * LINE / AXES[1], 0.04, 0.96)
    return tuple(
        Label(
            name,
            *end,
            x.at(x.fraction(x.drawn[1] if x.drawn else x.high) + 4.5 / AXES[0]),
            y.at(height),
            colour=found.colour,
            leader=True,
        )
        for found, name, end, height in zip(learned, names, ends, heights, strict=True)
    )
