"""Mouse liver fluorescence (the paper's first set), or pictures laid out alike: three classes.

Users of the lab's data have Image/NAME.png and GroundTruth/NAME.png in natural file order, with RGB
masks (design 3.14).  An unknown colour is an error: taken for a class it would spoil every metric.
"""

import re
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fre_hpo.data import images
from fre_hpo.data.dataset import Dataset, Split, assemble
from fre_hpo.data.images import PictureError
from fre_hpo.data.source import NETWORK_STRIDE, DataOptions, DataSource
from fre_hpo.errors import DataProblems

CLASSES = ("background", "membrane", "nucleus")
COLOURS = {"background": (0, 0, 0), "membrane": (255, 0, 0), "nucleus": (0, 255, 0)}
_UNKNOWN = len(CLASSES)
_ENDINGS = {".png", ".tif", ".tiff", ".bmp"}
_LISTED = 3

Row = tuple[Path, NDArray[np.float32], NDArray[np.uint8]]
"""A picture's file, the picture (1, height, width) and its class indices (height, width)."""


class Options(DataOptions):
    """How the pictures are divided, in natural file order, and normalised."""

    train: int = Field(35, ge=1, description="number of pictures to train on: the first ones")
    validation: int = Field(5, ge=1, description="number of pictures that choose epoch and trial")
    test: int = Field(10, ge=1, description="number of pictures read only after the search")
    normalise: images.Normalisation = Field("percentile", description="full-scale or percentile")


def load(folder: Path | None, options: Options) -> Dataset:
    """Read all pictures with their masks, check them and divide them in natural file order."""
    if folder is None or not all((folder / part).is_dir() for part in ("Image", "GroundTruth")):
        raise SOURCE.not_found(folder)
    problems: list[str] = []
    pictures, masks = (_named(folder / part, problems) for part in ("Image", "GroundTruth"))
    names = sorted(pictures.keys() | masks.keys(), key=natural_order)
    problems += _unpaired(names, pictures, masks) + _count_problems(folder, len(names), options)
    both = [name for name in names if name in pictures and name in masks]
    read = [_read_row(pictures[name], masks[name], options, problems) for name in both]
    rows = [row for row in read if row is not None]
    problems += _size_problems(rows)
    if problems:
        raise DataProblems(problems)
    return _divide(rows, options)


def natural_order(name: str) -> tuple[list[int | str], str]:
    """Sort key that puts cell2 before cell10, as the lab's loader does."""
    parts = re.split(r"([0-9]+)", name)  # numbers at odd places
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def _named(folder: Path, problems: list[str]) -> dict[str, Path]:
    """Name without ending -> file."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _ENDINGS or path.name.startswith("."):
            continue
        if path.stem in found:
            problems.append(f"{path} and {found[path.stem].name} have one name: keep one of them")
        found[path.stem] = path
    return found


def _unpaired(names: list[str], pictures: dict[str, Path], masks: dict[str, Path]) -> list[str]:
    problems = []
    for name in names:
        if name not in masks:
            there, partner = pictures[name], f"GroundTruth/{name}.png"
        elif name not in pictures:
            there, partner = masks[name], f"Image/{name}.png"
        else:
            continue
        problems.append(f"{there} has no partner {partner}: add that file or remove this one")
    return problems


def _count_problems(folder: Path, count: int, options: Options) -> list[str]:
    wanted = options.train + options.validation + options.test
    if count == wanted:
        return []
    rest = count - options.validation - options.test
    example = f" (for example train = {rest})" if rest > 0 else ""
    return [
        f"{folder} holds {count} pictures, but train + validation + test = {options.train} + "
        f"{options.validation} + {options.test} = {wanted}: set the options train, validation and "
        f"test so that they sum to {count}{example}"
    ]


def _read_row(path: Path, mask: Path, options: Options, problems: list[str]) -> Row | None:
    """A picture with its class indices; None after noting a problem."""
    picture = images.noted(problems, images.read_grey, path)
    labels = images.noted(problems, _read_mask, mask)
    if picture is None or labels is None:
        return None
    if picture.shape != labels.shape:
        sizes = f"{images.size(picture.shape)} but its mask is {images.size(labels.shape)}"
        problems.append(f"{path} is {sizes}: give both one size")
        return None
    full_scale = images.full_scale(picture)
    normal = images.normalise(picture.astype(np.float64), options.normalise, full_scale)
    return path, normal[None], labels


def _read_mask(path: Path) -> NDArray[np.uint8]:
    """The class indices of a mask by its exact colours, each packed into one integer."""
    pixels = images.read_pixels(path)
    if pixels.dtype != np.uint8:
        raise PictureError(f"{path} has 16 bits per channel: save the mask as 8-bit RGB")
    colours = np.stack([pixels] * 3, axis=-1) if pixels.ndim == 2 else pixels
    packed = colours.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    labels = np.full(packed.shape, _UNKNOWN, dtype=np.uint8)
    for index, name in enumerate(CLASSES):
        red, green, blue = COLOURS[name]
        labels[packed == (red << 16 | green << 8 | blue)] = index
    if (strange := packed[labels == _UNKNOWN]).size:
        raise PictureError(_unknown_colours(path, strange))
    return labels


def _unknown_colours(path: Path, strange: NDArray[np.uint32]) -> str:
    """The sentence about colours that stand for no class, the most frequent ones named."""
    counts = Counter(strange.tolist()).most_common()
    listed = [
        f"({colour >> 16}, {colour >> 8 & 255}, {colour & 255}) in {count} pixels"
        for colour, count in counts[:_LISTED]
    ]
    if more := counts[_LISTED:]:
        listed.append(f"{len(more)} others in {sum(count for _, count in more)} pixels")
    known = ", ".join(f"{name} {colour}" for name, colour in COLOURS.items())
    return f"{path} has the unknown colour {', '.join(listed)}: repaint it in {known}"


def _size_problems(rows: list[Row]) -> list[str]:
    """Pictures of several sizes, and sizes that the network cannot halve three times."""
    sizes = {path: images.size(labels.shape) for path, _, labels in rows}
    counts = Counter(sizes.values()).most_common()
    problems = [
        f"{path} is {size} while {counts[0][1]} pictures are {counts[0][0]}: give all one size"
        for path, size in sizes.items()
        if size != counts[0][0]
    ]
    uneven = [row[0] for row in rows if any(side % NETWORK_STRIDE for side in row[2].shape)]
    if uneven:
        problems.append(
            f"{uneven[0]} is {sizes[uneven[0]]}, and {len(uneven)} pictures in all have a height "
            f"or width that is no multiple of {NETWORK_STRIDE}, though the network halves both "
            f"three times: crop or pad the pictures and their masks"
        )
    return problems


def _divide(rows: list[Row], options: Options) -> Dataset:
    """The first pictures train, the next ones validate, the last ones test."""
    pictures = np.stack([picture for _, picture, _ in rows])
    labels = np.stack([mask for _, _, mask in rows])
    names = tuple(path.name for path, _, _ in rows)

    def split(start: int, count: int) -> Split:
        part = slice(start, start + count)
        return Split(pictures[part], labels[part], names[part])

    return assemble(
        SOURCE.name,
        CLASSES,
        train=split(0, options.train),
        validation=split(options.train, options.validation),
        test=split(options.train + options.validation, options.test),
    )


SOURCE = DataSource(
    name="mouse",
    summary="mouse liver fluorescence, 50 pictures 256x256, three classes (unpublished), or "
    "pictures laid out alike",
    classes=CLASSES,
    options=Options,
    load=load,
    layout="a folder with Image/NAME.png and GroundTruth/NAME.png (black background, red membrane, "
    "green nucleus)",
    obtain="the paper's pictures are unpublished, so ask its authors, or put your own or pictures "
    "like those of the 2018 Data Science Bowl (BBBC038) there",
    needs_folder=True,
)
