"""Figures 2 and 9: what they show is what was traced, before and after the multiplication."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fre_hpo.results.figures import ENDINGS
from fre_hpo.results.figures.description import Figure, Line, plain_data
from fre_hpo.results.figures.enhancement import enhancement_figure
from fre_hpo.results.figures.features import features_figure
from fre_hpo.results.figures.interactive import plotly_figure
from fre_hpo.results.figures.kinds import render
from fre_hpo.results.figures.theme import PRINT
from fre_hpo.training.trace import COLUMNS
from traced import COUNTS, EPOCHS, FACTORS, layers, make_trace

MARK = "a figure of the tests"


def carried(figure: Figure, panel: int) -> dict[str, tuple[list[float], list[float]]]:
    """Of the data inside a file: layer -> epochs and values."""
    found = json.loads(json.dumps(plain_data(figure)))["panels"][panel]["layers"]
    return {la["layer"]: tuple(v for k, v in la.items() if k != "layer") for la in found}


def assert_inside(figure: Figure) -> None:
    for panel in figure.panels:
        for layer in panel.layers:
            assert isinstance(layer, Line)
            assert all(panel.x.low <= x <= panel.x.high for x in layer.x)
            assert all(panel.y.low <= y <= panel.y.high for y in layer.y)
        for label in panel.labels:
            assert panel.x.low <= label.text_x <= panel.x.high
            assert panel.y.low <= label.text_y <= panel.y.high


def test_a_trace_has_the_columns_that_training_writes() -> None:
    assert tuple(make_trace().columns) == COLUMNS


@pytest.mark.parametrize("method", ["baseline", "fre", "supervision"])
def test_the_features_are_the_means_of_both_layers(method: str) -> None:
    trial = make_trace(method)
    figure = features_figure([trial])
    epochs = list(trial.epochs)
    assert carried(figure, 0) == {
        "deepest": (epochs, list(trial.columns["deepest_mean"])),
        "skip": (epochs, list(trial.columns["skip_mean"])),
    }
    assert figure.panels[0].y.low == 0
    assert_inside(figure)


def test_several_trials_have_their_own_scale_or_one() -> None:
    trials = [make_trace("baseline"), make_trace("fre", skip_mean=2.0)]
    own, same = features_figure(trials), features_figure(trials, same_scale=True)
    assert own.panels[0].y.high < 1 < own.panels[1].y.high
    assert same.panels[0].y == same.panels[1].y
    assert [panel.title for panel in own.panels] == ["mouse-baseline", "mouse-fre"]


def test_the_three_curves_before_and_after_the_multiplication() -> None:
    baseline = make_trace("baseline")
    enhanced = [make_trace("fre-fixed"), make_trace("fre")]
    figure = enhancement_figure(baseline, enhanced)
    assert (figure.rows, figure.beside) == (2, 2)
    epochs = [float(epoch) for epoch in range(1, EPOCHS + 1)]
    for row, trial in enumerate(enhanced):
        for after, column in ((0, "enhanced_sum"), (1, "enhanced_after")):
            found = carried(figure, 2 * row + after)
            assert found == {
                "without-fre": (epochs, list(baseline.columns["all_sum"])),
                "enhanced": (epochs, list(trial.columns[column])),
                "not-enhanced": (epochs, list(trial.columns["rest_sum"])),
            }
    assert_inside(figure)


@pytest.mark.parametrize("method", ["fre", "fre-fixed"])
def test_the_curves_are_named_by_their_maps_and_factor(method: str) -> None:
    before, after = enhancement_figure(None, [make_trace(method)]).panels
    count = COUNTS[method]
    assert [label.text for label in before.labels] == [
        f"enhanced\n({count} of 64 maps)",
        f"not enhanced\n({64 - count} maps)",
    ]
    assert after.labels[0].text == f"enhanced\ntimes {FACTORS[method]:,.0f}"
    assert before.note.startswith("before the multiplication, trial 0")
    assert after.note.startswith("after the multiplication, trial 0")


def test_one_kind_of_axis_before_and_after() -> None:
    """1.5 times 300 and 600 lie close together, 3 and 900 do not."""
    close = make_trace("fre", enhanced_sum=300.0, enhanced_after=450.0, rest_sum=600.0)
    assert [panel.y.log for panel in enhancement_figure(None, [close]).panels] == [False, False]
    figure = enhancement_figure(None, [make_trace("fre-fixed")])
    assert [panel.y.log for panel in figure.panels] == [True, True]
    same = enhancement_figure(None, [make_trace("fre-fixed"), close], same_scale=True)
    assert len({panel.y for panel in same.panels}) == 1


def test_maps_that_have_died_are_drawn_at_the_edge_and_told_as_they_are() -> None:
    figure = enhancement_figure(None, [make_trace("fre", enhanced_sum=0.0, enhanced_after=0.0)])
    assert carried(figure, 0)["enhanced"][1] == [0.0] * EPOCHS
    panel = figure.panels[0]
    if panel.y.log:
        assert set(layers(figure, 0)["enhanced"].y) == {panel.y.low}
        assert "0 is drawn at the lower edge" in panel.note
    assert_inside(figure)


def test_some_dead_maps_on_a_logarithmic_axis() -> None:
    trial = make_trace("fre")
    sums = (0.0, *trial.columns["enhanced_sum"][1:])
    columns = {**trial.columns, "enhanced_sum": sums}
    figure = enhancement_figure(None, [type(trial)(**{**vars(trial), "columns": columns})])
    assert carried(figure, 0)["enhanced"][1][0] == 0.0
    assert layers(figure, 0)["enhanced"].y[0] == figure.panels[0].y.low
    assert figure.panels[0].note.endswith("0 is drawn at the lower edge")
    assert not figure.panels[1].note.endswith("edge")
    assert_inside(figure)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", ["features", "enhancement"])
def test_every_file_is_drawn_and_the_same_again(kind: str, ending: str) -> None:
    figure: Any = features_figure([make_trace()])
    if kind == "enhancement":
        figure = enhancement_figure(make_trace("baseline"), [make_trace()])
    content = render(figure, ending, MARK)
    assert MARK.encode() in content
    assert render(figure, ending, MARK) == content
    plain = plotly_figure(figure, PRINT)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_one_epoch_alone_is_drawn() -> None:
    trial = make_trace()
    columns = {name: values[:1] for name, values in trial.columns.items()}
    short = type(trial)(**{**vars(trial), "epochs": (1.0,), "columns": columns})
    assert_inside(features_figure([short]))
    assert render(enhancement_figure(None, [short]), "svg", MARK)
