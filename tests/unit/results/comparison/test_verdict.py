"""Better, no difference shown, worse: by numbers and in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.errors import UnlikeMeasurements
from fre_hpo.results.comparison.measured import Comparison, Confusions, Measured
from fre_hpo.results.comparison.verdict import holm, judge, pair
from measuring import exactly, simulated, with_values

BASE = (0.60, 0.66, 0.55, 0.63, 0.58)


def test_fre_is_better() -> None:
    better = [
        value + gain for value, gain in zip(BASE, (0.03, 0.04, 0.05, 0.035, 0.03), strict=True)
    ]
    verdict = judge(with_values(baseline=BASE, fre=better))["fre"]
    assert verdict.outcome == "better"
    assert verdict.paired.mean == pytest.approx(0.037, abs=1e-5)
    assert verdict.p_adjusted == verdict.paired.p
    assert verdict.sentence == (
        "fre is better than the baseline in test mIoU: +3.70 points (95 % interval +2.66 to +4.74, "
        "5 seeds, p < 0.001); over other images too it is +2.66 to +4.74."
    )


def test_fre_is_worse() -> None:
    worse = [
        value - gain for value, gain in zip(BASE, (0.03, 0.04, 0.05, 0.035, 0.03), strict=True)
    ]
    verdict = judge(with_values(baseline=BASE, fre=worse))["fre"]
    assert verdict.outcome == "worse"
    assert verdict.sentence.startswith("fre is worse than the baseline in test mIoU: -3.70 points")


def test_no_difference_is_shown_and_what_could_have_been() -> None:
    near = [value + gain for value, gain in zip(BASE, (0.02, -0.03, 0.01, 0.0, 0.015), strict=True)]
    verdict = judge(with_values(baseline=BASE, fre=near))["fre"]
    assert verdict.outcome == "no difference shown"
    effect = verdict.paired.smallest_effect
    assert effect is not None
    assert verdict.sentence.startswith(
        "No difference shown between fre and the baseline in test mIoU"
    )
    assert (
        f"5 seeds could have shown only an effect of {100 * effect:.2f} points" in verdict.sentence
    )


def test_one_seed_has_no_interval_and_says_so() -> None:
    verdict = judge(with_values(baseline=[0.6], fre=[0.7]))["fre"]
    assert verdict.outcome == "no difference shown"
    assert verdict.paired.interval is verdict.paired.over_images is verdict.paired.p is None
    assert verdict.sentence == (
        "fre differs from the baseline by +10.00 points of test mIoU with one seed, which cannot show more "
        "than luck: no interval."
    )


def test_the_same_results_show_no_difference() -> None:
    verdict = judge(with_values(baseline=BASE, fre=BASE))["fre"]
    assert verdict.outcome == "no difference shown"
    assert verdict.p_adjusted == 1.0
    assert verdict.sentence.endswith("; the results are the same.")


def test_a_difference_without_any_noise_is_no_evidence() -> None:
    verdict = judge(with_values(baseline=[0.5] * 3, fre=[0.6] * 3))["fre"]
    assert verdict.outcome == "no difference shown"
    assert verdict.paired.interval is None
    assert "in every one of 3 seeds alike" in verdict.sentence


def test_only_seeds_in_common_are_compared_whatever_their_order() -> None:
    comparison = with_values(baseline=BASE, fre=BASE)
    baseline, fre = comparison.methods
    counts = np.array([exactly(v) for v in (0.61, 0.9, 0.63)])
    confusions = Confusions(fre.validation.sources, counts)
    fre = Measured("fre", {}, (5, 9, 1), confusions, confusions)
    paired = pair(fre, baseline, "test")
    assert paired.seeds == (5, 1)
    assert paired.differences == pytest.approx((0.61 - 0.58, 0.63 - 0.60), abs=1e-5)


def test_without_seeds_in_common_or_a_baseline_there_is_no_verdict() -> None:
    comparison = with_values(baseline=BASE, fre=BASE)
    baseline, fre = comparison.methods
    strangers = replace(fre, seeds=(11, 12, 13, 14, 15))
    assert judge(replace(comparison, methods=(baseline, strangers))) == {}
    assert judge(replace(comparison, methods=(fre,))) == {}


def test_before_test_is_read_the_question_is_asked_on_validation() -> None:
    comparison = with_values(baseline=BASE, fre=BASE)
    unread = tuple(replace(m, test=None) for m in comparison.methods)
    verdict = judge(replace(comparison, methods=unread))["fre"]
    assert verdict.paired.split == "validation"
    assert "validation mIoU" in verdict.sentence
    with pytest.raises(ValueError, match="not read"):
        pair(unread[1], unread[0], "test")


def test_the_primary_question_pays_nothing_for_the_others() -> None:
    found = judge(simulated(seeds=5))
    alone = judge(
        replace(
            simulated(seeds=5),
            methods=tuple(m for m in simulated(seeds=5).methods if m.method in {"baseline", "fre"}),
        )
    )
    assert found["fre"].p_adjusted == alone["fre"].p_adjusted == found["fre"].paired.p
    others = [v for name, v in found.items() if name != "fre"]
    assert len(others) == 4
    assert all((v.p_adjusted or 0) >= (v.paired.p or 0) for v in others)
    assert all("adjusted for 4 comparisons" in v.sentence for v in others)


def test_holm_by_hand() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, 0.06, 0.06]
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(0, 100))
def test_holm_keeps_the_order_and_only_makes_p_larger(values: list[float], seed: int) -> None:
    adjusted = holm(values)
    assert all(a is not None and p <= a <= 1 for p, a in zip(values, adjusted, strict=True))
    ranked = [a for _, a in sorted(zip(values, adjusted, strict=True), key=lambda pair: pair[0])]
    assert sorted(ranked) == sorted(adjusted)
    places = np.random.default_rng(seed).permutation(len(values))
    assert holm([values[i] for i in places]) == [adjusted[i] for i in places]


@given(st.permutations(range(5)), st.permutations(range(4)))
def test_the_order_of_seeds_and_images_does_not_matter(seeds: list[int], images: list[int]) -> None:
    comparison = simulated(seeds=5)
    plain = judge(comparison)["fre"].paired
    found = judge(
        replace(comparison, methods=tuple(_shuffled(m, seeds, images) for m in comparison.methods))
    )["fre"].paired
    assert found.mean == pytest.approx(plain.mean, abs=1e-12)
    assert found.p == pytest.approx(plain.p, rel=1e-6)
    assert plain.over_images is not None
    assert found.over_images is not None
    assert found.over_images.low == pytest.approx(plain.over_images.low, abs=1e-9)


def _shuffled(measured: Measured, seeds: list[int], images: list[int]) -> Measured:
    def shuffle(found: Confusions) -> Confusions:
        return Confusions(tuple(found.sources[i] for i in images), found.counts[seeds][:, images])

    assert measured.test is not None
    return replace(
        measured,
        seeds=tuple(measured.seeds[i] for i in seeds),
        validation=shuffle(measured.validation),
        test=shuffle(measured.test),
    )


# --- what cannot be compared ----------------------------------------------------------------------


def test_methods_on_different_images_are_refused() -> None:
    baseline, fre = with_values(baseline=BASE, fre=BASE).methods
    others = Confusions(("a", "b", "c", "d"), fre.validation.counts)
    with pytest.raises(UnlikeMeasurements, match=r"baseline and fre .* test images differ"):
        Comparison("drawn", ("background", "cell"), (baseline, replace(fre, test=others)))


def test_another_number_of_classes_is_refused() -> None:
    methods = with_values(baseline=BASE).methods
    with pytest.raises(UnlikeMeasurements, match="classes differ"):
        Comparison("drawn", ("background", "cell", "synapse"), methods)


def test_shapes_that_do_not_fit_are_refused() -> None:
    counts = np.zeros((2, 3, 2, 2), dtype=np.int64)
    with pytest.raises(ValueError, match="sources"):
        Confusions(("one",), counts)
    confusions = Confusions(("a", "b", "c"), counts)
    with pytest.raises(ValueError, match="2 matrices for 3 seeds"):
        Measured("fre", {}, (1, 2, 3), confusions)
    with pytest.raises(ValueError, match="seeds"):
        Measured("fre", {}, (1, 1), confusions)
    fre = Measured("fre", {}, (1, 2), confusions)
    with pytest.raises(ValueError, match="twice"):
        Comparison("drawn", ("a", "b"), (fre, fre))
