"""Evaluation gives the numbers of the training's own validation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fre_hpo.data.dataset import IGNORED, Split
from fre_hpo.inference.evaluate import evaluate
from networks import trained_network
from trials import drawn_data, result, small_spec


@pytest.mark.parametrize("precision", ["float32", "auto", "bfloat16"])
@pytest.mark.parametrize("method", ["baseline", "fre", "without-deep-layers", "supervision"])
def test_every_count_is_that_of_the_best_epoch(method: str, precision: str) -> None:
    settings = {"engine.precision": precision}
    spec = small_spec(method, settings)
    outcome, found = (
        result(spec),
        evaluate(trained_network(method, settings), drawn_data(spec).validation),
    )
    assert found.sources == outcome.sources
    assert found.confusion.dtype == np.int64
    assert found.confusion.tolist() == outcome.confusion
    assert found.miou == outcome.miou
    assert found.class_iou == list(outcome.class_iou)


def test_tiles_of_one_source_make_one_matrix_and_padding_counts_nowhere() -> None:
    """Pictures of 30x27, which the stride of 4 does not divide, with ignored rows."""
    split = drawn_data(small_spec()).validation
    labels = split.labels[:, :30, :27].copy()
    labels[:, :5] = IGNORED
    odd = Split(split.images[:, :, :30, :27].copy(), labels, ("a", "b", "a"))
    found = evaluate(trained_network(), odd)
    assert found.sources == ("a", "b")
    assert found.confusion.sum(axis=(1, 2)).tolist() == [2 * 25 * 27, 25 * 27]
    single = evaluate(trained_network(), replace(odd, sources=("a", "b", "c")))
    assert (found.confusion[0] == single.confusion[0] + single.confusion[2]).all()
