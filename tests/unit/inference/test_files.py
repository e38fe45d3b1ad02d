"""What is written: masks that other programs read, overlays, areas; axes and pixel sizes kept."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from fre_hpo.data import pictures
from fre_hpo.data.showing.overlay import colours
from fre_hpo.inference import files
from fre_hpo.inference.files import (
    area_rows,
    overlaid,
    overlay_shape,
    write_areas,
    write_mask_png,
    write_mask_tiff,
    write_overlay_stack,
)
from fre_hpo.inference.stack import Stack, stack_of

CLASSES = ("background", "membrane", "nucleus")
PALETTE = colours(CLASSES)


def labels(*shape: int) -> Any:
    return np.random.default_rng(0).integers(0, 3, shape).astype(np.uint8)


def write_stack(path: Path, axes: str, shape: tuple[int, ...], **how: Any) -> int:
    """An image of which each page holds its number; returns how many pages there are."""
    pages = int(np.prod(shape[:-2]))
    pixels = np.arange(pages, dtype=np.uint16).reshape(*shape[:-2], 1, 1) * np.ones(shape[-2:])
    metadata = {"axes": axes, **how.pop("metadata", {})}
    tifffile.imwrite(
        path, pixels.astype(np.uint16), metadata=metadata, photometric="minisblack", **how
    )
    return pictures.look(path).pages


# --- what a TIFF says of itself -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("axes", "shape", "how", "expected", "expected_shape"),
    [
        ("YX", (8, 9), {"imagej": True}, "", ()),
        ("ZYX", (4, 8, 9), {"imagej": True}, "Z", (4,)),
        ("TYX", (4, 8, 9), {"imagej": True}, "T", (4,)),
        ("TZYX", (2, 4, 8, 9), {"imagej": True}, "TZ", (2, 4)),
        ("TZCYX", (2, 4, 3, 8, 9), {"imagej": True}, "TZ", (2, 4)),
        ("CTYX", (2, 4, 8, 9), {"ome": True}, "T", (4,)),
        ("QYX", (5, 8, 9), {}, "Z", (5,)),
    ],
)
def test_axes_are_read_without_the_channels(
    tmp_path: Path, axes: str, shape: tuple[int, ...], how: Any, expected: str, expected_shape: Any
) -> None:
    path = tmp_path / "image.tif"
    stack = stack_of(path, write_stack(path, axes, shape, **how))
    assert (stack.axes, stack.shape) == (expected, expected_shape)
    assert stack.order == tuple(range(int(np.prod(expected_shape, dtype=int))))
    assert stack.pixel is None


def test_depths_before_times_are_turned_around(tmp_path: Path) -> None:
    path = tmp_path / "image.ome.tif"
    pages = write_stack(path, "ZTYX", (3, 2, 8, 9), ome=True)
    stack = stack_of(path, pages)
    assert (stack.axes, stack.shape, stack.order) == ("TZ", (2, 3), (0, 2, 4, 1, 3, 5))


@pytest.mark.parametrize(
    ("unit", "micrometres"),
    [
        ("micron", 1),
        ("um", 1),
        ("\\u00B5m", 1),
        ("nm", 1e-3),
        ("mm", 1e3),
        ("pixel", None),
        ("", None),
    ],
)
def test_imagejs_pixel_size(tmp_path: Path, unit: str, micrometres: float | None) -> None:
    path = tmp_path / "image.tif"
    how = {"metadata": {"unit": unit}, "resolution": (4, 5)}
    stack = stack_of(path, write_stack(path, "YX", (8, 9), imagej=True, **how))
    expected = micrometres and pytest.approx((micrometres / 5, micrometres / 4))
    assert stack.pixel == expected


def test_omes_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "image.ome.tif"
    sizes = {"PhysicalSizeX": 250.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.5}
    stack = stack_of(path, write_stack(path, "YX", (8, 9), ome=True, metadata=sizes))
    assert stack.pixel == (0.5, 0.25)


def test_a_printers_resolution_is_no_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, labels(8, 9), resolution=(300, 300), resolutionunit="INCH")
    assert stack_of(path, 1).pixel is None


def test_other_formats_have_plain_pages(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(labels(8, 9)).save(path)
    assert stack_of(path, 1) == Stack("", (), (0,))


# --- masks and overlays -------------------------------------------------------------------------


def test_a_png_mask_holds_the_class_and_shows_its_colour(tmp_path: Path) -> None:
    path, mask = tmp_path / "masks" / "a.png", labels(21, 34)
    write_mask_png(path, mask, PALETTE)
    assert (pictures.read_numbers(path)[0] == mask).all()
    shown = pictures.read_colours(path)[0]
    assert (shown[mask == 0] == 0).all()
    assert (shown[mask == 1] == PALETTE[1]).all()
    with Image.open(path) as opened:
        assert opened.mode == "P"
    assert path.read_bytes()[24] == 8  # bits, which old readers know best


@pytest.mark.parametrize(("axes", "shape"), [("", ()), ("Z", (5,)), ("T", (5,)), ("TZ", (2, 3))])
def test_a_tiff_mask_is_imagejs(tmp_path: Path, axes: str, shape: tuple[int, ...]) -> None:
    count = int(np.prod(shape, dtype=int))
    path, masks = tmp_path / "masks" / "a.tif", labels(count, 21, 34)
    stack = Stack(axes, shape, tuple(range(count)), pixel=(0.5, 0.25))
    write_mask_tiff(path, masks, stack, PALETTE)
    assert (pictures.read_numbers(path) == masks).all()
    with tifffile.TiffFile(path) as file:
        assert file.is_imagej
        assert file.series[0].axes == f"{axes}YX"
        assert file.series[0].dtype == np.uint8
        lut = file.imagej_metadata["LUTs"]
        lut = lut[0] if isinstance(lut, list) else lut
        assert tuple(int(v) for v in lut[:, 1]) == PALETTE[1]
    assert stack_of(path, count) == stack


def test_pages_are_written_in_the_stacks_order(tmp_path: Path) -> None:
    path, masks = tmp_path / "a.tif", labels(4, 8, 9)
    write_mask_tiff(path, masks, Stack("TZ", (2, 2), (0, 2, 1, 3)), PALETTE)
    assert (pictures.read_numbers(path) == masks[[0, 2, 1, 3]]).all()


def test_a_stack_beyond_imagejs_form_is_a_large_tiff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "IMAGEJ_BYTES", 100)
    path, masks = tmp_path / "a.tif", labels(4, 8, 9)
    write_mask_tiff(path, masks, Stack.plain(4), PALETTE)
    assert (pictures.read_numbers(path) == masks).all()
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff


def test_overlays_of_a_stack_are_a_stack_in_colours(tmp_path: Path) -> None:
    path, masks = tmp_path / "overlays" / "a.tif", labels(3, 21, 34)
    page = np.random.default_rng(1).integers(0, 256, (1, 21, 34)).astype(np.uint8)
    shown = [overlaid(page, mask, PALETTE) for mask in masks]
    write_overlay_stack(path, iter(shown), (21, 34), Stack.plain(3))
    read = pictures.read_image(path, "all")
    assert (read.transpose(0, 2, 3, 1) == np.stack(shown)).all()
    assert (shown[0][masks[0] == 0] == shown[1][masks[0] == 0]).any()


def test_the_overlay_of_a_huge_image_is_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST_SIDE", 20)
    page = np.random.default_rng(1).integers(0, 4000, (2, 21, 34)).astype(np.uint16)
    assert overlaid(page, labels(21, 34), PALETTE).shape == (11, 17, 3)
    assert overlay_shape((21, 34)) == (11, 17)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def pages() -> Any:
        yield np.zeros((8, 9, 3), np.uint8)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_overlay_stack(tmp_path / "a.tif", pages(), (8, 9), Stack.plain(3))
    assert list(tmp_path.iterdir()) == []


# --- areas --------------------------------------------------------------------------------------


def test_areas_add_up(tmp_path: Path) -> None:
    mask = labels(10, 20)
    mask[mask == 2] = 1
    rows = area_rows("a.tif", 3, mask, CLASSES, Stack("", (), (0,), pixel=(0.5, 0.2)))
    rows += area_rows("b, c.png", 1, mask, CLASSES, Stack.plain(1))
    path = tmp_path / "areas.csv"
    write_areas(path, rows)
    with path.open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["class"] for row in read] == [*CLASSES, *CLASSES]
    assert {row["image"] for row in read} == {"a.tif", "b, c.png"}
    first = read[0]
    assert (first["page"], int(first["pixels"])) == ("3", int((mask == 0).sum()))
    assert float(first["share"]) == (mask == 0).mean()
    assert float(first["area_um2"]) == pytest.approx((mask == 0).sum() * 0.1)
    assert read[2]["pixels"] == "0"
    assert read[3]["area_um2"] == ""
