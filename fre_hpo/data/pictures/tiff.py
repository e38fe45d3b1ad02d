"""TIFF: one picture or a stack of equal ones, also hyperstacks of ImageJ and OME."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures import blocks
from fre_hpo.data.pictures.axes import read_axes
from fre_hpo.data.pictures.content import Content
from fre_hpo.data.pictures.directories import (
    SIGNATURES,
    Directory,
    check_apart,
    read_directories,
)
from fre_hpo.data.pictures.error import Flaw, damaged
from fre_hpo.data.pictures.kind import PALETTE, WHITE_IS_ZERO, Kind
from fre_hpo.data.pictures.layout import JPEG, UNCOMPRESSED, Page, read_page
from fre_hpo.data.pictures.picture import Header, Picture, Pixels, grey_palette

__all__ = ["SIGNATURES", "open_tiff"]

_DESCRIPTION = 270


def open_tiff(content: Content) -> Picture:
    """Check the whole structure, down to where each block of pixels lies; decode none."""
    directories = read_directories(content)
    pages = [read_page(directory) for directory in directories]
    kind = pages[0].kind
    for number, page in enumerate(pages, 1):
        if page.kind != kind:
            raise Flaw(
                f"holds pages of unlike size or kind (1 and {number})",
                "save each as a file of its own",
            )
    description = directories[0].data(_DESCRIPTION).decode("utf-8", "replace")
    axes = read_axes(description, kind, len(pages))
    order = axes.arranged()
    if order.size != len(pages):
        pages = _virtual_pages(pages, order.size, content.size)
    _check_apart(directories, pages)
    if order.shape[1] > 1 and kind.samples > 1:
        raise Flaw(
            f"has {order.shape[1]} channels of {kind.samples} samples each",
            "save it as RGB, or as a hyperstack of single channels",
        )
    return _picture(content, pages, order)


def _virtual_pages(pages: Sequence[Page], count: int, size: int) -> list[Page]:
    """ImageJ's large stacks: one directory, and all pages' pixels one after another behind it."""
    page = pages[0]
    length = int(page.lengths.sum())
    whole = (
        page.compression == UNCOMPRESSED
        and (page.offsets[1:] == page.offsets[:-1] + page.lengths[:-1]).all()
    )
    if len(pages) > 1 or not whole or int(page.offsets[0]) + count * length > size:
        raise damaged(f"it is cut short: {len(pages)} of the {count} pages it names are there")
    return [replace(page, offsets=page.offsets + number * length) for number in range(count)]


def _check_apart(directories: list[Directory], pages: Sequence[Page]) -> None:
    check_apart(
        directories,
        np.concatenate([page.offsets for page in pages]),
        np.concatenate([page.lengths for page in pages]),
    )


def _picture(content: Content, pages: Sequence[Page], order: NDArray[np.intp]) -> Picture:
    kind = pages[0].kind
    palette = np.frombuffer(kind.palette, np.uint8).reshape(3, -1).T
    inverted = grey_palette(palette, kind.bits) if kind.photometric == PALETTE else None
    coloured = kind.photometric == PALETTE and inverted is None
    rgb = coloured or kind.rgb
    samples = kind.samples - kind.alpha
    header = Header(
        "TIFF",
        kind.height,
        kind.width,
        3 if coloured else samples * order.shape[1],
        rgb=rgb,
        pages=len(order),
        dtype=_shown(kind, coloured),
        one_bit=kind.bits == 1 and not coloured,
        palette=coloured,
        lossy=any(page.compression == JPEG for page in pages),
    )

    def stored(channel: int | None) -> Pixels:
        return _stored(content, pages, order, samples, channel)

    white_is_zero = kind.photometric == WHITE_IS_ZERO or bool(inverted)
    return Picture(header, stored, kind.bits, palette if coloured else None, white_is_zero)


def _shown(kind: Kind, coloured: bool) -> np.dtype[np.generic]:
    """The type of the pixels as displayed; all fractions become float32."""
    if coloured:
        return np.dtype(np.uint8)
    return np.dtype(np.float32) if kind.dtype.kind == "f" else kind.dtype


def _stored(
    content: Content,
    pages: Sequence[Page],
    order: NDArray[np.intp],
    samples: int,
    channel: int | None,
) -> Pixels:
    """Decode all pages, or those of one channel: (pages, channels, height, width)."""
    kind = pages[0].kind
    if samples == 1 and channel is not None:
        order, channel = order[:, channel : channel + 1], None
    wanted = slice(samples) if channel is None else slice(channel, channel + 1)
    depth = len(range(samples)[wanted])
    dtype = _shown(kind, coloured=False)
    shape = (len(order), order.shape[1] * depth, kind.height, kind.width)
    pixels = np.empty(shape, dtype)
    with np.errstate(over="ignore"):  # a fraction beyond float32 becomes infinite, and is refused
        for place, number in np.ndenumerate(order):
            decoded = np.moveaxis(blocks.decode(content, pages[int(number)])[..., wanted], -1, 0)
            pixels[place[0], place[1] * depth : (place[1] + 1) * depth] = decoded
    _check_whole_numbers(pixels)
    return pixels


def _check_whole_numbers(pixels: Pixels) -> None:
    """32-bit numbers that only make sense as fractions: the tag that says so is lost or changed."""
    if pixels.dtype not in (np.uint32, np.int32) or not pixels.any():
        return
    sizes = np.abs(pixels.view(np.float32)[pixels != 0])
    if (sizes > 1e-9).all() and (sizes < 1e9).all():
        raise Flaw(
            "holds 32-bit numbers that look like fractions but are marked as whole",
            "save it again with 16 bits, or as 32-bit fractions",
        )
