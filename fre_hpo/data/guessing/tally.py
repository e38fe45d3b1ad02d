"""What values masks hold: how often, where, and in what shapes.  Pixels are counted, not judged."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data import pictures
from fre_hpo.data.guessing.names import even
from fre_hpo.data.pictures import PictureError

MOST_MASKS = 200
FEW = 12
"""So many values are plainly classes."""
_MOST_PIXELS = 60_000_000
_SHAPED = 12
"""Masks whose shapes are measured."""
_MOST_VALUES = 40
_SMALLEST = 9
"""Pixels that a value must have for its shape to mean something."""


Box = tuple[int, ...]
"""First row and column, last row and column."""


@dataclass(frozen=True)
class Shape:
    """Where a value lies.  fill: the share of its bounding box that it fills."""

    value: int
    fill: float
    box: Box


@dataclass(frozen=True)
class Tally:
    """One mask.  values: number or packed colour (0xrrggbb) -> pixels; border: the same, on the four
    edges of the picture; shapes: of some values, on the first page."""

    path: Path
    values: Counter[int]
    border: Counter[int]
    shapes: tuple[Shape, ...]
    one_bit: bool


@dataclass(frozen=True)
class Tallies:
    """The masks that were read.  bits: of the numbers as stored; broken: sentences."""

    masks: tuple[Tally, ...]
    count: int
    colours: bool
    bits: int
    lossy: tuple[Path, ...] = ()
    broken: tuple[str, ...] = ()
    values: Counter[int] = field(default_factory=Counter)
    border: Counter[int] = field(default_factory=Counter)

    def share(self, values: Sequence[int]) -> float:
        """Of all pixels."""
        return sum(self.values[value] for value in values) / max(self.values.total(), 1)

    def only(self, masks: Sequence[Tally]) -> "Tallies":
        """What these masks hold."""
        values = sum((mask.values for mask in masks), Counter())
        border = sum((mask.border for mask in masks), Counter())
        return replace(self, masks=tuple(masks), values=values, border=border)


def count_masks(paths: Sequence[Path]) -> Tallies:
    """Read the masks, or an even sample: by colours as soon as one of them has any."""
    sample = even(paths, MOST_MASKS)
    lossy, broken, bits = _looked_at(sample)
    usable = [path for path in sample if path not in lossy]
    colours = any(_has_colours(path) for path in even(usable, _SHAPED)) or _recoloured(usable)
    masks: list[Tally] = []
    pixels = 0
    for number, path in enumerate(usable):
        try:
            masks.append(_tally(path, colours, shaped=number < _SHAPED))
        except PictureError as problem:
            broken.append(str(problem))
            continue
        pixels += masks[-1].values.total()
        if pixels > _MOST_PIXELS:
            break
    unique = tuple(dict.fromkeys(broken))
    return Tallies((), len(paths), colours, bits, tuple(lossy), unique).only(masks)


def _looked_at(paths: Sequence[Path]) -> tuple[list[Path], list[str], int]:
    """Those that lost their numbers by compression, what is broken, and the bits of a number."""
    lossy, broken, bits = [], [], 8
    for path in paths:
        try:
            header = pictures.look(path)
        except PictureError as problem:
            broken.append(str(problem))
            continue
        bits = max(bits, 8 * header.dtype.itemsize)
        if header.lossy:
            lossy.append(path)
    return lossy, broken, bits


def _has_colours(path: Path) -> bool:
    """Whether a mask's channels differ."""
    try:
        header = pictures.look(path)
        if not header.rgb or header.palette:
            return False
        colours = pictures.read_colours(path)
    except PictureError:
        return False
    return bool((colours != colours[..., :1]).any())


def _recoloured(paths: Sequence[Path]) -> bool:
    """Whether a palette's numbers mean other colours from mask to mask, so that colours must count."""
    meanings: dict[int, int] = {}
    for path in even(paths, _SHAPED):
        try:
            if not pictures.look(path).palette:
                continue
            numbers, colours = pictures.read_numbers(path), _packed(pictures.read_colours(path))
        except PictureError:
            continue
        found, places = np.unique(numbers, return_index=True)
        for number, colour in zip(found.tolist(), colours.ravel()[places].tolist(), strict=True):
            if meanings.setdefault(number, colour) != colour:
                return True
    return False


def _tally(path: Path, colours: bool, *, shaped: bool) -> Tally:
    pages: NDArray[Any] = pictures.read_colours(path) if colours else pictures.read_numbers(path)
    pages = _packed(pages) if colours else pages
    edges = [pages[:, 0], pages[:, -1], pages[:, :, 0], pages[:, :, -1]]
    border = sum((_counted(edge) for edge in edges), Counter())
    shapes = tuple(_shapes(pages[0])) if shaped else ()
    return Tally(path, _counted(pages), border, shapes, pictures.look(path).one_bit)


def _packed(colours: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """(..., 3) -> 0xrrggbb."""
    packed: NDArray[np.uint32] = colours.astype(np.uint32) @ np.array(
        [1 << 16, 1 << 8, 1], np.uint32
    )
    return packed


def _counted(values: NDArray[Any]) -> Counter[int]:
    if values.dtype.itemsize <= 2:
        counts = np.bincount(values.ravel())
        found = np.flatnonzero(counts)
        return Counter(dict(zip(found.tolist(), counts[found].tolist(), strict=True)))
    unique, numbers = np.unique(values, return_counts=True)
    return Counter(dict(zip(unique.tolist(), numbers.tolist(), strict=True)))


def _shapes(page: NDArray[Any]) -> Iterator[Shape]:
    """Of the values but the most frequent one."""
    values, counts = np.unique(page, return_counts=True)
    rest = [v for v, n in zip(values, counts, strict=True) if n >= _SMALLEST and n < counts.max()]
    for value in even(rest, _MOST_VALUES):
        here = page == value
        rows, columns = np.flatnonzero(here.any(axis=1)), np.flatnonzero(here.any(axis=0))
        box = tuple(map(int, (rows[0], columns[0], rows[-1], columns[-1])))
        area = (box[2] - box[0] + 1) * (box[3] - box[1] + 1)
        yield Shape(int(value), float(here.sum() / area), box)
