"""IoU from confusion matrices: the numbers of the training, for many at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fre_hpo.results.comparison import scores
from fre_hpo.results.comparison.measured import Counts
from fre_hpo.training import metrics


def matrices(least: int = 1) -> st.SearchStrategy[Counts]:
    """(seeds, sources, classes, classes) with classes that are missing now and then."""
    shapes = st.tuples(st.integers(1, 3), st.integers(least, 4), st.integers(2, 5))
    return shapes.flatmap(
        lambda s: arrays.arrays(
            np.int64,
            (*s, s[2]),
            elements=st.one_of(st.just(0), st.integers(0, 10**9)),
            fill=st.nothing(),
        )
    ).filter(lambda counts: bool((counts.sum(axis=(1, 2, 3)) > 0).all()))


@given(matrices())
def test_they_are_the_numbers_of_the_training_to_the_last_bit(counts: Counts) -> None:
    for seed, (iou, mean) in enumerate(
        zip(scores.class_iou(counts), scores.mean_iou(counts), strict=True)
    ):
        assert list(scores.optional(iou)) == metrics.class_iou(counts[seed])
        assert mean == metrics.mean_iou(counts[seed])


@given(matrices(), st.integers(0, 100))
def test_the_order_of_images_and_of_classes_does_not_matter(counts: Counts, seed: int) -> None:
    rng = np.random.default_rng(seed)
    images, classes = (rng.permutation(counts.shape[axis]) for axis in (1, 2))
    shuffled = counts[:, images][:, :, classes][:, :, :, classes]
    assert scores.mean_iou(shuffled) == pytest.approx(scores.mean_iou(counts), rel=1e-12)
    np.testing.assert_array_equal(scores.class_iou(shuffled), scores.class_iou(counts)[:, classes])


@given(matrices(), st.integers(2, 1000))
def test_more_pixels_of_the_same_kind_change_nothing(counts: Counts, factor: int) -> None:
    assert scores.mean_iou(factor * counts) == pytest.approx(scores.mean_iou(counts), rel=1e-12)


@given(matrices(least=2))
def test_leaving_a_source_out_is_scoring_the_others(counts: Counts) -> None:
    found = scores.without_each_source(counts)
    classes = (counts.sum(axis=-1) > 0).any(axis=1)
    for source in range(counts.shape[1]):
        rest = np.delete(counts, source, axis=1)
        same = (((rest.sum(axis=-1) > 0).any(axis=1)) == classes).all(axis=-1)
        assert found[same, source] == pytest.approx(scores.mean_iou(rest)[same], rel=1e-12)


def test_a_class_that_only_the_left_out_source_holds_keeps_its_iou() -> None:
    both = [[8, 2], [1, 9]]
    counts = np.array([[both, [[5, 5], [0, 0]]]])
    found = scores.without_each_source(counts)[0]
    iou = scores.class_iou(counts)[0]
    assert found[0] == pytest.approx((5 / 10 + iou[1]) / 2)
    assert scores.single_source_classes(counts) == [1]


def test_a_class_without_truth_is_left_out_of_the_mean_even_where_it_is_drawn() -> None:
    counts = np.array([[[[80, 0, 20], [0, 50, 0], [0, 0, 0]]]])
    assert scores.optional(scores.class_iou(counts)[0]) == (0.8, 1.0, None)
    assert scores.mean_iou(counts)[0] == pytest.approx(0.9)


def test_no_truth_at_all_has_no_mean() -> None:
    assert np.isnan(scores.mean_iou(np.zeros((1, 1, 2, 2), dtype=np.int64)))[0]
