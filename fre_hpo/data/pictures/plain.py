"""BMP and PNM: pixels as they are, behind a short header.  Neither has a checksum: what can be
checked is that the pixels are exactly as many as the size needs."""

import re
import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures.content import Content
from fre_hpo.data.pictures.error import Flaw, damaged
from fre_hpo.data.pictures.picture import (
    Header,
    Picture,
    checked_size,
    decoded_at_once,
    grey_palette,
)

BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_BMP_COMPRESSIONS = {1: "RLE", 2: "RLE", 4: "JPEG", 5: "PNG"}
_MASKS = (0xFF0000, 0xFF00, 0xFF)
_PNM_NUMBER = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])+(\d{1,9})(?=\s|#|$)")


class _Bitmap(NamedTuple):
    """The fields of a BMP that matter."""

    width: int
    height: int
    top_first: bool
    bits: int
    start: int
    palette: NDArray[np.uint8] | None

    @property
    def stride(self) -> int:
        """Bytes of a row, padded to four."""
        return (self.width * self.bits + 31) // 32 * 4


def open_bmp(content: Content) -> Picture:
    """Uncompressed BMP of 1, 4, 8, 24 or 32 bits."""
    bitmap = _bitmap(content)
    palette = bitmap.palette
    inverted = None if palette is None else grey_palette(palette, bitmap.bits)
    if inverted is not None:
        palette = None
    plain = bitmap.palette is not None and palette is None
    header = Header(
        "BMP",
        bitmap.height,
        bitmap.width,
        1 if plain else 3,
        rgb=not plain,
        pages=1,
        dtype=np.dtype(np.uint8),
        one_bit=plain and bitmap.bits == 1,
        palette=palette is not None,
    )
    channels = 3 if bitmap.palette is None else 1
    stored = decoded_at_once(header, channels, lambda: _rows(content, bitmap))
    bits = min(bitmap.bits, 8)
    return Picture(header, stored, bits, palette, white_is_zero=bool(inverted))


def _bitmap(content: Content) -> _Bitmap:
    start, size = struct.unpack("<II", content.at(10, 8))
    if size == 12:
        width, height, planes, bits = struct.unpack("<HHHH", content.at(18, 8))
        compression = stated = used = 0
    else:
        fields = struct.unpack("<iiHHIIiiI", content.at(18, 32))
        width, height, planes, bits, compression, stated, _, _, used = fields
    checked_size(abs(height), width)
    _check_kind(content, planes, bits, compression)
    table = 14 + size
    palette = None
    if bits <= 8:
        entry = 3 if size == 12 else 4
        count = used or 1 << bits
        if count > 1 << bits or table + entry * count > start:
            raise damaged("its palette lies among its pixels")
        entries = np.frombuffer(content.at(table, entry * count), np.uint8).reshape(-1, entry)
        palette = entries[:, 2::-1]
    bitmap = _Bitmap(width, abs(height), height < 0, bits, start, palette)
    _check_length(content, bitmap, table, stated)
    return bitmap


def _check_kind(content: Content, planes: int, bits: int, compression: int) -> None:
    if planes != 1 or bits not in {1, 4, 8, 16, 24, 32} or compression > 6:
        raise damaged("a broken header")
    if compression in _BMP_COMPRESSIONS:
        raise Flaw(
            f"is a BMP compressed by {_BMP_COMPRESSIONS[compression]}", "save it as PNG or TIFF"
        )
    usual = not compression or (bits == 32 and struct.unpack("<III", content.at(54, 12)) == _MASKS)
    if bits == 16 or not usual:
        raise Flaw(f"is a BMP with colours of a rare kind ({bits} bits)", "save it as PNG or TIFF")


def _check_length(content: Content, bitmap: _Bitmap, table: int, stated: int) -> None:
    """The rows end where the file does, but for padding that the header counts as pixels."""
    needed = bitmap.stride * bitmap.height
    there = content.size - bitmap.start
    if bitmap.start < table or there < needed:
        raise damaged(f"it is cut short: {there} of {needed} bytes of pixels are there")
    if there > needed and not (there == stated and there < needed + 4):
        raise damaged(f"{there} bytes of pixels where its size needs {needed}")


def _rows(content: Content, bitmap: _Bitmap) -> NDArray[Any]:
    """(height, width) of indices, or (height, width, 3)."""
    pixels = content.at(bitmap.start, bitmap.stride * bitmap.height)
    rows = np.frombuffer(pixels, np.uint8).reshape(bitmap.height, bitmap.stride)
    rows = rows if bitmap.top_first else rows[::-1]
    if bitmap.bits == 4:
        rows = np.stack([rows >> 4, rows & 15], axis=-1).reshape(bitmap.height, -1)
    if bitmap.bits == 1:
        rows = np.unpackbits(rows, axis=1)
    if bitmap.bits <= 8:
        return rows[:, : bitmap.width]
    depth = bitmap.bits // 8
    colours = rows[:, : bitmap.width * depth].reshape(bitmap.height, bitmap.width, depth)
    return colours[..., 2::-1]


def open_pnm(content: Content) -> Picture:
    """P1 to P6: bits, grey or colours, as text or binary, up to 16 bits."""
    kind = content.start(2)[1] - ord("0")
    (width, height, largest), start = _pnm_header(content, with_largest=kind not in {1, 4})
    checked_size(height, width)
    if not 0 < largest < 65536:
        raise damaged(f"a largest value of {largest}")
    channels = 3 if kind in {3, 6} else 1
    one_bit = kind in {1, 4}
    dtype = np.dtype(np.uint16 if largest > 255 else np.uint8)
    header = Header("PNM", height, width, channels, rgb=channels == 3, pages=1, dtype=dtype,
                    one_bit=one_bit)  # fmt: skip
    if kind > 3:
        _check_raster(content.size - start, header)

    def decode() -> NDArray[Any]:
        pixels = content.at(start, content.size - start)
        read = _from_text if kind <= 3 else _from_bytes
        values = read(pixels, header)
        if values.max() > largest:
            raise damaged(f"a value of {values.max()} where it says {largest} at most")
        return values

    stored = decoded_at_once(header, channels, decode)
    bits = 1 if one_bit else 8 * dtype.itemsize
    return Picture(header, stored, bits, white_is_zero=one_bit)


def _pnm_header(content: Content, *, with_largest: bool) -> tuple[tuple[int, int, int], int]:
    """Width, height, largest value, and where the pixels begin."""
    text = content.start(4096)
    numbers, position = [], 2
    for _ in range(3 if with_largest else 2):
        found = _PNM_NUMBER.match(text, position)
        if found is None:
            raise damaged("a header without numbers")
        numbers.append(int(found[1]))
        position = found.end()
    width, height, largest = (*numbers, 1)[:3]
    return (width, height, largest), position + 1


def _row_samples(header: Header) -> int:
    """Samples of a binary row; eight one-bit samples are one of a byte."""
    return (header.width + 7) // 8 if header.one_bit else header.width * header.channels


def _check_raster(there: int, header: Header) -> None:
    needed = header.height * _row_samples(header) * header.dtype.itemsize
    if there != needed:
        raise damaged(f"{there} bytes of pixels where its size needs {needed}")


def _from_bytes(pixels: bytes, header: Header) -> NDArray[Any]:
    samples = np.frombuffer(pixels, header.dtype.newbyteorder(">"))
    rows = samples.reshape(header.height, _row_samples(header))
    if header.one_bit:
        return np.unpackbits(rows, axis=1)[:, : header.width]
    return rows.astype(header.dtype).reshape(header.height, header.width, -1)


def _from_text(pixels: bytes, header: Header) -> NDArray[Any]:
    """Numbers between white space; the digits of P1 need none."""
    if not pixels[-1:].isspace():
        raise damaged("it is cut short: its last line does not end")
    words = list(b"".join(pixels.split())) if header.one_bit else pixels.split()
    needed = header.height * header.width * header.channels
    if len(words) != needed:
        raise damaged(f"{len(words)} numbers where its size needs {needed}")
    values = np.array(words, np.uint32) - (ord("0") if header.one_bit else 0)
    return values.reshape(header.height, header.width, -1).astype(header.dtype)
