"""One drawn set in every form loads to the identical arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

import formats
import forms
from formats import Encoding, Options, Pixels
from forms import PARTS, drawn, load
from fre_hpo import data
from fre_hpo.data import IGNORED, Dataset, drosophila, pairs


def assert_holds(found: Dataset, images: Pixels, labels: Pixels) -> None:
    """images: normalised, (n, height, width) or (n, channels, height, width)."""
    wanted = images[:, None] if images.ndim == 3 else images
    for split, part in PARTS.items():
        np.testing.assert_array_equal(found.splits[split].images, wanted[part], err_msg=split)
        np.testing.assert_array_equal(found.splits[split].labels, labels[part], err_msg=split)


def full_scale(images: Pixels) -> Pixels:
    return (images / np.float64(255)).astype(np.float32)


def stretched(images: Pixels, low: float = 1, high: float = 99.8) -> Pixels:
    """Each picture's percentiles, found by sorting, become 0 and 1."""
    found = []
    for picture in images:
        values = np.sort(picture, axis=None).astype(np.float64)
        ends = [values[round(percent / 100 * (values.size - 1))] for percent in (low, high)]
        found.append(np.clip((picture - ends[0]) / (ends[1] - ends[0]), -1, 4))
    return np.stack(found).astype(np.float32)


def forms_of(named: dict[str, Encoding]) -> Any:
    return pytest.mark.parametrize("encoding", named.values(), ids=named.keys())


@pytest.mark.parametrize("write", forms.LAYOUTS.values(), ids=forms.LAYOUTS.keys())
def test_layouts(write: Callable[[Path], Options], tmp_path: Path) -> None:
    found = load(tmp_path, write(tmp_path))
    assert_holds(found, full_scale(drawn().images), drawn().labels)
    assert found.classes == ("background", "membrane", "nucleus")


# --- images -------------------------------------------------------------------------------------


@forms_of(formats.GREYS)
def test_images_of_8_bits(encoding: Encoding, tmp_path: Path) -> None:
    options = forms.as_images(tmp_path, encoding, drawn().images)
    assert_holds(load(tmp_path, options), full_scale(drawn().images), drawn().labels)


@forms_of(formats.DEEP)
def test_images_of_16_bits(encoding: Encoding, tmp_path: Path) -> None:
    options = forms.as_images(tmp_path, encoding, drawn().deep)
    assert_holds(load(tmp_path, options), stretched(drawn().deep), drawn().labels)


def test_8_and_16_bits_of_full_scale_are_the_same_picture(tmp_path: Path) -> None:
    forms.as_images(tmp_path, formats.DEEP["lzw"], drawn().images * np.uint16(257))
    found = load(tmp_path, {"normalise": "full-scale"})
    assert_holds(found, full_scale(drawn().images), drawn().labels)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "i4", "f4", "f8"])
@pytest.mark.parametrize("name", ["plain", "lzw_predictor", "big_endian"])
def test_images_of_any_number_type(name: str, dtype: str, tmp_path: Path) -> None:
    how: dict[str, Any] = {
        "plain": {},
        "lzw_predictor": {"compression": "lzw", "predictor": True},
        "big_endian": {"byteorder": ">"},
    }[name]
    encoding = Encoding(".tif", lambda path, p: formats.tiff(path, p.astype(dtype), **how))
    forms.as_images(tmp_path, encoding, drawn().images)
    found = load(tmp_path, {"normalise": "percentile", "percentiles": (2.0, 98.0)})
    assert_holds(found, stretched(drawn().images, 2, 98), drawn().labels)


@pytest.fixture(scope="module")
def coloured() -> Pixels:
    """The drawn pictures in colours, (n, height, width, 3)."""
    return formats.spectrum()[drawn().images]


@forms_of(formats.COLOURED)
def test_colours(encoding: Encoding, tmp_path: Path, coloured: Pixels) -> None:
    forms.as_images(tmp_path, encoding, coloured)
    found = load(tmp_path, {"channel": "all"})
    assert_holds(found, full_scale(np.moveaxis(coloured, -1, 1)), drawn().labels)
    found = load(tmp_path, {"channel": 2})
    assert_holds(found, full_scale(coloured[..., 1]), drawn().labels)


@pytest.mark.parametrize("name", ["PNG", "PNG and alpha", "palette", "TIFF", "planar", "OME RGB"])
def test_colours_become_luminance(name: str, tmp_path: Path, coloured: Pixels) -> None:
    """By the rule of ITU-R BT.601 in whole numbers, as Pillow and the laboratory's loader have it."""
    forms.as_images(tmp_path, formats.COLOURED[name], coloured)
    grey = np.stack([np.asarray(Image.fromarray(c).convert("L")) for c in coloured])
    assert_holds(load(tmp_path, {}), full_scale(grey), drawn().labels)


def test_one_bit_images_are_black_and_white(tmp_path: Path) -> None:
    bright = drawn().images > 60
    forms.as_images(tmp_path, Encoding(".png", formats.png), bright)
    assert_holds(load(tmp_path, {}), bright.astype(np.float32), drawn().labels)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif"])
def test_jpeg_images_are_taken_as_they_decode(ending: str, tmp_path: Path) -> None:
    """Lossy pictures train; only masks may not be lossy."""

    def write(path: Path, pixels: Pixels) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if ending == ".tif":
            formats.tiff(path, pixels, compression="jpeg")
        else:
            Image.fromarray(pixels).save(path, format="JPEG")

    forms.as_images(tmp_path, Encoding(ending, write), drawn().images)
    decode = tifffile.imread if ending == ".tif" else Image.open
    paths = sorted((tmp_path / "images").iterdir())
    decoded = np.stack([np.asarray(decode(path)) for path in paths])
    assert not np.array_equal(decoded, drawn().images)
    assert_holds(load(tmp_path, {}), full_scale(decoded), drawn().labels)


# --- masks --------------------------------------------------------------------------------------


@forms_of(formats.MASKS)
def test_masks(encoding: Encoding, tmp_path: Path) -> None:
    options = forms.as_masks(tmp_path, encoding, drawn().labels)
    assert_holds(load(tmp_path, options), full_scale(drawn().images), drawn().labels)


@forms_of(formats.TWO_CLASSES)
def test_masks_of_two_classes(encoding: Encoding, tmp_path: Path) -> None:
    options = forms.as_masks(tmp_path, encoding, drawn().labels > 0)
    found = load(tmp_path, options)
    assert_holds(found, full_scale(drawn().images), drawn().labels > 0)


def test_numbers_to_ignore(tmp_path: Path) -> None:
    labels = drawn().labels.copy()
    labels[:, 10:14, 3:30] = 255
    forms.as_masks(tmp_path, formats.MASKS["class numbers"], labels)
    assert_holds(load(tmp_path, {"ignore": (255, 7)}), full_scale(drawn().images), labels)
    assert IGNORED == 255


def packed(cells: Pixels) -> Pixels:
    """A colour for each cell, black between them."""
    return np.stack([cells * 37 % 251, cells * 3, cells // 2], axis=-1).astype(np.uint8)


CELLS = {
    "16-bit TIFF": Encoding(".tif", formats.tiff),
    "16-bit PNG": Encoding(".png", formats.png),
    "8 bit": Encoding(".png", lambda path, n: formats.png(path, n.astype(np.uint8))),
    "32 bit": Encoding(
        ".tif", lambda path, n: formats.tiff(path, n.astype(np.uint32), tile=(16, 16))
    ),
    "colours": Encoding(".png", lambda path, n: formats.png(path, packed(n))),
    "inverted": Encoding(".png", lambda path, n: formats.png(path, 65535 - n), {"inverted": True}),
}


@forms_of(CELLS)
def test_instances(encoding: Encoding, tmp_path: Path) -> None:
    """A pixel is membrane when one of its eight neighbours belongs to something else."""
    cells = drawn().cells
    assert cells.max() > 2
    around = np.pad(cells, ((0, 0), (1, 1), (1, 1)), mode="edge")
    windows = sliding_window_view(around, (3, 3), axis=(1, 2))
    edge = windows.min(axis=(3, 4)) != windows.max(axis=(3, 4))
    classes = np.where(edge, 1, np.where(cells > 0, 2, 0))
    options = forms.as_masks(tmp_path, encoding, cells)
    found = load(tmp_path, forms.instances("boundary", **options))
    assert_holds(found, full_scale(drawn().images), classes)
    assert found.classes == ("background", "membrane", "nucleus")
    found = load(tmp_path, forms.instances("foreground", **options))
    assert_holds(found, full_scale(drawn().images), cells > 0)
    assert found.classes == ("background", "cell")


def test_cellposes_own_masks(tmp_path: Path) -> None:
    """Instance numbers beside the images, as Cellpose saves them."""
    for n, (picture, cells) in enumerate(zip(drawn().images, drawn().cells, strict=True)):
        formats.tiff(tmp_path / f"{n:02}_img.tif", picture)
        formats.png(tmp_path / f"{n:02}_img_cp_masks.png", cells)
        (tmp_path / f"{n:02}_img_seg.npy").write_bytes(b"\x93NUMPY")
    options = {"images": "{id}_img.tif", "masks": "{id}_img_cp_masks.png"}
    found = load(tmp_path, forms.instances("foreground", **options))
    assert_holds(found, full_scale(drawn().images), drawn().cells > 0)


# --- the published pictures ---------------------------------------------------------------------


def assert_same(found: Dataset, wanted: Dataset) -> None:
    assert found.classes == wanted.classes
    for split, those in wanted.splits.items():
        these = found.splits[split]
        assert these.sources == those.sources
        np.testing.assert_array_equal(these.images, those.images)
        np.testing.assert_array_equal(these.labels, those.labels)


def test_drosophila_as_anybodys_pictures(shared_data: Path) -> None:
    numbers: dict[str, list[int]] = {name: [] for name in drosophila.CLASSES}
    for number, name in drosophila.LABELS.items():
        numbers["background" if name == "glia" else name].append(number)
    options = pairs.Options(
        images="stack1/raw/{id}.tif",
        masks="stack1/labels/labels{id}.png",
        labels={name: tuple(values) for name, values in numbers.items()},
        tile=256,
        validation=("04.tif", "05.tif", "06.tif", "07.tif"),
        test=("00.tif", "01.tif", "02.tif", "03.tif"),
    )
    folder = shared_data / "drosophila"
    assert_same(data.load("pairs", folder, options), data.load("drosophila", folder))


def test_fluorescence_as_anybodys_pictures(shared_data: Path) -> None:
    options = pairs.Options(
        images="Image/{id}.*",
        masks="GroundTruth/{id}.*",
        labels=formats.COLOURS,
        normalise="percentile",
        split="order",
        validation=0.1,
        test=0.2,
    )
    folder = shared_data / "dsb2018_256"
    assert_same(data.load("pairs", folder, options), data.load("mouse", folder))
