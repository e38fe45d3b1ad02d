"""Pictures of any size, whole or in tiles, train with the same keys; every pixel counts once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import formats
from fre_hpo import data
from fre_hpo.data import IGNORED, Dataset, Split
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


def trained(spec: Spec, found: Dataset, train: int, validation: int) -> Result:
    """On the first rows of both splits."""
    data = TrainingData(
        found.classes, first(found.train, train), first(found.validation, validation)
    )
    *_, outcome = run(small_job(spec), data, StopFlag())
    assert isinstance(outcome, Result)
    return outcome


def first(split: Split, rows: int) -> Split:
    return Split(split.images[:rows], split.labels[:rows], split.sources[:rows])


@pytest.mark.parametrize(("tile", "method"), [(0, "baseline"), (64, "baseline"), (64, "fre")])
def test_every_pixel_of_validation_is_in_the_confusion_matrix_once(
    tile: int, method: str, folder: Path
) -> None:
    spec = resolved(method, tile=tile)
    found = loaded(folder, spec)
    outcome = trained(spec, found, 6, len(found.validation))
    confusion = np.array(outcome.confusion)
    assert confusion.sum() == PIXELS
    truth = found.validation.labels
    labelled = [np.count_nonzero(truth == number) for number in range(3)]
    assert confusion.sum(axis=(0, 2)).tolist() == labelled
    of_pictures = dict(zip(outcome.sources, confusion.sum(axis=(1, 2)).tolist(), strict=True))
    assert of_pictures == {
        f"{3 + number}.tif": height * width for number, (height, width) in enumerate(SIZES)
    }


@pytest.mark.parametrize(("name", "options"), [("drosophila", {"tile": 0}), ("mouse", {})])
def test_published_pictures_are_trained_on_whole(
    name: str, options: dict[str, Any], shared_data: Path
) -> None:
    """With the keys that the drawn sizes take."""
    folder = shared_data / {"mouse": "dsb2018_256"}.get(name, name)
    document = {"dataset": name, "data": options}
    spec = resolve(Recipe("published", None, document), "baseline", TINY).spec
    found = data.load(name, folder, spec.options)
    height, width = found.train.labels.shape[1:]
    assert (height, width) == ((1024, 1024) if name == "drosophila" else (256, 256))
    assert all((split.labels != IGNORED).all() for split in found.splits.values())
    assert np.sum(trained(spec, found, 1, 2).confusion) == 2 * height * width
