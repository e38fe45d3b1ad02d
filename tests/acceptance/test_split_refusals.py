"""Splits and manifests that cannot be used, and problems of every kind in one list; nothing created."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import formats
from acceptance.refusing import Captured, intact, refuse, sentences, start, write_recipe
from formats import LABELS, png
from forms import COUNT, SIDE, drawn
from searching import fre_hpo


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An intact set; what is created, would be created beside it."""
    monkeypatch.chdir(tmp_path)
    return intact(tmp_path)


# --- splits -------------------------------------------------------------------------------------


def test_no_picture_validates(folder: Path, capsys: Captured) -> None:
    (problem,) = refuse(folder, capsys, validation=0.0)
    assert "validation" in problem


def test_a_split_without_a_label(folder: Path, capsys: Captured) -> None:
    for number in range(9, COUNT):
        png(folder / "masks" / f"{number:02}.png", np.full((SIDE, SIDE), 255, dtype=np.uint8))
    assert refuse(folder, capsys, ignore=[255]) == [
        f"test has no labelled pixel ({3 * SIDE**2} are ignored): give it pictures with labels"
    ]


def test_a_class_that_cannot_be_learned(folder: Path, capsys: Captured) -> None:
    labels = {**LABELS, "synapse": 9}
    (problem,) = refuse(folder, capsys, labels=labels)
    assert problem.startswith(f"train has no pixel of the class synapse (0 of {6 * SIDE**2})")


@pytest.mark.parametrize("again", ["PNG", "TIFF", "RGB", "palette"])
def test_the_same_content_in_two_splits(again: str, folder: Path, capsys: Captured) -> None:
    """A copy under another name, also saved in another form."""
    (folder / "images" / "10.png").unlink()
    encoding = {"TIFF": formats.CONTAINERS["lzw_predictor"], **formats.GREYS}[again]
    name = f"10{encoding.ending}"
    pixels = drawn().images.copy()
    if again in ("RGB", "palette"):  # all alike, or the number of channels differs
        for number in range(COUNT):
            encoding.write(folder / "images" / f"{number:02}.png", pixels[number])
    encoding.write(folder / "images" / name, pixels[3])
    assert refuse(folder, capsys) == [
        f"{name} in test has the same content as 03.png in train: take one of them away, with "
        "its mask"
    ]


def test_the_same_group_in_two_given_splits(tmp_path: Path, capsys: Captured) -> None:
    folder = tmp_path / "set"
    for n, (split, group) in enumerate(zip("aaaaaabbbccc", "112233344455", strict=True)):
        word = {"a": "train", "b": "val", "c": "test"}[split]
        for kind, pixels in (("images", drawn().images[n]), ("masks", drawn().labels[n])):
            png(folder / word / kind / f"patient{group}_{n:02}.png", pixels)
    images, masks = (f"{{split}}/{kind}/{{group}}_{{id}}.*" for kind in ("images", "masks"))
    assert sorted(refuse(folder, capsys, split="given", images=images, masks=masks)) == [
        "the group patient3 is in train (2 pictures) and validation (1 picture): put its pictures "
        "into one split",
        "the group patient4 is in validation (2 pictures) and test (1 picture): put its pictures "
        "into one split",
    ]


# --- manifests ----------------------------------------------------------------------------------


def manifest(folder: Path, **changes: str) -> Path:
    """pairs.csv lists all pictures; the fourth row has other cells."""
    rows = [{"image": f"images/{n:02}.png", "mask": f"masks/{n:02}.png"} for n in range(COUNT)]
    rows[3] |= changes
    path = folder / "pairs.csv"
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["image", "mask"])
        table.writeheader()
        table.writerows(rows)
    return path


@pytest.mark.parametrize("way", ["..", "absolute", "link", "linked folder"])
def test_a_manifest_that_leaves_its_folder(way: str, folder: Path, capsys: Captured) -> None:
    """Refused with the line, unless the recipe allows it."""
    outside = folder.parent / "elsewhere" / "03.png"
    png(outside, drawn().images[3])
    (folder / "images" / "03.png").unlink()
    (folder / "link.png").symlink_to(outside)
    (folder / "linked").symlink_to(outside.parent, target_is_directory=True)
    name = {
        "..": "../elsewhere/03.png",
        "absolute": str(outside),
        "link": "link.png",
        "linked folder": "linked/03.png",
    }[way]
    manifest(folder, image=name)
    (problem,) = refuse(folder, capsys, manifest="pairs.csv")
    for word in (str(folder / "pairs.csv"), "line 5", name, "allow_outside"):
        assert word in problem
    allowed = {"manifest": "pairs.csv", "allow_outside": True}
    assert start(folder, allowed, "--dry-run") == 0, capsys.readouterr().err


MANIFESTS = {
    "a missing image": ({"image": "images/40.png"}, ["line 5", "images/40.png"]),
    "a missing mask": ({"mask": "masks/40.png"}, ["line 5", "masks/40.png"]),
    "an empty cell": ({"mask": ""}, ["line 5", "mask"]),
    "an image twice": ({"image": "images/02.png"}, ["line 5", "line 4", "images/02.png"]),
    "a mask twice": ({"mask": "masks/02.png"}, ["line 5", "line 4", "masks/02.png"]),
}


@pytest.mark.parametrize("mistake", MANIFESTS)
def test_a_manifest_with_a_mistake(mistake: str, folder: Path, capsys: Captured) -> None:
    changes, words = MANIFESTS[mistake]
    manifest(folder, **changes)
    (problem,) = refuse(folder, capsys, manifest="pairs.csv")
    assert all(word in problem for word in words)


# --- together -----------------------------------------------------------------------------------


def plant_three(folder: Path) -> None:
    """A mask is gone, another has a number of no class, and an image is empty."""
    (folder / "masks" / "01.png").unlink()
    labels = drawn().labels[5].copy()
    labels[2:5, 3:8] = 7
    png(folder / "masks" / "05.png", labels)
    (folder / "images" / "08.png").write_bytes(b"")


THREE = [
    "{set}/images/01.png has no partner masks/01.png: ",
    "{set}/images/08.png is empty (0 bytes): ",
    "{set}/masks/05.png has the unknown label 7 in 15 pixels ",
]


def assert_all_three(found: list[str], folder: Path) -> None:
    assert len(found) == 3
    for problem, beginning in zip(sorted(found), THREE, strict=True):
        assert problem.startswith(beginning.replace("{set}", str(folder)))


def test_three_problems_come_in_one_list(folder: Path, capsys: Captured) -> None:
    plant_three(folder)
    assert_all_three(refuse(folder, capsys), folder)


def test_problems_of_names_files_sizes_pixels_and_splits_come_in_one_list(
    folder: Path, capsys: Captured
) -> None:
    plant_three(folder)
    png(folder / "masks" / "09.png", np.zeros((SIDE, 8), dtype=np.uint8))
    (folder / "masks" / "07.png").write_text("nothing")
    of_files = refuse(folder, capsys, validation=["nobody"])
    (of_split,) = (problem for problem in of_files if "nobody" in problem)
    of_files.remove(of_split)
    assert len(of_files) == 5
    for name in ("01.png", "05.png", "07.png", "08.png", "09.png"):
        assert sum(name in problem for problem in of_files) == 1


def test_a_process_of_its_own_creates_nothing_either(folder: Path, home: Path) -> None:
    plant_three(folder)
    recipe = write_recipe(folder, {})
    before = sorted(folder.parent.rglob("*"))
    result = fre_hpo("start", "--dataset", str(recipe), home=home)
    assert (result.returncode, result.stdout) == (1, "")
    assert_all_three(sentences(result.stderr), folder)
    assert sorted(folder.parent.rglob("*")) == before
    assert not home.exists()
