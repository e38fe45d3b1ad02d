import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fre_hpo import data
from fre_hpo.data.phantom import MEMBRANE, NUCLEUS, Options, draw, paint, place

FINGERPRINT = "f735cb292d765940ddeff372b60fb6495660167445c980d0abb8a18af0730553"


def test_the_default_pictures_never_change() -> None:
    """A study on drawn cells goes on after an update only if the same cells are drawn."""
    assert data.load("phantom", None).fingerprint == FINGERPRINT


def test_another_seed_draws_other_cells() -> None:
    assert data.load("phantom", None, Options(seed=1)).fingerprint != FINGERPRINT


def test_a_larger_split_changes_no_other_picture() -> None:
    few, more = (data.load("phantom", None, Options(train=n)) for n in (3, 5))
    np.testing.assert_array_equal(more.train.images[:3], few.train.images)
    np.testing.assert_array_equal(more.test.images, few.test.images)


def test_splits_share_no_picture() -> None:
    found = data.load("phantom", None)
    every = [found.train.images, found.validation.images, found.test.images]
    assert len(np.unique(np.concatenate(every).reshape(40, -1), axis=0)) == 40


def test_shapes_types_and_range() -> None:
    found = data.load("phantom", None, Options(size=72, train=3, validation=2, test=1))
    assert found.train.images.shape == (3, 1, 72, 72)
    assert found.validation.labels.shape == (2, 72, 72)
    assert found.train.images.dtype == np.float32
    assert found.test.labels.dtype == np.uint8
    assert found.test.sources == ("test0000",)
    assert found.train.images.min() >= 0
    assert found.train.images.max() <= 1


@settings(max_examples=60, deadline=None)
@given(size=st.sampled_from([32, 64, 96, 128]), share=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_every_picture_holds_all_classes(size: int, share: float, seed: int) -> None:
    cells = 1 + round(share * ((size // 10) ** 2 - 1))
    _, labels = draw(np.random.default_rng(seed), Options(size=size, cells=cells))
    assert np.unique(labels).tolist() == [0, 1, 2]


@pytest.mark.parametrize("seed", range(20))
def test_no_two_nuclei_merge(seed: int) -> None:
    options = Options(cells=9)
    rng = np.random.default_rng(seed)
    labels, owner = paint(rng, place(rng, options), options.size)
    nuclei = np.where(labels == NUCLEUS, owner, -1)
    for one, other in ((nuclei[1:], nuclei[:-1]), (nuclei[:, 1:], nuclei[:, :-1])):
        assert not ((one != other) & (one >= 0) & (other >= 0)).any()


def test_cells_meet_in_a_membrane() -> None:
    """Where two cells are side by side, the pixels along the border are membrane."""
    rng = np.random.default_rng(0)
    labels, owner = paint(rng, place(rng, Options(cells=9)), 64)
    meeting = (owner[:, 1:] != owner[:, :-1]) & (owner[:, 1:] >= 0) & (owner[:, :-1] >= 0)
    assert meeting.any()
    assert (labels[:, 1:][meeting] == MEMBRANE).all()


def test_no_two_thresholds_separate_the_classes() -> None:
    """The best of 190 pairs of thresholds stays far below what a small network reaches (0.8)."""
    train = data.load("phantom", None).train
    levels = np.quantile(train.images, np.linspace(0.4, 0.99, 20))
    best = 0.0
    for low, high in ((a, b) for a in levels for b in levels if a < b):
        guess = (train.images[:, 0] > low) + (train.images[:, 0] > high).astype(np.uint8)
        pairs = np.bincount(3 * train.labels.ravel() + guess.ravel(), minlength=9).reshape(3, 3)
        union = pairs.sum(axis=0) + pairs.sum(axis=1) - pairs.diagonal()
        best = max(best, float((pairs.diagonal() / union).mean()))
    assert 0.3 < best < 0.55


def test_noise_is_only_noise() -> None:
    clean, noisy = (data.load("phantom", None, Options(noise=n)).train for n in (0.0, 1.0))
    np.testing.assert_array_equal(clean.labels, noisy.labels)
    difference = (noisy.images - clean.images).std()
    assert 0.01 < difference < 0.08


def test_forty_pictures_are_drawn_at_once() -> None:
    data.load("phantom", None)
    took = []
    for _ in range(3):
        start = time.process_time()
        data.load("phantom", None)
        took.append(time.process_time() - start)
    assert min(took) < 0.3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"size": 60}, "size = 60 must be a multiple of 8"),
        ({"cells": 37}, "cells = 37 must be at most 36 at size = 64"),
        ({"size": 16}, "greater than or equal to 32"),
        ({"noise": -1.0}, "greater than or equal to 0"),
        ({"colour": 1}, "Extra inputs are not permitted"),
    ],
)
def test_options_that_cannot_work_are_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Options(**changes)
