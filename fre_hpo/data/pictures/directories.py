"""TIFF, outermost layer: the chain of directories and their entries, read strictly.

TIFF has no checksum.  What it has is redundancy, and all of it is asked for: entries in ascending
order and of the type and count that their tag has, values and pixels inside the file, no two
things in the same place.  So a file cut short or a changed byte is found nearly always; a reader
that carries on with what is left would hand out fewer pages without a word.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures.content import Content
from fre_hpo.data.pictures.error import damaged

SIGNATURES = (b"II*\x00", b"MM\x00*", b"II+\x00\x08\x00\x00\x00", b"MM\x00+\x00\x08\x00\x00")

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED, _LONG8 = 1, 2, 3, 4, 5, 7, 16
_SIZES: Mapping[int, int] = {
    **dict.fromkeys((1, 2, 6, 7), 1),
    **dict.fromkeys((3, 8), 2),
    **dict.fromkeys((4, 9, 11, 13), 4),
    **dict.fromkeys((5, 10, 12, 16, 17, 18), 8),
}
_WHOLE = frozenset({_SHORT, _LONG, _LONG8})
_ANY = 0
_RULES: Mapping[int, tuple[frozenset[int], int]] = {
    **dict.fromkeys((254, 255, 256, 257, 259, 262, 266, 274), (_WHOLE, 1)),
    **dict.fromkeys((277, 278, 284, 296, 317, 322, 323), (_WHOLE, 1)),
    **dict.fromkeys((258, 273, 279, 320, 324, 325, 338, 339), (_WHOLE, _ANY)),
    **dict.fromkeys((318, 319, 529, 532), (frozenset({_RATIONAL}), _ANY)),
    321: (_WHOLE, 2),
    330: (frozenset({_LONG, 13, _LONG8, 18}), _ANY),
    **dict.fromkeys(
        (269, 270, 271, 272, 285, 305, 306, 315, 316),
        (frozenset({_BYTE, _ASCII, _UNDEFINED}), _ANY),
    ),
    347: (frozenset({_BYTE, _UNDEFINED}), _ANY),
}
"""Tags that decide about the picture: the types they may have, and how many values."""

_DEFINED = frozenset(
    {*range(254, 260), *range(262, 267), *range(269, 275), *range(277, 292), 296, 297, 300, 301}
    | {305, 306, *range(315, 326), 330, *range(338, 343), 347, *range(529, 533)}
)
"""Tags up to 532 that pictures on a screen may have; any other, if it is no fax and not made for
printing, is a changed byte."""

_LOOKED_UP_LAST = {_tag & 0xFF: _tag for _tag in (317, 338, 339)}
"""Tags that often end a directory, where no order tells that their upper byte was changed: then
differences would be taken for pixels, or fractions for whole numbers."""

_MOST_ENTRIES = 4096
Order = Literal["<", ">"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a directory; `offset` is where its values lie."""

    type: int
    count: int
    offset: int

    @property
    def length(self) -> int:
        """Bytes of the values."""
        return self.count * _SIZES[self.type]


@dataclass(frozen=True, eq=False)
class Directory:
    """The entries of one page, by tag."""

    content: Content
    order: Order
    offset: int
    length: int
    entries: Mapping[int, Entry]

    def numbers(self, tag: int) -> NDArray[np.int64]:
        """The whole numbers of a tag, none if the page does not have it."""
        entry = self.entries.get(tag)
        if entry is None:
            return np.empty(0, np.int64)
        values = np.frombuffer(self.data(tag), f"{self.order}u{_SIZES[entry.type]}")
        if values.size and int(values.max()) > np.iinfo(np.int64).max:
            raise damaged(f"TIFF tag {tag} of {values.max()}")
        return values.astype(np.int64)

    def number(self, tag: int, default: int | None = None) -> int:
        """The one whole number of a tag; it must be there when there is no default."""
        values = self.numbers(tag)
        if values.size:
            return int(values[0])
        if default is None:
            raise damaged(f"its TIFF tag {tag} is missing")
        return default

    def data(self, tag: int) -> bytes:
        """The bytes of a tag, none if the page does not have it."""
        entry = self.entries.get(tag)
        return b"" if entry is None else self.content.at(entry.offset, entry.length)

    def places(self) -> Iterator[tuple[int, int]]:
        """Where the directory and its longer values lie: begin and end."""
        yield self.offset, self.offset + self.length
        for entry in self.entries.values():
            if not self.offset <= entry.offset < self.offset + self.length:
                yield entry.offset, entry.offset + entry.length


@dataclass(frozen=True)
class _Form:
    """How the numbers of a file are written: TIFF has 32 bits for offsets, BigTIFF 64."""

    order: Order
    big: bool

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def count(self) -> str:
        return self.order + ("Q" if self.big else "H")

    @property
    def entry(self) -> struct.Struct:
        """Tag, type, count; the value or its offset follows."""
        return struct.Struct(self.order + ("HHQ" if self.big else "HHI"))


def read_directories(content: Content) -> list[Directory]:
    """All pages in the chain; its end is a zero, and nothing else is one."""
    start = content.at(0, 8)
    form = _Form("<" if start.startswith(b"II") else ">", start[2:4] in {b"+\x00", b"\x00+"})
    where = 8 if form.big else 4
    directories: list[Directory] = []
    seen: set[int] = set()
    while following := _number(content, form.offset, where):
        if following in seen:
            raise damaged("its pages go round in a circle")
        seen.add(following)
        directories.append(_directory(content, form, following, len(directories) + 1))
        where = following + directories[-1].length - struct.calcsize(form.offset)
    if not directories:
        raise damaged("a TIFF without a page")
    return directories


def _number(content: Content, form: str, offset: int) -> int:
    (value,) = struct.unpack(form, content.at(offset, struct.calcsize(form)))
    return int(value)


def _directory(content: Content, form: _Form, offset: int, page: int) -> Directory:
    head, inline = struct.calcsize(form.count), struct.calcsize(form.offset)
    if offset + head > content.size:
        raise damaged(f"it is cut short: page {page} lies beyond its end")
    count = _number(content, form.count, offset)
    step = form.entry.size + inline
    if not 0 < count <= _MOST_ENTRIES:
        raise damaged(f"page {page} with {count} TIFF tags")
    length = head + count * step + inline
    table = content.at(offset, length)
    entries: dict[int, Entry] = {}
    last = 0
    for position in range(head, length - inline, step):
        tag, kind, number = form.entry.unpack_from(table, position)
        if tag <= last:
            raise damaged(f"TIFF tag {tag} after {last} on page {page}")
        last = tag
        _check_kind(tag, kind, number)
        if kind in _SIZES:
            place = position + form.entry.size
            outside = number * _SIZES[kind] > inline
            at = struct.unpack_from(form.offset, table, place)[0] if outside else offset + place
            entries[tag] = _inside(content, tag, Entry(kind, number, at))
    _check_last(last, entries)
    return Directory(content, form.order, offset, length, entries)


def _check_last(last: int, entries: Mapping[int, Entry]) -> None:
    meant = _LOOKED_UP_LAST.get(last & 0xFF, last)
    if last in entries and meant not in entries and entries[last].type == _SHORT:
        raise damaged(f"the unknown TIFF tag {last}")


def _check_kind(tag: int, kind: int, count: int) -> None:
    """A tag that decides about the picture has one of its types, and as many values as it may."""
    if tag < 254 or (tag <= 532 and tag not in _DEFINED):
        raise damaged(f"the unknown TIFF tag {tag}")
    kinds, expected = _RULES.get(tag, (None, _ANY))
    if kinds is not None and (kind not in kinds or count < 1 or expected not in (_ANY, count)):
        raise damaged(f"TIFF tag {tag} has {count} values of type {kind}")


def _inside(content: Content, tag: int, entry: Entry) -> Entry:
    if entry.offset + entry.length > content.size:
        raise damaged(f"it is cut short: TIFF tag {tag} lies beyond its end")
    return entry


def check_apart(
    directories: list[Directory], offsets: NDArray[np.int64], lengths: NDArray[np.int64]
) -> None:
    """No two blocks of pixels lie in the same place, nor any of them and a directory or its values.

    The same values may belong to several tags or pages, because programs write equal ones once.
    """
    described = {place for directory in directories for place in directory.places()}
    begins, ends = _sorted(np.array([(0, 8), *described], np.int64).T)
    if (begins[1:] < ends[:-1]).any():
        raise damaged("two of its TIFF tags lie in the same place")
    begins, ends = _sorted(
        np.stack([np.append(begins, offsets), np.append(ends, offsets + lengths)])
    )
    if (begins[1:] < ends[:-1]).any():
        raise damaged("its pixels lie in two places at once, or where its description does")


def _sorted(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Begins and ends, (2, places), by the begins."""
    return places[:, np.lexsort(places[::-1])]
