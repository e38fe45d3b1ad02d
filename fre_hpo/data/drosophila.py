"""Drosophila ssTEM (Gerhard et al., figshare 856713): 20 sections of 1024x1024, four classes.

The label values are the nine of the set's own README.  The split goes by whole sections: tiles of
neighbouring sections are near copies of one another (design 3.13).
"""

import re
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from fre_hpo.data import images
from fre_hpo.data.dataset import Dataset, Split, assemble
from fre_hpo.data.images import PictureError
from fre_hpo.data.source import NETWORK_STRIDE, DataOptions, DataSource
from fre_hpo.errors import DataProblems

CLASSES = ("background", "membrane", "mitochondria", "synapse")
LABELS = {
    0: "membrane",  # its four directions, and where membranes meet
    32: "membrane",
    64: "membrane",
    96: "membrane",
    128: "membrane",
    159: "glia",
    191: "mitochondria",
    223: "synapse",
    255: "background",  # the inside of the cells
}
_UNKNOWN = len(CLASSES)
_SPLITS = ("train", "validation", "test")

Pair = tuple[Path, Path]
Tiles = tuple[NDArray[np.float32], NDArray[np.uint8]]


class Options(DataOptions):
    """How the sections are cut, labelled and divided."""

    tile: int = Field(256, ge=8, description="side of the square tiles, in pixels of the section")
    scale: float = Field(1.0, gt=0, le=1, description="1, 1/2, 1/3, ...: tiles are shrunk to that")
    glia: Literal["background", "membrane", "mitochondria", "synapse"] = Field(
        "background", description="class of the label 159, glia and the space between the cells"
    )
    normalise: images.Normalisation = Field("full-scale", description="full-scale or percentile")
    train: str = Field("8-19", description="sections to train on, such as 8-19 or 8,10,12-19")
    validation: str = Field("4-7", description="sections that choose the epoch and the trial")
    test: str = Field("0-3", description="sections read only after the search has ended")

    @field_validator("train", "validation", "test")
    @classmethod
    def _names_sections(cls, text: str) -> str:
        sections(text)
        return text

    @model_validator(mode="after")
    def _fits_the_network(self) -> "Options":
        if abs(self.factor * self.scale - 1) > 1e-3:
            raise ValueError(f"scale = {self.scale} is not one of 1, 1/2, 1/3, ...")
        if self.tile % (self.factor * NETWORK_STRIDE):
            raise ValueError(
                f"tile = {self.tile} at scale = {self.scale} must have a side that is a multiple "
                f"of {NETWORK_STRIDE}"
            )
        return self

    @model_validator(mode="after")
    def _splits_apart(self) -> "Options":
        for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
            if both := set(self.sections(one)) & set(self.sections(other)):
                raise ValueError(f"section {min(both)} is in {one} and in {other}: leave it in one")
        return self

    @property
    def factor(self) -> int:
        """How many pixels of the section make one pixel of the tile, along a side."""
        return round(1 / self.scale)

    def sections(self, split: str) -> list[int]:
        """The numbers of a split's sections, in the order written."""
        return sections(getattr(self, split))


def sections(text: str) -> list[int]:
    """Read "0,2,5-7" as [0, 2, 5, 6, 7]; ValueError says what is wrong with anything else."""
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,5})\s*(?:-\s*([0-9]{1,5})\s*)?", part)
        if match is None:
            raise ValueError(f"{text!r} is no list of sections: write it like 8-19 or 0,2,5-7")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ValueError(f"{part.strip()!r} holds no section: write the smaller number first")
        numbers.extend(range(first, last + 1))
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{text!r} names a section twice: name each once")
    return numbers


def load(folder: Path | None, options: Options) -> Dataset:
    """Read the sections that the three splits name, check them and cut them into tiles."""
    stack = _stack(folder)
    raw = _numbered(stack / "raw", r"([0-9]+)\.tiff?")
    labels = _numbered(stack / "labels", r"labels([0-9]+)\.png")
    problems = _unpaired(raw, labels) + _absent(options, raw.keys() | labels.keys(), stack)
    tiles: dict[int, Tiles | None] = {}
    for number in (n for split in _SPLITS for n in options.sections(split)):
        if number in raw and number in labels:
            tiles[number] = _read_section((raw[number], labels[number]), options, problems)
    if problems:
        raise DataProblems(problems)
    whole = {n: (raw[n].name, cut) for n, cut in tiles.items() if cut is not None}
    splits = {name: _split([whole[n] for n in options.sections(name)]) for name in _SPLITS}
    return assemble(SOURCE.name, CLASSES, **splits)


def _stack(folder: Path | None) -> Path:
    """The folder stack1, whether it or its parent was named."""
    for stack in () if folder is None else (folder / "stack1", folder):
        if (stack / "raw").is_dir() and (stack / "labels").is_dir():
            return stack
    raise SOURCE.not_found(folder)


def _numbered(folder: Path, pattern: str) -> dict[int, Path]:
    """Section number -> file."""
    found = ((re.fullmatch(pattern, path.name), path) for path in sorted(folder.iterdir()))
    return {int(match[1]): path for match, path in found if match}


def _unpaired(raw: dict[int, Path], labels: dict[int, Path]) -> list[str]:
    problems = []
    for number in sorted(raw.keys() ^ labels.keys()):
        there = raw[number] if number in raw else labels[number]
        partner = f"raw/{number:02}.tif" if number in labels else f"labels/labels{number:08}.png"
        problems.append(f"{there} has no partner {partner}: add that file or remove this one")
    return problems


def _absent(options: Options, there: set[int], stack: Path) -> list[str]:
    """A sentence for each split that names sections of which nothing lies there."""
    problems = []
    span = f"{min(there)} to {max(there)}" if there else "none"
    for split in _SPLITS:
        if missing := [n for n in options.sections(split) if n not in there]:
            problems.append(
                f"{split} = {getattr(options, split)} names {len(missing)} sections that are not "
                f"in {stack} (the first is {missing[0]}, there are {len(there)}: {span}): change "
                f"the option {split} or add the files"
            )
    return problems


def _read_section(pair: Pair, options: Options, problems: list[str]) -> Tiles | None:
    """A section's tiles, (n, 1, side, side) and (n, side, side); None after noting a problem."""
    picture = images.noted(problems, images.read_grey, pair[0])
    labels = images.noted(problems, partial(_read_labels, glia=options.glia), pair[1])
    if picture is None or labels is None:
        return None
    if problem := _size_problem(pair[0], picture.shape, labels.shape, options.tile):
        problems.append(problem)
        return None
    values = images.shrink(picture, options.factor)
    normal = images.normalise(values, options.normalise, images.full_scale(picture))
    side = options.tile // options.factor
    return _cut(normal, side)[:, None], _cut(images.shrink_labels(labels, options.factor), side)


def _read_labels(path: Path, glia: str) -> NDArray[np.uint8]:
    """The class indices of a section by the exact table; any other value is an error."""
    values = images.read_pixels(path)
    if values.dtype != np.uint8 or values.ndim != 2:
        raise PictureError(f"{path} is not 8-bit grey: use the label files as published")
    table = np.full(256, _UNKNOWN, dtype=np.uint8)
    for value, meaning in LABELS.items():
        table[value] = CLASSES.index(glia if meaning == "glia" else meaning)
    classes = table[values]
    if (strange := values[classes == _UNKNOWN]).size:
        raise PictureError(_unknown_labels(path, strange))
    return classes


def _unknown_labels(path: Path, strange: NDArray[Any]) -> str:
    found, counts = np.unique(strange, return_counts=True)
    listed = ", ".join(f"{v} in {n} pixels" for v, n in zip(found, counts, strict=True))
    known = ", ".join(map(str, LABELS))
    return f"{path} has the unknown label {listed}: correct it to one of {known}"


def _size_problem(
    raw: Path, picture: tuple[int, ...], labels: tuple[int, ...], tile: int
) -> str | None:
    found = f"{raw} is {images.size(picture)}"
    if picture != labels:
        return f"{found} but its labels are {images.size(labels)}: use the pair as published"
    if any(side % tile for side in picture):
        return f"{found}, which tile = {tile} does not divide: choose a tile that divides both"
    return None


def _cut(section: NDArray[Any], side: int) -> NDArray[Any]:
    """(height, width) -> (n, side, side), row by row."""
    height, width = section.shape
    tiles = section.reshape(height // side, side, width // side, side)
    return tiles.swapaxes(1, 2).reshape(-1, side, side)


def _split(named: list[tuple[str, Tiles]]) -> Split:
    """The tiles of several sections, one section after the other."""
    return Split(
        images=np.concatenate([pictures for _, (pictures, _) in named]),
        labels=np.concatenate([labels for _, (_, labels) in named]),
        sources=tuple(name for name, (_, labels) in named for _ in labels),
    )


SOURCE = DataSource(
    name="drosophila",
    summary="Drosophila ssTEM, 20 sections 1024x1024, four classes (figshare 856713)",
    classes=CLASSES,
    options=Options,
    load=load,
    layout="a folder that holds stack1 with raw/00.tif and labels/labels00000000.png onwards",
    obtain="download it from https://doi.org/10.6084/m9.figshare.856713 and name the folder that "
    "holds stack1",
    needs_folder=True,
)
