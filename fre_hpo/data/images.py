"""Pictures on disk -> arrays, and arrays -> what the network is shown.

Files are judged by their content, never by their ending.  Pillow reads TIFF as well, compressed
by LZW, big-endian and 16 bit included, so there is one reader.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Normalisation = Literal["full-scale", "percentile"]
T = TypeVar("T")

_GREY = {"1", "LA", "La"}
_PALETTE = {"P", "PA"}
_COLOUR = {"RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}


class PictureError(Exception):
    """A picture cannot be used; the message is a sentence naming the file and what to do."""


def noted(problems: list[str], read: Callable[[Path], T], path: Path) -> T | None:
    """Read a file; when it is bad, note the problem and return None, so that all are found."""
    try:
        return read(path)
    except PictureError as problem:
        problems.append(str(problem))
        return None


def read_pixels(path: Path) -> Pixels:
    """The pixels of one picture, 8 or 16 bit: (height, width) when grey, else (height, width, 3).

    Palettes are resolved and alpha is dropped.  Raises PictureError, whatever is wrong.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            pages, mode = getattr(picture, "n_frames", 1), picture.mode
            pixels = np.asarray(_plain(picture))
    except Exception as error:  # decoders raise nearly anything on damaged files
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise PictureError(f"{path} cannot be read ({reason}): put an intact file there") from error
    if pages > 1:
        raise PictureError(f"{path} holds {pages} pictures: save each as a file of its own")
    if pixels.dtype.kind != "u":
        raise PictureError(f"{path} has pixels of mode {mode}: save it with 8 or 16 bits a channel")
    return _as_pixels(pixels, bits=8 * pixels.dtype.itemsize)


def _as_pixels(values: NDArray[Any], bits: int) -> Pixels:
    """Unsigned integers of this machine's byte order."""
    return values.astype(np.uint8) if bits == 8 else values.astype(np.uint16)


def _plain(picture: "Image.Image") -> "Image.Image":
    """The same picture in a mode that NumPy understands: grey or RGB."""
    if picture.mode in _GREY:
        return picture.convert("L")
    if picture.mode in _PALETTE:
        return picture.convert("RGBA").convert("RGB")
    if picture.mode in _COLOUR:
        return picture.convert("RGB")
    return picture


def read_grey(path: Path) -> Pixels:
    """One channel, (height, width).

    A grey picture that was saved as RGB comes back exactly, a coloured one as its luminance
    (weights of ITU-R BT.601, as in Pillow's own conversion).
    """
    pixels = read_pixels(path)
    if pixels.ndim == 2:
        return pixels
    luminance = pixels.astype(np.uint32) @ np.array([299, 587, 114], dtype=np.uint32)
    return _as_pixels((luminance + 500) // 1000, bits=8 * pixels.itemsize)


def shrink(pixels: Pixels, factor: int) -> NDArray[np.float64]:
    """Average areas of factor x factor pixels, (height, width) -> (height, width) / factor."""
    height, width = pixels.shape
    areas = pixels.reshape(height // factor, factor, width // factor, factor)
    sums: NDArray[np.uint32] = areas.sum(axis=(1, 3), dtype=np.uint32)
    return sums / np.float64(factor * factor)


def shrink_labels(labels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """The label nearest to the middle of each area, because classes cannot be averaged."""
    return labels[factor // 2 :: factor, factor // 2 :: factor]


def normalise(
    values: NDArray[np.float64], how: Normalisation, full_scale: int
) -> NDArray[np.float32]:
    """Pixel values -> about 0..1.

    "full-scale" divides by what the bit depth can hold.  "percentile" maps the picture's own 1st
    and 99.8th percentile to 0 and 1, so that dim pictures use the range too; what lies beyond is
    kept as far as -1 and 4.  Percentiles are values that occur, the same on every machine.
    """
    if how == "full-scale":
        return (values / full_scale).astype(np.float32)
    low, high = (float(v) for v in np.percentile(values, [1, 99.8], method="nearest"))
    if high == low:  # nearly all is one value: what little stands out gives the scale
        high = max(float(values.max()), low + 1)
    stretched: NDArray[np.float64] = np.clip((values - low) / (high - low), -1, 4)
    return stretched.astype(np.float32)


def full_scale(pixels: Pixels) -> int:
    """The largest value that the bit depth can hold: 255 or 65535."""
    return int(np.iinfo(pixels.dtype).max)


def size(shape: tuple[int, ...]) -> str:
    """A picture's size in words: height x width."""
    return f"{shape[0]}x{shape[1]}"
