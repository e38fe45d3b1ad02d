"""The files that come of a prediction: masks, overlays, areas; each written as a whole or not at all."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.assembly import images
from fre_hpo.data.assembly.tiling import Shape
from fre_hpo.data.showing import overlay
from fre_hpo.data.showing.overlay import Colour, Pixels
from fre_hpo.inference.stack import Stack
from fre_hpo.study.folder import room_for, write_atomically

Palette = Sequence[Colour | None]

LONGEST_SIDE = 4096
"""Of an overlay, which is to be looked at; larger images are shrunk for it."""
IMAGEJ_BYTES = 2**32 - 2**20
"""ImageJ's form of TIFF ends there; larger stacks become BigTIFF."""
AREAS = ("image", "page", "class", "pixels", "share", "area_um2")


def write_mask_png(path: Path, labels: Pixels, palette: Palette) -> None:
    """The class index is the pixel's value, the colours are those of the overlays, the background is
    black."""
    from PIL import Image

    image = Image.fromarray(labels).convert("P")
    image.putpalette(_table(palette).tobytes())
    content = io.BytesIO()
    image.save(content, "PNG", bits=8)
    write_atomically(path, content.getvalue())


def write_mask_tiff(path: Path, masks: NDArray[np.uint8], stack: Stack, palette: Palette) -> None:
    """(pages, height, width) as ImageJ reads it, with the image's axes, pixel size and our colours."""
    shown = {"LUTs": [_table(palette).T.copy()], "mode": "color", "min": 0, "max": 255}
    shape = masks.shape[1:]
    _write_tiff(path, (masks[n] for n in stack.order), (shape[0], shape[1]), stack, shown)


def write_overlay(path: Path, picture: Pixels) -> None:
    """A picture (height, width, 3) as PNG."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(picture).save(content, "PNG")
    write_atomically(path, content.getvalue())


def write_overlay_stack(path: Path, pictures: Iterable[Pixels], shape: Shape, stack: Stack) -> None:
    """Pictures (*shape, 3) in the stack's order, one in memory at a time, as a TIFF in colours."""
    _write_tiff(path, pictures, shape, stack, {}, samples=3)


def overlaid(page: NDArray[Any], labels: Pixels, palette: Palette) -> Pixels:
    """The classes over a page as stored (channels, height, width), at most LONGEST_SIDE long."""
    factor = _shrinking(labels.shape)
    shrunk = np.stack([images.shrink(channel, factor) for channel in page]).astype(np.float32)
    picture = overlay.seen(shrunk, shrunk.shape[1:])
    return overlay.overlaid(picture, images.shrink_labels(labels, factor), palette)


def overlay_shape(shape: Shape) -> Shape:
    """Height and width of the overlay of an image."""
    factor = _shrinking(shape)
    return -(-shape[0] // factor), -(-shape[1] // factor)


def _shrinking(shape: tuple[int, ...]) -> int:
    return -(-max(shape) // LONGEST_SIDE)


def area_rows(
    image: str, page: int, labels: Pixels, classes: Sequence[str], stack: Stack
) -> list[list[Any]]:
    """What each class covers of a page, counted from 1: a row of AREAS for each.

    share: of the page, 0..1.  area_um2: square micrometres, empty where the file does not say how large a
    pixel is.
    """
    counts = np.bincount(labels.ravel(), minlength=len(classes)).tolist()
    pixel = stack.pixel and stack.pixel[0] * stack.pixel[1]
    return [
        [image, page, name, count, count / labels.size, f"{count * pixel:.6g}" if pixel else ""]
        for name, count in zip(classes, counts, strict=True)
    ]


def write_areas(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([AREAS, *rows])
    write_atomically(path, text.getvalue().encode())


def _table(palette: Palette) -> NDArray[np.uint8]:
    """(256, 3): a colour for each class, black for the background and for what is no class."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = [colour or (0, 0, 0) for colour in palette]
    return table


def _write_tiff(
    path: Path,
    pages: Iterable[Pixels],
    shape: Shape,
    stack: Stack,
    more: dict[str, Any],
    samples: int = 1,
) -> None:
    from tifffile import imwrite

    whole = (*stack.shape, *shape, *([samples] if samples > 1 else []))
    fits = np.prod(whole, dtype=np.int64) < IMAGEJ_BYTES
    metadata = {"axes": f"{stack.axes}YX{'S' * (samples > 1)}", **(more if fits else {})}
    resolution = None
    if stack.pixel and fits:
        metadata["unit"] = "um"
        resolution = (1 / stack.pixel[1], 1 / stack.pixel[0])
    with _replacing(path) as partial:
        imwrite(
            partial,
            iter(pages),
            shape=whole,
            dtype=np.uint8,
            photometric="minisblack" if samples == 1 else "rgb",
            imagej=bool(fits),
            bigtiff=not fits,
            metadata=metadata,
            resolution=resolution,
        )


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A place to write a file to, which takes the path's place once it is whole and on the disk."""
    partial = path.with_name(path.name + ".part")
    with room_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
