"""Which page of a TIFF is which channel, as tifffile reads it from ImageJ's, OME's or its own remark.

C is channels; Z, T and whatever else there is are pages.  tifffile makes the best of a remark that
is not that of the pages that are there; here it has to be, otherwise the file was cut or changed.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures.error import Flaw, damaged
from fre_hpo.data.pictures.kind import Kind

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

_MARKS = {
    "shaped": re.compile(r'^shape=|"shape"|"axes"'),
    "ome": re.compile(r"<(\w+:)?(OME|Pixels)\b|OME>"),
    "imagej": re.compile(
        r"ImageJ=|^SCIFIO=|^(images|channels|slices|frames|hyperstack|mode|loop)=", re.MULTILINE
    ),
}
"""What tells whose remark a description is, even if its beginning is damaged."""

_TEXTS = (269, 270, 271, 272)  # the description and its neighbours, if a byte of its tag is changed
_AXES = re.compile(r': *"[A-Z]*(YX|XY)[A-Z]*"')
_OME_TYPE = re.compile(r'<(?:\w+:)?Pixels\b[^>]*\sType="(\w*)"')
_OME_TYPES = {"float": "float32", "double": "float64", "bit": "uint8"}


def arranged(file: TiffFile, kind: Kind, count: int) -> NDArray[np.intp]:
    """The numbers of a file's pages: (pages, channels).

    More than the `count` that are there only if their pixels follow those of the one that is.
    """
    said = _remarks(file)
    if "ome" in said:
        _check_ome(said["ome"], kind)
    elif "imagej" in said:
        _check_imagej(file, count)
    elif '"axes"' not in said.get("shaped", '"axes"') and _AXES.search(said["shaped"]):
        raise damaged("its description has axes without a name")
    kinds = {series.kind for series in file.series}
    if said and not kinds <= said.keys():
        raise damaged(f"its description ({' or '.join(said)}) is broken or of another picture")
    if kinds <= {"uniform", "generic"}:
        return np.arange(count)[:, None]
    grids = [_grid(series) for series in file.series]
    total = sum(grid.size for grid in grids)
    if len(grids) > 1 and ("ome" in kinds or any(grid.shape[1] > 1 for grid in grids)):
        raise Flaw(f"holds {len(grids)} images of its own", "save each as a file of its own")
    if total != count and not (count == 1 < total and file.pages.first.is_final):
        raise damaged(f"its description names {total} pages, but {count} are there")
    if len(grids) > 1:
        return np.arange(total)[:, None]
    if total == count:
        found = [-1 if page is None else page.index for page in file.series[0]]
        if sorted(found) != [*range(total)]:
            raise damaged("its description does not name each page once")
        return np.array(found)[grids[0]]
    return grids[0]


def _grid(series: TiffPageSeries) -> NDArray[np.intp]:
    """The numbers of a series' pages in itself: (pages, channels)."""
    sizes = zip(series.get_axes(False), series.get_shape(False), strict=True)
    outer = [("C", 1), *((letter, size) for letter, size in sizes if letter not in "YXS")]
    letters, shape = zip(*outer, strict=True)
    channel = len(letters) - 1 - letters[::-1].index("C")
    grid = np.arange(math.prod(shape)).reshape(shape)
    return np.moveaxis(grid, channel, -1).reshape(-1, shape[channel])


def _remarks(file: TiffFile) -> dict[str, str]:
    """The descriptions of the first page, by whose remark they seem to be."""
    found: dict[str, str] = {}
    for tag in (tag for tag in file.pages.first.tags if tag.code in _TEXTS):
        text = tag.value if isinstance(tag.value, str) else tag.value.decode("latin1")
        found |= {name: text for name, mark in _MARKS.items() if mark.search(text)}
    return found


def _check_imagej(file: TiffFile, count: int) -> None:
    """images = channels x slices x frames; old versions of ImageJ said the images alone."""
    stated = file.imagej_metadata
    if stated is None:
        raise damaged("its ImageJ description lacks its beginning")
    images = stated.get("images", 1)
    sizes = [stated.get(name, 1) for name in ("channels", "slices", "frames")]
    alone = stated.keys().isdisjoint({"channels", "slices", "frames", "hyperstack", "mode"})
    if not alone and images != math.prod(sizes):
        raise damaged(
            f"its ImageJ description says {images} images, but "
            f"{sizes[0]} channels, {sizes[1]} slices and {sizes[2]} frames"
        )
    if count not in {1, images}:
        raise damaged(f"it is cut short: {count} of the {images} pages it names are there")


def _check_ome(text: str, kind: Kind) -> None:
    """What tifffile does not ask of OME-XML."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise damaged("its description is no plain XML")
    if "<BinaryOnly" in text or len({*re.findall(r'FileName="([^"]*)"', text)}) > 1:
        raise Flaw("is a part of an OME set of several files", "save the images as single files")
    for name in _OME_TYPE.findall(text):
        if _OME_TYPES.get(name, name) != kind.dtype.name:
            raise damaged(f"its OME description says {name!r}, but its pixels are {kind.dtype}")
