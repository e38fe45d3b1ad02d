"""Ratios and their intervals, and what a report makes of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fre_hpo.bench.measures import (
    FASTER,
    FEW,
    SAME,
    SLOWER,
    Arm,
    Figure,
    LeftOut,
    Part,
    Ratio,
    Timing,
    as_arms,
    compare,
    interval,
)
from fre_hpo.bench.report import Report, heading, number, plain, remarks, tables
from fre_hpo.bench.shapes import SHAPES

PLAIN = Timing("plain", (2.0, 2.2, 2.1, 1.9, 2.0), 0.5)
FAST = Timing("fast", (1.0, 1.1, 1.0, 0.9, 1.0), 3.0)
RATIO = Ratio("plain", "fast", 2.0, 1.9, 2.1, FASTER, goal=1.4)
MACHINE = {
    "device": "cpu",
    "processor": "a processor",
    "cores": 2,
    "capability": "AVX2",
    "torch": "2.11.0",
    "python": "3.12.1",
    "threads": 2,
    "date": "2026-01-01T00:00:00+00:00",
    "load_before": 0.5,
    "load_after": 1.5,
}
PART = Part(
    "step",
    "one training step",
    "ms",
    arms=(Arm("plain", 123.4, 0.5), Arm("fast", 61.7)),
    ratios=(RATIO,),
    figures=(Figure("share", 31.25, "%", "at least 30"),),
    left_out=(LeftOut("R1", "asked for with --compile"),),
    notes=("two runs gave the same bits",),
)


def test_the_ratio_is_the_median_of_the_paired_rounds() -> None:
    ratio = compare(PLAIN, FAST)
    assert ratio.median == pytest.approx(np.median([2.0, 2.0, 2.1, 1.9 / 0.9, 2.0]))
    assert ratio.low <= ratio.median <= ratio.high
    assert (ratio.of, ratio.to, ratio.verdict) == ("plain", "fast", FASTER)


def test_a_slower_arm_is_called_so() -> None:
    assert compare(FAST, PLAIN).verdict == SLOWER


def test_an_interval_that_holds_one_shows_no_difference() -> None:
    other = replace(FAST, rounds=(1.1, 1.0, 0.9, 1.0, 1.1))
    assert compare(FAST, other).verdict == SAME


def test_two_rounds_show_nothing() -> None:
    assert (
        compare(replace(PLAIN, rounds=(2.0, 2.0)), replace(FAST, rounds=(1.0, 1.0))).verdict == FEW
    )


def test_the_interval_covers_the_median_and_shrinks_with_more_rounds() -> None:
    rng = np.random.default_rng(1)
    low, high = interval(rng.normal(1.5, 0.1, 10).tolist())
    closer_low, closer_high = interval(rng.normal(1.5, 0.1, 400).tolist())
    assert low < 1.5 < high
    assert closer_low < 1.5 < closer_high
    assert closer_high - closer_low < (high - low) / 2


def test_the_same_rounds_give_the_same_interval() -> None:
    assert interval([1.0, 1.2, 1.1, 0.9]) == interval([1.0, 1.2, 1.1, 0.9])


@pytest.mark.parametrize(
    ("high", "gated", "fails"), [(0.79, True, True), (0.81, True, False), (0.5, False, False)]
)
def test_only_a_fast_path_shown_too_slow_fails(high: float, gated: bool, fails: bool) -> None:
    ratio = Ratio("plain twin", "ours", 0.5, 0.4, high, SLOWER, gated=gated)
    assert ratio.fails is fails


def test_arms_are_in_the_parts_unit_and_warm_ups_in_seconds() -> None:
    (arm,) = as_arms([FAST], 1000)
    assert (arm.median, arm.warmup) == (1000.0, 3.0)


# --- the report ------------------------------------------------------------------------------------


def test_a_failure_is_one_sentence_with_the_figures() -> None:
    slow = Ratio("plain twin", "ours", 0.6, 0.5, 0.7, SLOWER, gated=True)
    report = Report(MACHINE, SHAPES["tiny"], (replace(PART, ratios=(RATIO, slow)),))
    (sentence,) = report.failures
    assert sentence == (
        "step: ours runs at 0.60 times the speed of its plain twin (95 % interval 0.50 to 0.70); "
        "at least 0.8 is wanted."
    )


def test_the_json_keeps_its_keys() -> None:
    report = json.loads(json.dumps(Report(MACHINE, SHAPES["tiny"], (PART,)).to_json()))
    (part,) = report["parts"]
    assert set(report) == {"machine", "shape", "parts"}
    assert report["shape"]["widths"] == [8, 16, 32]
    assert {"name", "unit", "arms", "ratios", "figures", "left_out", "notes"} <= set(part)
    assert {"name", "median", "warmup"} <= set(part["arms"][0])
    assert {"of", "to", "median", "low", "high", "verdict"} <= set(part["ratios"][0])


def test_the_tables_show_all_that_was_measured() -> None:
    arms, ratios, figures = tables(PART)
    assert arms.rows == (("plain", "123", "0.5", "-"), ("fast", "61.7", "-", "-"))
    assert ratios.rows == (("fast", "2.00", "plain", "1.90 to 2.10", "faster", "1.40"),)
    assert figures.rows == (("share", "31.2", "%", "at least 30"),)


def test_a_part_without_arms_has_no_empty_table() -> None:
    assert tables(Part("step", "nothing", "ms")) == []


def test_what_was_left_out_is_said() -> None:
    assert remarks(PART) == [
        "Left out: R1 (asked for with --compile).",
        "Two runs gave the same bits.",
    ]


def test_the_heading_names_device_load_and_versions() -> None:
    line = heading(Report(MACHINE, SHAPES["tiny"], ()))
    assert "a processor, 2 cores" in line
    assert "torch 2.11.0, Python 3.12.1" in line
    assert "load average 0.5 before, 1.5 after" in line


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.01234, "0.0123"), (12.34, "12.3"), (1234.5, "1234")]
)
def test_numbers_have_three_digits_and_no_exponent(value: float | None, text: str) -> None:
    assert number(value) == text


def test_plain_text_aligns_its_columns() -> None:
    assert plain(("a", "bb"), [("long", "1")]) == "a     bb\nlong  1"
