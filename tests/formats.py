"""Ways to write a picture or a mask into a file, by name.

Each takes a path and pixels; what it needs of the options of `pairs` to be read again stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[Any]
Options = Mapping[str, Any]

LABELS = {"background": 0, "membrane": 1, "nucleus": 2}
LEVELS = {"background": 0, "membrane": 127, "nucleus": 255}
COLOURS = {"background": "#000000", "membrane": "#ff0000", "nucleus": "#00ff00"}
RGB = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], dtype=np.uint8)


def png(path: Path, pixels: Pixels) -> None:
    """Any picture Pillow can write; the content is PNG whatever the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="PNG")


def tiff(path: Path, pixels: Pixels, **how: Any) -> None:
    """TIFF, by default one plain grey page; ``how`` is for tifffile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, **{"photometric": "minisblack", **how})


def pillow(path: Path, pixels: Pixels, mode: str = "", **how: Any) -> None:
    """The format of the path's ending, converted to the mode first where one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path, **how)


def palette(path: Path, indices: Pixels, colours: Pixels) -> None:
    """Indices into a table of colours, (n, 3); the format follows the ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(indices.astype(np.uint8))
    picture.putpalette(np.ascontiguousarray(colours, dtype=np.uint8).tobytes())
    picture.save(path)


def palette_tiff(path: Path, indices: Pixels, colours: Pixels) -> None:
    table = np.zeros((3, 256), dtype=np.uint16)
    table[:, : len(colours)] = colours.T.astype(np.uint16) * 257
    tiff(path, indices.astype(np.uint8), photometric="palette", colormap=table)


def hyperstack(path: Path, channels: Sequence[Pixels], axes: str, **how: Any) -> None:
    """Channels, each (pages..., height, width), in the order of ImageJ's or OME's axes."""
    place = axes.index("C")
    tiff(path, np.stack(channels, axis=place), metadata={"axes": axes}, **how)


@dataclass(frozen=True)
class Encoding:
    """How one file is written: its ending, a function of path and pixels, what options tell of it."""

    ending: str
    write: Callable[[Path, Pixels], None]
    options: Options = field(default_factory=dict)


def _tiffs(**named: Mapping[str, Any]) -> dict[str, Encoding]:
    def encoding(how: Mapping[str, Any]) -> Encoding:
        return Encoding(".tif", lambda path, pixels: tiff(path, pixels, **how))

    return {name: encoding(how) for name, how in named.items()}


CONTAINERS = _tiffs(
    plain={},
    deflate={"compression": "deflate"},
    lzw={"compression": "lzw"},
    zstd={"compression": "zstd"},
    packbits={"compression": "packbits"},
    deflate_predictor={"compression": "deflate", "predictor": True},
    lzw_predictor={"compression": "lzw", "predictor": True},
    big_endian={"byteorder": ">"},
    big_endian_lzw_predictor={"byteorder": ">", "compression": "lzw", "predictor": True},
    big_tiff={"bigtiff": True},
    tiled={"tile": (16, 16)},
    tiles_that_stick_out={"tile": (32, 32), "compression": "zstd"},
    strips={"rowsperstrip": 7},
    strips_lzw={"rowsperstrip": 7, "compression": "lzw"},
    imagej={"imagej": True},
    ome={"ome": True},
)
"""Ways to lay one grey page of any depth into a TIFF."""


def _other(pixels: Pixels) -> Pixels:
    """A channel beside the one that counts."""
    return (np.iinfo(pixels.dtype).max - pixels) // 2


HYPERSTACKS = {
    "imagej_second_channel": Encoding(
        ".tif",
        lambda path, p: hyperstack(path, (_other(p), p, p // 3), "CYX", imagej=True),
        {"channel": 2},
    ),
    "ome_third_channel": Encoding(
        ".ome.tif",
        lambda path, p: hyperstack(path, (_other(p), p // 3, p), "CYX", ome=True),
        {"channel": 3},
    ),
    "ome_lzw_first_channel": Encoding(
        ".ome.tif",
        lambda path, p: hyperstack(path, (p, _other(p)), "CYX", ome=True, compression="lzw"),
        {"channel": 1},
    ),
}
GREYS = {
    "PNG": Encoding(".png", png),
    "BMP": Encoding(".bmp", pillow),
    "GIF": Encoding(".gif", pillow),
    "PGM": Encoding(".pgm", pillow),
    "lossless WebP": Encoding(".webp", lambda path, p: pillow(path, p, "RGB", lossless=True)),
    "Pillow's LZW": Encoding(".tiff", lambda path, p: pillow(path, p, compression="tiff_lzw")),
    "upper case ending": Encoding(".TIF", tiff),
    "no ending's format": Encoding(".jpg", png),
    "RGB": Encoding(".png", lambda path, p: pillow(path, p, "RGB")),
    "RGBA": Encoding(".png", lambda path, p: pillow(path, p, "RGBA")),
    "grey and alpha": Encoding(".png", lambda path, p: pillow(path, p, "LA")),
    "RGB TIFF": Encoding(".tif", lambda path, p: pillow(path, p, "RGB")),
    "RGBA TIFF": Encoding(".tif", lambda path, p: pillow(path, p, "RGBA")),
    "palette": Encoding(".png", lambda path, p: palette(path, 255 - p, _ramp())),
    "palette TIFF": Encoding(".tif", lambda path, p: palette_tiff(path, 255 - p, _ramp())),
    "WhiteIsZero": Encoding(".tif", lambda path, p: tiff(path, 255 - p, photometric="miniswhite")),
    **CONTAINERS,
    **HYPERSTACKS,
}
"""Ways to keep a grey picture of 8 bits."""

DEEP = {
    "PNG": Encoding(".png", png),
    "PGM": Encoding(".pgm", pillow),
    "WhiteIsZero": Encoding(
        ".tif", lambda path, p: tiff(path, 65535 - p, photometric="miniswhite")
    ),
    **CONTAINERS,
    **HYPERSTACKS,
}
"""Ways to keep a grey picture of 16 bits."""


def _ramp() -> Pixels:
    """A palette that shows index 255 black and index 0 white."""
    return np.repeat(np.arange(255, -1, -1)[:, None], 3, axis=1)


def _planes(colours: Pixels) -> Pixels:
    """(height, width, 3) -> (3, height, width)."""
    return np.moveaxis(colours, -1, 0)


def _with_alpha(colours: Pixels) -> Pixels:
    return np.concatenate([colours, np.full_like(colours[..., :1], 255)], axis=-1)


def spectrum() -> Pixels:
    """The colours of 256 grey values, (256, 3)."""
    grey = np.arange(256)
    return np.stack([grey, 255 - grey, grey // 2], axis=1).astype(np.uint8)


_RGB_TIFF = {"photometric": "rgb"}
COLOURED = {
    "PNG": Encoding(".png", png),
    "PNG and alpha": Encoding(".png", lambda path, c: png(path, _with_alpha(c))),
    "BMP": Encoding(".bmp", pillow),
    "PPM": Encoding(".ppm", pillow),
    "lossless WebP": Encoding(".webp", lambda path, c: pillow(path, c, lossless=True)),
    "palette": Encoding(".png", lambda path, c: palette(path, c[..., 0], spectrum())),
    "palette GIF": Encoding(".gif", lambda path, c: palette(path, c[..., 0], spectrum())),
    "palette TIFF": Encoding(".tif", lambda path, c: palette_tiff(path, c[..., 0], spectrum())),
    "TIFF": Encoding(".tif", lambda path, c: tiff(path, c, **_RGB_TIFF)),
    "TIFF and alpha": Encoding(
        ".tif",
        lambda path, c: tiff(path, _with_alpha(c), extrasamples=["unassalpha"], **_RGB_TIFF),
    ),
    "predictor": Encoding(
        ".tif", lambda path, c: tiff(path, c, compression="lzw", predictor=True, **_RGB_TIFF)
    ),
    "planar": Encoding(
        ".tif", lambda path, c: tiff(path, _planes(c), planarconfig="separate", **_RGB_TIFF)
    ),
    "planar tiles": Encoding(
        ".tif",
        lambda path, c: tiff(
            path,
            _planes(c),
            planarconfig="separate",
            tile=(32, 32),
            compression="zstd",
            **_RGB_TIFF,
        ),
    ),
    "ImageJ RGB": Encoding(".tif", lambda path, c: tiff(path, c, imagej=True, **_RGB_TIFF)),
    "OME RGB": Encoding(".ome.tif", lambda path, c: tiff(path, c, ome=True, **_RGB_TIFF)),
    "ImageJ channels": Encoding(
        ".tif", lambda path, c: hyperstack(path, list(_planes(c)), "CYX", imagej=True)
    ),
    "OME channels": Encoding(
        ".tif", lambda path, c: hyperstack(path, list(_planes(c)), "CYX", ome=True)
    ),
}
"""Ways to keep three channels of 8 bits, given as (height, width, 3)."""


# --- masks --------------------------------------------------------------------------------------


def _levels(labels: Pixels) -> Pixels:
    return np.array([0, 127, 255], dtype=np.uint8)[labels]


_SEVERAL = {"background": (0, 9), "membrane": (1, 32, 64), "nucleus": 2}


def _several(labels: Pixels) -> Pixels:
    """Other numbers of the same class in every third row."""
    numbers = labels.copy()
    numbers[1::3] = np.array([9, 32, 2], dtype=np.uint8)[labels[1::3]]
    numbers[2::3] = np.array([0, 64, 2], dtype=np.uint8)[labels[2::3]]
    return numbers


_PALETTE = np.array([(10, 200, 30), (0, 0, 0), (250, 250, 250)])
MASKS = {
    "class numbers": Encoding(".png", png),
    "class numbers, LZW": CONTAINERS["lzw"],
    "class numbers, BMP": Encoding(".bmp", pillow),
    "class numbers, PGM": Encoding(".pgm", pillow),
    "class numbers, 16 bit": Encoding(".png", lambda path, n: png(path, n.astype(np.uint16))),
    "class numbers, 16-bit TIFF": Encoding(
        ".tif", lambda path, n: tiff(path, n.astype(np.uint16), compression="lzw")
    ),
    "class numbers, 32 bit": Encoding(".tif", lambda path, n: tiff(path, n.astype(np.uint32))),
    "PNG named .jpg": Encoding(".jpg", png),
    "grey levels": Encoding(".png", lambda path, n: png(path, _levels(n)), {"labels": LEVELS}),
    "grey levels in RGB": Encoding(
        ".png", lambda path, n: pillow(path, _levels(n), "RGB"), {"labels": LEVELS}
    ),
    "several numbers": Encoding(
        ".png", lambda path, n: png(path, _several(n)), {"labels": _SEVERAL}
    ),
    "colours": Encoding(".png", lambda path, n: png(path, RGB[n]), {"labels": COLOURS}),
    "colours and alpha": Encoding(
        ".png", lambda path, n: png(path, _with_alpha(RGB[n])), {"labels": COLOURS}
    ),
    "colours, TIFF": Encoding(
        ".tif", lambda path, n: tiff(path, RGB[n], **_RGB_TIFF), {"labels": COLOURS}
    ),
    "colours, planar": Encoding(
        ".tif",
        lambda path, n: tiff(path, _planes(RGB[n]), planarconfig="separate", **_RGB_TIFF),
        {"labels": COLOURS},
    ),
    "colours, BMP": Encoding(".bmp", lambda path, n: pillow(path, RGB[n]), {"labels": COLOURS}),
    "palette by number": Encoding(".png", lambda path, n: palette(path, n, _PALETTE)),
    "palette by colour": Encoding(
        ".png", lambda path, n: palette(path, n, RGB), {"labels": COLOURS}
    ),
    "palette TIFF by number": Encoding(".tif", lambda path, n: palette_tiff(path, n, _PALETTE)),
    "palette TIFF by colour": Encoding(
        ".tif", lambda path, n: palette_tiff(path, n, RGB), {"labels": COLOURS}
    ),
    "inverted": Encoding(".png", lambda path, n: png(path, 255 - n), {"inverted": True}),
    "inverted, 16 bit": Encoding(
        ".png", lambda path, n: png(path, 65535 - n.astype(np.uint16)), {"inverted": True}
    ),
    "inverted colours": Encoding(
        ".png", lambda path, n: png(path, 255 - RGB[n]), {"labels": COLOURS, "inverted": True}
    ),
    "WhiteIsZero": Encoding(".tif", lambda path, n: tiff(path, n, photometric="miniswhite")),
}
"""Ways to keep class indices 0, 1 and 2."""

TWO = {"background": 0, "cell": 1}
WHITE = {"background": 0, "cell": 255}
TWO_CLASSES = {
    "1 bit, white is 1": Encoding(".png", png, {"labels": TWO}),
    "1 bit, white is 255": Encoding(".png", png, {"labels": WHITE}),
    "1 bit by colour": Encoding(
        ".png", png, {"labels": {"background": "#000000", "cell": "#ffffff"}}
    ),
    "1 bit, inverted": Encoding(
        ".png", lambda path, n: png(path, ~n), {"labels": TWO, "inverted": True}
    ),
    "1 bit, inverted, white is 255": Encoding(
        ".png", lambda path, n: png(path, ~n), {"labels": WHITE, "inverted": True}
    ),
    "1-bit TIFF": Encoding(".tif", tiff, {"labels": TWO}),
    "1-bit TIFF, packbits": Encoding(
        ".tif", lambda path, n: pillow(path, n, compression="packbits"), {"labels": TWO}
    ),
    "1-bit TIFF, WhiteIsZero": Encoding(
        ".tif", lambda path, n: tiff(path, n, photometric="miniswhite"), {"labels": TWO}
    ),
    "0 and 255": Encoding(".png", lambda path, n: png(path, np.uint8(255) * n), {"labels": WHITE}),
}
"""Ways to keep two classes, given as booleans."""
