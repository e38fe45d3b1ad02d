"""One small drawn picture in every container that the product reads, and what reading it gives."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 22, 37
Array = NDArray[Any]

PALETTE = np.random.default_rng(5).integers(0, 256, (256, 3), dtype=np.uint8)


def put(folder: Path, content: bytes, name: str = "a.png") -> Path:
    """A file whose ending says nothing about its content."""
    path = folder / name
    path.write_bytes(content)
    return path


@dataclass(frozen=True, eq=False)
class Sample:
    """A file and the image in it as displayed, (pages, channels, height, width).

    image is None when the container is lossy.
    """

    name: str
    content: bytes
    image: Array | None = None


def grey(dtype: Any = np.uint8, pages: int = 1, channels: int = 1) -> Array:
    """A smooth picture without symmetry over the range of the type; each page is another one."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    wave = (np.sin(rows / 5) * np.cos((columns - 3) / 7) + 1) / 2
    kind = np.dtype(dtype)
    top = 1.0 if kind.kind == "f" else float(min(np.iinfo(kind).max, 2**28))
    dimmed = 1 + np.arange(pages * channels).reshape(pages, channels, 1, 1)
    return (wave * top / dimmed).astype(kind)


def few(count: int) -> Array:
    """A picture of `count` numbers from 0 on."""
    return grey() // np.uint8(256 // count)


def coloured(indices: Array) -> Array:
    """What indices of PALETTE show, (1, 3, height, width)."""
    return np.moveaxis(PALETTE[indices[0, 0]], -1, 0)[None]


def last(image: Array) -> Array:
    """Channels last and without pages, as encoders take them."""
    pixels = np.ascontiguousarray(np.moveaxis(image[0], 0, -1))
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def with_alpha(image: Array) -> Array:
    """One channel more."""
    return np.concatenate([image, image[:, :1] // 2], axis=1)


def pillow(pixels: Array, form: str, mode: str | None = None, **options: Any) -> bytes:
    """A file as Pillow writes it."""
    stream = io.BytesIO()
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(stream, form, **options)
    return stream.getvalue()


def tiff(pixels: Array, **options: Any) -> bytes:
    """A file as tifffile writes it."""
    stream = io.BytesIO()
    if not options.get("imagej"):
        options.setdefault("photometric", "minisblack")
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels: Array, bits: int, colour: int, *more: bytes) -> bytes:
    """Any PNG that the format knows, without filters; `more` are chunks before the pixels."""
    height, width = pixels.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    lines = b"".join(b"\x00" + packed(row, bits).tobytes() for row in pixels)
    chunks = [png_chunk(b"IHDR", head), *more, png_chunk(b"IDAT", zlib.compress(lines))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + png_chunk(b"IEND", b"")


def packed(row: Array, bits: int) -> Array:
    """A row's samples as bytes, the first sample in the highest bits."""
    if bits >= 8:
        return row.astype(f">u{bits // 8}").view(np.uint8)
    places = np.arange(bits)[::-1]
    return np.packbits((row.reshape(-1, 1) >> places & 1).ravel())


def png_samples() -> list[Sample]:
    """Every kind of pixel that PNG has."""
    palette = png_chunk(b"PLTE", PALETTE.tobytes())
    deep, colours, deep_colours = grey("u2"), grey(channels=3), grey("u2", channels=3)
    few_bits = [
        Sample(f"PNG {b} bit", png(last(few(2**b)), b, 0), few(2**b) * np.uint8(255 // (2**b - 1)))
        for b in (1, 2, 4)
    ]
    return [
        *few_bits,
        Sample("PNG 8 bit", pillow(last(grey()), "PNG"), grey()),
        Sample("PNG 16 bit", png(last(deep), 16, 0), deep),
        Sample("PNG RGB", pillow(last(colours), "PNG"), colours),
        Sample("PNG RGB 16 bit", png(last(deep_colours), 16, 2), deep_colours),
        Sample("PNG RGBA", pillow(last(with_alpha(colours)), "PNG"), colours),
        Sample("PNG RGBA 16 bit", png(last(with_alpha(deep_colours)), 16, 6), deep_colours),
        Sample("PNG grey and alpha", png(last(with_alpha(grey())), 8, 4), grey()),
        Sample("PNG palette", png(last(grey()), 8, 3, palette), coloured(grey())),
        Sample(
            "PNG palette of 4 bit",
            png(last(few(16)), 4, 3, png_chunk(b"PLTE", PALETTE[:16].tobytes())),
            coloured(few(16)),
        ),
    ]


def plain_samples() -> list[Sample]:
    """BMP, PNM, GIF, JPEG and WebP."""
    colours, deep = grey(channels=3), grey("u2")
    size = b"%d %d" % (WIDTH, HEIGHT)
    indices = last(few(64))
    palette = Image.fromarray(indices, "L")
    palette.putpalette(PALETTE.tobytes())
    gif, bmp = io.BytesIO(), io.BytesIO()
    palette.save(gif, "GIF", optimize=False)
    palette.save(bmp, "BMP")
    text = b" ".join(b"%d" % v for v in last(colours).ravel())
    return [
        Sample("BMP grey", pillow(last(grey()), "BMP"), grey()),
        Sample("BMP RGB", pillow(last(colours), "BMP"), colours),
        Sample("BMP palette", bmp.getvalue(), coloured(few(64))),
        Sample(
            "BMP 1 bit", pillow(last(few(2)) * np.uint8(255), "BMP", "1"), few(2) * np.uint8(255)
        ),
        Sample("PGM", b"P5\n# a remark\n" + size + b"\n255\n" + grey().tobytes(), grey()),
        Sample("PGM 16 bit", b"P5 " + size + b" 65535\n" + deep.astype(">u2").tobytes(), deep),
        Sample("PPM", b"P6\n" + size + b"\n255\n" + last(colours).tobytes(), colours),
        Sample("PPM as text", b"P3\n" + size + b"\n255\n" + text + b"\n", colours),
        Sample("GIF", gif.getvalue(), coloured(few(64))),
        Sample("GIF grey", pillow(last(grey()), "GIF", optimize=False), grey()),
        Sample("JPEG grey", pillow(last(grey()), "JPEG", quality=90)),
        Sample("JPEG RGB", pillow(last(colours), "JPEG", quality=90)),
        Sample("JPEG progressive", pillow(last(colours), "JPEG", progressive=True)),
        Sample("WebP", pillow(last(colours), "WEBP")),
        Sample("WebP lossless", pillow(last(colours), "WEBP", lossless=True), colours),
    ]


def tiff_samples() -> list[Sample]:
    """TIFF by compression, layout and kind of pixel; stacks of ImageJ, OME and others."""
    deep, colours, single = grey("u2"), grey(channels=3), grey("f4")
    names = ("none", "deflate", "lzw", "zstd", "packbits")
    plain = [Sample(f"TIFF {n}", tiff(grey()[0, 0], compression=n, rowsperstrip=8), grey())
             for n in names]  # fmt: skip
    stack = grey("u2", pages=3)
    hyper = grey(pages=3, channels=2)
    return [
        *plain,
        Sample("TIFF 16 bit", tiff(deep[0, 0], compression="lzw", predictor=True), deep),
        Sample("TIFF big-endian", tiff(deep[0, 0], byteorder=">"), deep),
        Sample("BigTIFF", tiff(deep[0, 0], bigtiff=True), deep),
        Sample("TIFF tiled", tiff(grey()[0, 0], tile=(16, 16), compression="deflate"), grey()),
        Sample("TIFF 1 bit", tiff(few(2)[0, 0].astype(bool)), few(2) * np.uint8(255)),
        Sample("TIFF RGB", tiff(last(colours), photometric="rgb", compression="lzw"), colours),
        Sample(
            "TIFF planar", tiff(colours[0], photometric="rgb", planarconfig="separate"), colours
        ),
        Sample("TIFF float", tiff(single[0, 0], compression="deflate", predictor=True), single),
        Sample("TIFF palette", _palette_tiff(), coloured(grey())),
        Sample("TIFF JPEG", tiff(grey()[0, 0], compression="jpeg")),
        Sample("TIFF stack", tiff(stack[:, 0]), stack),
        Sample("TIFF stack LZW", tiff(stack[:, 0], compression="lzw"), stack),
        Sample("TIFF stack of Pillow", _pillow_stack(grey(pages=3)), grey(pages=3)),
        Sample("TIFF of ImageJ", tiff(hyper, imagej=True, metadata={"axes": "ZCYX"}), hyper),
        Sample("TIFF of OME", tiff(hyper, ome=True, metadata={"axes": "ZCYX"}), hyper),
    ]


def _palette_tiff() -> bytes:
    table = PALETTE.T.astype(np.uint16) * 257
    return tiff(grey()[0, 0], photometric="palette", colormap=table)


def _pillow_stack(pages: Array) -> bytes:
    stream = io.BytesIO()
    first, *others = (Image.fromarray(page[0]) for page in pages)
    first.save(stream, "TIFF", save_all=True, append_images=others)
    return stream.getvalue()


def every_sample() -> list[Sample]:
    """All of them."""
    return [*png_samples(), *plain_samples(), *tiff_samples()]


def shown_without_loss(sample: Sample) -> Array:
    """What a lossy sample shows according to another decoder; for others the drawn image."""
    if sample.image is not None:
        return sample.image
    pixels = np.asarray(imagecodecs.imread(sample.content))
    return (np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels[None])[None]
