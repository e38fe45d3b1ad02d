"""Every way in which a laboratory's own pictures can be wrong: one sentence each, nothing created.

Each test breaks an intact set and starts a search on it, in this process; `start` answers before it
creates anything.
"""

from __future__ import annotations

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
from acceptance.refusing import Captured, assert_told, intact, refuse, start
from formats import RGB, png, tiff
from forms import COUNT, SIDE, drawn
from fre_hpo.data.assembly import memory

Plant = Callable[[Path], None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An intact set; what is created, would be created beside it."""
    monkeypatch.chdir(tmp_path)
    return intact(tmp_path)


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
    case.plant(folder)
    assert_told(refuse(folder, capsys, **case.options), folder, *case.words)


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
    case.plant(folder)
    assert_told(refuse(folder, capsys, **case.options), folder, *case.words)


STACK = {"images": "stack.tif", "masks": "labels.tif"}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("name", ["stack page by page", "stack LZW", "ImageJ stack", "OME stack"])
def test_a_stack_cut_short(name: str, share: float, tmp_path: Path, capsys: Captured) -> None:
    folder = tmp_path / "set"
    forms.LAYOUTS[name](folder)
    whole = (folder / "stack.tif").read_bytes()
    (folder / "stack.tif").write_bytes(whole[: int(share * len(whole))])
    assert_told(refuse(folder, capsys, **STACK), folder, "{set}/stack.tif", "intact file")


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
    assert_told(refuse(folder, capsys, **STACK), folder, "{set}/stack.tif", "intact file")


def test_more_pages_than_masks(tmp_path: Path, capsys: Captured) -> None:
    folder = tmp_path / "set"
    forms.LAYOUTS["stack"](folder)
    tiff(folder / "labels.tif", drawn().labels[:-2])
    words = "{set}/stack.tif has 12 pages but its mask {set}/labels.tif has 10: give each picture"
    assert_told(refuse(folder, capsys, **STACK), folder, words)


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


def black_and_white(folder: Path) -> None:
    for number, labels in enumerate(drawn().labels):
        png(folder / "masks" / f"{number:02}.png", np.uint8(255) * (labels > 0))


def smoothed(labels: Any) -> Any:
    """Made smaller and large again, as a drawing program does it unasked."""
    small = Image.fromarray(labels).resize((40, 40), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def blue(pixels: Any) -> Any:
    pixels[2:5, 3:8] = (0, 0, 255)
    return pixels


TISSUE = np.arange(144, dtype=np.uint16).reshape(12, 12)
"""A number for each of many small cells."""

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
        mask("05.png", lambda n: np.kron(TISSUE, np.ones((4, 4), dtype=np.uint16))),
        ["{set}/masks/05.png", "looks like instance labels", 'data.instances = "boundary"'],
    ),
    "smoothed edges": Case(
        then(black_and_white, mask("05.png", lambda n: smoothed(np.uint8(255) * (n > 0)))),
        ["{set}/masks/05.png", "smoothed or resized edges", "export the mask without smoothing"],
        {"labels": {"background": 0, "cell": 255}},
    ),
}


@cases(MASKS)
def test_masks(case: Case, folder: Path, capsys: Captured) -> None:
    case.plant(folder)
    assert_told(refuse(folder, capsys, **case.options), folder, *case.words)


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
        ["{set}/images/05.tif has 3 channels while 11 other pictures have 1: save all alike"],
    ),
    "a huge TIFF": Case(huge_tiff, ["{set}/images/05.tif is 100000x100000", "GB", "more memory"]),
}


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 GB, on whatever machine."""
    monkeypatch.setattr(memory, "available", lambda: 16 * 1024**3)


@cases(IMAGES)
@pytest.mark.usefixtures("little_memory")
def test_images(case: Case, folder: Path, capsys: Captured) -> None:
    case.plant(folder)
    began = time.monotonic()
    found = refuse(folder, capsys, **case.options)
    assert time.monotonic() - began < 5
    assert_told(found, folder, *case.words)


def test_a_channel_that_is_not_there(folder: Path, capsys: Captured) -> None:
    found = refuse(folder, capsys, channel=2)
    assert len(found) == COUNT
    for number, problem in enumerate(found):
        assert_told([problem], folder, f"{{set}}/images/{number:02}.png", "channel", "data.channel")


def test_channels_of_which_none_is_stated(tmp_path: Path, capsys: Captured) -> None:
    options = forms.as_images(
        tmp_path / "set", formats.HYPERSTACKS["imagej_second_channel"], drawn().images
    )
    assert options == {"channel": 2}
    found = refuse(tmp_path / "set", capsys)
    assert len(found) == COUNT
    for number, problem in enumerate(found):
        name = f"{{set}}/images/{number:02}.tif"
        assert_told([problem], tmp_path / "set", name, "3 channels", "data.channel")


@pytest.mark.usefixtures("little_memory")
def test_a_huge_header_in_a_small_file(folder: Path, capsys: Captured) -> None:
    huge_png(folder)
    began = time.monotonic()
    found = refuse(folder, capsys)
    assert time.monotonic() - began < 5
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
    monkeypatch.setattr(tifffile.TIFF.DECOMPRESSORS, "_codecs", {})  # or it takes the one it had
    (problem,) = refuse(folder, capsys)
    for word in (str(folder / "images" / "05.tif"), compression, "pip install imagecodecs"):
        assert word.lower() in problem.lower()
