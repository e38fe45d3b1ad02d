"""The figures of a study's page: small, in order, without a size of their own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fre_hpo.methods import METHODS
from fre_hpo.results.page_figures import CURVE_POINTS, page_figures
from viewed import make_view


def size(figure: dict[str, Any]) -> int:
    return len(json.dumps(figure))


def test_all_are_small_at_the_papers_scale() -> None:
    figures = page_figures(make_view(complete=50, failed=3, running=2))
    assert size(figures["1-search"]) < 12_000
    assert sum(map(size, figures.values())) < 60_000
    points = [len(t["x"]) for t in figures["2-curves"]["data"] if t["mode"] == "lines"]
    assert len(points) == 10
    assert max(points) <= CURVE_POINTS


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("complete", [0, 1, 50])
def test_every_method_has_them_in_the_order_of_their_ids(method: str, complete: int) -> None:
    figures = page_figures(make_view(method, complete=complete, running=2))
    assert list(figures) == sorted(figures) == ["1-search", "2-curves", "3-classes"]
    for figure in figures.values():
        assert json.loads(json.dumps(figure, allow_nan=False)) == figure
        assert figure.keys() == {"data", "layout"}
        assert figure["layout"]["autosize"]
        assert not {"width", "height", "template"} & figure["layout"].keys()
        assert figure["layout"]["title"]["text"]


def test_points_have_the_digits_of_the_database() -> None:
    view = make_view(complete=20)
    (trace,) = (t for t in page_figures(view)["1-search"]["data"] if t["name"] == "complete")
    shown = dict(
        zip((row[0] for row in trace["customdata"]), trace["marker"]["color"], strict=True)
    )
    assert shown == {r.number: r.value for r in view.records}
    assert "mIoU %{marker.color:.4f}" in trace["hovertemplate"]
    assert "best epoch" in trace["hovertemplate"]


def test_the_last_epoch_stays_when_a_curve_is_thinned() -> None:
    figure = page_figures(make_view(complete=1))["2-curves"]
    assert {t["x"][-1] for t in figure["data"] if t["mode"] == "lines"} == {2000}


def test_an_axis_keeps_the_readers_zoom_when_a_point_comes() -> None:
    before, after = (page_figures(make_view(complete=n))["1-search"] for n in (5, 6))
    assert before["layout"]["uirevision"] == after["layout"]["uirevision"]
    assert before["layout"]["xaxis"] == after["layout"]["xaxis"]
