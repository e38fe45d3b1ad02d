"""The figures on a study's page in optuna-dashboard, small enough to be stored after every trial."""

from __future__ import annotations

from typing import Any

from fre_hpo.results.figures.classes import classes_figure
from fre_hpo.results.figures.curves import curves_figure
from fre_hpo.results.figures.interactive import plotly_figure
from fre_hpo.results.figures.search import search_figure
from fre_hpo.results.figures.theme import PAGE
from fre_hpo.results.study_view import StudyView

CURVE_POINTS = 80
PALETTE = "paper"


def page_figures(view: StudyView) -> dict[str, dict[str, Any]]:
    """Figure's id -> plotly's {"data": [...], "layout": {...}}; the page shows them in the ids' order."""
    figures = {
        "1-search": (search_figure((view,), PALETTE), _search_title(view)),
        "2-curves": (
            curves_figure((view,), most=CURVE_POINTS),
            "Learning curves of the best trials",
        ),
        "3-classes": (classes_figure((view,), PALETTE), "IoU of each class, a dot for each trial"),
    }
    return {
        name: plotly_figure(figure, PAGE, title, small=True)
        for name, (figure, title) in figures.items()
    }


def _search_title(view: StudyView) -> str:
    match list(view.spec.searched):
        case []:
            return "Validation mIoU of each seed"
        case [name]:
            return f"{name} against validation mIoU"
        case [first, second]:
            return f"{first} against {second}, coloured by validation mIoU"
        case searched:
            return f"{searched[0]} against the others, coloured by validation mIoU"
