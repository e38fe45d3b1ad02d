"""TIFF, innermost layer: from the bytes of strips and tiles to samples."""

import lzma
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures.content import Content
from fre_hpo.data.pictures.error import Flaw, damaged
from fre_hpo.data.pictures.jpeg import read_frame
from fre_hpo.data.pictures.kind import YCBCR
from fre_hpo.data.pictures.layout import COMPRESSIONS, JPEG, UNCOMPRESSED, Page


def decode(content: Content, page: Page) -> NDArray[Any]:
    """The samples of a page, (height, width, samples), alpha too, in this machine's byte order."""
    kind = page.kind
    samples = np.empty((kind.height, kind.width, kind.samples), kind.dtype)
    places = np.ndindex(*page.grid)
    for (plane, down, across), offset, length in zip(
        places, page.offsets, page.lengths, strict=True
    ):
        data = content.at(int(offset), int(length))
        block = _jpeg(data, page, down) if page.compression == JPEG else _block(data, page, down)
        top, left = down * page.block[0], across * page.block[1]
        target = samples[top : top + page.block[0], left : left + page.block[1]]
        if page.planar:
            target = target[..., plane : plane + 1]
        target[...] = block[: target.shape[0], : target.shape[1]]
    return samples


def _jpeg(data: bytes, page: Page, down: int) -> NDArray[Any]:
    import imagecodecs

    rows, columns, channels = page.rows_of(down), page.block[1], page.block_samples
    if read_frame(data) != (rows, columns, channels):
        raise damaged("a JPEG block of another size than the page's")
    model = None if channels == 1 else "YCBCR" if page.kind.photometric == YCBCR else "RGB"
    found: NDArray[Any] = imagecodecs.jpeg8_decode(
        data,
        tables=page.jpeg_tables or None,
        colorspace=model,
        outcolorspace=None if model is None else "RGB",
    )
    return found.reshape(rows, columns, channels)


def _block(data: bytes, page: Page, down: int) -> NDArray[Any]:
    rows = page.rows_of(down)
    if page.reversed_bits:
        import imagecodecs

        data = bytes(imagecodecs.bitorder_decode(data))
    needed = rows * page.row_bytes()
    raw = _expanded(data, page.compression, needed)
    if len(raw) != needed:
        raise damaged(f"a block of its pixels has {len(raw)} bytes and needs {needed}")
    return _unpredicted(_samples(raw, page, rows), page.predictor)


def _expanded(data: bytes, compression: int, needed: int) -> bytes:
    """The bytes before compression: one more than needed when there are more."""
    if compression == UNCOMPRESSED:
        return data
    if compression == 34925:
        return lzma.LZMADecompressor().decompress(data, needed + 1)
    if compression in {8, 32946}:
        stream = zlib.decompressobj()
        found = stream.decompress(data, needed + 1)
        if len(found) <= needed and not stream.eof:
            raise damaged("a block of its pixels is cut short")
        return found
    import imagecodecs

    names = {5: "lzw", 32773: "packbits", 50000: "zstd"}
    try:
        expand = getattr(imagecodecs, f"{names[compression]}_decode")
        found = expand(data, out=needed + 1)
    except (ImportError, AttributeError) as error:
        raise _missing(COMPRESSIONS[compression]) from error
    return bytes(found)


def _missing(name: str) -> Flaw:
    return Flaw(
        f"is compressed by {name}, and this installation of imagecodecs cannot undo it",
        "run pip install imagecodecs, or save the picture without compression",
    )


def _samples(raw: bytes, page: Page, rows: int) -> NDArray[Any]:
    """(rows, columns, samples) of a block."""
    columns, depth, kind = page.block[1], page.block_samples, page.kind
    if kind.bits == 1:
        bits = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(rows, -1), axis=1)
        return bits[:, : columns * depth].reshape(rows, columns, depth)
    if kind.bits != 8 * kind.dtype.itemsize:
        import imagecodecs

        packed: NDArray[Any] = imagecodecs.packints_decode(
            raw, kind.dtype, kind.bits, runlen=columns * depth
        )
        return packed.reshape(rows, columns, depth)
    stored = kind.dtype if page.predictor == 3 else kind.dtype.newbyteorder(page.order)
    values = np.frombuffer(raw, stored)
    return values.astype(kind.dtype, copy=False).reshape(rows, columns, depth)


def _unpredicted(samples: NDArray[Any], predictor: int) -> NDArray[Any]:
    """Undo what was done before compression: each sample is the difference from its neighbour."""
    if predictor == 1:
        return samples
    import imagecodecs

    if predictor == 3:
        return np.asarray(imagecodecs.floatpred_decode(samples, axis=-2))
    whole = samples.view(f"u{samples.itemsize}")
    return np.asarray(imagecodecs.delta_decode(whole, axis=-2)).view(samples.dtype)
