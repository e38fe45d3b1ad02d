"""WebP: a container of chunks around one picture, with loss or without."""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures.content import Content
from fre_hpo.data.pictures.error import Flaw, damaged
from fre_hpo.data.pictures.orientation import check_upright, exif_orientation
from fre_hpo.data.pictures.picture import Header, Picture, checked_size, decoded_at_once

_FRAME_START = b"\x9d\x01\x2a"


def open_webp(content: Content) -> Picture:
    """Read the sizes that the chunks state; they have to agree."""
    stream = content.whole()
    chunks = dict(_walk(stream))
    if chunks.keys() & {b"ANIM", b"ANMF"}:
        raise Flaw("is an animation (WebP)", "save the picture in it as a file of its own")
    check_upright(exif_orientation(chunks.get(b"EXIF", b"").removeprefix(b"Exif\x00\x00")))
    lossy = b"VP8 " in chunks
    if lossy == (b"VP8L" in chunks):
        raise damaged("it does not hold one picture")
    height, width = _lossy_size(chunks[b"VP8 "]) if lossy else _lossless_size(chunks[b"VP8L"])
    checked_size(height, width)
    if b"VP8X" in chunks and _canvas(chunks[b"VP8X"]) != (height, width):
        raise damaged("its pixels do not fill its size")
    header = Header("WEBP", height, width, 3, rgb=True, pages=1, dtype=np.dtype(np.uint8),
                    lossy=lossy)  # fmt: skip
    return Picture(header, decoded_at_once(header, 3, lambda: _decode(stream)), 8)


def _walk(stream: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of every chunk."""
    (size,) = struct.unpack_from("<I", stream, 4)
    if size + 8 != len(stream):
        raise damaged(f"{len(stream)} bytes are there where it says {size + 8}")
    offset = 12
    while offset < len(stream):
        kind, length = struct.unpack_from("<4sI", stream, offset)
        if offset + 8 + length > len(stream):
            raise damaged("a chunk goes on beyond the end")
        yield kind, stream[offset + 8 : offset + 8 + length]
        offset += 8 + length + length % 2


def _lossy_size(frame: bytes) -> tuple[int, int]:
    if len(frame) < 10 or frame[3:6] != _FRAME_START or frame[0] & 1:
        raise damaged("its frame has no beginning")
    width, height = struct.unpack_from("<HH", frame, 6)
    return height & 0x3FFF, width & 0x3FFF


def _lossless_size(frame: bytes) -> tuple[int, int]:
    if len(frame) < 5 or frame[0] != 0x2F:
        raise damaged("its frame has no beginning")
    (fields,) = struct.unpack_from("<I", frame, 1)
    return (fields >> 14 & 0x3FFF) + 1, (fields & 0x3FFF) + 1


def _canvas(chunk: bytes) -> tuple[int, int]:
    if len(chunk) != 10:
        raise damaged("a broken header")
    width, height = (int.from_bytes(chunk[i : i + 3], "little") + 1 for i in (4, 7))
    return height, width


def _decode(stream: bytes) -> NDArray[Any]:
    import imagecodecs

    samples: NDArray[Any] = imagecodecs.webp_decode(stream)
    return samples
