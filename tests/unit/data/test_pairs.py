from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import formats
import forms
from forms import drawn, load
from fre_hpo import data
from fre_hpo.data import IGNORED, pairs
from fre_hpo.data.assembly import memory
from fre_hpo.data.assembly.survey import Reading
from fre_hpo.data.dataset import Split
from fre_hpo.data.pairs import Options
from fre_hpo.errors import DataProblems, DatasetNotFound


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The plain case: images/NN.png and masks/NN.png."""
    forms.LAYOUTS["images and masks"](tmp_path / "set")
    return tmp_path / "set"


def problems(folder: Path, **options: Any) -> list[str]:
    with pytest.raises(DataProblems) as caught:
        load(folder, options)
    return caught.value.problems


# --- options ------------------------------------------------------------------------------------


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "one class": ({"labels": {"cell": 1}}, "name at least two classes"),
    "a number twice": ({"labels": {"a": 0, "b": (1, 0)}}, "0 stands for two classes"),
    "no colour": ({"labels": {"a": "#000000", "b": "red"}}, "'red' is no colour"),
    "ignored and a class": ({"labels": {"a": 0, "b": 1}, "ignore": (1,)}, "stands for two classes"),
    "classes of instances": (
        {"labels": {"a": 0, "b": 1}, "instances": "boundary"},
        "instances = boundary makes its own classes: leave labels and ignore away",
    ),
    "ignored instances": ({"ignore": (3,), "instances": "foreground"}, "makes its own classes"),
    "channel 0": ({"channel": 0}, "a channel's number from 1"),
    "another channel": ({"channel": "red"}, "channel"),
    "falling percentiles": ({"percentiles": (99.0, 1.0)}, "two numbers that rise, from 0 to 100"),
    "percentiles above": ({"percentiles": (1.0, 100.5)}, "two numbers that rise, from 0 to 100"),
    "percentiles below": ({"percentiles": (-1.0, 99.0)}, "two numbers that rise, from 0 to 100"),
    "one fold": ({"folds": 1}, "fold = 0 of folds = 1: folds is 0 or from 2 on"),
    "fold beyond": ({"folds": 5, "fold": 5}, "fold = 5 of folds = 5"),
    "fold without folds": ({"fold": 1}, "fold = 1 of folds = 0"),
    "a share of all": ({"test": 1.0}, "test"),
    "a negative share": ({"validation": -0.1}, "validation"),
    "another split": ({"split": "seed"}, "split"),
    "an uneven scale": ({"scale": 0.7}, "is not one of 1, 1/2, 1/3"),
    "an odd tile": ({"tile": 100}, "must have a side that is a multiple of 8"),
    "an odd tile once shrunk": ({"tile": 24, "scale": 0.5}, "a multiple of 8"),
    "one template": ({"images": "{id}.*", "masks": "{id}.*"}, "let the two differ"),
    "an unknown placeholder": ({"images": "images/{name}.*"}, "the placeholders are"),
    "a path upward": ({"images": "../images/{id}.*"}, "leaves the folder"),
    "an unknown key": ({"mask": "masks/{id}.*"}, "mask"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_options_that_cannot_be_used(mistake: str) -> None:
    options, words = BAD[mistake]
    with pytest.raises(ValidationError, match=words):
        Options(**options)


def test_templates_are_not_looked_at_when_a_manifest_is_named() -> None:
    assert Options(manifest="pairs.csv", images="", masks="").manifest == "pairs.csv"


def test_options_say_how_pictures_are_read() -> None:
    options = Options(channel=2, normalise="percentile", percentiles=(0, 100), tile=32, scale=0.25)
    assert options.reading == Reading(2, "percentile", (0, 100), 32, 4)


# --- what is not there --------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, "nowhere"])
def test_a_folder_is_needed(name: str | None, tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound) as caught:
        data.load("pairs", tmp_path / name if name else None)
    assert "expected is a folder with the images and masks that the recipe names" in str(
        caught.value
    )
    assert "`fre-hpo data init FOLDER` looks at a folder and writes a recipe" in str(caught.value)


def test_classes_are_needed(folder: Path) -> None:
    found = problems(folder, labels={})
    assert len(found) == 1
    assert found[0].startswith(
        "data.labels is empty, so no mask can be read: name the classes there"
    )
    assert 'set data.instances = "boundary"' in found[0]


# --- the data set -------------------------------------------------------------------------------


def test_rows_are_named_after_their_files(folder: Path) -> None:
    found = load(folder, {})
    assert found.name == "pairs"
    assert found.train.sources == tuple(f"{n:02}.png" for n in range(6))
    assert found.test.sources == ("09.png", "10.png", "11.png")
    assert found.remarks == ()


def test_pages_and_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    forms.LAYOUTS["stack"](tmp_path / "stack")
    found = load(tmp_path / "stack", {"images": "stack.tif", "masks": "labels.tif"})
    assert found.validation.sources == ("stack.tif[7]", "stack.tif[8]", "stack.tif[9]")
    options = forms.LAYOUTS["movies"](tmp_path / "movies")
    assert load(tmp_path / "movies", options).validation.sources == (
        "03/t000.tif",
        "03/t001.tif",
        "03/t002.tif",
    )


def test_images_without_a_mask_are_left_out_when_that_is_said(folder: Path) -> None:
    (folder / "masks" / "02.png").unlink()
    (folder / "images" / "notes.txt").write_text("which dye?")
    assert any("02.png" in problem for problem in problems(folder))
    found = load(folder, {"unlabelled": "leave out"})
    assert "02.png" not in found.train.sources
    assert sum(map(len, found.splits.values())) == 11
    assert found.remarks == (
        f"Left out: 1 image without a mask, the first {folder / 'images' / '02.png'}.",
        f"Not read: 1 other file beside the pictures, the first {folder / 'images' / 'notes.txt'}.",
    )


def test_columns_that_are_passed_over_are_remarked(tmp_path: Path) -> None:
    options = forms.LAYOUTS["CSV"](tmp_path)
    table = tmp_path / "pairs.csv"
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([f"{head},stain", *(f"{row},DAPI" for row in rows)]))
    (remark,) = load(tmp_path, options).remarks
    assert "stain" in remark


def test_namesakes_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    """Or intervals would take two pictures for one."""
    for number, (picture, labels) in enumerate(zip(drawn().images, drawn().labels, strict=True)):
        animal = tmp_path / f"mouse{number}"
        formats.png(animal / "images" / "cells.png", picture)
        formats.png(animal / "masks" / "cells.png", labels)
    options = {"images": "{group}/images/{id}.png", "masks": "{group}/masks/{id}.png"}
    found = load(tmp_path, options)
    every = [source for split in found.splits.values() for source in split.sources]
    assert len(set(every)) == 12


def test_namesakes_may_lie_anywhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest names some files from the root on, and the folder itself is named from here."""
    outside = folder.parent / "elsewhere" / "02.png"
    formats.png(outside, drawn().images[3])
    rows = [f"images/{n:02}.png,masks/{n:02}.png" for n in range(12)]
    rows[3] = f"{outside},masks/03.png"
    (folder / "pairs.csv").write_text("\n".join(["image,mask", *rows]))
    monkeypatch.chdir(folder.parent)
    found = load(Path(folder.name), {"manifest": "pairs.csv", "allow_outside": True})
    every = [source for split in found.splits.values() for source in split.sources]
    assert len(set(every)) == 12


def test_the_fingerprint_follows_pixels_split_and_map(folder: Path) -> None:
    fingerprints = [
        load(folder, options).fingerprint
        for options in (
            {},
            {"labels": {"background": 0, "nucleus": 1, "membrane": 2}},
            {"labels": {"background": 0, "edge": 1, "nucleus": 2}},
            {"labels": {"membrane": 1, "background": 0, "nucleus": 2}},
            {"test": 0.4},
            {"split": "random"},
            {"tile": 24},
            {"scale": 0.5},
            {"normalise": "percentile"},
        )
    ]
    formats.png(folder / "images" / "07.png", drawn().images[0])
    formats.png(folder / "images" / "00.png", drawn().images[7])
    fingerprints.append(load(folder, {}).fingerprint)
    assert len(set(fingerprints)) == len(fingerprints)


def test_the_fingerprint_does_not_mind_how_the_pixels_are_kept(tmp_path: Path) -> None:
    prints = set()
    for name in ("lzw", "big_endian", "tiled"):
        folder = tmp_path / name
        forms.as_images(folder, formats.CONTAINERS[name], drawn().images)
        prints.add(load(folder, {}).fingerprint)
    assert len(prints) == 1


@pytest.mark.parametrize("write", [forms.LAYOUTS[n] for n in ("images and masks", "stack")])
def test_labels_are_there_in_every_split(write: Callable[[Path], Any], tmp_path: Path) -> None:
    found = load(tmp_path, write(tmp_path))
    for split in found.splits.values():
        assert set(np.unique(split.labels)) == {0, 1, 2}
        assert split.images.flags.writeable  # PyTorch warns otherwise


# --- tiles --------------------------------------------------------------------------------------


def _pieces(split: Split, source: str) -> int:
    return split.sources.count(source)


SIZES = {"a": (70, 110), "b": (32, 32), "c": (24, 41)}


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Three pictures of each size, three splits."""
    rng = np.random.default_rng(3)
    for name, shape in SIZES.items():
        for number in range(3):
            path = Path(f"{number}{name}.png")
            formats.png(tmp_path / "images" / path, rng.integers(0, 256, shape).astype(np.uint8))
            formats.png(tmp_path / "masks" / path, rng.integers(0, 3, shape).astype(np.uint8))
    return tmp_path


@pytest.mark.parametrize("tile", [0, 16, 64])
def test_every_pixel_counts_once_whatever_the_size(tile: int, odd: Path) -> None:
    found = load(odd, {"tile": tile, "validation": 1 / 3, "test": 1 / 3})
    for number, split in enumerate(found.splits.values()):
        assert (split.labels != IGNORED).sum() == sum(h * w for h, w in SIZES.values())
        assert split.labels.shape[1:] == ((tile, tile) if tile else (70, 110))
        for name, (height, width) in SIZES.items():
            rows = _pieces(split, f"{number}{name}.png")
            assert rows == (-(-height // tile) * -(-width // tile) if tile else 1)


def test_shrunk_pictures_lose_no_pixel_at_the_edge(odd: Path) -> None:
    found = load(odd, {"scale": 0.5, "validation": 1 / 3, "test": 1 / 3})
    halves = sum(-(-h // 2) * -(-w // 2) for h, w in SIZES.values())
    assert (found.train.labels != IGNORED).sum() == halves
    assert found.train.images.shape[2:] == (35, 55)


def test_tiles_in_which_everything_is_ignored_are_left_out(folder: Path) -> None:
    labels = drawn().labels[0].copy()
    labels[:24] = 9
    formats.png(folder / "masks" / "00.png", labels)
    found = load(folder, {"tile": 24, "ignore": (9,)})
    assert _pieces(found.train, "00.png") == 2
    assert _pieces(found.train, "01.png") == 4


# --- everything in one list ---------------------------------------------------------------------


def test_problems_of_names_headers_and_pixels_come_together(folder: Path) -> None:
    formats.png(folder / "masks" / "01.png", np.full((48, 48), 7, dtype=np.uint8))
    formats.png(folder / "masks" / "03.png", np.zeros((48, 47), dtype=np.uint8))
    (folder / "masks" / "05.png").unlink()
    (folder / "images" / "08.png").write_bytes(b"")
    found = problems(folder)
    assert len(found) == 4
    for name in ("01.png", "03.png", "05.png", "08.png"):
        assert sum(name in problem for problem in found) == 1, name


def test_a_bad_split_keeps_no_bad_pixel_from_being_told(folder: Path) -> None:
    formats.png(folder / "masks" / "01.png", np.full((48, 48), 7, dtype=np.uint8))
    found = problems(folder, validation=("nobody",))
    assert len(found) == 2
    assert "validation names nobody, but there is no such group" in found[0]
    assert "unknown label 7 in 2304 pixels" in found[1]


def test_nothing_is_decoded_that_would_not_fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formats.png(folder / "masks" / "01.png", np.full((48, 48), 7, dtype=np.uint8))
    formats.png(folder / "masks" / "03.png", np.zeros((48, 47), dtype=np.uint8))
    monkeypatch.setattr(memory, "available", lambda: 1000)
    found = problems(folder)
    assert len(found) == 2
    assert "but its mask" in found[0]
    assert "use a machine with more memory" in found[1]


def test_the_registry_knows_the_set() -> None:
    assert data.find("pairs") is pairs.SOURCE
    assert pairs.SOURCE.needs_folder
