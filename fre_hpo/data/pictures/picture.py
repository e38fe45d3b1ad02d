"""What every format becomes: a header, and pixels as stored that can be shown as displayed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures.error import damaged

Pixels = NDArray[Any]
"""(pages, channels, height, width)."""


@dataclass(frozen=True)
class Header:
    """What is known before a pixel is decoded.

    format: "PNG", "TIFF", "JPEG", "BMP", "GIF", "PNM" or "WEBP".  channels: without alpha.  rgb: the
    channels are red, green and blue as displayed, and not those of a fluorescence microscope.
    dtype: as displayed; one bit becomes uint8.  one_bit, palette: how the pixels are stored.
    lossy: the pixels are not the ones that were saved.
    """

    format: str
    height: int
    width: int
    channels: int
    rgb: bool
    pages: int
    dtype: np.dtype[Any]
    one_bit: bool = False
    palette: bool = False
    lossy: bool = False

    @property
    def nbytes(self) -> int:
        """Decoded bytes of all pages and channels."""
        return self.pages * self.channels * self.height * self.width * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class Picture:
    """An open picture.

    stored: decodes the channel of that number, counted from 0, or all (None), alpha left out.
    bits: of a stored sample.  palette: (entries, 3), displayed colours by stored index.
    """

    header: Header
    stored: Callable[[int | None], Pixels]
    bits: int
    palette: NDArray[np.uint8] | None = None
    white_is_zero: bool = False

    def displayed(self, channel: int | None) -> Pixels:
        """Pixels as a viewer shows them: palette resolved, zero black, fewer than 8 bits stretched
        to 0..255."""
        if self.palette is not None:
            return self._coloured(self.palette, channel)
        pixels = self.stored(channel)
        white = (1 << self.bits) - 1
        if self.white_is_zero:
            pixels = pixels.dtype.type(white) - pixels
        return pixels * np.uint8(255 // white) if self.bits < 8 else pixels

    def _coloured(self, palette: NDArray[np.uint8], channel: int | None) -> Pixels:
        indices = self.stored(None)[:, 0]
        largest = int(indices.max())
        if largest >= len(palette):
            raise damaged(f"colour {largest} of a palette of {len(palette)}")
        wanted = range(3) if channel is None else [channel]
        return np.stack([palette[:, i][indices] for i in wanted], axis=1)


def decoded_at_once(
    header: Header, channels: int, decode: Callable[[], NDArray[Any]]
) -> Callable[[int | None], Pixels]:
    """`stored` of a file with one page, whose decoder gives (height, width[, samples]).

    Samples beyond the channels are alpha.
    """

    def stored(channel: int | None) -> Pixels:
        samples = decode()
        if samples.shape[:2] != (header.height, header.width):
            raise damaged("its pixels do not fill its size")
        planes = np.moveaxis(samples.reshape(header.height, header.width, -1), -1, 0)[None]
        if planes.shape[1] not in {channels, channels + 1}:
            raise damaged(f"{planes.shape[1]} channels where it says {channels}")
        wanted = slice(channels) if channel is None else slice(channel, channel + 1)
        return np.ascontiguousarray(planes[:, wanted])

    return stored


def grey_palette(palette: NDArray[np.uint8], bits: int) -> bool | None:
    """Whether a palette says no more than the indices do: False for black to white in even steps
    (plain grey), True for white and black (white is zero), None for any other palette."""
    steps = np.arange(len(palette)) * 255 // ((1 << bits) - 1)
    if (palette == steps[:, None]).all():
        return False
    if bits == 1 and (palette == [[255], [0]]).all():
        return True
    return None


def checked_size(height: int, width: int) -> None:
    """A picture has pixels."""
    if height < 1 or width < 1:
        raise damaged(f"a size of {height}x{width} pixels")
