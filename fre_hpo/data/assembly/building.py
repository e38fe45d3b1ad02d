"""Pairs of pictures and masks -> a checked data set.

All that can be wrong is found in one run: what the files say of themselves, how they are divided, then
every pixel.  The arrays are filled in place, so that memory holds little else.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data import pictures
from fre_hpo.data.assembly import images, tiling
from fre_hpo.data.assembly.examination import PageFacts, examine
from fre_hpo.data.assembly.labels import LabelMap
from fre_hpo.data.assembly.survey import Reading, Survey, Surveyed, in_threads, noted, survey
from fre_hpo.data.dataset import IGNORED, Dataset, Split, assemble
from fre_hpo.data.dividing.splitting import SPLITS, Item
from fre_hpo.data.finding.pairing import Pair
from fre_hpo.errors import DataProblems

Divide = Callable[[Sequence[Item], list[str]], Mapping[str, Sequence[int]]]
"""Items -> for each split the places of its items; notes problems."""


@dataclass(frozen=True, eq=False)
class Room:
    """Where the tiles of one page go: rows of a split's arrays."""

    images: NDArray[np.float32]
    labels: NDArray[np.uint8]


def build(
    name: str,
    pairs: Sequence[Pair],
    label_map: LabelMap,
    reading: Reading,
    divide: Divide,
    problems: list[str],
    remarks: list[str],
    *,
    whole_stacks: bool = False,
) -> Dataset:
    """Read, check, cut and divide.

    whole_stacks: of several stacks each is a group of its own, because its pages are near copies.
    Raises DataProblems with all that is wrong, ``problems`` that were noted before included.
    """
    surveyed = survey(pairs, reading, problems, remarks)
    if not surveyed.fits:
        raise DataProblems(problems)
    items = _items(surveyed.pairs, whole_stacks=whole_stacks and len(pairs) > 1)
    places = divide(items, problems)
    if problems:
        _read(surveyed, label_map, reading, [None] * len(items), problems)
        raise DataProblems(problems)
    splits = {split: _allocate(surveyed, items, places[split], reading) for split in SPLITS}
    facts = _read(surveyed, label_map, reading, _rooms(surveyed, places, splits, reading), problems)
    if not problems:
        pages = {split: [(items[i].name, facts[i]) for i in places[split]] for split in SPLITS}
        examine(label_map.classes, pages, problems, remarks)
    if problems:
        raise DataProblems(problems)
    filled = {split: _without_empty_tiles(splits[split]) for split in SPLITS}
    return assemble(
        name, label_map.classes, **filled, remarks=tuple(remarks), depths=surveyed.depths
    )


def _items(pairs: Sequence[Surveyed], *, whole_stacks: bool) -> list[Item]:
    """One item for each page, pair after pair."""
    names = _names([p.pair.image for p in pairs])
    items: list[Item] = []
    for p, name in zip(pairs, names, strict=True):
        numbers = [""] if p.pages == 1 else [f"[{page + 1}]" for page in range(p.pages)]
        group = name if whole_stacks and p.pages > 1 else None
        items += [Item(f"{name}{n}", p.pair.group or group, p.pair.split) for n in numbers]
    return items


def _names(paths: Sequence[Path]) -> list[str]:
    """The files' names; where two are alike, with the folders that tell them apart."""
    counts = Counter(path.name for path in paths)
    if max(counts.values(), default=1) == 1:
        return [path.name for path in paths]
    whole = [path.absolute() for path in paths]  # a manifest may name some from the root on
    above = os.path.commonpath([path.parent for path in whole])
    return [path.relative_to(above).as_posix() for path in whole]


def _pages(pairs: Sequence[Surveyed]) -> list[Surveyed]:
    """For each item the pair that it belongs to."""
    return [p for p in pairs for _ in range(p.pages)]


def _tiles(pair: Surveyed, surveyed: Survey, reading: Reading) -> int:
    """How many tiles one page is cut into."""
    assert pair.image is not None
    return tiling.count(reading.shape(pair.image), surveyed.tile[1:])


def _allocate(
    surveyed: Survey, items: Sequence[Item], places: Sequence[int], reading: Reading
) -> Split:
    """The arrays of a split, empty yet, with the names of their rows."""
    pages = _pages(surveyed.pairs)
    rows = [_tiles(pages[place], surveyed, reading) for place in places]
    names = tuple(
        items[place].name for place, count in zip(places, rows, strict=True) for _ in range(count)
    )
    return Split(
        images=np.empty((len(names), *surveyed.tile), dtype=np.float32),
        labels=np.empty((len(names), *surveyed.tile[1:]), dtype=np.uint8),
        sources=names,
    )


def _rooms(
    surveyed: Survey,
    places: Mapping[str, Sequence[int]],
    splits: Mapping[str, Split],
    reading: Reading,
) -> list[Room | None]:
    """For each item the rows it fills; None for one that is in no split."""
    pages = _pages(surveyed.pairs)
    rooms: list[Room | None] = [None] * len(pages)
    for split, arrays in splits.items():
        row = 0
        for place in places[split]:
            part = slice(row, row + _tiles(pages[place], surveyed, reading))
            rooms[place] = Room(arrays.images[part], arrays.labels[part])
            row = part.stop
    return rooms


def _read(
    surveyed: Survey,
    label_map: LabelMap,
    reading: Reading,
    rooms: Sequence[Room | None],
    problems: list[str],
) -> list[PageFacts]:
    """Read every pair, fill its rooms; what was seen of each item (fewer when there are problems)."""
    work: list[tuple[Surveyed, Sequence[Room | None]]] = []
    start = 0
    for pair in surveyed.pairs:
        work.append((pair, rooms[start : start + pair.pages]))
        start += pair.pages

    def read(task: tuple[Surveyed, Sequence[Room | None]]) -> tuple[list[PageFacts], list[str]]:
        found: list[str] = []
        return _read_pair(*task, label_map, reading, found), found

    return [facts for pages in in_threads(read, work, problems) for facts in pages]


def _read_pair(
    pair: Surveyed,
    rooms: Sequence[Room | None],
    label_map: LabelMap,
    reading: Reading,
    problems: list[str],
) -> list[PageFacts]:
    """Both files of a pair, as far as their headers could be used."""
    picture = labels = None
    if pair.image:
        path = pair.pair.image
        picture = noted(problems, lambda p: pictures.read_image(p, reading.channel), path)
    if pair.mask:
        labels = noted(problems, label_map.read, pair.pair.mask)
    if picture is None or labels is None:
        return []
    if (len(picture), *picture.shape[2:]) != labels.shape:  # noted when the headers were compared
        return []
    facts = []
    for page, its_labels, room in zip(picture, labels, rooms, strict=True):
        facts.append(_facts(page, its_labels))
        if room:
            _fill(room, page, its_labels, reading)
    return facts


def _facts(page: NDArray[Any], labels: NDArray[np.uint8]) -> PageFacts:
    counts = np.zeros(256, dtype=np.int64)
    for rows in np.array_split(labels, -(-labels.size // 2**22)):
        counts += np.bincount(rows.ravel(), minlength=256)
    return PageFacts(
        digest=_digest(_as_8_bits(page)),
        labels=_digest(labels),
        constant=bool(page.min() == page.max()),
        counts=tuple(counts.tolist()),
    )


def _digest(array: NDArray[Any]) -> str:
    digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _as_8_bits(page: NDArray[Any]) -> NDArray[Any]:
    """A picture of 8 bits that was saved with 16 as it was before, so that it is known again."""
    if page.dtype != np.uint16:
        return page
    for step in (1, 257, 256):  # as they are, or spread over the range
        if int(page.max()) <= 255 * step and not (page % step).any():
            return (page // step).astype(np.uint8)
    return page


def _fill(room: Room, page: NDArray[Any], labels: NDArray[np.uint8], reading: Reading) -> None:
    """Normalise and cut a page, (channels, height, width), and its labels, (height, width)."""
    for number, channel in enumerate(page):
        shown = images.normalise(channel, reading.normalise, reading.percentiles, reading.factor)
        tiling.cut(shown, room.images[:, number])
    tiling.cut(images.shrink_labels(labels, reading.factor), room.labels, IGNORED)


def _without_empty_tiles(split: Split) -> Split:
    """Tiles of which every pixel is ignored could teach and measure nothing."""
    kept = np.array([bool((labels != IGNORED).any()) for labels in split.labels], dtype=bool)
    if kept.all():
        return split
    names = tuple(s for s, keep in zip(split.sources, kept, strict=True) if keep)
    return Split(split.images[kept], split.labels[kept], names)
