"""One drawn set in every form in which a laboratory may keep it.

A form writes the same twelve pictures with their labels below a folder and returns the options of
`pairs` that read them.  All but those that bring their own split are divided in order: six pictures
train, three validate, three test.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from formats import COLOURS, LABELS, RGB, Encoding, Options, Pixels, png, tiff
from fre_hpo import data
from fre_hpo.data import Dataset, pairs, phantom

COUNT, SIDE = 12, 48
PARTS = {"train": slice(0, 6), "validation": slice(6, 9), "test": slice(9, 12)}
IN_ORDER = {"split": "order", "validation": 0.25, "test": 0.25}


@dataclass(frozen=True, eq=False)
class Drawn:
    """images: (n, height, width) of 8 bits; deep: the same with 16 bits; labels: class indices;
    cells: a number for each cell, 0 between them."""

    images: Pixels
    deep: Pixels
    labels: Pixels
    cells: Pixels


@cache
def drawn() -> Drawn:
    """The same arrays at every call: nobody may write into them."""
    options = phantom.Options(size=SIDE, cells=4)
    images, labels, cells = [], [], []
    for number in range(COUNT):
        picture, its_labels = phantom.draw(np.random.default_rng([7, number]), options)
        rng = np.random.default_rng([7, number])  # draws the same cells again, to number them
        _, owner = phantom.paint(rng, phantom.place(rng, options), SIDE)
        images.append(picture)
        labels.append(its_labels)
        cells.append(owner + 1)
    noise = np.random.default_rng(7).integers(0, 200, (COUNT, SIDE, SIDE))
    deep = (np.stack(images) * np.uint16(200) + noise).astype(np.uint16)
    return Drawn(np.stack(images), deep, np.stack(labels), np.stack(cells).astype(np.uint16))


def load(folder: Path, options: Options) -> Dataset:
    """Read a form; keys that are absent are as in the plain case."""
    return data.load("pairs", folder, pairs.Options(**{"labels": LABELS, **IN_ORDER, **options}))


def instances(kind: str, **more: Any) -> dict[str, Any]:
    return {"labels": {}, "instances": kind, **more}


def as_images(folder: Path, encoding: Encoding, pixels: Pixels) -> Options:
    """images/NN with masks/NN.png, the images written in that way."""
    for number, (picture, labels) in enumerate(zip(pixels, drawn().labels, strict=True)):
        encoding.write(folder / "images" / f"{number:02}{encoding.ending}", picture)
        png(folder / "masks" / f"{number:02}.png", labels)
    return encoding.options


def as_masks(folder: Path, encoding: Encoding, numbers: Pixels) -> Options:
    """images/NN.png with masks/NN, the masks written in that way."""
    for number, (picture, labels) in enumerate(zip(drawn().images, numbers, strict=True)):
        png(folder / "images" / f"{number:02}.png", picture)
        encoding.write(folder / "masks" / f"{number:02}{encoding.ending}", labels)
    return encoding.options


# --- layouts ------------------------------------------------------------------------------------


def write_all(image: str, mask: str, folder: Path, encode: Callable[[Pixels], Pixels]) -> None:
    """Write every picture as PNG under names with {n}, the number, and {split}, the folder's word."""
    words = {"train": "train", "validation": "val", "test": "test"}
    for split, part in PARTS.items():
        for n in range(COUNT)[part]:
            names = {"n": f"{n:02}", "split": words[split]}
            png(folder / image.format(**names), drawn().images[n])
            png(folder / mask.format(**names), encode(drawn().labels[n]))


def _plain(labels: Pixels) -> Pixels:
    return labels


def _layout(
    image: str, mask: str, encode: Callable[[Pixels], Pixels] = _plain, **options: Any
) -> Callable[[Path], Options]:
    def write(folder: Path) -> Options:
        write_all(image, mask, folder, encode)
        return options

    return write


def nnunet(folder: Path) -> Options:
    """Raw data of nnU-Net, with the file that describes it."""
    write_all("imagesTr/liver_{n}_0000.png", "labelsTr/liver_{n}.png", folder, _plain)
    described = {"channel_names": {"0": "DAPI"}, "labels": LABELS, "numTraining": COUNT}
    described["file_ending"] = ".png"
    (folder / "dataset.json").write_text(json.dumps(described))
    return {"images": "imagesTr/{id}_0000.*", "masks": "labelsTr/{id}.*"}


def _rows() -> list[dict[str, str]]:
    """A manifest's rows; the splits of PARTS, and groups that agree with them."""
    return [
        {
            "image": f"scans/s{n}.png",
            "mask": f"traced/{n:02} final.png",
            "split": split,
            "group": f"mouse {n // 3}",
        }
        for split, part in PARTS.items()
        for n in range(COUNT)[part]
    ]


def _listed(folder: Path) -> list[dict[str, str]]:
    for n, row in enumerate(_rows()):
        png(folder / row["image"], drawn().images[n])
        png(folder / row["mask"], drawn().labels[n])
    return _rows()


def csv_manifest(folder: Path) -> Options:
    rows = _listed(folder)
    with (folder / "pairs.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return {"manifest": "pairs.csv", "split": "given"}


def json_manifest(folder: Path) -> Options:
    (folder / "pairs.json").write_text(json.dumps(_listed(folder)))
    return {"manifest": "pairs.json", "split": "given"}


def json_object(folder: Path) -> Options:
    (folder / "pairs.json").write_text(json.dumps({"pairs": _listed(folder)}))
    return {"manifest": "pairs.json", "split": "given"}


def movies(folder: Path) -> Options:
    """Cell Tracking Challenge: a folder for each movie, the masks in one beside it."""
    for n, (picture, labels) in enumerate(zip(drawn().images, drawn().labels, strict=True)):
        movie, frame = f"{n // 3 + 1:02}", n % 3
        tiff(folder / movie / f"t{frame:03}.tif", picture)
        tiff(folder / f"{movie}_GT" / "SEG" / f"man_seg{frame:03}.tif", labels.astype(np.uint16))
    return {
        "images": "{group}/t{id}.tif",
        "masks": "{group}_GT/SEG/man_seg{id}.tif",
        "validation": ("03",),
        "test": ("04",),
    }


_STACK = {"images": "stack.tif", "masks": "labels.tif"}


def _stack(axes: str = "", **how: Any) -> Callable[[Path], Options]:
    """All pictures in one file; C of the axes: two channels, of which the second counts."""

    def write(folder: Path) -> Options:
        pages = drawn().images
        if "C" in axes:
            pages = np.stack([255 - pages, pages])
            sizes = {"C": 2, "T": 4, "Z": 3 if "T" in axes else COUNT, "Y": SIDE, "X": SIDE}
            given = "C" + axes.replace("C", "")
            pages = pages.reshape([sizes[axis] for axis in given])
            pages = np.moveaxis(pages, 0, axes.index("C"))
        metadata = {"metadata": {"axes": axes}} if axes else {}
        tiff(folder / "stack.tif", pages, **metadata, **how)
        tiff(folder / "labels.tif", drawn().labels, compression="deflate")
        return {**_STACK, "channel": 2} if "C" in axes else _STACK

    return write


def _page_by_page(folder: Path) -> Options:
    """As a programme writes that adds page after page, without a word of description."""
    for name, pages in (("stack.tif", drawn().images), ("labels.tif", drawn().labels)):
        folder.mkdir(parents=True, exist_ok=True)
        with tifffile.TiffWriter(folder / name) as file:
            for page in pages:
                file.write(page, photometric="minisblack", metadata=None, contiguous=False)
    return _STACK


LAYOUTS: dict[str, Callable[[Path], Options]] = {
    "images and masks": _layout("images/{n}.png", "masks/{n}.png"),
    "Image and GroundTruth": _layout(
        "Image/cell{n}.png",
        "GroundTruth/cell{n}.png",
        lambda labels: RGB[labels],
        images="Image/{id}.*",
        masks="GroundTruth/{id}.*",
        labels=COLOURS,
    ),
    "Image and Label": _layout(
        "Image/{n}.png", "Label/{n}.png", images="Image/{id}.*", masks="Label/{id}.*"
    ),
    "nnU-Net": nnunet,
    "suffix": _layout("{n}.png", "{n}_masks.png", images="{id}.*", masks="{id}_masks.*"),
    "PNG named .jpg": _layout(
        "{n}.jpg", "{n}_masks.jpg", images="{id}.jpg", masks="{id}_masks.jpg"
    ),
    "prefix": _layout("t{n}.tif", "man_seg{n}.tif", images="t{id}.tif", masks="man_seg{id}.tif"),
    "movies": movies,
    "splits above": _layout(
        "{split}/images/{n}.png",
        "{split}/masks/{n}.png",
        images="{split}/images/{id}.*",
        masks="{split}/masks/{id}.*",
        split="given",
    ),
    "splits below": _layout(
        "images/{split}/{n}.png",
        "masks/{split}/{n}.png",
        images="images/{split}/{id}.*",
        masks="masks/{split}/{id}.*",
        split="given",
    ),
    "CSV": csv_manifest,
    "JSON": json_manifest,
    "JSON object": json_object,
    "stack": _stack(),
    "stack page by page": _page_by_page,
    "stack LZW": _stack(compression="lzw"),
    "ImageJ stack": _stack("ZYX", imagej=True),
    "ImageJ movie": _stack("TYX", imagej=True),
    "ImageJ hyperstack": _stack("TZCYX", imagej=True),
    "OME stack": _stack("ZYX", ome=True),
    "OME channels first": _stack("CZYX", ome=True),
    "OME channels last": _stack("ZCYX", ome=True),
    "OME five axes": _stack("TCZYX", ome=True, compression="lzw"),
}
"""Where images and masks lie, and what their names say; the files are PNG or plain TIFF."""
