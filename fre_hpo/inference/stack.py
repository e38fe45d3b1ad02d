"""What a TIFF says of its pages beside their pixels: which are depths and which are times, and how large a
pixel is."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fre_hpo.data.pictures.audit import strictly
from fre_hpo.data.pictures.error import Flaw

if TYPE_CHECKING:
    from tifffile import TiffFile

Pixel = tuple[float, float]
"""Height and width in micrometres."""

IN_MICROMETRES = {
    "nm": 1e-3,
    "nanometer": 1e-3,
    "um": 1.0,
    "µm": 1.0,  # the micro sign
    "\u03bcm": 1.0,  # the Greek letter
    "\\u00b5m": 1.0,  # as ImageJ writes the sign
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "cm": 1e4,
}
_LENGTH = re.compile(r'\sPhysicalSize([XY])="([^"]*)"')
_UNIT = re.compile(r'\sPhysicalSize([XY])Unit="([^"]*)"')


@dataclass(frozen=True)
class Stack:
    """axes: what the pages are, some of "TZ", times before depths; empty for a single page.  shape: how many
    of each.  order: the file's pages in that order.  pixel: None where the file does not say it."""

    axes: str
    shape: tuple[int, ...]
    order: tuple[int, ...]
    pixel: Pixel | None = None

    @classmethod
    def plain(cls, pages: int) -> Stack:
        """Pages of which nothing is said are depths, as ImageJ takes them."""
        if pages == 1:
            return cls("", (), (0,))
        return cls("Z", (pages,), tuple(range(pages)))


def stack_of(path: Path, pages: int) -> Stack:
    """What a file with so many pages says of them; plain pages for whatever is no TIFF or says nothing.

    Only ImageJ's and OME's remarks tell a pixel's size: the resolution in other files is for printing.
    """
    from tifffile import TiffFile

    plain = Stack.plain(pages)
    try:
        with strictly(), TiffFile(path, _multifile=False) as file:
            axes = _axes(file, pages) or plain
            return Stack(axes.axes, axes.shape, axes.order, _pixel(file))
    except (ValueError, KeyError, Flaw):  # no TIFF, or one with remarks that make no sense
        return plain


def _axes(file: TiffFile, pages: int) -> Stack | None:
    """Times and depths; None for one page, and for axes that ImageJ does not know."""
    series = file.series[0]
    sizes = zip(series.get_axes(False), series.get_shape(False), strict=True)
    outer = [(letter, size) for letter, size in sizes if letter not in "CYXS" and size > 1]
    letters, shape = "".join(letter for letter, _ in outer), [size for _, size in outer]
    if letters not in ("T", "Z", "TZ", "ZT") or math.prod(shape) != pages:
        return None
    numbers = np.arange(pages).reshape(shape)
    if letters == "ZT":
        letters, numbers = "TZ", numbers.T
    return Stack(letters, numbers.shape, tuple(numbers.ravel().tolist()))


def _pixel(file: TiffFile) -> Pixel | None:
    if file.ome_metadata:
        return _pixel_of_ome(file.ome_metadata)
    if file.imagej_metadata:
        return _pixel_of_imagej(file, str(file.imagej_metadata.get("unit", "")))
    return None


def _pixel_of_ome(text: str) -> Pixel | None:
    lengths, units = dict(_LENGTH.findall(text)), dict(_UNIT.findall(text))
    sides = [float(lengths.get(a, 0)) * _micrometres(units.get(a, "µm")) for a in "YX"]
    return (sides[0], sides[1]) if min(sides) > 0 else None


def _pixel_of_imagej(file: TiffFile, unit: str) -> Pixel | None:
    tags = file.pages.first.tags
    if not all(name in tags for name in ("XResolution", "YResolution")):
        return None
    sides = []
    for name in ("YResolution", "XResolution"):
        pixels, units = tags[name].value
        sides.append(units / pixels * _micrometres(unit) if pixels else 0.0)
    return (sides[0], sides[1]) if min(sides) > 0 else None


def _micrometres(unit: str) -> float:
    """0 for a unit that is no length."""
    return IN_MICROMETRES.get(unit.strip().lower(), 0.0)
