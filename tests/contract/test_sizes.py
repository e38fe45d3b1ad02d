"""Pictures of any size, whole or in tiles, train with the same keys; every pixel counts once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import formats
from fre_hpo import data
from fre_hpo.data import IGNORED, Dataset
from fre_hpo.study.recipe import Recipe, resolve
from fre_hpo.study.spec import Spec
from fre_hpo.trial import Result, StopFlag, TrainingData, run
from trials import small_job

SIZES = [(700, 1100), (256, 256), (96, 130)]
PIXELS = sum(height * width for height, width in SIZES)
TINY = {
    "model.widths": [2, 2, 2, 4],  # needs sides that 8 divides, which 700 and 1100 are not
    "model.se_reduction": 2,
    "training.epochs": 1,
    "training.batch_size": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of each size for each of three splits, of noise that brightens with its class."""
    folder = tmp_path_factory.mktemp("sizes")
    rng = np.random.default_rng(5)
    for number, (height, width) in enumerate(SIZES * 3):
        labels = np.kron(
            rng.integers(0, 3, (-(-height // 16), -(-width // 16))), np.ones((16, 16), dtype=int)
        )[:height, :width].astype(np.uint8)
        picture = (60 * labels + rng.integers(0, 90, labels.shape)).astype(np.uint8)
        formats.tiff(folder / "images" / f"{number}.tif", picture)
        formats.tiff(folder / "masks" / f"{number}.tif", labels)
    return folder


def resolved(method: str = "baseline", **options: Any) -> Spec:
    """Searches nothing."""
    document = {"dataset": "pairs", "data": {"labels": formats.LABELS, "split": "order", **options}}
    chosen = {"data.validation": 0.34, "data.test": 0.33}
    if method == "fre":
        chosen |= {"B": 2, "X": 100.0}
    return resolve(Recipe("sizes", None, document), method, TINY | chosen).spec


def loaded(folder: Path, spec: Spec) -> Dataset:
    return data.load("pairs", folder, spec.options)


@pytest.mark.parametrize("tile", [0, 64])
def test_every_pixel_has_one_label(tile: int, folder: Path) -> None:
    found = loaded(folder, resolved(tile=tile))
    for split in found.splits.values():
        assert np.count_nonzero(split.labels != IGNORED) == PIXELS
        assert split.labels.shape[1:] == ((tile, tile) if tile else (700, 1100))
        assert len(split) == (11 * 18 + 4 * 4 + 2 * 3 if tile else 3)


@pytest.mark.parametrize(("tile", "method"), [(0, "baseline"), (64, "baseline"), (64, "fre")])
def test_every_pixel_of_validation_is_in_the_confusion_matrix_once(
    tile: int, method: str, folder: Path
) -> None:
    spec = resolved(method, tile=tile)
    found = loaded(folder, spec)
    few = np.r_[: min(len(found.train), 6)]  # what is trained on changes no count
    train = replace(
        found.train,
        images=found.train.images[few],
        labels=found.train.labels[few],
        sources=found.train.sources[: len(few)],
    )
    training = TrainingData(found.classes, train, found.validation)
    *_, outcome = run(small_job(spec), training, StopFlag())
    assert isinstance(outcome, Result)
    confusion = np.array(outcome.confusion)
    assert confusion.sum() == PIXELS
    truth = found.validation.labels
    labelled = [np.count_nonzero(truth == number) for number in range(3)]
    assert confusion.sum(axis=0).sum(axis=1).tolist() == labelled
    by_source = {
        source: sum(
            int(confusion[row].sum()) for row, s in enumerate(outcome.sources) if s == source
        )
        for source in outcome.sources
    }
    assert sorted(by_source.values()) == sorted(height * width for height, width in SIZES)
