"""PNG: every chunk is checked against its checksum, so that no damage goes unnoticed."""

import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures.content import Content
from fre_hpo.data.pictures.error import Flaw, damaged
from fre_hpo.data.pictures.orientation import check_upright, exif_orientation
from fre_hpo.data.pictures.picture import (
    Header,
    Picture,
    checked_size,
    decoded_at_once,
    grey_palette,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 1, 6: 3}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PALETTE = 3


class _Chunk(NamedTuple):
    """Where a chunk lies: the offset of its length field, and the length of its data."""

    kind: bytes
    offset: int
    length: int


class _Size(NamedTuple):
    """The fields of IHDR."""

    width: int
    height: int
    bits: int
    colour: int
    compression: int
    filter: int
    interlace: int


def open_png(content: Content) -> Picture:
    """Read the header and the order of the chunks; the pixels when they are asked for."""
    chunks = list(_walk(content))
    _check_order(chunks)
    size = _size(content, chunks[0])
    palette = _palette(content, chunks) if size.colour == _PALETTE else None
    for chunk in chunks:
        if chunk.kind == b"eXIf":
            check_upright(exif_orientation(_data(content, chunk)))
    inverted = None if palette is None else grey_palette(palette, size.bits)
    if inverted is not None:
        palette = None
    channels = 3 if palette is not None else _CHANNELS[size.colour]
    header = Header(
        "PNG",
        size.height,
        size.width,
        channels,
        rgb=channels == 3,
        pages=1,
        dtype=np.dtype(np.uint16 if size.bits == 16 else np.uint8),
        one_bit=size.bits == 1 and palette is None,
        palette=palette is not None,
    )
    stored = decoded_at_once(header, _CHANNELS[size.colour], lambda: _decode(content, chunks, size))
    return Picture(header, stored, size.bits, palette, white_is_zero=bool(inverted))


def _walk(content: Content) -> Iterator[_Chunk]:
    """All chunks as far as IEND; what follows it belongs to no picture."""
    offset, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        length, kind = struct.unpack(">I4s", content.at(offset, 8))
        if not kind.isalpha():
            raise damaged(f"a chunk of kind {kind!r} at byte {offset}")
        yield _Chunk(kind, offset, length)
        offset += 12 + length
    content.at(offset - 4, 4)


def _check_order(chunks: list[_Chunk]) -> None:
    kinds = [chunk.kind for chunk in chunks]
    if kinds[0] != b"IHDR" or chunks[0].length != 13 or chunks[-1].length != 0:
        raise damaged("it does not begin with IHDR and end with IEND")
    if b"acTL" in kinds:
        raise Flaw("is an animation (APNG)", "save the picture in it as a file of its own")
    strange = [
        k for k in kinds if k[:1].isupper() and k not in {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
    ]
    if strange:
        raise damaged(f"a chunk of kind {strange[0]!r}")
    if max(kinds.count(b"IHDR"), kinds.count(b"PLTE")) > 1 or b"IDAT" not in kinds:
        raise damaged("its chunks are not those of one picture")


def _data(content: Content, chunk: _Chunk) -> bytes:
    """A chunk's data, checked."""
    found = content.at(chunk.offset, chunk.length + 12)
    if struct.pack(">I", zlib.crc32(memoryview(found)[4:-4])) != found[-4:]:
        raise damaged(f"the checksum of {chunk.kind.decode()} at byte {chunk.offset} is wrong")
    return found[8:-4]


def _size(content: Content, chunk: _Chunk) -> _Size:
    size = _Size(*struct.unpack(">IIBBBBB", _data(content, chunk)))
    checked_size(size.height, size.width)
    if size.bits not in _DEPTHS.get(size.colour, ()) or size.interlace > 1:
        raise damaged(f"{size.bits} bits of colour type {size.colour}")
    return size


def _palette(content: Content, chunks: list[_Chunk]) -> NDArray[np.uint8]:
    entries = b"".join(_data(content, chunk) for chunk in chunks if chunk.kind == b"PLTE")
    if not entries or len(entries) % 3 or len(entries) > 768:
        raise damaged("its palette is missing or cut")
    return np.frombuffer(entries, np.uint8).reshape(-1, 3)


def _decode(content: Content, chunks: list[_Chunk], size: _Size) -> NDArray[Any]:
    """(height, width[, samples]) as stored, by libpng.

    libpng sees the pixels only: no remarks, colour profiles or transparent colours.  It reads a
    palette's indices as levels of grey, and stretches few bits to eight, which is undone.
    """
    import imagecodecs

    pixels = b"".join(
        data for chunk in chunks for data in [_data(content, chunk)] if chunk.kind == b"IDAT"
    )
    plain = size._replace(colour=0) if size.colour == _PALETTE else size
    parts = [(b"IHDR", struct.pack(">IIBBBBB", *plain)), (b"IDAT", pixels), (b"IEND", b"")]
    samples: NDArray[Any] = imagecodecs.png_decode(
        SIGNATURE + b"".join(_packed(kind, data) for kind, data in parts)
    )
    return samples // np.uint8(255 // ((1 << size.bits) - 1)) if size.bits < 8 else samples


def _packed(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)
