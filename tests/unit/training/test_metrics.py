"""Confusion matrices and IoU against a reference that counts pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from fre_hpo.data import IGNORED
from fre_hpo.training.metrics import class_iou, count_confusion, mean_iou

Labels = NDArray[np.int64]


@st.composite
def predictions(draw: st.DrawFn) -> tuple[int, int, Labels, Labels, Labels]:
    """Classes, sources, predicted, true (some ignored) and each picture's source."""
    classes, sources = draw(st.integers(2, 4)), draw(st.integers(1, 3))
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)))
    index = st.integers(0, classes - 1)
    predicted = draw(arrays(np.int64, shape, elements=index))
    truth = draw(arrays(np.int64, shape, elements=index | st.just(IGNORED)))
    source = draw(arrays(np.int64, shape[:1], elements=st.integers(0, sources - 1)))
    return classes, sources, predicted, truth, source


@given(predictions())
def test_confusion_counts_every_pixel_once(
    drawn: tuple[int, int, Labels, Labels, Labels],
) -> None:
    classes, sources, predicted, truth, source = drawn
    expected = np.zeros((sources, classes, classes), dtype=np.int64)
    for place in np.ndindex(truth.shape):
        if truth[place] != IGNORED:
            expected[source[place[0]], truth[place], predicted[place]] += 1
    tensors = (torch.from_numpy(array) for array in (predicted, truth, source))
    counted = count_confusion(*tensors, sources, classes)
    assert counted.dtype == torch.int64
    np.testing.assert_array_equal(counted, expected)
    whole = count_confusion(
        torch.from_numpy(predicted),
        torch.from_numpy(truth),
        torch.zeros(len(source), dtype=torch.int64),
        1,
        classes,
    )
    np.testing.assert_array_equal(counted.sum(dim=0), whole[0])


@given(predictions())
def test_iou_is_intersection_over_union(
    drawn: tuple[int, int, Labels, Labels, Labels],
) -> None:
    classes, sources, predicted, truth, source = drawn
    tensors = (torch.from_numpy(array) for array in (predicted, truth, source))
    confusion = count_confusion(*tensors, sources, classes).numpy()
    seen = truth != IGNORED
    expected: list[float | None] = []
    for c in range(classes):
        is_c, said_c = (truth == c) & seen, (predicted == c) & seen
        union = (is_c | said_c).sum()
        expected.append(float((is_c & said_c).sum() / union) if is_c.any() else None)
    assert class_iou(confusion) == expected
    present = [iou for iou in expected if iou is not None]
    if present:
        assert mean_iou(confusion) == pytest.approx(np.mean(present), rel=1e-12)


def test_a_class_that_the_truth_lacks_is_none_and_in_no_mean() -> None:
    confusion = np.array([[[4, 1, 1], [0, 2, 0], [0, 0, 0]]])
    assert class_iou(confusion) == [4 / 6, 2 / 3, None]
    assert mean_iou(confusion) == pytest.approx(2 / 3)


def test_the_mean_comes_from_one_matrix_over_all_sources() -> None:
    """A mean over images would be 0.75 here: the second image is small and all wrong."""
    confusion = np.array([[[90, 0], [0, 90]], [[0, 10], [0, 0]]])
    assert class_iou(confusion) == [0.9, 0.9]
    assert mean_iou(confusion) == pytest.approx(0.9)
