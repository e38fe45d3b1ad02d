"""JPEG: what its markers say, and whether it goes on as far as its end.

JPEG has no checksum: a changed byte among the pixels is another picture.  That the file is whole,
of one size and followed by nothing is all that can be checked.
"""

import re
import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures.content import Content
from fre_hpo.data.pictures.error import Flaw, damaged
from fre_hpo.data.pictures.orientation import check_upright, exif_orientation
from fre_hpo.data.pictures.picture import Header, Picture, checked_size, decoded_at_once

SIGNATURE = b"\xff\xd8\xff"
_START, _END, _SCAN, _EXIF = 0xD8, 0xD9, 0xDA, 0xE1
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_READ = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended and progressive, coded by Huffman
_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")  # not within the pixels of a scan


class Frame(NamedTuple):
    """What a JPEG stream says of its picture."""

    height: int
    width: int
    channels: int


def open_jpeg(content: Content) -> Picture:
    """Check the markers; decode when asked."""
    stream = content.whole()
    frame = read_frame(stream)
    header = Header(
        "JPEG",
        frame.height,
        frame.width,
        frame.channels,
        rgb=frame.channels == 3,
        pages=1,
        dtype=np.dtype(np.uint8),
        lossy=True,
    )
    return Picture(header, decoded_at_once(header, frame.channels, lambda: _decode(stream)), 8)


def read_frame(stream: bytes) -> Frame:
    """Walk over the markers of a whole JPEG stream, also one that lies in a TIFF file."""
    if not stream.startswith(b"\xff\xd8"):
        raise damaged("a JPEG stream without a beginning")
    frame, position, coded = None, 2, 0
    while True:
        marker, position = _next_marker(stream, position)
        if marker == _END:
            break
        segment = _segment(stream, position)
        position += 2 + len(segment)
        if marker == _EXIF and segment.startswith(b"Exif\x00\x00"):
            check_upright(exif_orientation(segment[6:]))
        if marker in _FRAMES:
            frame = _frame(marker, segment, frame)
        if marker == _SCAN:
            found = _NEXT_MARKER.search(stream, position)
            end = found.start() if found else len(stream)
            coded, position = coded + end - position, end
    if frame is None or not coded:
        raise damaged("a JPEG stream without pixels")
    if -(-frame.height // 8) * -(-frame.width // 8) > 8 * coded:  # a bit for each square, at least
        raise damaged(f"{coded} bytes are too few for {frame.height}x{frame.width} pixels")
    if stream[position:].strip(b"\x00"):
        raise damaged(f"it ends {len(stream) - position} bytes before the file does")
    return frame


def _next_marker(stream: bytes, position: int) -> tuple[int, int]:
    """The marker at a position, fill bytes skipped, and where its segment begins."""
    end = position
    while stream[end : end + 1] == b"\xff":
        end += 1
    if end == position and end < len(stream):
        raise damaged(f"no JPEG marker at byte {position}")
    if end >= len(stream):
        raise damaged("it is cut short: a JPEG stream without an end")
    return stream[end], end + 1


def _segment(stream: bytes, position: int) -> bytes:
    """The data behind a marker."""
    if position + 2 > len(stream):
        raise damaged("it is cut short: a JPEG stream without an end")
    (length,) = struct.unpack_from(">H", stream, position)
    if length < 2 or position + length > len(stream):
        raise damaged("it is cut short: a JPEG stream without an end")
    return stream[position + 2 : position + length]


def _frame(marker: int, segment: bytes, earlier: Frame | None) -> Frame:
    if earlier is not None or len(segment) < 6 or len(segment) != 6 + 3 * segment[5]:
        raise damaged("a JPEG stream with a broken header")
    bits, height, width, channels = struct.unpack_from(">BHHB", segment)
    checked_size(height, width)
    if marker not in _READ or bits != 8:
        raise Flaw(f"is a JPEG of a rare kind ({bits} bits)", "save it as PNG or TIFF")
    if channels not in {1, 3}:
        raise Flaw(f"has {channels} colours for printing", "save it as grey or RGB")
    return Frame(height, width, channels)


def _decode(stream: bytes) -> NDArray[Any]:
    import imagecodecs

    samples: NDArray[Any] = imagecodecs.jpeg8_decode(stream)
    return samples
