"""Every way in which a laboratory's own pictures can be wrong: one list of sentences, nothing created.

Each test breaks an intact set and starts a search on it, in this process; `start` answers before it
creates anything.
"""

from __future__ import annotations

import csv
import json
import re
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

import formats
import forms
from formats import LABELS, RGB, png, tiff
from forms import COUNT, IN_ORDER, SIDE, drawn
from fre_hpo.cli.main import run
from searching import fre_hpo

Captured = pytest.CaptureFixture[str]
Plant = Callable[[Path], None]

SHORT = ["--executor", "inline", "--trials", "1", "--epochs", "1", "--set", "model.widths=2,4"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An intact set of images/NN.png and masks/NN.png beside its recipe, which is yet to be written."""
    monkeypatch.chdir(tmp_path)
    forms.LAYOUTS["images and masks"](tmp_path / "set")
    return tmp_path / "set"


def write_recipe(folder: Path, options: Mapping[str, Any]) -> Path:
    values = {"folder": folder.name, "labels": LABELS, **IN_ORDER, **options}
    lines = ['dataset = "pairs"', "[data]", *(f"{k} = {_toml(v)}" for k, v in values.items())]
    path = folder.with_suffix(".toml")
    path.write_text("\n".join(lines) + "\n")
    return path


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value)


def start(folder: Path, options: Mapping[str, Any], *more: str) -> int:
    """Were nothing wrong, the search would be over in a moment."""
    recipe = write_recipe(folder, options)
    return run(["start", "--dataset", str(recipe), *SHORT, *more])


def refuse(folder: Path, capsys: Captured, **options: Any) -> list[str]:
    """The problems that a start finds, which must change nothing."""
    write_recipe(folder, options)
    before = sorted(folder.parent.rglob("*"))
    code = start(folder, options)
    out, err = capsys.readouterr()
    assert (code, out) == (1, ""), err
    assert sorted(folder.parent.rglob("*")) == before
    return sentences(err)


def sentences(error: str) -> list[str]:
    """What is told: alone after "Error:", or in a numbered list."""
    assert "Traceback" not in error
    heading, *numbered = error.splitlines()
    if not numbered:
        return [heading.removeprefix("Error: ")]
    assert heading == f"Error: {len(numbered)} problems were found; nothing was created:"
    found = []
    for number, line in enumerate(numbered, 1):
        assert line.startswith(f"  {number}. ")
        found.append(line.removeprefix(f"  {number}. "))
    return found


def refused(
    folder: Path, capsys: Captured, plant: Plant, options: Mapping[str, Any], words: Sequence[str]
) -> None:
    """One sentence, which has all the words; {set} among them is the folder."""
    plant(folder)
    found = refuse(folder, capsys, **options)
    assert len(found) == 1, found
    for word in words:
        assert word.replace("{set}", str(folder)) in found[0]
    assert re.search(r": \S+.*\w", found[0]), "says what to do"


@dataclass(frozen=True)
class Case:
    """How a set is broken, what its recipe says besides, and words of the sentence."""

    plant: Plant
    words: Sequence[str]
    options: Mapping[str, Any] = field(default_factory=dict)


def cases(named: Mapping[str, Case]) -> Any:
    return pytest.mark.parametrize("case", named.values(), ids=named.keys())


def test_the_set_is_good_until_something_is_planted(folder: Path, capsys: Captured) -> None:
    assert start(folder, {}, "--dry-run") == 0, capsys.readouterr().err


# --- names --------------------------------------------------------------------------------------


def remove(name: str) -> Plant:
    return lambda folder: (folder / name).unlink()


def copy(name: str, other: str) -> Plant:
    def plant(folder: Path) -> None:
        (folder / other).write_bytes((folder / name).read_bytes())

    return plant


NAMES = {
    "missing mask": Case(
        remove("masks/04.png"), ["{set}/images/04.png has no partner masks/04.png: add that file"]
    ),
    "extra mask": Case(
        remove("images/04.png"), ["{set}/masks/04.png has no partner images/04.png: add that file"]
    ),
    "two masks": Case(
        copy("masks/04.png", "masks/04.tif"),
        ["{set}/masks/04", ".png", ".tif", "masks of the same name: keep or rename one"],
    ),
    "two images": Case(
        copy("images/04.png", "images/04.bmp"),
        ["{set}/images/04", ".png", ".bmp", "images of the same name: keep or rename one"],
    ),
    "masks that differ in zeros": Case(
        copy("masks/04.png", "masks/004.png"),
        ["004.png", "04.png", "differ only in leading zeros", "keep or rename one"],
    ),
    "nothing where the template looks": Case(
        lambda folder: None, ["{set}", "labels", "masks"], {"masks": "labels/{id}.*"}
    ),
}


@cases(NAMES)
def test_names(case: Case, folder: Path, capsys: Captured) -> None:
    refused(folder, capsys, case.plant, case.options, case.words)


# --- files that are no whole picture ------------------------------------------------------------


def content(name: str, change: Callable[[bytes], bytes]) -> Plant:
    def plant(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return plant


def saved(name: str, other: str, write: Callable[[Path, Any], None]) -> Plant:
    """The picture under another name, written otherwise."""

    def plant(folder: Path) -> None:
        pixels = np.asarray(Image.open(folder / name))
        (folder / name).unlink()
        write(folder / other, pixels)

    return plant


def then(*plants: Plant) -> Plant:
    def plant(folder: Path) -> None:
        for each in plants:
            each(folder)

    return plant


NPY = b"\x93NUMPY\x01\x00v\x00{'descr': '|u1'}"
FILES = {
    "zero bytes": Case(
        content("images/03.png", lambda b: b""), ["{set}/images/03.png", "is empty"]
    ),
    "zero bytes, mask": Case(
        content("masks/03.png", lambda b: b""), ["{set}/masks/03.png is empty"]
    ),
    "cut PNG": Case(
        content("images/03.png", lambda b: b[:-100]), ["{set}/images/03.png", "cut short", "intact"]
    ),
    "cut PNG, mask": Case(
        content("masks/03.png", lambda b: b[: len(b) // 2]), ["{set}/masks/03.png", "intact file"]
    ),
    "PNG without its end": Case(
        content("images/03.png", lambda b: b[:-12]), ["{set}/images/03.png", "intact file"]
    ),
    "a flipped bit": Case(
        content("images/03.png", lambda b: b[:500] + bytes([b[500] ^ 1]) + b[501:]),
        ["{set}/images/03.png", "intact file"],
    ),
    "cut TIFF": Case(
        then(
            saved("images/03.png", "images/03.tif", tiff),
            content("images/03.tif", lambda b: b[:-200]),
        ),
        ["{set}/images/03.tif", "cut short", "intact"],
    ),
    "cut JPEG": Case(
        then(
            saved("images/03.png", "images/03.jpg", formats.pillow),
            content("images/03.jpg", lambda b: b[:-200]),
        ),
        ["{set}/images/03.jpg", "intact"],
    ),
    "text": Case(
        content("images/03.png", lambda b: b"The picture is on the other disk.\n"),
        ["{set}/images/03.png", "is a text file"],
    ),
    "text, mask": Case(
        content("masks/03.png", lambda b: b"<html>404 not found</html>"),
        ["{set}/masks/03.png", "save it as PNG or TIFF"],
    ),
    "an array": Case(
        content("images/03.png", lambda b: NPY), ["{set}/images/03.png", "save it as PNG or TIFF"]
    ),
    "a pointer": Case(
        content("images/03.png", lambda b: b"version https://git-lfs.github.com/spec/v1\n"),
        ["{set}/images/03.png", "git"],
    ),
}


@cases(FILES)
def test_files(case: Case, folder: Path, capsys: Captured) -> None:
    refused(folder, capsys, case.plant, case.options, case.words)


STACK = {"images": "stack.tif", "masks": "labels.tif"}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("name", ["stack page by page", "stack LZW", "ImageJ stack", "OME stack"])
def test_a_stack_cut_short(name: str, share: float, tmp_path: Path, capsys: Captured) -> None:
    folder = tmp_path / "set"
    forms.LAYOUTS[name](folder)
    whole = (folder / "stack.tif").read_bytes()
    (folder / "stack.tif").write_bytes(whole[: int(share * len(whole))])
    refused(folder, capsys, lambda _: None, STACK, ["{set}/stack.tif", "intact file"])


def test_a_stack_of_which_one_page_is_left_to_tifffile(tmp_path: Path, capsys: Captured) -> None:
    """Cut where the second page is described, the file opens without an exception as a single page."""
    folder = tmp_path / "set"
    forms.LAYOUTS["stack page by page"](folder)
    path = folder / "stack.tif"
    with tifffile.TiffFile(path) as file:
        cut = file.pages[1].offset
    path.write_bytes(path.read_bytes()[:cut])
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 1
        assert file.asarray().shape == (SIDE, SIDE)
    refused(folder, capsys, lambda _: None, STACK, ["{set}/stack.tif", "intact file"])


def test_more_pages_than_masks(tmp_path: Path, capsys: Captured) -> None:
    folder = tmp_path / "set"
    forms.LAYOUTS["stack"](folder)
    tiff(folder / "labels.tif", drawn().labels[:-2])
    words = ["{set}/stack.tif has 12 pages but its mask {set}/labels.tif has 10: give each picture"]
    refused(folder, capsys, lambda _: None, STACK, words)


# --- pixels -------------------------------------------------------------------------------------


def mask(name: str, change: Callable[[Any], Any], write: Any = png) -> Plant:
    """A mask with other numbers, under a name of its own."""

    def plant(folder: Path) -> None:
        (folder / "masks" / "05.png").unlink()
        write(folder / "masks" / name, change(drawn().labels[5].copy()))

    return plant


def painted(value: int) -> Callable[[Any], Any]:
    def change(labels: Any) -> Any:
        labels[2:5, 3:8] = value
        return labels

    return change


def in_colours(change: Callable[[Any], Any]) -> Plant:
    """All masks in colours, one of them changed."""

    def plant(folder: Path) -> None:
        for number, labels in enumerate(drawn().labels):
            png(folder / "masks" / f"{number:02}.png", RGB[labels])
        png(folder / "masks" / "05.png", change(RGB[drawn().labels[5]].copy()))

    return plant


def jpeg(path: Path, pixels: Any) -> None:
    Image.fromarray(pixels).save(path, format="JPEG", quality=95)


def webp(path: Path, pixels: Any) -> None:
    Image.fromarray(pixels).convert("RGB").save(path, format="WEBP", quality=95)


def smoothed(labels: Any) -> Any:
    """Made smaller and large again, as a drawing program does it unasked."""
    small = Image.fromarray(labels).resize((40, 40), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def blue(pixels: Any) -> Any:
    pixels[2:5, 3:8] = (0, 0, 255)
    return pixels


MASKS = {
    "another size": Case(
        mask("05.png", lambda n: n[:-3]),
        [
            "{set}/images/05.png is 48x48 but its mask {set}/masks/05.png is 45x48: give both one size"
        ],
    ),
    "turned": Case(
        then(
            lambda folder: png(folder / "images" / "05.png", drawn().images[5][:40]),
            mask("05.png", lambda n: n[:40].T),
        ),
        ["{set}/images/05.png is 40x48 but its mask {set}/masks/05.png is 48x40"],
    ),
    "a number outside the map": Case(
        mask("05.png", painted(7)),
        [
            "{set}/masks/05.png has the unknown label 7 in 15 pixels (known are background 0; membrane "
            "1; nucleus 2): repaint it"
        ],
    ),
    "a number that looks like one of the map": Case(
        mask("05.png", lambda n: painted(257)(n.astype(np.uint16))),
        ["{set}/masks/05.png has the unknown label 257 in 15 pixels"],
    ),
    "a colour outside the map": Case(
        in_colours(blue),
        ["{set}/masks/05.png has the unknown colour", "in 15 pixels", "nucleus"],
        {"labels": formats.COLOURS},
    ),
    "colours where numbers are named": Case(
        mask("05.png", lambda n: RGB[n]), ["{set}/masks/05.png", "colour", "data.labels"]
    ),
    "JPEG": Case(
        mask("05.jpg", lambda n: n * np.uint8(127), jpeg),
        ["{set}/masks/05.jpg", "stored with loss (JPEG)", "PNG"],
    ),
    "JPEG named .png": Case(
        mask("05.png", lambda n: n * np.uint8(127), jpeg),
        ["{set}/masks/05.png", "stored with loss (JPEG)"],
    ),
    "JPEG inside TIFF": Case(
        mask("05.tif", lambda n: n, lambda p, n: tiff(p, n, compression="jpeg")),
        ["{set}/masks/05.tif", "stored with loss"],
    ),
    "lossy WebP": Case(
        mask("05.webp", lambda n: n, webp), ["{set}/masks/05.webp", "stored with loss"]
    ),
    "fractions": Case(
        mask("05.tif", lambda n: n.astype(np.float32), tiff), ["{set}/masks/05.tif", "float32"]
    ),
    "instance labels": Case(
        mask(
            "05.png",
            lambda n: np.repeat(np.repeat(np.arange(144).reshape(12, 12), 4, 0), 4, 1).astype(
                np.uint16
            ),
        ),
        ["{set}/masks/05.png", "looks like instance labels", 'data.instances = "boundary"'],
    ),
    "smoothed edges": Case(
        then(
            lambda folder: (
                [
                    png(folder / "masks" / f"{n:02}.png", np.uint8(255) * (labels > 0))
                    for n, labels in enumerate(drawn().labels)
                ]
                and None
            ),
            mask("05.png", lambda n: smoothed(np.uint8(255) * (n > 0))),
        ),
        ["{set}/masks/05.png", "smoothed or resized edges", "export the mask without smoothing"],
        {"labels": {"background": 0, "cell": 255}},
    ),
}


@cases(MASKS)
def test_masks(case: Case, folder: Path, capsys: Captured) -> None:
    refused(folder, capsys, case.plant, case.options, case.words)


def image(change: Callable[[Any], Any], name: str = "05.tif", **how: Any) -> Plant:
    def plant(folder: Path) -> None:
        (folder / "images" / "05.png").unlink()
        tiff(folder / "images" / name, change(drawn().images[5].copy()), **how)

    return plant


def with_value(value: float) -> Callable[[Any], Any]:
    def change(pixels: Any) -> Any:
        pixels = pixels.astype(np.float32)
        pixels[0, :7] = value
        return pixels

    return change


def huge_png(folder: Path) -> None:
    path = folder / "images" / "05.png"
    data = bytearray(path.read_bytes())
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)


def huge_tiff(folder: Path) -> None:
    (folder / "images" / "05.png").unlink()
    (folder / "masks" / "05.png").unlink()
    for kind in ("images", "masks"):
        path = folder / kind / "05.tif"
        with tifffile.TiffWriter(path) as file:
            tile = np.zeros((1024, 1024), dtype=np.uint8)
            count = (-(-100_000 // 1024)) ** 2
            packed = zlib.compress(tile.tobytes())
            file.write(
                (packed for _ in range(count)),
                shape=(100_000, 100_000),
                dtype="u1",
                tile=tile.shape,
                compression="zlib",
                photometric="minisblack",
            )


IMAGES = {
    "not a number": Case(image(with_value(np.nan)), ["{set}/images/05.tif", "7", "NaN"]),
    "infinite": Case(image(with_value(-np.inf)), ["{set}/images/05.tif", "7", "infinite"]),
    "mixed channels": Case(
        image(lambda p: formats.spectrum()[p], photometric="rgb"),
        ["{set}/images/05.tif has 3 channels while 11 pictures have 1: save all alike"],
    ),
    "channels of which none is stated": Case(
        lambda folder: (
            [
                formats.HYPERSTACKS["imagej_second_channel"].write(
                    (folder / "images" / f"{n:02}.png").rename(folder / "images" / f"{n:02}.tif"),
                    drawn().images[n],
                )
                for n in range(COUNT)
            ]
            and None
        ),
        ["{set}/images/", "3 channels", "data.channel"],
    ),
    "a huge TIFF": Case(huge_tiff, ["{set}/images/05.tif is 100000x100000", "GB", "more memory"]),
}


@cases(IMAGES)
def test_images(case: Case, folder: Path, capsys: Captured) -> None:
    began = time.monotonic()
    case.plant(folder)
    found = refuse(folder, capsys, **case.options)
    assert time.monotonic() - began < 10
    for problem in found:
        for word in case.words:
            assert word.replace("{set}", str(folder)) in problem
    assert len(found) == (COUNT if "images/" in case.words[0][-8:] else 1)


def test_a_huge_header_in_a_small_file(folder: Path, capsys: Captured) -> None:
    huge_png(folder)
    began = time.monotonic()
    found = refuse(folder, capsys)
    assert time.monotonic() - began < 2
    assert any("images/05.png is 100000x100000" in problem for problem in found)
    assert all("05.png" in problem for problem in found)


@pytest.mark.parametrize("compression", ["lzw", "zstd", "packbits"])
def test_a_missing_codec(
    compression: str, folder: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    image(lambda pixels: pixels, compression=compression)(folder)

    def absent(*_: Any, **__: Any) -> None:
        raise imagecodecs.DelayedImportError(compression)

    monkeypatch.setattr(imagecodecs, f"{compression}_decode", absent)
    (problem,) = refuse(folder, capsys)
    for word in (str(folder / "images" / "05.tif"), compression, "pip install imagecodecs"):
        assert word.lower() in problem.lower()


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
        f"{name} in test has the same content as 03.png in train: leave it in one, or give both one "
        "group"
    ]


def test_the_same_group_in_two_given_splits(tmp_path: Path, capsys: Captured) -> None:
    folder = tmp_path / "set"
    for n, (split, group) in enumerate(zip("aaaaaabbbccc", "112233344455", strict=True)):
        word = {"a": "train", "b": "val", "c": "test"}[split]
        for kind, pixels in (("images", drawn().images[n]), ("masks", drawn().labels[n])):
            png(folder / word / kind / f"patient{group}_{n:02}.png", pixels)
    images, masks = (f"{{split}}/{kind}/{{group}}_{{id}}.*" for kind in ("images", "masks"))
    assert sorted(refuse(folder, capsys, split="given", images=images, masks=masks)) == [
        "the group patient3 is in train (2), validation (1): put its pictures into one split",
        "the group patient4 is in validation (2), test (1): put its pictures into one split",
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


def test_problems_of_every_kind_come_in_one_list(folder: Path, capsys: Captured) -> None:
    remove("masks/01.png")(folder)
    content("images/03.png", lambda data: data[:-100])(folder)
    mask("05.png", painted(7))(folder)
    content("masks/07.png", lambda data: b"nothing")(folder)
    png(folder / "masks" / "09.png", np.zeros((SIDE, 8), dtype=np.uint8))
    found = refuse(folder, capsys)
    assert len(found) == 5
    for name in ("01.png", "03.png", "05.png", "07.png", "09.png"):
        assert sum(name in problem for problem in found) == 1


def test_a_process_of_its_own_creates_nothing_either(folder: Path, home: Path) -> None:
    remove("masks/01.png")(folder)
    mask("05.png", painted(7))(folder)
    content("images/08.png", lambda data: b"")(folder)
    recipe = write_recipe(folder, {})
    before = sorted(folder.parent.rglob("*"))
    result = fre_hpo("start", "--dataset", str(recipe), home=home)
    assert (result.returncode, result.stdout) == (1, "")
    assert len(sentences(result.stderr)) == 3
    assert sorted(folder.parent.rglob("*")) == before
    assert not home.exists()
