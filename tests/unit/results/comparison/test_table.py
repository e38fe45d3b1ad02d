"""The table's cells, recomputed from the confusion matrices by other means."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fre_hpo.results.comparison.measured import Comparison, Confusions, Measured
from fre_hpo.results.comparison.table import build
from fre_hpo.training import metrics
from measuring import FLY, exactly, measured, simulated, with_values


def rows(comparison: Comparison) -> dict[str, Any]:
    """By method, as JSON would tell them."""
    text = json.dumps(build(comparison).to_json(), allow_nan=False)
    return {row["method"]: row for row in json.loads(text)["methods"]}


def test_every_score_is_what_the_matrices_say() -> None:
    comparison = simulated("drosophila", seeds=5)
    for method in comparison.methods:
        row = rows(comparison)[method.method]
        for split in ("validation", "test"):
            counts = getattr(method, split).counts
            means = [100 * metrics.mean_iou(seed) for seed in counts]
            assert row[split]["mIoU"]["mean"] == pytest.approx(statistics.fmean(means))
            assert row[split]["mIoU"]["sd"] == pytest.approx(statistics.stdev(means))
            for index, name in enumerate(FLY):
                values = [100 * (metrics.class_iou(seed)[index] or 0) for seed in counts]
                found = row[split]["classes"][name]
                assert found["mean"] == pytest.approx(statistics.fmean(values))
                assert found["sd"] == pytest.approx(statistics.stdev(values))


def test_every_difference_is_the_paired_t_tests() -> None:
    comparison = simulated(seeds=5)
    found = rows(comparison)
    values = {
        m.method: [100 * metrics.mean_iou(seed) for seed in m.test.counts]
        for m in comparison.methods
        if m.test is not None
    }
    others = [name for name in values if name not in {"baseline", "fre"}]
    p = {n: float(stats.ttest_rel(values[n], values["baseline"]).pvalue) for n in values}
    ranked = sorted(others, key=lambda name: p[name])
    for name in [*others, "fre"]:
        difference = found[name]["difference"]
        expected = stats.ttest_rel(values[name], values["baseline"])
        low, high = expected.confidence_interval(0.95)
        assert difference["low"] == pytest.approx(low)
        assert difference["high"] == pytest.approx(high)
        assert difference["mean"] == pytest.approx((low + high) / 2)
        assert difference["p"] == pytest.approx(p[name])
        assert difference["images_low"] < difference["mean"] < difference["images_high"]
        assert difference["seeds"] == 5
    first = ranked[0]
    assert found[first]["difference"]["p_adjusted"] == pytest.approx(min(4 * p[first], 1))
    assert found["fre"]["difference"]["p_adjusted"] == found["fre"]["difference"]["p"]
    assert found["fre"]["verdict"] == "better"
    assert found["baseline"]["difference"] is None
    assert found["baseline"]["verdict"] == "baseline"


def test_the_rest_of_a_row() -> None:
    row = rows(simulated())["fre"]
    assert row["parameters"] == {"B": 162, "X": 632.0}
    assert row["search_trials"] == 50
    assert row["seeds"] == 3
    assert row["paper"] == {
        "table": 1,
        "parameters": {"B": 162, "X": 632},
        "classes": {"background": 76.75, "membrane": 40.53, "nucleus": 67.58},
        "mIoU": 61.62,
    }
    assert rows(simulated())["fre-fixed"]["paper"]["table"] == 3
    assert rows(simulated(paper=()))["fre"]["paper"] is None


def test_the_answer_is_the_sentence_on_fre() -> None:
    table = build(simulated())
    assert table.answer is not None
    assert table.answer.startswith("fre is better than the baseline in test mIoU")
    assert len(table.sentences) == 5
    assert build(with_values(baseline=[0.5, 0.6])).answer is None


def test_one_seed_has_neither_deviation_nor_interval() -> None:
    table = build(simulated(seeds=1))
    row = next(row for row in table.rows if row["method"] == "fre")
    assert row["test"]["mIoU"]["sd"] is None
    assert row["difference"]["low"] is row["difference"]["p"] is None
    assert row["verdict"] == "no difference shown"
    assert "One seed: there is no standard deviation and no interval." in table.footnotes


def test_a_class_that_the_truth_lacks_is_none_and_leaves_the_mean() -> None:
    counts = np.zeros((2, 1, 3, 3), dtype=np.int64)
    counts[:, :, :2, :2] = exactly(0.5)[0]
    found = rows(Comparison("drawn", ("a", "b", "c"), (measured("baseline", counts),)))
    scores = found["baseline"]["test"]
    assert scores["classes"]["c"] == {"mean": None, "sd": None}
    assert scores["mIoU"]["mean"] == pytest.approx(50, abs=1e-3)


# --- footnotes ------------------------------------------------------------------------------------


def notes(comparison: Comparison) -> str:
    return "\n".join(build(comparison).footnotes)


def test_unequal_tuning_is_said() -> None:
    text = notes(simulated())
    assert (
        "Unequal tuning: searched were supervision with 15 trials and fre with 50 trials; baseline, "
        "without-deep-layers, dropout and fre-fixed not at all." in text
    )
    assert "Unequal tuning" not in notes(simulated(budgets={}))


def test_on_drosophila_the_sections_bound_the_claim() -> None:
    text = notes(simulated("drosophila"))
    assert "All 4 test images are sections of one volume of one animal" in text
    assert "Table 2 heads its columns" in text
    assert "of one volume" not in notes(simulated("mouse"))
    assert "There are 4 test images only" in notes(simulated("mouse"))


@pytest.mark.parametrize("rule", ["recalibrate", "running"])
def test_the_rule_of_batch_norm_is_named(rule: str) -> None:
    assert f"eval_bn = {rule}" in notes(simulated(eval_bn=rule))


def test_seeds_validation_and_intervals_are_explained() -> None:
    text = notes(simulated(seeds=3))
    assert "Mean ± standard deviation over 3 seeds" in text
    assert "Validation is optimistic" in text
    assert "Student's 95 % interval" in text
    assert "Holm" in text
    assert "Table 1 and Table 3 of Ando & Hotta" in text


def test_a_seed_that_chose_is_pointed_out() -> None:
    assert "Seed 1 is also the one that the searches trained with" in notes(
        simulated(search_seed=1)
    )
    assert "searches trained with" not in notes(simulated(search_seed=0))


def test_missing_seeds_and_an_unread_test_split_are_pointed_out() -> None:
    comparison = simulated(seeds=3)
    fre = comparison.find("fre")
    assert fre is not None
    fewer = replace(fre, seeds=(1, 2, 7), test=None)
    methods = tuple(fewer if m is fre else m for m in comparison.methods)
    text = notes(replace(comparison, methods=methods))
    assert "fre shares 2 of its 3 seeds with the baseline" in text
    assert "compared on validation" in text


def test_a_class_of_a_single_image_is_pointed_out() -> None:
    counts = np.zeros((2, 3, 3, 3), dtype=np.int64)
    counts[:, :, :2, :2] = exactly(0.5, images=3)
    counts[:, 1, 2, 2] = 10
    confusions = Confusions(("x", "y", "z"), counts)
    methods = tuple(Measured(n, {}, (1, 2), confusions, confusions) for n in ("baseline", "fre"))
    text = notes(Comparison("drawn", ("a", "b", "rare"), methods))
    assert "Only one test image holds rare" in text
