"""Small data sets drawn into a folder, laid out like the published ones."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fre_hpo.data import phantom

COLOURS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], dtype=np.uint8)


def save(path: Path, pixels: NDArray[np.generic]) -> Path:
    """Write one picture; the format follows the ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def draw_mouse_set(folder: Path, count: int = 50, size: int = 64, seed: int = 0) -> Path:
    """Image/cellN.png and GroundTruth/cellN.png, numbered from 1 without leading zeros."""
    for number in range(1, count + 1):
        picture, labels = _cells(size, seed, number)
        save(folder / "Image" / f"cell{number}.png", picture)
        save(folder / "GroundTruth" / f"cell{number}.png", COLOURS[labels])
    return folder


def draw_drosophila_set(folder: Path, sections: int = 20, size: int = 64, seed: int = 0) -> Path:
    """stack1/raw/NN.tif and stack1/labels/labels0000NNNN.png with all nine label values.

    The sections are size x size: give a tile that divides it.
    """
    for number in range(sections):
        picture, labels = _cells(size, seed, number)
        save(folder / "stack1" / "raw" / f"{number:02}.tif", picture)
        save(folder / "stack1" / "labels" / f"labels{number:08}.png", _published(labels))
    return folder


def _cells(size: int, seed: int, number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng([seed, number])
    return phantom.draw(rng, phantom.Options(size=size))


def _published(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Class indices of drawn cells -> the label values of the ssTEM set."""
    rows = np.arange(len(labels))[:, None]
    directions = np.array([0, 32, 64, 96, 128], dtype=np.uint8)[rows % 5]
    values = np.choose(labels, [np.uint8(255), directions, np.uint8(191)]).astype(np.uint8)
    values[:4, :4] = 159
    values[:4, -4:] = 223
    return values
