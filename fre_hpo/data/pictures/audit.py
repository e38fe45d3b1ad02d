"""TIFF: the strictness that tifffile lacks.

tifffile reads what is left of a damaged file, and says so in its log at best.  TIFF has no checksum,
but it has redundancy, and all of it is asked for here: directories that follow each other to a
stated end, tags in ascending order and of the type and count that they have to have, values and
pixels inside the file, no two things in the same place.
"""

from __future__ import annotations

import logging
import math
import re
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures.content import Content
from fre_hpo.data.pictures.error import damaged
from fre_hpo.data.pictures.kind import UNCOMPRESSED

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_BYTES, _WHOLE, _RATIONAL = frozenset({1, 2, 7}), frozenset({3, 4, 16}), frozenset({5})
_ANY = 0
_RULES: Mapping[int, tuple[frozenset[int], int]] = {
    **dict.fromkeys((254, 255, 256, 257, 259, 262, 266, 274, 277, 278, 284, 296), (_WHOLE, 1)),
    **dict.fromkeys((317, 322, 323), (_WHOLE, 1)),
    **dict.fromkeys((258, 273, 279, 320, 324, 325, 338, 339), (_WHOLE, _ANY)),
    **dict.fromkeys((318, 319, 529, 532), (_RATIONAL, _ANY)),
    **dict.fromkeys((269, 270, 271, 272, 285, 305, 306, 315, 316, 347), (_BYTES, _ANY)),
    321: (_WHOLE, 2),
    330: (frozenset({4, 13, 16, 18}), _ANY),
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

_DESCRIPTION, _SHORT = 270, 3
_BESIDE = frozenset({269, 271, 272, 285, 296, 305, 306, 315, 316})  # resolution, date, names
_CHANGING = threading.Lock()
_ABOUT_ONE_TAG = re.compile(r"<tifffile\.TiffTag (\d+) @\d+> (?:coercing|raised)")


@contextmanager
def strictly() -> Iterator[None]:
    """Whatever tifffile logs meanwhile in this thread is damage, and goes to nobody's log.

    Except what it cannot make of a tag that decides nothing about the picture.
    """
    logger, thread, found = logging.getLogger("tifffile"), threading.get_ident(), []

    def told(record: logging.LogRecord) -> bool:
        if threading.get_ident() != thread or record.levelno < logging.WARNING:
            return True
        text = record.getMessage()
        tag = _ABOUT_ONE_TAG.match(text)
        if "GDAL_NODATA" not in text and (tag is None or int(tag[1]) in _RULES.keys() - _BESIDE):
            found.append(re.sub(r"<[^>]*> ?", "", text).splitlines()[0])
        return False

    with _CHANGING:  # the list itself is not, as another thread may be walking over it
        logger.filters = [*logger.filters, told]
    try:
        yield
    finally:
        with _CHANGING:
            logger.filters = [other for other in logger.filters if other is not told]
    if found:
        raise damaged(found[0])


def audited(file: TiffFile, content: Content) -> list[TiffPage]:
    """All pages of the chain, which ends with a zero; with their tags as they should be."""
    pages: dict[int, TiffPage] = {}
    following = 1
    for page in file.pages:
        if page.offset in pages:
            raise damaged("its pages go round in a circle")
        pages[page.offset] = page.aspage()
        following = _check_directory(page.aspage(), content)
    if following:
        raise damaged(f"it is cut short: page {len(pages) + 1} lies beyond its end")
    return list(pages.values())


def _check_directory(page: TiffPage, content: Content) -> int:
    """Hold a page's tags against the rules; the offset of the next page."""
    form = page.parent.tiff
    (count,) = struct.unpack(form.tagnoformat, content.at(page.offset, form.tagnosize))
    end = page.offset + form.tagnosize + count * form.tagsize
    (following,) = struct.unpack(form.offsetformat, content.at(end, form.offsetsize))
    codes = [tag.code for tag in page.tags]
    twice = {code for code, after in pairwise(codes) if code >= after} - {_DESCRIPTION}
    if len(codes) != count or not codes:
        lost = f"{count - len(codes)} of {count} TIFF tags cannot be read"
        raise damaged(f"it is cut short or changed: {lost}")
    if codes != sorted(codes) or twice:
        raise damaged("its TIFF tags are out of order")
    for tag in page.tags:
        kinds, expected = _RULES.get(tag.code, (None, _ANY))
        strange = tag.code < 254 or (tag.code <= 532 and tag.code not in _DEFINED)
        if strange or (
            kinds and (tag.dtype not in kinds or tag.count < 1 or expected not in {_ANY, tag.count})
        ):
            raise damaged(f"TIFF tag {tag.code} has {tag.count} values of type {int(tag.dtype)}")
    last = page.tags[codes[-1]]
    if _LOOKED_UP_LAST.get(last.code & 0xFF, last.code) not in codes and last.dtype == _SHORT:
        raise damaged(f"the unknown TIFF tag {last.code}")
    return int(following)


def check_blocks(page: TiffPage, bits: int, size: int) -> None:
    """As many blocks as the page needs, each inside the file, of the right length if known."""
    tiled = 322 in page.tags
    codes = (324, 325) if tiled else (273, 279)
    if tiled == (273 in page.tags) or not all(code in page.tags for code in codes):
        raise damaged("it has both strips and tiles, or neither")
    if tiled and (page.tilewidth < 1 or page.tilewidth % 16 or page.tilelength % 16):
        raise damaged(f"tiles of {page.tilelength}x{page.tilewidth} pixels")
    counts, needed = [page.tags[code].count for code in codes], math.prod(page.chunked)
    if counts != [needed, needed]:
        raise damaged(f"{counts[0]} blocks of pixels, {counts[1]} lengths, {needed} needed")
    begins, lengths = np.array([page.dataoffsets, page.databytecounts], np.int64)
    if (lengths < 1).any() or (begins < 8).any():
        raise damaged("a block of its pixels is empty")
    if (begins > size).any() or (lengths > size - begins).any():
        raise damaged("it is cut short: a block of its pixels lies beyond its end")
    if page.compression == UNCOMPRESSED and (lengths != needed_lengths(page, bits)).any():
        raise damaged("a block of its pixels is longer or shorter than its size needs")


def needed_lengths(page: TiffPage, bits: int) -> NDArray[np.int64]:
    """Bytes of each block before compression: a plane's last strip has the rows that are left."""
    rows, columns = page.chunks[:2]
    row = -(-columns * (page.samplesperpixel if page.planarconfig == 1 else 1) * bits // 8)
    lengths = np.full(math.prod(page.chunked), rows * row, np.int64)
    if not page.is_tiled:
        down = -(-page.imagelength // rows)
        lengths[down - 1 :: down] = (page.imagelength - (down - 1) * rows) * row
    return lengths


def check_apart(
    pages: Sequence[TiffPage], offsets: NDArray[np.int64], lengths: NDArray[np.int64]
) -> None:
    """No two blocks of pixels lie in the same place, nor any of them and a directory or its values.

    The same values may belong to several tags or pages, because programs write equal ones once.
    """
    form = pages[0].parent.tiff
    described = {(0, 8)}
    for page in pages:
        end = page.offset + form.tagnosize + len(page.tags) * form.tagsize + form.offsetsize
        described.add((page.offset, end))
        described |= {
            (tag.valueoffset, tag.valueoffset + tag.valuebytecount)
            for tag in page.tags
            if tag.valuebytecount > form.tagoffsetthreshold
        }
    begins, ends = _sorted(np.array([*described], np.int64).T)
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
