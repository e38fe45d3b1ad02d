"""Fresh seeds for a search's leading points: is there a winner, and how much of it was luck?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.results.comparison.luck import Candidate, Confirmation, confirm, expected_maximum

SEED, PAIRED = 0.057, 0.023
"""Standard deviations of mIoU: of a seed, and of a paired difference."""
STUDIES = 200
TRIALS, LEADING = 50, 3


def study(rng: np.random.Generator, seeds: int, gains: Sequence[float]) -> Confirmation:
    """A search whose trials share a seed, then fresh seeds for the best three, another point and the
    baseline; trial i is better than the baseline by gains[i]."""
    of_seeds = 0.6 + rng.normal(0, SEED, seeds + 1)
    worth = np.append(gains, 0.0)
    values = worth[:, None] + of_seeds + rng.normal(0, PAIRED / 2**0.5, (TRIALS + 1, seeds + 1))
    observed, fresh = values[:-1, 0], values[:, 1:]
    leading = [int(i) for i in np.argsort(-observed)[:LEADING]]
    places = [*leading, next(i for i in range(TRIALS) if i not in leading)]
    candidates = [
        Candidate(f"trial {i}", {"B": i}, float(observed[i]), tuple(map(float, fresh[i])))
        for i in places
    ]
    baseline = Candidate("baseline", {}, None, tuple(map(float, fresh[-1])))
    return confirm([float(v) for v in observed], candidates, baseline)


@cache
def studies(seeds: int, gain: float = 0.0, number: int = STUDIES) -> list[Confirmation]:
    rng = np.random.default_rng([seeds, round(1000 * gain)])
    return [study(rng, seeds, [gain] * TRIALS) for _ in range(number)]


def share(found: list[bool]) -> float:
    return sum(found) / len(found)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_a_search_of_pure_noise_shows_no_winner(seeds: int) -> None:
    found = studies(seeds)
    assert share([confirmation.shown for confirmation in found]) <= 0.05
    assert share([c.sentences[0].startswith("No winner is shown") for c in found]) >= 0.95


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_final_gain_is_without_bias_and_its_interval_holds_the_truth(seeds: int) -> None:
    gains = [c.gain for c in studies(seeds, number=600)]
    assert np.mean([g.mean for g in gains if g]) == pytest.approx(0, abs=0.0025)
    covered = share([g is not None and g.interval is not None and 0.0 in g.interval for g in gains])
    assert covered >= 0.93


def test_five_seeds_find_a_gain_of_six_points() -> None:
    assert share([c.shown for c in studies(5, 0.06)]) >= 0.8


def test_the_interval_of_luck_holds_the_truth() -> None:
    """The winner's worth is the baseline's here, so what it had above 0.6 was luck."""
    found = [c.luck for c in studies(5, number=600)]
    covered = share(
        [
            luck is not None
            and luck.luck.interval is not None
            and luck.observed - 0.6 in luck.luck.interval
            for luck in found
        ]
    )
    assert 0.93 <= covered <= 0.97
    expected = [luck.expected for luck in found if luck and luck.expected]
    assert np.mean(expected) == pytest.approx(2.24 * PAIRED / 2**0.5, rel=0.1)


def hand_made(**changes: tuple[float, ...] | None) -> Confirmation:
    first = Candidate("trial 7", {"B": 8}, 0.80, (0.70, 0.60, 0.71))
    second = Candidate("the recommended point", {"B": 9}, None, (0.66, 0.68, 0.67))
    baseline = Candidate("baseline", {}, None, (0.60, 0.61, 0.59))
    test = {"first": first, "second": second, "baseline": baseline}
    first, second, baseline = (replace(c, test=changes.get(n)) for n, c in test.items())
    return confirm([0.5] * 49 + [0.8], [first, second], baseline)


def test_a_choice_is_told_by_the_seed_that_did_not_choose() -> None:
    """Without the first seed the second point leads, without the second the first, without the third the
    second."""
    found = hand_made()
    assert found.winner.name == "the recommended point"
    assert found.figure is not None
    assert found.figure.mean == pytest.approx((0.66 + 0.60 + 0.67) / 3)
    assert found.gain is not None
    assert found.gain.mean == pytest.approx((0.06 - 0.01 + 0.08) / 3)


def test_validation_chooses_where_test_tells() -> None:
    found = hand_made(first=(0.9, 0.9, 0.9), second=(0.5, 0.6, 0.7), baseline=(0.4, 0.4, 0.4))
    assert found.winner.name == "the recommended point"
    assert found.figure is not None
    assert found.figure.mean == pytest.approx((0.5 + 0.9 + 0.7) / 3)
    assert "of test mIoU against the baseline" in found.sentences[0]
    assert "and has 67.00 with fresh seeds" in found.sentences[1]  # luck is of validation


def test_a_candidate_without_what_the_others_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="trial 7 lacks"):
        hand_made(first=None, second=(0.5, 0.6, 0.7), baseline=(0.4, 0.4, 0.4))


def test_luck_is_of_the_best_observed_trial() -> None:
    luck = hand_made().luck
    assert luck is not None
    assert luck.candidate.name == "trial 7"
    assert luck.of == 50
    assert luck.fresh == pytest.approx(0.67)
    assert luck.luck.mean == pytest.approx(0.13)
    assert luck.luck.interval is not None
    assert luck.luck.interval.low < 0.13 < luck.luck.interval.high


def test_one_seed_cannot_choose_and_tell() -> None:
    found = confirm(
        [0.7, 0.8], [Candidate("trial 1", {}, 0.8, (0.7,))], Candidate("baseline", {}, None, (0.6,))
    )
    assert found.figure is found.gain is None
    assert not found.shown
    assert "one fresh seed cannot both choose and tell" in found.sentences[0]
    assert found.luck is not None
    assert found.luck.luck.interval is None
    assert found.luck.expected is None


def test_a_point_that_is_not_of_the_search_has_no_luck() -> None:
    point = Candidate("the recommended point", {"B": 3}, None, (0.7, 0.72, 0.69))
    found = confirm([], [point], Candidate("baseline", {}, None, (0.6, 0.61, 0.6)))
    assert found.luck is None
    assert found.shown
    assert found.sentences == (
        "A winner is shown: the recommended point (B=3); by seeds that did not choose, the choice has 70.33 "
        "and is +10.00 points (95 % interval +7.52 to +12.48) of validation mIoU against the baseline.",
    )


def test_the_expected_luck_of_fifty_draws() -> None:
    draws = np.random.default_rng(0).normal(size=(20_000, 50)).max(axis=1)
    assert expected_maximum(50) == pytest.approx(draws.mean(), abs=0.02)
    assert expected_maximum(1) == 0


@given(st.permutations(range(4)), st.permutations(range(5)), st.floats(-0.2, 0.2))
def test_order_of_candidates_and_seeds_and_a_constant_change_nothing(
    order: list[int], seeds: list[int], shift: float
) -> None:
    rng = np.random.default_rng(4)
    values = 0.6 + rng.normal(0, 0.03, (5, 5))
    plain = _confirmed(values)
    moved = _confirmed(values[[*order, 4]][:, seeds] + shift)
    assert plain.gain is not None
    assert moved.gain is not None
    assert moved.gain.mean == pytest.approx(plain.gain.mean, abs=1e-9)
    assert moved.shown == plain.shown


def _confirmed(values: np.ndarray) -> Confirmation:
    *points, baseline = (
        Candidate(str(i), {}, None, tuple(map(float, row))) for i, row in enumerate(values)
    )
    return confirm([], points, baseline)
