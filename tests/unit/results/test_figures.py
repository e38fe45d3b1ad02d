"""Figures of any study: what they show is what the records say, in every kind and for every file."""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from fre_hpo.methods import METHODS
from fre_hpo.results.figures import ENDINGS, OF_TRIALS
from fre_hpo.results.figures.axes import Axis
from fre_hpo.results.figures.curves import smoothing
from fre_hpo.results.figures.description import Figure, Line, Panel, plain_data
from fre_hpo.results.figures.interactive import plotly_figure
from fre_hpo.results.figures.kinds import figure_of, render
from fre_hpo.results.figures.theme import PRINT
from fre_hpo.results.study_view import StudyView
from fre_hpo.study.space import Range
from viewed import make_view, with_record

MARK = "a figure of the tests"
SVG = "{http://www.w3.org/2000/svg}"
IMPORTANCES = {"B": 0.75, "X": 0.25}
THREE = {
    "B": Range(1, 64, log=True, integer=True),
    "X": Range(1.0, 1000.0, log=True, integer=False),
    "Y": Range(0.0, 1.0, log=False, integer=False),
}


def figure(kind: str, *views: StudyView, **flags: Any) -> Figure:
    shares = [IMPORTANCES if len(view.spec.searched) == 2 else {} for view in views]
    return figure_of(kind, views, shares, **flags)


def layer(panel: Panel, name: str) -> Any:
    (found,) = (layer for layer in panel.layers if layer.name == name)
    return found


def columns(found: Figure, name: str, panel: int = 0) -> dict[str, list[Any]]:
    """A layer of the data that a file carries."""
    layers = plain_data(found)["panels"][panel]["layers"]
    (columns,) = (
        {k: v for k, v in la.items() if k != "layer"} for la in layers if la["layer"] == name
    )
    return columns


def told(view: StudyView) -> dict[int, float | None]:
    return {r.number: r.value for r in view.records if r.complete}


# --- the search ---------------------------------------------------------------------------------


def test_b_lies_upwards_x_across_and_the_colour_is_the_miou() -> None:
    view = make_view(complete=12)
    (panel,) = figure("search", view).panels
    drawn = layer(panel, "complete")
    trials = drawn.known(drawn.facts[0])
    by_number = {r.number: r for r in view.records}
    assert panel.x.title == "X (factor)"
    assert panel.y.title == "B (enhanced feature maps)"
    assert panel.x.log
    assert panel.y.log
    assert list(drawn.x) == [by_number[n].params["X"] for n in trials]
    assert list(drawn.y) == [by_number[n].params["B"] for n in trials]
    assert list(drawn.values) == [by_number[n].value for n in trials]
    assert panel.scale is not None
    assert panel.scale.high == max(v for v in told(view).values() if v is not None)


def test_the_best_trial_is_ringed_and_named() -> None:
    view = make_view(complete=6)
    best = max(view.records, key=lambda r: r.value or 0)
    (panel,) = figure("search", view).panels
    ring = layer(panel, "best")
    (label,) = panel.labels
    assert (ring.x, ring.y) == ((best.params["X"],), (best.params["B"],))
    assert label.text.startswith(f"best: trial {best.number}\nmIoU {best.value:.4f}\nB=")


def test_failed_and_unfinished_trials_are_told_from_complete_ones() -> None:
    view = make_view(complete=3, failed=2, running=1, waiting=2)
    data = figure("search", view)
    assert sorted(columns(data, "complete")["trial"]) == [0, 1, 2]
    assert columns(data, "failed")["trial"] == [3, 4]
    assert columns(data, "unfinished")["trial"] == [5]
    assert columns(data, "unfinished")["state"] == ["running"]
    assert [la.key for la in data.panels[0].keyed] == ["failed", "unfinished"]


def test_one_searched_parameter_is_drawn_against_the_miou() -> None:
    view = make_view("supervision", complete=15, failed=1)
    (panel,) = figure("search", view).panels
    drawn, failed = layer(panel, "complete"), layer(panel, "failed")
    assert panel.x.title == "lambda (weight of the second loss)"
    assert panel.y.title == "validation mIoU"
    assert panel.scale is None
    assert dict(zip(drawn.known(drawn.facts[0]), drawn.y, strict=True)) == told(view)
    assert failed.y == (panel.y.low,)


def test_a_fixed_x_leaves_b_against_the_miou() -> None:
    fixed = make_view(
        parameters=make_view().spec.parameters | {"X": make_view("fre-fixed").spec.parameters["X"]}
    )
    (panel,) = figure("search", fixed).panels
    assert (panel.x.title, panel.y.title) == ("B (enhanced feature maps)", "validation mIoU")


def test_seeds_are_drawn_with_their_mean() -> None:
    view = make_view("baseline", complete=5)
    (panel,) = figure("search", view).panels
    drawn, mean = layer(panel, "complete"), layer(panel, "mean")
    assert drawn.x == tuple(sorted(drawn.x, key=lambda seed: view.records[int(seed)].value or 0))
    assert math.isclose(mean.y[0], sum(drawn.y) / 5)
    assert f"mean {mean.y[0]:.4f}" in panel.note


def test_of_three_parameters_the_first_is_drawn_against_each_other() -> None:
    view = make_view(complete=8, parameters=THREE)
    panels = figure("search", view).panels
    assert [(p.y.title[0], p.x.title[0]) for p in panels] == [("B", "X"), ("B", "Y")]
    assert len({p.name for p in panels}) == 2


def test_studies_side_by_side_have_their_own_scale_or_one() -> None:
    views = make_view(name="a"), make_view(name="b", seed=1)
    own, same = figure("search", *views), figure("search", *views, same_scale=True)
    assert own.panels[0].scale != own.panels[1].scale
    assert same.panels[0].scale == same.panels[1].scale
    assert (own.rows, own.beside) == (1, 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("complete", [0, 1, 2, 50])
@pytest.mark.parametrize("kind", OF_TRIALS)
def test_every_kind_shows_every_complete_trial(kind: str, complete: int, method: str) -> None:
    view = make_view(method, complete=complete, failed=1, running=1, waiting=1)
    found = figure(kind, view)
    drawn = plotly_figure(found, PRINT)
    assert json.loads(json.dumps(drawn, allow_nan=False)) == drawn
    for panel in found.panels:
        assert_inside(panel)
    if complete and kind in ("search", "parallel", "classes"):
        name = "complete" if kind == "search" else "trials"
        known = columns(found, name)
        assert dict(zip(known["trial"], known["mIoU"], strict=True)) == told(view)


def assert_inside(panel: Panel) -> None:
    """No mark and no word lies outside of the axes; of curves the first rise may."""
    for found in panel.layers:
        if not isinstance(found, Line):
            assert all(panel.x.low <= x <= panel.x.high for x in found.x)
            assert all(panel.y.low <= y <= panel.y.high for y in found.y)
    assert all(panel.x.low <= label.text_x <= panel.x.high for label in panel.labels)


# --- the other kinds ----------------------------------------------------------------------------


def test_curves_are_smoothed_without_bias_and_named_at_their_ends() -> None:
    view = make_view(complete=9)
    straight = {e: 0.5 + e / 10_000 for e in range(10, 2001, 10)}
    view = replace(view, curves=dict.fromkeys(view.curves, straight))
    (panel,) = figure("curves", view).panels
    best = sorted(told(view), key=lambda n: told(view)[n] or 0)[:-6:-1]
    line = layer(panel, f"curve-{best[0]}")
    middle = len(straight) // 2
    assert smoothing(2000) == 50
    assert math.isclose(line.y[middle], straight[int(line.x[middle])])
    assert layer(panel, f"measured-{best[0]}").y == tuple(straight.values())
    assert [label.text.split(":")[0] for label in panel.labels] == [f"trial {n}" for n in best]
    assert [label.x for label in panel.labels] == [2000] * 5
    assert "±50 epochs" in panel.x.title


def test_the_best_epoch_is_marked_with_the_value_that_counts() -> None:
    view = make_view(complete=2)
    (panel,) = figure("curves", view).panels
    for record in view.records:
        marked = layer(panel, f"best-epoch-{record.number}")
        assert (marked.x, marked.y) == ((record.best_epoch,), (record.value,))


def test_short_trainings_are_drawn_as_they_were_measured() -> None:
    view = make_view(complete=1, epochs=15)
    (panel,) = figure("curves", view).panels
    assert layer(panel, "curve-0").y == tuple(view.curves[0].values())
    assert "mean" not in panel.x.title


def test_one_epoch_alone_is_drawn() -> None:
    assert render(figure("curves", make_view(complete=2, epochs=1)), "svg", MARK)


def test_each_class_has_a_dot_for_each_trial_and_a_mean() -> None:
    view = make_view(complete=7)
    known = columns(figure("classes", view), "trials")
    drawn = sorted(zip(known["trial"], known["class"], known["IoU"], strict=True))
    assert drawn == sorted((r.number, c, v) for r in view.records for c, v in r.class_iou.items())
    means = columns(figure("classes", view), "means")
    of_nucleus = [r.class_iou["nucleus"] or 0 for r in view.records]
    found = dict(zip(means["class"], means["mean IoU"], strict=True))
    assert math.isclose(found["nucleus"], sum(of_nucleus) / 7)


def test_a_class_that_the_split_lacks_says_so() -> None:
    view = make_view(complete=2)
    for number in (0, 1):
        ious = view.records[number].class_iou | {"membrane": None}
        view = with_record(view, number, class_iou=ious)
    (panel,) = figure("classes", view).panels
    (absent,) = (label for label in panel.labels if label.text == "not in the validation split")
    assert dict(panel.y.ticks)[round(absent.y)] == "membrane"


def test_parallel_coordinates_have_the_miou_last_and_honour_the_log() -> None:
    view = make_view(complete=3)
    (panel,) = figure("parallel", view).panels
    best = max(view.records, key=lambda r: r.value or 0)
    line = layer(panel, f"trial-{best.number}")
    axis = Axis("", 1, 1000, (), log=True)
    assert [text for _, text in panel.x.ticks][-1] == "validation mIoU"
    assert math.isclose(line.y[1], 0.05 / 1.1 + axis.fraction(best.params["X"]) / 1.1)
    assert panel.scale is not None
    assert line.colour == panel.scale.colour(best.value or 0)


def test_importances_are_bars_and_too_few_trials_say_so() -> None:
    (panel,) = figure("importance", make_view()).panels
    assert (
        dict(
            zip(
                *(layer(panel, "importance").known(f) for f in layer(panel, "importance").facts),
                strict=True,
            )
        )
        == IMPORTANCES
    )
    (empty,) = figure("importance", make_view("baseline", complete=1)).panels
    assert empty.message


# --- the files ----------------------------------------------------------------------------------


def carried(content: bytes, ending: str) -> Any:
    """The data inside a file, read as somebody without this program would."""
    if ending == "png":
        return json.loads(Image.open(io.BytesIO(content)).info["Description"])
    if ending == "svg":
        found = ET.fromstring(content).iter("{http://purl.org/dc/elements/1.1/}description")
        return json.loads("".join(next(iter(found)).itertext()))
    if ending == "pdf":
        found_text = re.search(rb"/Subject \((.*?)(?<!\\)\)", content, re.DOTALL)
        assert found_text
        return json.loads(found_text[1].replace(b"\\", b""))
    shown = re.search(rb'<script type="application/json" id="shown">(.*?)</script>', content)
    assert shown
    return json.loads(shown[1])


@pytest.mark.parametrize("complete", [1, 2, 50])
@pytest.mark.parametrize("method", ["fre", "supervision"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_carries_the_databases_values(ending: str, method: str, complete: int) -> None:
    view = make_view(method, complete=complete, failed=2)
    found = figure("search", view)
    content = render(found, ending, MARK)
    assert MARK.encode() in content
    data = carried(content, ending)
    if ending == "html":
        assert values_of_plotly(data) == told(view)
    else:
        assert data == plain_data(found)
        known = data["panels"][0]["layers"][-1]
        assert dict(zip(known["trial"], known["mIoU"], strict=True)) == told(view)


def values_of_plotly(data: Any) -> dict[int, float]:
    (trace,) = (t for t in data["data"] if t["name"] == "complete")
    values = trace["marker"]["color"] if "coloraxis" in trace["marker"] else trace["y"]
    return dict(zip((row[0] for row in trace["customdata"]), values, strict=True))


@pytest.mark.parametrize(
    ("kind", "ending"), [("search", e) for e in ENDINGS] + [(k, "svg") for k in OF_TRIALS[1:]]
)
def test_the_same_figure_gives_the_same_bytes(kind: str, ending: str) -> None:
    found = figure(kind, make_view(complete=4, failed=1))
    assert render(found, ending, MARK) == render(found, ending, MARK)


def test_points_of_an_svg_stand_where_the_values_say_in_their_colours() -> None:
    view = make_view(complete=20)
    found = figure("search", view)
    root = ET.fromstring(render(found, "svg", MARK))
    (group,) = (g for g in root.iter(f"{SVG}g") if g.get("id") == "complete-mouse-fre")
    marks = list(group.iter(f"{SVG}use"))
    drawn = layer(found.panels[0], "complete")
    scale = found.panels[0].scale
    assert scale is not None
    assert_proportional([float(m.get("x", "")) for m in marks], [math.log(x) for x in drawn.x])
    assert_proportional([-float(m.get("y", "")) for m in marks], [math.log(y) for y in drawn.y])
    fills = [re.search("fill: (#[0-9a-f]{6})", m.get("style", "")) for m in marks]
    assert [f and f[1] for f in fills] == [scale.colour(v) for v in drawn.values]


def assert_proportional(places: list[float], values: list[float]) -> None:
    low, high = min(values), max(values)
    first, last = places[values.index(low)], places[values.index(high)]
    assert last > first
    for place, value in zip(places, values, strict=True):
        share = (value - low) / (high - low)
        assert math.isclose(place, first + share * (last - first), abs_tol=0.01)


def test_words_of_an_svg_are_words() -> None:
    content = render(figure("search", make_view(complete=3)), "svg", MARK).decode()
    assert "X (factor)</text>" in content
    assert "font-family" in content or "font: " in content


def test_widths_are_those_of_a_journals_columns() -> None:
    one, two = make_view(complete=2, name="a"), make_view(complete=2, name="b")
    widths = []
    for views in ((one,), (one, two)):
        content = render(figure("search", *views), "png", MARK)
        widths.append(Image.open(io.BytesIO(content)).width / 300 * 25.4)
    assert widths == pytest.approx([89, 183], abs=0.1)


def test_names_with_a_meaning_elsewhere_are_shown_as_they_are() -> None:
    names = ("a $b$", "c_d^2", "<b>&amp;", "</script>", "細胞膜")
    view = make_view(complete=3, classes=names)
    svg = render(figure("classes", view), "svg", MARK).decode()
    assert "a $b$</text>" in svg
    assert "&lt;b&gt;&amp;amp;</text>" in svg
    page = render(figure("classes", view), "html", MARK)
    shown = carried(page, "html")
    assert shown["layout"]["yaxis"]["ticktext"][2:4] == ["&lt;b&gt;&amp;amp;", "&lt;/script&gt;"]


def test_a_page_asks_no_other_host() -> None:
    page = render(figure("search", make_view(complete=2)), "html", MARK).decode()
    around = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(src|href)=", around)
    assert "default-src 'none'" in around


def test_describing_a_figure_loads_nothing_that_draws() -> None:
    program = (
        "import sys, fre_hpo.cli, fre_hpo.results.page_figures, fre_hpo.results.figures.kinds\n"
        "print(sorted({'matplotlib', 'plotly'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
