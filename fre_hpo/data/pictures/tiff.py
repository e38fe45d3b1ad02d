"""TIFF: one picture or a stack of equal ones, also hyperstacks of ImageJ and OME.

tifffile reads it; what it takes too lightly is checked here and in the modules beside this one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures.audit import audited, check_apart, check_blocks, needed_lengths, strictly
from fre_hpo.data.pictures.axes import arranged
from fre_hpo.data.pictures.content import Content
from fre_hpo.data.pictures.error import Flaw, damaged
from fre_hpo.data.pictures.jpeg import read_frame
from fre_hpo.data.pictures.kind import (
    JPEG,
    LZMA,
    LZW,
    PALETTE,
    UNCOMPRESSED,
    WHITE_IS_ZERO,
    Kind,
    name_of,
    read_kind,
)
from fre_hpo.data.pictures.picture import Header, Picture, Pixels, grey_palette

if TYPE_CHECKING:
    from tifffile import TiffPage

__all__ = ["SIGNATURES", "open_tiff"]

SIGNATURES = (b"II*\x00", b"MM\x00*", b"II+\x00\x08\x00\x00\x00", b"MM\x00+\x00\x08\x00\x00")


def open_tiff(content: Content) -> Picture:
    """Check the whole structure, down to where each block of pixels lies; decode none."""
    from tifffile import TiffFile

    with strictly():
        # of a set of several files, only this one is opened
        file = TiffFile(content.file, offset=0, _multifile=False, is_mmstack=False, is_ndtiff=False)
        file.pages.cache = True
        pages = audited(file, content)
        kind = read_kind(pages[0])
        for number, page in enumerate(pages, 1):
            if read_kind(page) != kind:
                raise Flaw(
                    f"holds pages of unlike size or kind (1 and {number})",
                    "save each as a file of its own",
                )
            check_blocks(page, kind.bits, content.size)
        order = arranged(file, kind, len(pages))
    offsets = np.concatenate([np.array(page.dataoffsets, np.int64) for page in pages])
    lengths = np.concatenate([np.array(page.databytecounts, np.int64) for page in pages])
    whole = int(lengths.sum())
    if order.size > len(pages) and int(offsets[0]) + order.size * whole > content.size:
        raise damaged(f"it is cut short: {len(pages)} of the {order.size} pages are there")
    if order.size > len(pages):
        offsets, lengths = offsets[:1], np.array([order.size * whole])
    check_apart(pages, offsets, lengths)
    if order.shape[1] > 1 and kind.samples > 1:
        raise Flaw(
            f"has {order.shape[1]} channels of {kind.samples} samples each",
            "save it as RGB, or as a hyperstack of single channels",
        )
    return _picture(content, pages, kind, order)


def _picture(
    content: Content, pages: list[TiffPage], kind: Kind, order: NDArray[np.intp]
) -> Picture:
    palette = np.frombuffer(kind.palette, np.uint8).reshape(3, -1).T
    inverted = grey_palette(palette, kind.bits) if kind.photometric == PALETTE else None
    coloured = kind.photometric == PALETTE and inverted is None
    samples = kind.samples - kind.alpha
    header = Header(
        "TIFF",
        kind.height,
        kind.width,
        3 if coloured else samples * order.shape[1],
        rgb=coloured or kind.rgb,
        pages=len(order),
        dtype=np.dtype(np.uint8) if coloured else _shown(kind),
        one_bit=kind.bits == 1 and not coloured,
        palette=coloured,
        lossy=any(page.compression == JPEG for page in pages),
    )

    def stored(channel: int | None) -> Pixels:
        with strictly():
            return _stored(content, pages, kind, order, channel)

    white_is_zero = kind.photometric == WHITE_IS_ZERO or bool(inverted)
    return Picture(header, stored, kind.bits, palette if coloured else None, white_is_zero)


def _shown(kind: Kind) -> np.dtype[Any]:
    """The type of the pixels as displayed; all fractions become float32."""
    return np.dtype(np.float32) if kind.dtype.kind == "f" else kind.dtype


def _stored(
    content: Content,
    pages: list[TiffPage],
    kind: Kind,
    order: NDArray[np.intp],
    channel: int | None,
) -> Pixels:
    """Decode all pages, or those of one channel: (pages, channels, height, width)."""
    samples = kind.samples - kind.alpha
    if samples == 1 and channel is not None:
        order, channel = order[:, channel : channel + 1], None
    wanted = slice(samples) if channel is None else slice(channel, channel + 1)
    depth = len(range(samples)[wanted])
    shape = (len(order), order.shape[1] * depth, kind.height, kind.width)
    pixels = np.empty(shape, _shown(kind))
    with np.errstate(over="ignore"):  # a fraction beyond float32 becomes infinite, and is refused
        for place, number in np.ndenumerate(order):
            behind = max(0, int(number) - len(pages) + 1)
            page = pages[int(number) - behind]
            decoded = np.moveaxis(_decode(content, page, kind, behind)[..., wanted], -1, 0)
            pixels[place[0], place[1] * depth : (place[1] + 1) * depth] = decoded
    _check_whole_numbers(pixels)
    return pixels


def _decode(content: Content, page: TiffPage, kind: Kind, behind: int) -> NDArray[Any]:
    """The samples of a page, (height, width, samples), alpha too.

    behind: which of the pages without a directory, that ImageJ writes behind the last that has one.
    """
    if behind:
        length = sum(page.databytecounts)
        data = content.at(page.dataoffsets[0] + behind * length, length)
        samples = np.frombuffer(data, kind.dtype.newbyteorder(page.parent.byteorder))
    else:
        try:
            _check_lengths(content, page, kind)
            samples = page.asarray(maxworkers=1)
        except ImportError as error:
            raise Flaw(
                f"is compressed by {name_of(page.compression)}, and this installation of "
                "imagecodecs cannot undo it",
                "run pip install imagecodecs, or save the picture without compression",
            ) from error
    planes, _, height, width, together = page.shaped
    whole = samples.reshape(planes, height, width, together)
    return whole[0] if together > 1 else np.moveaxis(whole[..., 0], 0, -1)


def _check_lengths(content: Content, page: TiffPage, kind: Kind) -> None:
    """Refuse blocks that hold more than they should, where tifffile leaves out the rest."""
    from tifffile import TIFF

    packed = kind.bits % 8 and page.compression != UNCOMPRESSED
    if not packed and page.compression not in {LZW, LZMA, JPEG}:
        return
    lengths = needed_lengths(page, kind.bits)
    for offset, length, needed in zip(page.dataoffsets, page.databytecounts, lengths, strict=True):
        data = content.at(offset, length)
        if page.compression == JPEG:
            frame = read_frame(data)
            same = frame[1:] == (page.chunks[1], page.shaped[-1])
            found = math.prod(frame) if same else 0
        else:
            found = len(TIFF.DECOMPRESSORS[page.compression](data, out=int(needed) + 1))
        if found != needed:
            raise damaged("a block of its pixels is longer or shorter than its size needs")


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
