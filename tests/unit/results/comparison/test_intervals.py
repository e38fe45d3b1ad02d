"""Student's interval, the one over images too, and what so many seeds could have shown."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from fre_hpo.results.comparison import intervals
from fre_hpo.results.comparison.intervals import Interval, p_value, student, two_way
from fre_hpo.results.comparison.scores import Floats

SAMPLES = arrays.arrays(np.float64, st.integers(2, 10), elements=st.floats(-0.5, 0.5))
CELLS = arrays.arrays(
    np.float64,
    st.tuples(st.integers(2, 6), st.integers(2, 6)),
    elements=st.floats(-0.5, 0.5),
    fill=st.nothing(),
)


def spread(values: Floats) -> None:
    """Leave out what is as good as constant."""
    assume(float(np.std(values, ddof=1)) > 1e-4)


@given(SAMPLES)
def test_students_interval_and_p_are_those_of_the_paired_t_test(values: Floats) -> None:
    spread(values)
    expected = stats.ttest_1samp(values, 0.0)
    low, high = expected.confidence_interval(0.95)
    found = student(values)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))
    assert p_value(values) == pytest.approx(float(expected.pvalue), abs=1e-9)


@given(SAMPLES, st.floats(-0.3, 0.3), st.floats(0.2, 5), st.integers(0, 100))
def test_the_interval_moves_and_grows_with_the_values(
    values: Floats, shift: float, factor: float, seed: int
) -> None:
    spread(values)
    plain = student(values)
    shuffled = np.random.default_rng(seed).permutation(values)
    other = student(factor * shuffled + shift)
    assert plain is not None
    assert other is not None
    assert other.low == pytest.approx(factor * plain.low + shift, abs=1e-9)
    assert other.high == pytest.approx(factor * plain.high + shift, abs=1e-9)


@given(CELLS, st.floats(-0.3, 0.3), st.floats(0.2, 5), st.integers(0, 100))
def test_the_interval_over_images_does_so_too(
    cells: Floats, shift: float, factor: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    spread(cells.mean(axis=1))
    centre = float(cells.mean())
    plain = two_way(centre, cells)
    shuffled = cells[rng.permutation(len(cells))][:, rng.permutation(cells.shape[1])]
    other = two_way(factor * centre + shift, factor * shuffled + shift)
    assert plain is not None
    assert other is not None
    assert other.low == pytest.approx(factor * plain.low + shift, abs=1e-7)
    assert other.high == pytest.approx(factor * plain.high + shift, abs=1e-7)


@given(CELLS)
def test_over_images_it_is_never_surer_of_the_spread_of_seeds(cells: Floats) -> None:
    """At the same degrees of freedom it could not be narrower than that of seeds."""
    spread(cells.mean(axis=1))
    found = two_way(float(cells.mean()), cells)
    sd = float(np.std(cells.mean(axis=1), ddof=1))
    assert found is not None
    least = 1.95 * sd / math.sqrt(len(cells))
    assert found.high - found.low >= 2 * least


def test_images_that_do_not_differ_add_nothing() -> None:
    seeds = np.array([0.01, 0.03, -0.01, 0.02])
    same = np.repeat(seeds[:, None], 5, axis=1)
    found, expected = two_way(float(seeds.mean()), same), student(seeds)
    assert found is not None
    assert expected is not None
    assert found.low == pytest.approx(expected.low)
    assert found.high == pytest.approx(expected.high)


def test_one_value_has_no_interval() -> None:
    assert student(np.array([0.3])) is None
    assert p_value(np.array([0.3])) is None
    assert intervals.deviation(np.array([0.3])) is None
    assert intervals.smallest_effect(None, 1) is None
    assert two_way(0.0, np.zeros((1, 4))) is None
    assert two_way(0.0, np.zeros((4, 1))) is None


def test_equal_values_are_certain_of_nothing_but_zero() -> None:
    assert student(np.zeros(3)) == Interval(0.0, 0.0)
    assert p_value(np.zeros(3)) == 1.0
    assert student(np.full(3, 0.02)) is None
    assert p_value(np.full(3, 0.02)) is None
    assert intervals.deviation(np.array([0.1, 0.1 + 1e-16, 0.1])) == 0.0
    assert two_way(0.0, np.zeros((3, 4))) == Interval(0.0, 0.0)
    assert two_way(0.02, np.full((3, 4), 0.02)) is None


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 30])
@pytest.mark.parametrize("noncentrality", [0.0, 0.7, 2.0, 4.5])
def test_power_is_that_of_the_noncentral_t(seeds: int, noncentrality: float) -> None:
    limit = stats.t.ppf(0.975, seeds - 1)
    expected = stats.nct.sf(limit, seeds - 1, noncentrality)
    expected += stats.nct.cdf(-limit, seeds - 1, noncentrality)
    found = intervals.power(noncentrality / math.sqrt(seeds), 1.0, seeds)
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("seeds", "plain"), [(3, 5.65), (5, 3.76), (10, 3.15)])
def test_the_smallest_effect_allows_for_a_deviation_that_is_itself_uncertain(
    seeds: int, plain: float
) -> None:
    effect = intervals.smallest_effect(0.02, seeds)
    assert effect is not None
    assert effect > plain * 0.02 / math.sqrt(seeds)
    assert intervals.power(effect, 0.02, seeds) > 0.86
    doubled = intervals.smallest_effect(0.04, seeds)
    assert doubled == pytest.approx(2 * effect)


def test_more_seeds_show_smaller_effects() -> None:
    effects = [intervals.smallest_effect(0.02, seeds) for seeds in (2, 3, 5, 10, 40)]
    assert effects == sorted(effects, key=lambda effect: -(effect or 0))
    assert intervals.smallest_effect(0.0, 5) == 0.0
