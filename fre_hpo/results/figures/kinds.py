"""A figure by the name of its kind, and a file by its ending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fre_hpo.results.figures import page, printed, sheet_page, sheet_printed
from fre_hpo.results.figures.classes import classes_figure
from fre_hpo.results.figures.curves import curves_figure
from fre_hpo.results.figures.description import Figure
from fre_hpo.results.figures.importance import importance_figure
from fre_hpo.results.figures.parallel import parallel_figure
from fre_hpo.results.figures.search import search_figure
from fre_hpo.results.figures.sheet import Sheet
from fre_hpo.results.study_view import StudyView


def figure_of(
    kind: str,
    views: Sequence[StudyView],
    importances: Sequence[Mapping[str, float]] = (),
    *,
    palette: str = "paper",
    same_scale: bool = False,
) -> Figure:
    """A figure of studies side by side, of a kind that shows their trials.  importances: of each study; for
    that kind only."""
    match kind:
        case "search":
            return search_figure(views, palette, same_scale=same_scale)
        case "curves":
            return curves_figure(views, same_scale=same_scale)
        case "importance":
            return importance_figure(views, importances)
        case "parallel":
            return parallel_figure(views, palette, same_scale=same_scale)
        case _:
            return classes_figure(views, palette, same_scale=same_scale)


def render(figure: Figure | Sheet, ending: str, mark: str) -> bytes:
    """A file's content; mark: by which the program knows its own files."""
    if isinstance(figure, Sheet):
        if ending == "html":
            return sheet_page.render(figure, mark)
        return sheet_printed.render(figure, ending, mark)
    if ending == "html":
        return page.render(figure, mark)
    return printed.render(figure, ending, mark)
