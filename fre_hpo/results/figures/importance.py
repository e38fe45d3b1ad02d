"""Which searched parameter matters how much for the validation mIoU: shares that add up to 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fre_hpo.results.figures.axes import Axis
from fre_hpo.results.figures.description import INK, MIDDLE, Bars, Fact, Figure, Label, Panel
from fre_hpo.results.figures.palette import PLAIN
from fre_hpo.results.figures.trials import heading, title
from fre_hpo.results.study_view import StudyView

HEIGHT, EACH = 26.0, 9.0
"""mm around the bars, and for each of them."""
TICKS = tuple((n / 5, f"{n / 5:g}") for n in range(6))


def importance_figure(
    views: Sequence[StudyView], importances: Sequence[Mapping[str, float]]
) -> Figure:
    """importances: of each study, parameter -> share by PED-ANOVA; empty where too few trials are
    complete."""
    panels = [_panel(view, found) for view, found in zip(views, importances, strict=True)]
    most = max((len(found) for found in importances), default=0)
    return Figure("importance", tuple(panels), 1, MIDDLE, HEIGHT + EACH * max(most, 2))


def _panel(view: StudyView, importances: Mapping[str, float]) -> Panel:
    """The most important parameter at the top."""
    ranked = sorted(importances.items(), key=lambda item: item[1])
    names = [name for name, _ in ranked]
    shares = tuple(share for _, share in ranked)
    places = tuple(float(i) for i in range(len(ranked)))
    x = Axis("share of the importance (PED-ANOVA)", 0, 1.15, TICKS, drawn=(0, 1))
    ticks = tuple((i, title(view, name)) for i, name in enumerate(names))
    y = Axis("", -0.6, max(len(ranked), 1) - 0.4, ticks, drawn=(0, 0))
    known = (Fact("parameter", tuple(names)), Fact("importance", "x", ".3f"))
    bars = (Bars("importance", shares, places, PLAIN, known),) if ranked else ()
    return Panel(
        view.name,
        heading(view),
        x,
        y,
        bars,
        tuple(_share(share, place) for share, place in zip(shares, places, strict=True)),
        message="" if ranked else "Too few trials are complete yet.",
    )


def _share(share: float, place: float) -> Label:
    return Label(f"{share:.2f}", share, place, share + 0.02, place, colour=INK)
