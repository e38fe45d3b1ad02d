"""Drosophila ssTEM (Gerhard et al., figshare 856713): 20 sections of 1024x1024, four classes.

The label values are the nine of the set's own README.  The split goes by whole sections: tiles of
neighbouring sections are near copies of one another (design 3.13).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from fre_hpo.data.assembly import images
from fre_hpo.data.assembly.building import build
from fre_hpo.data.assembly.labels import LabelMap
from fre_hpo.data.dataset import Dataset
from fre_hpo.data.dividing.splitting import SPLITS, Item
from fre_hpo.data.finding.pairing import find_pairs
from fre_hpo.data.source import DataSource, PictureOptions
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


class Options(PictureOptions):
    """How the sections are cut, labelled and divided."""

    tile: int = Field(
        256, ge=0, description="side of square tiles, in pixels of the section; 0 keeps it whole"
    )
    glia: Literal["background", "membrane", "mitochondria", "synapse"] = Field(
        "background", description="class of the label 159, glia and the space between the cells"
    )
    normalise: images.Normalisation = Field(
        "full-scale", description="full-scale, percentile, or auto (full-scale of 8 bits)"
    )
    train: str = Field("8-19", description="sections to train on, such as 8-19 or 8,10,12-19")
    validation: str = Field("4-7", description="sections that choose the epoch and the trial")
    test: str = Field("0-3", description="sections read only after the search has ended")

    @field_validator("train", "validation", "test")
    @classmethod
    def _names_sections(cls, text: str) -> str:
        sections(text)
        return text

    @model_validator(mode="after")
    def _splits_apart(self) -> "Options":
        for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
            if both := set(self.sections(one)) & set(self.sections(other)):
                raise ValueError(f"section {min(both)} is in {one} and in {other}: leave it in one")
        return self

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
    problems: list[str] = []
    remarks: list[str] = []
    pairing = find_pairs(
        stack,
        "raw/{id}.tif",
        "labels/labels{id}.png",
        leave_out_unlabelled=False,
        problems=problems,
    )
    problems += _absent(options, _numbers(stack), stack)
    by_number = {int(pair.id): pair for pair in pairing.pairs if pair.id.isdecimal()}
    named = [n for split in SPLITS for n in options.sections(split) if n in by_number]
    if not named:
        raise DataProblems(problems)

    def divide(items: Sequence[Item], problems: list[str]) -> Mapping[str, Sequence[int]]:
        if len(items) > len(named):
            problems.append(f"{stack} has files of several pages: use the files as published")
        return {
            split: [named.index(n) for n in options.sections(split) if n in by_number]
            for split in SPLITS
        }

    return build(
        SOURCE.name,
        [by_number[n] for n in named],
        label_map(options.glia),
        options.reading,
        divide,
        problems,
        remarks,
    )


def label_map(glia: str) -> LabelMap:
    """The published values, exactly; any other is an error."""
    values = {
        value: CLASSES.index(glia if meaning == "glia" else meaning)
        for value, meaning in LABELS.items()
    }
    return LabelMap(CLASSES, values)


def _stack(folder: Path | None) -> Path:
    """The folder stack1, whether it or its parent was named."""
    for stack in () if folder is None else (folder / "stack1", folder):
        if (stack / "raw").is_dir() and (stack / "labels").is_dir():
            return stack
    raise SOURCE.not_found(folder)


def _numbers(stack: Path) -> set[int]:
    """The sections of which a file lies there, picture or labels."""
    paths = [*(stack / "raw").iterdir(), *(stack / "labels").iterdir()]
    found = (re.fullmatch(r"(?:labels)?([0-9]+)\.(?:tif|png)", path.name) for path in paths)
    return {int(match[1]) for match in found if match}


def _absent(options: Options, there: set[int], stack: Path) -> list[str]:
    """A sentence for each split that names sections of which nothing lies there."""
    problems = []
    span = f"{min(there)} to {max(there)}" if there else "none"
    for split in SPLITS:
        if missing := [n for n in options.sections(split) if n not in there]:
            problems.append(
                f"{split} = {getattr(options, split)} names {len(missing)} sections that are not "
                f"in {stack} (the first is {missing[0]}, there are {len(there)}: {span}): change "
                f"the option {split} or add the files"
            )
    return problems


SOURCE = DataSource(
    name="drosophila",
    summary="Drosophila ssTEM, 20 sections 1024x1024, four classes (figshare 856713)",
    options=Options,
    load=load,
    layout="a folder that holds stack1 with raw/00.tif and labels/labels00000000.png onwards",
    obtain="`fre-hpo data fetch drosophila` downloads it, or name the folder that holds stack1",
    needs_folder=True,
)
