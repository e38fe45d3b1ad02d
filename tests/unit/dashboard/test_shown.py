"""optuna-dashboard's replies, made fit for people."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from fre_hpo.dashboard.shown import polished, with_style

INDEX = (files("optuna_dashboard") / "index.html").read_bytes()


@pytest.mark.parametrize("allowed", [True, False])
def test_the_page_gets_our_style_and_stays_as_it_is(allowed: bool) -> None:
    page = with_style(INDEX, allow_changes=allowed)
    before, style, after = page.partition(b"<style>.MuiBox-root")
    assert style
    assert before + after.partition(b"</style>")[2] == INDEX
    assert (b"StopCircleIcon" in page) != allowed
    assert b"AddBoxIcon" in page


def test_no_rule_is_one_that_browsers_drop() -> None:
    """They know no :has() within :has(), and drop what has it without a word."""
    page = with_style(INDEX, allow_changes=False).decode()
    style = page.rpartition("<style>")[2].partition("</style>")[0]
    assert style.count("{") == style.count("}")
    assert not re.search(r":has\([^()]*:has\(", style)


def test_a_page_of_another_form_is_left_alone() -> None:
    assert with_style(b"<html></html>", allow_changes=False) == b"<html></html>"


def test_figures_come_in_the_order_of_their_ids() -> None:
    figures = [{"id": name, "graph_object": "{}"} for name in ("2-curves", "1-search", "3-classes")]
    shown = polished({"plotly_graph_objects": figures})["plotly_graph_objects"]
    assert [figure["id"] for figure in shown] == ["1-search", "2-curves", "3-classes"]


def test_what_only_our_processes_read_is_not_shown() -> None:
    def attributes(*names: str) -> list[dict[str, str]]:
        return [{"key": name, "value": "1"} for name in names]

    study = polished(
        {
            "user_attrs": attributes("charter", "live", "home", "order", "target", "theirs"),
            "trials": [{"user_attrs": attributes("draw", "seed")}],
            "best_trials": [{"user_attrs": attributes("draw")}],
            "union_user_attrs": [{"key": "draw", "sortable": False}],
        }
    )
    assert study["user_attrs"] == attributes("theirs")
    assert study["trials"] == [{"user_attrs": attributes("seed")}]
    assert study["best_trials"] == [{"user_attrs": []}]
    assert study["union_user_attrs"] == []
    listed = polished({"study_summaries": [{"user_attrs": attributes("charter", "theirs")}]})
    assert listed["study_summaries"] == [{"user_attrs": attributes("theirs")}]
