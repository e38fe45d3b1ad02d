"""From what a file holds to what is asked for: channels, grey, numbers, colours."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures.error import Flaw
from fre_hpo.data.pictures.picture import Header, Picture, Pixels
from fre_hpo.errors import counted

Channel = Literal["grey", "all"] | int
"""One grey value for each pixel, all channels, or the channel of that number, counted from 1."""

_LUMINANCE = (299, 587, 114)
"""Thousandths of red, green and blue: ITU-R BT.601, as in Pillow's own conversion."""

_LOSSY = {"TIFF": "JPEG inside TIFF"}
_AS_PNG = "save it again as PNG or TIFF with whole numbers"


def image(picture: Picture, channel: Channel) -> Pixels:
    """An image's pixels as displayed, (pages, channels, height, width)."""
    header = picture.header
    if channel == "all":
        pixels = picture.displayed(None)
    elif channel != "grey":
        if not 1 <= channel <= header.channels:
            few = counted(header.channels, "channel")
            known = "grey" if header.channels == 1 else f"1 to {header.channels}"
            raise Flaw(f"has {few} and no channel {channel}", f"set data.channel to {known}")
        pixels = picture.displayed(channel - 1)
    elif header.rgb:
        pixels = _luminance(picture.displayed(None))
    elif header.channels == 1:
        pixels = picture.displayed(None)
    else:
        raise Flaw(
            f"has {header.channels} channels",
            f"set data.channel to the one that shows the cells, 1 to {header.channels}",
        )
    _check_finite(pixels)
    return pixels


def _luminance(pixels: Pixels) -> Pixels:
    """Red, green and blue -> one channel; exact for grey that was saved as RGB."""
    if pixels.dtype.kind == "f":
        grey = sum(pixels[:, i] * np.float32(w / 1000) for i, w in enumerate(_LUMINANCE))
        return np.asarray(grey, pixels.dtype)[:, None]
    if pixels.dtype not in (np.uint8, np.uint16):
        raise Flaw(f"has colours of {pixels.dtype}", "save it with 8 or 16 bits a channel")
    result = np.empty((len(pixels), 1, *pixels.shape[2:]), pixels.dtype)
    for page, grey in zip(pixels, result, strict=True):
        sums = np.full(page.shape[1:], 500, np.uint32)
        for samples, weight in zip(page, _LUMINANCE, strict=True):
            sums += samples * np.uint32(weight)
        grey[0] = sums // 1000
    return result


def _check_finite(pixels: Pixels) -> None:
    if pixels.dtype.kind != "f":
        return
    bad = pixels.size - np.count_nonzero(np.isfinite(pixels))
    if bad:
        raise Flaw(
            f"has {bad} of {pixels.size} pixels that are no number (NaN or infinite)",
            "replace them, then save it again",
        )


def numbers(picture: Picture) -> NDArray[Any]:
    """A mask's numbers as stored, unsigned, (pages, height, width)."""
    header = picture.header
    _check_exact(header)
    if header.channels > 1 and not header.rgb:
        raise Flaw(f"has {header.channels} channels", "save the mask with one")
    stored = picture.stored(None)
    if stored.dtype.kind == "f":
        raise Flaw(f"holds fractions ({stored.dtype}) where a mask has whole numbers", _AS_PNG)
    _check_grey(stored)
    values = stored[:, 0]
    if values.dtype.kind == "i":
        negative = np.count_nonzero(values < 0)
        if negative:
            raise Flaw(
                f"has {counted(int(negative), 'negative number')}, the least {values.min()}",
                "save the mask with numbers from 0 on, 8 or 16 bit",
            )
        values = values.astype(f"u{values.itemsize}")
    return np.ascontiguousarray(values)


def _check_exact(header: Header) -> None:
    """A mask whose pixels are not the ones that were saved is none."""
    if header.lossy:
        raise Flaw(
            f"is stored with loss ({_LOSSY.get(header.format, header.format)}), which blurs the labels",
            "export the mask again as PNG or as TIFF without JPEG",
        )


def _check_grey(stored: Pixels) -> None:
    """Red, green and blue are equal everywhere: a grey mask that was saved as RGB."""
    coloured = (stored[:, 1:] != stored[:, :1]).any(axis=1)
    if coloured.any():
        page, row, column = (int(i) for i in np.argwhere(coloured)[0])
        first = ", ".join(str(v) for v in stored[page, :, row, column])
        raise Flaw(
            f"has colours in {np.count_nonzero(coloured)} pixels, such as ({first})",
            'name the colours in data.labels, such as nucleus = "#00ff00"',
        )


def colours(picture: Picture) -> NDArray[np.uint8]:
    """A mask's colours as displayed, (pages, height, width, 3)."""
    header = picture.header
    _check_exact(header)
    if header.dtype != np.uint8:
        raise Flaw(
            f"has {header.dtype} numbers and no colours",
            "save the mask as RGB of 8 bits, or name numbers in data.labels",
        )
    if not header.rgb and header.channels > 1:
        raise Flaw(f"has {header.channels} channels", "save the mask as RGB")
    pixels = picture.displayed(None)
    whole = np.broadcast_to(pixels, (len(pixels), 3, *pixels.shape[2:]))
    return np.ascontiguousarray(np.moveaxis(whole, 1, -1))
