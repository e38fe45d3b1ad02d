import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drawn import draw_drosophila_set, draw_mouse_set
from fre_hpo import data
from fre_hpo.data import drosophila, mouse, phantom
from fre_hpo.data.dataset import Split, fingerprint
from fre_hpo.errors import DatasetNotFound, UnknownDataset

SMALL = mouse.Options(train=3, validation=1, test=1)


def split(seed: int = 0) -> Split:
    rng = np.random.default_rng(seed)
    pictures = rng.random((2, 1, 8, 8), dtype=np.float32)
    return Split(pictures, rng.integers(0, 3, (2, 8, 8), dtype=np.uint8), ("a", "b"))


def changed_pixel(array: np.ndarray) -> np.ndarray:
    changed = array.copy()
    changed.flat[-1] = 0 if changed.flat[-1] else 1
    return changed


def test_the_fingerprint_follows_every_part() -> None:
    classes, train, test = ("x", "y", "z"), split(0), split(1)
    prints = [
        fingerprint(classes, {"train": train, "test": test}),
        fingerprint(("x", "z", "y"), {"train": train, "test": test}),
        fingerprint(classes, {"train": test, "test": train}),
        fingerprint(classes, {"train": train}),
    ]
    for changed in (
        replace(train, images=changed_pixel(train.images)),
        replace(train, labels=changed_pixel(train.labels)),
        replace(train, images=train.images.reshape(2, 1, 4, 16)),
        replace(train, sources=("a", "c")),
        replace(train, sources=("ab", "")),
    ):
        prints.append(fingerprint(classes, {"train": changed, "test": test}))
    assert len(set(prints)) == len(prints)
    assert all(len(found) == 64 for found in prints)


def test_the_fingerprint_is_the_values_not_the_memory() -> None:
    one = split()
    other = replace(
        one,
        images=np.asfortranarray(one.images).astype(">f4"),
        labels=np.repeat(one.labels, 2, axis=0)[::2],
    )
    assert fingerprint(("x",), {"train": other}) == fingerprint(("x",), {"train": one})


def test_the_fingerprint_outlives_a_copy(tmp_path: Path) -> None:
    folder = draw_mouse_set(tmp_path / "one", count=5, size=32)
    before = data.load("mouse", folder, SMALL).fingerprint
    (tmp_path / "two").mkdir()
    for part in ("Image", "GroundTruth"):
        (tmp_path / "two" / part).mkdir()
        for path in sorted((folder / part).iterdir(), reverse=True):
            copy = Path(shutil.copyfile(path, tmp_path / "two" / part / path.name))
            os.utime(copy, (1, 1))
    assert data.load("mouse", tmp_path / "two", SMALL).fingerprint == before


def test_the_fingerprint_follows_the_split_and_the_label_map(tmp_path: Path) -> None:
    draw_drosophila_set(tmp_path, sections=4, size=32)
    parts = {"tile": 32, "train": "2-3", "validation": "1", "test": "0"}
    variants = [
        {},
        {"glia": "membrane"},
        {"train": "2"},
        {"train": "3,2"},
        {"validation": "0", "test": "1"},
        {"scale": 0.5},
        {"normalise": "percentile"},
    ]
    prints = {
        data.load("drosophila", tmp_path, drosophila.Options(**{**parts, **changes})).fingerprint
        for changes in variants
    }
    assert len(prints) == len(variants)


def test_the_registry_names_each_set_as_it_names_itself() -> None:
    assert {name: source.name for name, source in data.DATASETS.items()} == {
        "mouse": "mouse",
        "drosophila": "drosophila",
        "phantom": "phantom",
        "pairs": "pairs",
    }


@pytest.mark.parametrize("name", data.DATASETS)
def test_every_option_has_a_default_and_a_description(name: str) -> None:
    source = data.DATASETS[name]
    assert source.options() == source.options(**source.options().model_dump())
    assert all(field.description for field in source.options.model_fields.values())


@pytest.mark.parametrize("name", ["mouse", "drosophila", "phantom"])
def test_every_split_of_a_loaded_set_has_its_rows_and_all_classes(
    name: str, tmp_path: Path
) -> None:
    draw = {"mouse": draw_mouse_set, "drosophila": draw_drosophila_set}.get(name)
    options = drosophila.Options(tile=64) if name == "drosophila" else None
    found = data.load(name, draw(tmp_path) if draw else None, options)
    for part in found.splits.values():
        assert part.images.flags.writeable  # PyTorch warns otherwise
        assert len(part.sources) == len(part.images) == len(part.labels) == len(part)
        assert set(np.unique(part.labels)) == set(range(len(found.classes)))


@pytest.mark.parametrize("name", [n for n, s in data.DATASETS.items() if s.needs_folder])
def test_a_set_that_needs_a_folder_says_so(name: str) -> None:
    with pytest.raises(DatasetNotFound, match="named with --data-dir"):
        data.load(name, None)


@pytest.mark.parametrize("multiple", [8, 16])
def test_padding_is_mirrored_and_ignored(multiple: int) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.random((2, 1, 12, 17), dtype=np.float32), rng.integers(0, 3, (2, 12, 17))
    one = Split(images, labels.astype(np.uint8), ("a", "b"))
    found = one.padded(multiple)
    height, width = (16, 24) if multiple == 8 else (16, 32)
    assert found.images.shape == (2, 1, height, width)
    np.testing.assert_array_equal(found.labels[:, :12, :17], one.labels)
    assert np.count_nonzero(found.labels != data.IGNORED) == one.labels.size
    np.testing.assert_array_equal(
        found.images[:, :, 12:, :17], images[:, :, : 12 - height - 1 : -1]
    )
    assert found.padded(multiple).images is found.images


def test_a_set_without_files_needs_no_folder(tmp_path: Path) -> None:
    small = phantom.Options(train=1, validation=1, test=1)
    found = data.load("phantom", tmp_path / "nowhere", small)
    assert found.fingerprint == data.load("phantom", None, small).fingerprint


def test_an_unknown_name_tells_the_nearest() -> None:
    with pytest.raises(UnknownDataset, match="did you mean mouse"):
        data.load("mose", None)
    with pytest.raises(UnknownDataset, match="known are drosophila, mouse, pairs, phantom"):
        data.find("liver")


def test_importing_loads_nothing_heavy() -> None:
    heavy = ("torch", "optuna", "ray", "PIL", "tifffile", "scipy")
    code = f"import sys, fre_hpo.data; print([m for m in {heavy} if m in sys.modules])"
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
