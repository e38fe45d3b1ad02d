"""The recommended point: the maximum of a smooth model's mean, not the luckiest trial."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fre_hpo.results import recommendation
from fre_hpo.results.recommendation import FEWEST, Recommendation, recommend
from fre_hpo.study.records import TrialRecord
from fre_hpo.study.space import Fixed, Number, Range

B = Range(1, 512, log=True, integer=True)
X = Range(1.0, 1000.0, log=True, integer=False)
LAMBDA = Range(0.0, 1.0, log=False, integer=False)
NOISE = 0.023
"""Standard deviation of one training, paired."""


def trial(number: int, params: dict[str, Number], value: float | None, state: str) -> TrialRecord:
    return TrialRecord(number, state, value, params, 1, 1, {}, 1, 0, None, None, None, None)


def complete(points: Sequence[dict[str, Number]], values: Sequence[float]) -> list[TrialRecord]:
    pairs = zip(points, values, strict=True)
    return [trial(i, point, float(value), "COMPLETE") for i, (point, value) in enumerate(pairs)]


def drawn(rng: np.random.Generator, number: int) -> list[dict[str, Number]]:
    """Log-uniform points, half of them crowded where a search would have gone on."""
    places = rng.uniform(size=(number, 2))
    places[number // 2 :] = rng.normal([0.4, 0.8], 0.15, places[number // 2 :].shape).clip(0, 1)
    return [{"B": round(512**b), "X": float(1000**x)} for b, x in places]


def hill(point: dict[str, Number]) -> float:
    """Four points of mIoU high at B = 8, X = 250."""
    b, x = math.log(point["B"]) / math.log(512), math.log(point["X"]) / math.log(1000)
    return 0.6 + 0.04 * math.exp(-((b - 1 / 3) ** 2 + (x - 0.8) ** 2) / 0.08)


def searched(seed: int, worth: Callable[[dict[str, Number]], float]) -> list[TrialRecord]:
    rng = np.random.default_rng(seed)
    points = drawn(rng, 50)
    return complete(points, [worth(point) + rng.normal(0, NOISE) for point in points])


def found(records: Sequence[TrialRecord], **space: Fixed | Range) -> Recommendation:
    recommended = recommend(records, space)
    assert recommended is not None
    return recommended


def test_it_is_worth_more_than_the_best_observed_trial_and_its_value_is_no_luck() -> None:
    worth, observed, errors = [], [], []
    for seed in range(16):
        records = searched(seed, hill)
        best = max(records, key=lambda r: r.value or 0)
        recommended = found(records, B=B, X=X)
        worth.append(hill(recommended.params))
        observed.append(hill(best.params))
        errors.append((recommended.mean - worth[-1]) / recommended.sd)
    assert np.mean(worth) > np.mean(observed) + 0.002
    assert np.sqrt(np.mean(np.square(errors))) < 1.5
    assert 0.6 < np.mean(worth) <= 0.64


def test_on_pure_noise_the_mean_stays_near_the_mean_of_all_trials() -> None:
    above = [found(searched(seed, lambda _: 0.6), B=B, X=X).mean - 0.6 for seed in range(8)]
    assert np.mean(above) < NOISE / 2  # the best of 50 draws lies 2.2 NOISE above


def test_the_same_trials_give_the_same_answer() -> None:
    records = searched(3, hill)
    assert recommend(records, {"B": B, "X": X}) == recommend(records, {"B": B, "X": X})


def test_too_few_complete_trials_recommend_nothing() -> None:
    records = searched(0, hill)[:FEWEST]
    assert recommend(records, {"B": B, "X": X}) is not None
    lost = replace(records[0], state="FAIL", value=None)
    assert recommend([lost, *records[1:]], {"B": B, "X": X}) is None
    assert recommend([], {"B": B, "X": X}) is None


def test_a_study_that_searches_nothing_recommends_nothing() -> None:
    records = complete([{"B": 3} for _ in range(10)], [0.5] * 10)
    assert recommend(records, {"B": Fixed(3)}) is None
    assert recommend(records, {}) is None


def test_failed_running_and_pruned_trials_change_nothing() -> None:
    records = searched(1, hill)
    others = [
        trial(90, {"B": 500, "X": 2.0}, None, "FAIL"),
        trial(91, {"B": 1, "X": 900.0}, None, "RUNNING"),
        trial(92, {}, None, "WAITING"),
        trial(93, {"B": 7, "X": 7.0}, None, "PRUNED"),
    ]
    assert recommend([*others, *records], {"B": B, "X": X}) == recommend(records, {"B": B, "X": X})


def test_one_parameter_without_a_logarithm() -> None:
    rng = np.random.default_rng(0)
    points: list[dict[str, Number]] = [{"lambda": float(x)} for x in rng.uniform(size=15)]
    values = [0.6 - 0.3 * (float(p["lambda"]) - 0.3) ** 2 + rng.normal(0, 0.002) for p in points]
    recommended = found(complete(points, values), **{"lambda": LAMBDA})
    assert recommended.params["lambda"] == pytest.approx(0.3, abs=0.1)
    assert recommended.mean == pytest.approx(0.6, abs=0.005)


def test_an_optimum_at_the_edge_is_reached() -> None:
    points: list[dict[str, Number]] = [{"lambda": x / 14} for x in range(15)]
    recommended = found(complete(points, [p["lambda"] for p in points]), **{"lambda": LAMBDA})
    assert recommended.params["lambda"] == 1.0


def test_constant_values_and_duplicates_are_no_trouble() -> None:
    same: list[dict[str, Number]] = [{"B": 8, "X": 250.0}] * 12
    constant = found(complete(same, [0.7] * 12), B=B, X=X)
    assert constant.mean == pytest.approx(0.7)
    assert constant.sd == pytest.approx(0, abs=1e-3)
    noisy = found(complete(same, list(np.linspace(0.68, 0.72, 12))), B=B, X=X)
    assert noisy.mean == pytest.approx(0.7, abs=0.01)


def test_fixed_parameters_stand_beside_the_found_ones() -> None:
    points: list[dict[str, Number]] = [{"B": 4, "X": float(10 + i)} for i in range(10)]
    recommended = found(complete(points, [0.5 + i / 100 for i in range(10)]), B=Fixed(4), X=X)
    assert list(recommended.params) == ["B", "X"]
    assert recommended.params["B"] == 4


def test_three_parameters() -> None:
    rng = np.random.default_rng(1)
    points = [{**p, "lambda": float(rng.uniform())} for p in drawn(rng, 40)]
    values = [hill(p) - 0.05 * float(p["lambda"]) + rng.normal(0, 0.005) for p in points]
    recommended = found(complete(points, values), B=B, X=X, **{"lambda": LAMBDA})
    assert recommended.params["lambda"] < 0.35


def test_json_is_what_best_prints() -> None:
    recommended = found(searched(0, hill), B=B, X=X)
    assert recommended.to_json() == {
        "params": recommended.params,
        "mean": recommended.mean,
        "sd": recommended.sd,
    }


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    low=st.integers(1, 3),
    width=st.integers(1, 600),
    log=st.booleans(),
    shift=st.floats(-0.5, 0.5),
    factor=st.floats(0.1, 10),
)
def test_the_answer_is_valid_and_follows_the_units_of_the_values(
    seed: int, low: int, width: int, log: bool, shift: float, factor: float
) -> None:
    space = Range(low, low + width, log=log, integer=True)
    rng = np.random.default_rng(seed)
    points: list[dict[str, Number]] = [
        {"B": int(b)} for b in rng.integers(low, low + width + 1, 12)
    ]
    values = rng.normal(0.6, 0.03, 12)
    plain = found(complete(points, list(values)), B=space)
    assert isinstance(plain.params["B"], int)
    assert low <= plain.params["B"] <= low + width
    assert plain.sd >= 0
    other = found(complete(points, list(shift + factor * values)), B=space)
    assert other.mean == pytest.approx(shift + factor * plain.mean, abs=1e-6)
    assert other.sd == pytest.approx(factor * plain.sd, rel=1e-4, abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(20)))
def test_the_order_of_the_trials_does_not_matter(order: list[int]) -> None:
    records = searched(5, hill)[:20]
    shuffled = found([records[i] for i in order], B=B, X=X)
    assert shuffled.mean == pytest.approx(found(records, B=B, X=X).mean, abs=1e-9)


def test_the_candidates_reach_the_edges_and_fill_the_middle() -> None:
    places = recommendation._spread(200, 2)
    assert places.min() == 0
    assert places.max() == 1
    counts = np.histogram2d(*places.T, bins=4)[0]
    assert counts.min() >= 8
