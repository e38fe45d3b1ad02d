"""What is trained on: sizes of networks and data sets, and pictures drawn to them.

Speed does not depend on what a picture shows.  The pictures are blobs whose brightness tells their class,
so that a few epochs suffice to see that everything measured also learns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from fre_hpo.data.dataset import Split

SPLITS = ("train", "validation", "test")
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Shape:
    """A network and the data it is trained on.  widths: feature maps of the encoder's blocks; train and
    validation: numbers of pictures; batch: pictures in a step."""

    name: str
    widths: tuple[int, ...]
    height: int
    width: int
    channels: int
    classes: int
    train: int
    validation: int
    batch: int
    test: int = 1
    """The product reads such a split, too; nothing is measured on it."""

    @property
    def maps(self) -> int:
        """Feature maps at the end of the encoder."""
        return self.widths[-1]


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("tiny", (8, 16, 32), 64, 64, 1, 3, train=12, validation=4, batch=4),
        Shape("cpu", (16, 32, 64, 128), 128, 128, 1, 3, train=16, validation=4, batch=4),
        Shape("mouse", (64, 128, 256, 512), 256, 256, 1, 3, train=35, validation=5, batch=16),
        Shape("mouse-narrow", (4, 4, 8, 8), 256, 256, 1, 3, train=35, validation=5, batch=16),
        Shape(
            "drosophila", (64, 128, 256, 512), 256, 256, 1, 4, train=192, validation=64, batch=16
        ),
    )
}
"""mouse and drosophila are the studies of these names; mouse-narrow has the data of mouse and a network so
small that what an epoch costs beside its computing can be seen."""


def draw(shape: Shape, folder: Path) -> None:
    """Write a shape's pictures as ``SPLIT/images/NNNN.png`` and ``SPLIT/masks/NNNN.png``, 8 bit."""
    rng = np.random.default_rng(0)
    for split in SPLITS:
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for index in range(getattr(shape, split)):
            image, mask = _picture(shape, rng)
            Image.fromarray(image).save(folder / split / "images" / f"{index:04}.png")
            Image.fromarray(mask).save(folder / split / "masks" / f"{index:04}.png")


def _picture(shape: Shape, rng: Generator) -> tuple[Pixels, Pixels]:
    """Blobs on a dark ground: the image (H, W) or (H, W, channels), and its class indices (H, W)."""
    rows, columns = np.ogrid[: shape.height, : shape.width]
    mask = np.zeros((shape.height, shape.width), np.uint8)
    for blob in range(3 * (shape.classes - 1)):
        row, column = rng.integers(shape.height), rng.integers(shape.width)
        radius = rng.integers(shape.height // 12, shape.height // 5)
        inside = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        mask[inside] = 1 + blob % (shape.classes - 1)
    light = mask * (200 // shape.classes) + rng.normal(30, 10, mask.shape)
    image = light.clip(0, 255).astype(np.uint8)
    return (image if shape.channels == 1 else image[..., None].repeat(shape.channels, 2)), mask


def read_picture(path: Path) -> NDArray[np.float32]:
    """An image as (channels, H, W) in 0..1."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture, dtype=np.float32) / np.float32(255)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def read_mask(path: Path) -> Pixels:
    """Class indices (H, W)."""
    with Image.open(path) as picture:
        return np.array(picture)


def load(folder: Path, split: str) -> Split:
    """A drawn split in arrays."""
    paths = sorted((folder / split / "images").iterdir())
    return Split(
        images=np.stack([read_picture(path) for path in paths]),
        labels=np.stack([read_mask(folder / split / "masks" / path.name) for path in paths]),
        sources=tuple(path.stem for path in paths),
    )
