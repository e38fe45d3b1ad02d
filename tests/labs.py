"""Folders as laboratories leave them: each another form, each with its traps."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from fre_hpo.data import phantom

Drawn = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""A picture, 8 bit, and its class indices."""


def cells(count: int, height: int, width: int, seed: int = 0) -> Iterator[Drawn]:
    """Drawn cells, cut to any size."""
    options = phantom.Options(size=-(-max(height, width) // 8) * 8)
    for number in range(count):
        picture, labels = phantom.draw(np.random.default_rng([seed, number]), options)
        yield picture[:height, :width], labels[:height, :width]


def fiji_lab(folder: Path) -> Path:
    """16-bit LZW TIFFs of ImageJ with blanks in their names and labels 0, 1, 2, which look black on a
    screen; an image that is a PNG whatever its ending says; a text and a hidden file beside them."""
    raw, labelled = folder / "Raw data", folder / "Segmentation"
    raw.mkdir(parents=True)
    labelled.mkdir()
    for number, (picture, labels) in enumerate(cells(12, 72, 56), 1):
        name = f"Well A{number} (fixed)"
        tifffile.imwrite(
            raw / f"{name}.tif", picture.astype(np.uint16) * 13 + 200, imagej=number % 2 == 0
        )
        Image.fromarray(labels).save(labelled / f"{name}.png")
    deep = tifffile.imread(raw / "Well A1 (fixed).tif")
    Image.fromarray(deep).save(raw / "Well A1 (fixed).tif", format="PNG")
    (raw / "notes.txt").write_text("63x oil, 12 March")
    (raw / "Thumbs.db").write_bytes(b"\x00")
    return folder


def movies(folder: Path) -> Path:
    """Three films as the Cell Tracking Challenge has them: a number for each cell, 16 bit, and masks for
    a part of the frames."""
    for film in ("01", "02", "03"):
        truth = folder / f"{film}_GT" / "SEG"
        truth.mkdir(parents=True)
        (folder / film).mkdir()
        for number, (picture, labels) in enumerate(cells(6, 64, 64, seed=int(film))):
            tifffile.imwrite(folder / film / f"t{number:03}.tif", picture)
            if number % 2 == 0:
                numbered = instances(labels)
                tifffile.imwrite(truth / f"man_seg{number:03}.tif", numbered, compression="lzw")
    return folder


def instances(labels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """A number for each cell: cells are told apart by the blocks of pixels that they lie in."""
    rows, columns = (np.arange(side) // 16 for side in labels.shape)
    numbers = 1 + rows[:, None] * (columns.max() + 1) + columns
    return np.where(labels > 0, numbers, 0).astype(np.uint16)


def train_and_test(folder: Path, repeated: int = 0) -> Path:
    """train/ and test/ with images/ and masks/ of 0 and 255, sizes that differ; the last ``repeated``
    test pictures are training pictures under other names."""
    sizes = [(64, 48), (50, 70), (96, 96)]
    for split, count, seed in (("train", 12, 7), ("test", 4, 8)):
        for part in ("images", "masks"):
            (folder / split / part).mkdir(parents=True)
        for number in range(count):
            picture, labels = next(cells(1, *sizes[number % 3], seed=seed * 100 + number))
            save_pair(folder / split, f"img_{number}", picture, np.where(labels > 0, 255, 0))
    for number in range(repeated):
        for part in ("images", "masks"):
            source = folder / "train" / part / f"img_{number}.png"
            shutil.copyfile(source, folder / "test" / part / f"holdout_{number}.png")
    return folder


def save_pair(
    folder: Path, name: str, picture: NDArray[np.uint8], mask: NDArray[np.generic]
) -> None:
    Image.fromarray(picture).save(folder / "images" / f"{name}.png")
    Image.fromarray(mask.astype(np.uint8)).save(folder / "masks" / f"{name}.png")


def ome_stack(folder: Path) -> Path:
    """One OME-TIFF of 14 sections in two channels, and one stack of labels beside it."""
    folder.mkdir(parents=True)
    drawn = list(cells(14, 64, 80, seed=3))
    nuclei = np.stack([picture for picture, _ in drawn])
    tifffile.imwrite(
        folder / "embryo.ome.tif",
        np.stack([nuclei, nuclei // 2], axis=1),
        metadata={"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"]}},
    )
    tifffile.imwrite(
        folder / "embryo_labels.tif",
        np.stack([labels for _, labels in drawn]),
        compression="deflate",
        metadata={"axes": "ZYX"},
    )
    return folder
