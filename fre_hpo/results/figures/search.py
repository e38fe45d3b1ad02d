"""The search itself, as in the paper's figures 7 and 8: B vertical, X horizontal, blue to red by the
validation mIoU.  Where one parameter is searched, it lies across and the mIoU upwards; where none is, the
seeds lie across."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from fre_hpo.results.figures.axes import Axis, range_axis, value_axis, whole_axis
from fre_hpo.results.figures.description import (
    FAINT,
    SINGLE,
    Fact,
    Figure,
    Label,
    Layer,
    Line,
    Mark,
    Panel,
    Points,
)
from fre_hpo.results.figures.palette import PLAIN
from fre_hpo.results.figures.placing import beside
from fre_hpo.results.figures.trials import (
    MIOU,
    best_epochs,
    complete,
    facts,
    failed,
    heading,
    miou_scale,
    title,
    unfinished,
    value,
    values_of,
)
from fre_hpo.results.numbers import four
from fre_hpo.results.study_view import StudyView
from fre_hpo.study.records import TrialRecord, params_text

HEIGHT = 76.0
AXES = (56.0, 58.0)
"""The panel between its axes, in mm, about."""

Place = Callable[[TrialRecord], float | None]


def search_figure(views: Sequence[StudyView], palette: str, *, same_scale: bool = False) -> Figure:
    panels = [p for v in views for p in _panels(v, views if same_scale else (v,), palette)]
    return Figure("search", tuple(panels), columns=2, width=SINGLE, height=HEIGHT)


def _panels(view: StudyView, peers: Sequence[StudyView], palette: str) -> list[Panel]:
    searched = list(view.spec.searched)
    if not searched:
        return [_seeds(view, peers)]
    if len(searched) == 1:
        return [_one(view, peers, searched[0])]
    first, *others = searched
    return [_two(view, peers, palette, first, other) for other in others]


def _two(
    view: StudyView, peers: Sequence[StudyView], palette: str, vertical: str, horizontal: str
) -> Panel:
    """One parameter against another, coloured by the mIoU."""
    x, y = (_searched_axis(view, name) for name in (horizontal, vertical))
    drawn = _Drawn(view, x, y, _parameter(horizontal), _parameter(vertical))
    name = view.name if len(view.spec.searched) == 2 else f"{view.name}-{horizontal}"
    scale = miou_scale(peers, palette)
    layers = [*drawn.ended_without(), *drawn.completed(coloured=True), *drawn.best()]
    labels, note = drawn.best_named()
    return Panel(name, heading(view), x, y, tuple(layers), labels, scale, note)


def _one(view: StudyView, peers: Sequence[StudyView], name: str) -> Panel:
    """A single parameter against the mIoU; trials without one stand at the bottom."""
    x, y = _searched_axis(view, name), _miou_axis(peers)
    drawn = _Drawn(view, x, y, _parameter(name), lambda r: y.low if r.value is None else r.value)
    layers = [*drawn.ended_without(), *drawn.completed(coloured=False), *drawn.best()]
    labels, note = drawn.best_named()
    return Panel(view.name, heading(view), x, y, tuple(layers), labels, note=note)


def _seeds(view: StudyView, peers: Sequence[StudyView]) -> Panel:
    """Trials that differ in their seed only: each one's mIoU, and their mean."""
    seeds = [r.seed for r in view.records if r.seed is not None] or [0]
    x, y = whole_axis("seed", min(seeds), max(seeds)), _miou_axis(peers)
    drawn = _Drawn(view, x, y, lambda r: r.seed, lambda r: y.low if r.value is None else r.value)
    values = values_of((view,))
    mean, words = _mean(values, x) if len(values) > 1 else ((), "")
    layers = [*mean, *drawn.ended_without(), *drawn.completed(coloured=False)]
    return Panel(view.name, heading(view), x, y, tuple(layers), note=words)


def _mean(values: list[float], x: Axis) -> tuple[tuple[Layer, ...], str]:
    """A line at the mean, and in words the mean with the standard deviation of one trial."""
    mean, sd = statistics.fmean(values), statistics.stdev(values)
    facts = (Fact("mean mIoU", (mean,), ".4f"), Fact("standard deviation", (sd,), ".4f"))
    line = Line("mean", (x.low, x.high), (mean, mean), FAINT, facts=facts)
    return (line,), f"line: mean {four(mean)}, standard deviation {four(sd)}"


def _searched_axis(view: StudyView, name: str) -> Axis:
    space = view.spec.searched[name]
    return range_axis(
        title(view, name), space.low, space.high, log=space.log, integer=space.integer
    )


def _miou_axis(peers: Sequence[StudyView]) -> Axis:
    return value_axis(MIOU, values_of(peers) or [0.0, 1.0])


def _parameter(name: str) -> Place:
    return lambda record: record.params.get(name)


class _Drawn:
    """The trials of a study as layers of one panel; where a trial stands, two functions say."""

    def __init__(self, view: StudyView, x: Axis, y: Axis, at_x: Place, at_y: Place) -> None:
        self._view = view
        self._x, self._y = x, y
        self._at_x, self._at_y = at_x, at_y
        self._complete = self._placed(complete(view))

    def _placed(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        """Without those that stand nowhere yet: enqueued trials of which a parameter is still open."""
        return [r for r in records if self._at_x(r) is not None and self._at_y(r) is not None]

    def _points(self, records: Sequence[TrialRecord]) -> tuple[tuple[float, ...], ...]:
        found = [(self._at_x(r), self._at_y(r)) for r in records]
        placed = [(float(x), float(y)) for x, y in found if x is not None and y is not None]
        return tuple(x for x, _ in placed), tuple(y for _, y in placed)

    def completed(self, *, coloured: bool) -> list[Layer]:
        records = self._complete
        if not records:
            return []
        values = tuple(map(value, records))
        known = (
            *facts(self._view, records),
            Fact("mIoU", "value" if coloured else "y", ".4f"),
            best_epochs(records),
            *([] if self._view.spec.searched else [Fact("seed", "x")]),
        )
        x, y = self._points(records)
        return [Points("complete", x, y, "dot", values if coloured else None, PLAIN, known)]

    def ended_without(self) -> list[Layer]:
        """Failed trials and those that still run or wait, where there are any."""
        groups: tuple[tuple[str, Mark, Callable[[StudyView], list[TrialRecord]]], ...]
        groups = (("failed", "cross", failed), ("unfinished", "hollow", unfinished))
        layers: list[Layer] = []
        for name, mark, of in groups:
            records = self._placed(of(self._view))
            if records:
                states = Fact("state", tuple(r.state.lower() for r in records))
                x, y = self._points(records)
                known = (*facts(self._view, records), states)
                layers.append(Points(name, x, y, mark, None, FAINT, known, key=name))
        return layers

    def best(self) -> list[Layer]:
        """A ring around the best trial."""
        if not self._complete:
            return []
        x, y = self._points(self._complete[-1:])
        return [Points("best", x, y, "ring")]

    def best_named(self) -> tuple[tuple[Label, ...], str]:
        """What the best trial is: a label beside it, or a note where there is no room for one."""
        if not self._complete:
            return (), ""
        best = self._complete[-1]
        facts = (f"trial {best.number}", f"mIoU {four(best.value)}", params_text(best.params))
        others = [r for r in self._placed(self._view.records) if r is not best]
        ((x,), (y,)) = self._points([best])
        around = list(zip(*self._points(others), strict=True))
        label = beside("best: " + "\n".join(facts), (x, y), around, self._x, self._y, AXES)
        return ((label,), "") if label else ((), f"best (ringed): {', '.join(facts)}")
