"""Axes, colours and places of labels: what every figure is made of."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.results.figures.axes import (
    MOST_TICKS,
    Axis,
    linear_ticks,
    log_ticks,
    range_axis,
    value_axis,
)
from fre_hpo.results.figures.palette import LEAST, PALETTES, scale_of
from fre_hpo.results.figures.placing import apart, beside


def texts(ticks: tuple[tuple[float, str], ...]) -> list[str]:
    return [text for _, text in ticks]


@pytest.mark.parametrize(
    ("low", "high", "integer", "expected"),
    [
        (1, 1000, False, "1 10 100 1000"),
        (1, 512, True, "1 2 4 8 16 32 64 128 256 512"),
        (1, 4096, True, "1 4 16 64 256 1024 4096"),
        (1, 100, True, "1 2 5 10 20 50 100"),
        (3, 700, False, "5 10 20 50 100 200 500"),
        (1, 1e6, False, "1 10 100 1000 10⁴ 10⁵ 10⁶"),
        (1e-4, 1, False, "0.0001 0.001 0.01 0.1 1"),
        (2, 7, False, "2 3 4 5 6 7"),
    ],
)
def test_logarithmic_ticks(low: float, high: float, integer: bool, expected: str) -> None:
    assert texts(log_ticks(low, high, integer=integer)) == expected.split()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, "0.0 0.2 0.4 0.6 0.8 1.0"),
        (0.7812, 0.8044, "0.785 0.790 0.795 0.800"),
        (0, 2000, "0 500 1000 1500 2000"),
        (0, 50_000, "0 10,000 20,000 30,000 40,000 50,000"),
        (-1, 1, "-1.0 -0.5 0.0 0.5 1.0"),
    ],
)
def test_linear_ticks(low: float, high: float, expected: str) -> None:
    assert texts(linear_ticks(low, high)) == expected.split()


@given(low=st.floats(1e-6, 1e6), factor=st.floats(1.01, 1e12), integer=st.booleans())
def test_ticks_of_any_logarithmic_range_are_few_inside_and_rising(
    low: float, factor: float, integer: bool
) -> None:
    ticks = log_ticks(low, low * factor, integer=integer)
    values = [v for v, _ in ticks]
    assert 1 <= len(ticks) <= MOST_TICKS
    assert all(low * 0.999999 <= v <= low * factor * 1.000001 for v in values)
    assert all(a < b for a, b in pairwise(values))


@given(low=st.floats(-1e6, 1e6), length=st.floats(1e-4, 1e6))
def test_ticks_of_any_linear_range_are_few_and_told_apart(low: float, length: float) -> None:
    ticks = linear_ticks(low, low + length)
    assert 3 <= len(ticks) <= 9
    assert len(set(texts(ticks))) == len(ticks)


@given(log=st.booleans(), value=st.floats(1, 512))
def test_a_value_is_found_again_at_its_place(log: bool, value: float) -> None:
    axis = range_axis("B", 1, 512, log=log, integer=True)
    assert math.isclose(axis.at(axis.fraction(value)), value, rel_tol=1e-9)
    assert 0.02 < axis.fraction(1) <= axis.fraction(value) <= axis.fraction(512) < 0.98


def test_one_value_alone_has_an_axis_and_a_scale() -> None:
    axis, scale = value_axis("mIoU", [0.8]), scale_of("mIoU", [0.8], "paper")
    assert axis.low < 0.8 < axis.high
    assert scale is not None
    assert math.isclose(scale.high - scale.low, LEAST)
    assert scale.colour(0.8) == PALETTES["paper"][4]


def test_nothing_has_no_scale() -> None:
    assert scale_of("mIoU", [], "paper") is None


@pytest.mark.parametrize("palette", PALETTES)
def test_a_scale_goes_from_its_first_colour_to_its_last(palette: str) -> None:
    scale = scale_of("mIoU", [0.7, 0.75, 0.8], palette)
    assert scale is not None
    assert (scale.low, scale.high, scale.clipped) == (0.7, 0.8, False)
    assert scale.colour(0.7) == PALETTES[palette][0]
    assert scale.colour(0.8) == PALETTES[palette][-1]
    assert len({scale.colour(0.7 + n / 1000) for n in range(101)}) == 101


def test_the_papers_palette_goes_from_blue_to_red() -> None:
    low, high = PALETTES["paper"][0], PALETTES["paper"][-1]
    assert int(low[5:7], 16) > int(low[1:3], 16)
    assert int(high[1:3], 16) > int(high[5:7], 16)


def test_a_trial_that_learned_nothing_does_not_take_the_colours_from_the_others() -> None:
    learned = [0.80 + n / 1000 for n in range(12)]
    scale = scale_of("mIoU", [*learned, 0.21], "paper")
    assert scale is not None
    assert (scale.low, scale.clipped) == (0.80, True)
    assert scale.ticks[0] == (0.80, "≤ 0.800")
    assert scale.colour(0.21) == PALETTES["paper"][0]


UNIT = Axis("", 0, 1, ())


def test_a_label_stands_beside_its_point_where_there_is_room() -> None:
    label = beside("best", (0.5, 0.5), [], UNIT, UNIT, (60, 60))
    assert label is not None
    assert (label.anchor, label.leader) == ("left", False)
    assert 0.5 < label.text_x < 0.6


def test_a_label_avoids_points_and_the_edge() -> None:
    crowd = [(0.6 + x / 20, 0.9 + y / 30) for x in range(7) for y in range(-2, 3)]
    label = beside("best", (0.97, 0.98), crowd, UNIT, UNIT, (60, 60))
    assert label is not None
    assert label.leader
    assert label.text_y < 0.85


def test_no_label_stands_over_points() -> None:
    everywhere = [(x / 20, y / 20) for x in range(21) for y in range(21)]
    assert beside("best", (0.5, 0.5), everywhere, UNIT, UNIT, (60, 60)) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_names_of_lines_are_apart_and_in_their_lines_order(wanted: list[float]) -> None:
    placed = apart(wanted, 0.1, 0.05, 0.95)
    assert all(0.05 - 1e-9 <= p <= 0.95 + 1e-9 for p in placed)
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(sorted(placed)))
    for (a, at_a), (b, at_b) in pairwise(sorted(zip(wanted, placed, strict=True))):
        assert a == b or at_a < at_b
