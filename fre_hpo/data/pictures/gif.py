"""GIF: one picture that fills the screen; animations are refused."""

import struct
from io import BytesIO
from typing import Any

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

SIGNATURES = (b"GIF87a", b"GIF89a")
_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B


def open_gif(content: Content) -> Picture:
    """Walk over the blocks as far as the trailer."""
    stream = content.whole()
    width, height, flags = struct.unpack("<HHB", content.at(6, 5))
    checked_size(height, width)
    common, position = _palette(stream, 13, flags)
    frames: list[tuple[tuple[int, ...], NDArray[np.uint8] | None]] = []
    while (kind := _byte(stream, position)) != _TRAILER:
        if kind == _EXTENSION:
            position = _skipped(stream, position + 2)
        elif kind == _IMAGE:
            place = struct.unpack("<HHHHB", content.at(position + 1, 9))
            own, position = _palette(stream, position + 10, place[4])
            frames.append((place[:4], own))
            position = _skipped(stream, position + 1)
        else:
            raise damaged(f"a block of kind {kind} at byte {position}")
    if len(frames) > 1:
        raise Flaw(
            f"is an animation of {len(frames)} pictures (GIF)",
            "save each picture as a file of its own",
        )
    if not frames or frames[0][0] != (0, 0, width, height):
        raise damaged("its pixels do not fill its size")
    own = frames[0][1]
    palette = common if own is None else own
    if palette is None:
        raise damaged("it has no palette")
    return _picture(stream, height, width, palette)


def _picture(stream: bytes, height: int, width: int, palette: NDArray[np.uint8]) -> Picture:
    plain = grey_palette(palette, 8) is False
    channels = 1 if plain else 3
    header = Header("GIF", height, width, channels, rgb=not plain, pages=1,
                    dtype=np.dtype(np.uint8), palette=not plain)  # fmt: skip
    stored = decoded_at_once(header, 1, lambda: _decode(stream, len(palette)))
    return Picture(header, stored, 8, None if plain else palette)


def _byte(stream: bytes, position: int) -> int:
    if position >= len(stream):
        raise damaged("it is cut short: a GIF without its last byte")
    return stream[position]


def _palette(stream: bytes, position: int, flags: int) -> tuple[NDArray[np.uint8] | None, int]:
    """The palette at a position, if the flags say that there is one, and what follows it."""
    if not flags & 0x80:
        return None, position
    end = position + 3 * (2 << (flags & 7))
    _byte(stream, end)
    return np.frombuffer(stream[position:end], np.uint8).reshape(-1, 3), end


def _skipped(stream: bytes, position: int) -> int:
    """Behind a chain of sub-blocks."""
    while length := _byte(stream, position):
        position += 1 + length
    return position + 1


def _decode(stream: bytes, entries: int) -> NDArray[Any]:
    """The indices, (height, width)."""
    from PIL.GifImagePlugin import GifImageFile

    with GifImageFile(BytesIO(stream)) as picture:
        if picture.mode not in {"L", "P"}:
            raise damaged(f"pixels of mode {picture.mode}")
        indices = np.array(picture)
    if indices.max() >= entries:
        raise damaged(f"colour {indices.max()} of a palette of {entries}")
    return indices
