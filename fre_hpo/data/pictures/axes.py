"""Which page of a TIFF is which channel: what ImageJ, OME and tifffile write into the description.

C is channels; Z, T and whatever else there is are pages.  The description's counts must be those of
the pages that are there, otherwise the file was cut or the description is another file's.
"""

import json
import math
import re
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures.error import Flaw, damaged
from fre_hpo.data.pictures.kind import Kind

_IMAGEJ_COUNT = re.compile(r"^(images|channels|slices|frames)=(.*)$", re.MULTILINE)
_IMAGEJ_MARK = re.compile(
    r"ImageJ=|^SCIFIO=|^(images|channels|slices|frames|hyperstack|mode|loop)=", re.MULTILINE
)
_OME_MARKS = ("<OME", "</OME>", "<Pixels")
_OME_TYPES = {"float": "float32", "double": "float64", "bit": "uint8"}


class Axes(NamedTuple):
    """Letters and sizes of the axes along which pages follow each other, the last one fastest;
    and which page of the file holds each of them, if not one after another."""

    letters: str
    sizes: tuple[int, ...]
    pages: tuple[int, ...] | None = None

    def arranged(self) -> NDArray[np.intp]:
        """The pages' numbers in the file: (pages, channels)."""
        numbers = np.arange(math.prod(self.sizes)) if self.pages is None else np.array(self.pages)
        grid = numbers.reshape(*self.sizes, 1)
        channel = self.letters.find("C")
        return np.moveaxis(grid, channel, -1).reshape(-1, grid.shape[channel])


def plain(count: int) -> Axes:
    """Pages, one after another."""
    return Axes("Z", (count,))


def read_axes(description: str, kind: Kind, count: int) -> Axes:
    """The axes of a file of `count` directories; more pages than that only if ImageJ says so."""
    imagej = _IMAGEJ_MARK.search(description) is not None
    shaped = '"shape"' in description or '"axes"' in description
    ome = any(mark in description for mark in _OME_MARKS)
    text, end, rest = description.partition("\x00")
    cut = not end and not ome  # XML that is cut short is none
    if (imagej or shaped or ome) and (cut or rest.strip("\x00")):
        raise damaged("its description does not end where it says")
    text = text.strip()
    if ome or text.startswith("<"):
        return _ome(text, kind, count)
    if shaped:
        return _shaped(text, kind, count)
    return _imagej(text) if imagej else plain(count)


def _imagej(text: str) -> Axes:
    """images = channels x slices x frames, the channels fastest."""
    if not text.startswith(("ImageJ=", "SCIFIO=")):
        raise damaged("its ImageJ description lacks its beginning")
    stated = {name: _count(value) for name, value in _IMAGEJ_COUNT.findall(text)}
    images = stated.get("images", 1)
    sizes = tuple(stated.get(name, 1) for name in ("frames", "slices", "channels"))
    if stated.keys() == {"images"} and "hyperstack=true" not in text and "mode=" not in text:
        return plain(images)
    if math.prod(sizes) != images:
        raise damaged(
            f"its ImageJ description says {images} images, but "
            f"{sizes[2]} channels, {sizes[1]} slices and {sizes[0]} frames"
        )
    return Axes("TZC", sizes)


def _count(text: str | None) -> int:
    if text is None or not re.fullmatch(r"[1-9]\d{0,8}", text.strip()):
        raise damaged(f"its description counts {text!r} pictures")
    return int(text)


def _shaped(text: str, kind: Kind, count: int) -> Axes:
    """tifffile's own remark: the shape of the array that was saved, and sometimes its axes."""
    try:
        remark = json.loads(text)
        shape, letters = tuple(int(n) for n in remark["shape"]), str(remark.get("axes", ""))
    except (ValueError, KeyError, TypeError) as error:
        raise damaged("its description is broken") from error
    pages, rest = divmod(math.prod(shape), kind.height * kind.width * kind.samples)
    outer = _outer(shape, pages)
    has_channels = "C" in letters[: len(outer)]
    behind = bool(remark.get("truncated"))  # all pages' pixels behind one directory
    missing = pages > count and not behind
    if rest or missing or (pages < count and has_channels):
        raise damaged(f"its description says the shape {shape}, but {count} pages are there")
    return Axes(letters[: len(outer)], outer) if has_channels else plain(max(pages, count))


def _outer(shape: tuple[int, ...], pages: int) -> tuple[int, ...]:
    """The first sizes of a shape, whose product is the number of pages."""
    for length in range(len(shape) + 1):
        if math.prod(shape[:length]) == pages:
            return shape[:length]
    raise damaged(f"its description says the shape {shape}")


def _ome(text: str, kind: Kind, count: int) -> Axes:
    """OME-XML; any other XML says nothing about pages."""
    is_ome = "OME" in text
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise damaged("its description is no plain XML")
    try:
        root = ElementTree.fromstring(text.encode())
    except ElementTree.ParseError as error:
        if is_ome:
            raise damaged(f"its OME description is broken: {error}") from error
        return plain(count)
    if not is_ome:
        return plain(count)
    every = [e for e in root.iter() if _local(e) == "Pixels"]
    if len(every) > 1:
        raise Flaw(f"holds {len(every)} images of its own", "save each as a file of its own")
    if not every:
        raise Flaw("is a part of an OME set of several files", "save the images as single files")
    return _ome_axes(every[0], kind, count)


def _local(element: ElementTree.Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def _ome_axes(pixels: ElementTree.Element, kind: Kind, count: int) -> Axes:
    sizes = {letter: _count(pixels.get(f"Size{letter}")) for letter in "XYZCT"}
    if (sizes["X"], sizes["Y"]) != (kind.width, kind.height):
        raise damaged(f"its OME description says {sizes['Y']}x{sizes['X']} pixels")
    name = pixels.get("Type", "")
    if _OME_TYPES.get(name, name) != kind.dtype.name:
        raise damaged(f"its OME description says {name!r}, but its pixels are {kind.dtype}")
    if sizes["C"] % kind.samples:
        raise damaged(f"its OME description says {sizes['C']} channels, {kind.samples} are there")
    sizes["C"] //= kind.samples
    letters = pixels.get("DimensionOrder", "")[:1:-1]
    if sorted(letters) != ["C", "T", "Z"]:
        raise damaged("its OME description names no order")
    outer = tuple(sizes[letter] for letter in letters)
    if math.prod(outer) != count:
        raise damaged(f"its OME description says {math.prod(outer)} pages, but {count} are there")
    return Axes(letters, outer, _ome_pages(pixels, letters, outer))


def _ome_pages(
    pixels: ElementTree.Element, letters: str, sizes: tuple[int, ...]
) -> tuple[int, ...]:
    """For each plane in the stated order the directory that holds it."""
    total = math.prod(sizes)
    places: dict[int, int] = {}
    files: set[str] = set()
    for data in (e for e in pixels if _local(e) == "TiffData"):
        files |= {u.get("FileName", "") for u in data if _local(u) == "UUID"}
        firsts = tuple(int(data.get(f"First{letter}", 0)) for letter in letters)
        if any(not 0 <= first < size for first, size in zip(firsts, sizes, strict=True)):
            raise damaged("its OME description counts beyond its own sizes")
        plane = int(np.ravel_multi_index(firsts, sizes))
        number = int(data.get("PlaneCount", 1 if "IFD" in data.keys() else total - plane))  # noqa: SIM118
        start = int(data.get("IFD", 0))
        places.update((plane + i, start + i) for i in range(min(number, total + 1)))
    if len(files) > 1:
        raise Flaw("is a part of an OME set of several files", "save the images as single files")
    if sorted(places) != list(range(total)) or sorted(places.values()) != list(range(total)):
        raise damaged("its OME description does not name each page once")
    return tuple(places[plane] for plane in range(total))
