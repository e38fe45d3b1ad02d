"""The published pictures, where they lie beside the checkout."""

import time
from pathlib import Path

import numpy as np
import pytest

from fre_hpo import data
from fre_hpo.data import Dataset, drosophila


def percentages(found: Dataset) -> list[float]:
    """How much of all labelled pixels each class has."""
    splits = (found.train, found.validation, found.test)
    labels = np.concatenate([split.labels.ravel() for split in splits])
    return (100 * np.bincount(labels, minlength=len(found.classes)) / labels.size).tolist()


def test_fluorescence_pictures(shared_data: Path) -> None:
    found = data.load("mouse", shared_data / "dsb2018_256")
    assert found.train.images.shape == (35, 1, 256, 256)
    assert (len(found.validation), len(found.test)) == (5, 10)
    assert found.train.sources[0] == "cell0000.png"
    assert percentages(found) == pytest.approx([86.96, 5.80, 7.24], abs=0.005)


def test_drosophila_sections(shared_data: Path) -> None:
    found = data.load("drosophila", shared_data / "drosophila")
    assert found.train.images.shape == (192, 1, 256, 256)
    assert (len(found.validation), len(found.test)) == (64, 64)
    assert found.train.images.mean() == pytest.approx(0.504, abs=0.001)
    assert percentages(found) == pytest.approx([76.91, 17.16, 5.38, 0.56], abs=0.005)


def test_every_drosophila_split_holds_every_class(shared_data: Path) -> None:
    found = data.load("drosophila", shared_data / "drosophila", drosophila.Options(scale=0.5))
    for split in (found.train, found.validation, found.test):
        assert split.images.shape[1:] == (1, 128, 128)
        assert np.unique(split.labels).tolist() == [0, 1, 2, 3]


def test_twenty_sections_are_read_quickly(shared_data: Path) -> None:
    took = []
    for _ in range(2):
        start = time.process_time()
        data.load("drosophila", shared_data / "drosophila")
        took.append(time.process_time() - start)
    assert min(took) < 1.5
