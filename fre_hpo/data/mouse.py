"""Mouse liver fluorescence (the paper's first set), or pictures laid out alike: three classes.

Users of the lab's data have Image/NAME.png and GroundTruth/NAME.png in natural file order, with RGB
masks (design 3.14).
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

from pydantic import Field

from fre_hpo.data.assembly import images
from fre_hpo.data.assembly.building import build
from fre_hpo.data.assembly.labels import LabelMap
from fre_hpo.data.dataset import Dataset
from fre_hpo.data.dividing.splitting import SPLITS, Item
from fre_hpo.data.finding.pairing import find_pairs
from fre_hpo.data.source import DataSource, PictureOptions
from fre_hpo.errors import DataProblems

COLOURS = {"background": "#000000", "membrane": "#ff0000", "nucleus": "#00ff00"}


class Options(PictureOptions):
    """How the pictures are divided, in natural file order, and normalised."""

    train: int = Field(35, ge=1, description="number of pictures to train on: the first ones")
    validation: int = Field(5, ge=1, description="number of pictures that choose epoch and trial")
    test: int = Field(10, ge=1, description="number of pictures read only after the search")
    normalise: images.Normalisation = Field(
        "percentile", description="full-scale, percentile, or auto (full-scale of 8 bits)"
    )


def load(folder: Path | None, options: Options) -> Dataset:
    """Read all pictures with their masks, check them and divide them in natural file order."""
    if folder is None or not all((folder / part).is_dir() for part in ("Image", "GroundTruth")):
        raise SOURCE.not_found(folder)
    problems: list[str] = []
    remarks: list[str] = []
    pairing = find_pairs(
        folder,
        "Image/{id}.*",
        "GroundTruth/{id}.*",
        leave_out_unlabelled=False,
        problems=problems,
    )
    complete = not problems
    if not pairing.pairs:
        raise DataProblems(problems)

    def divide(items: Sequence[Item], problems: list[str]) -> Mapping[str, Sequence[int]]:
        if complete:  # or the count is wrong for another reason
            problems += _count_problems(folder, len(items), options)
        return in_order(options)

    label_map = LabelMap.of(COLOURS)
    return build(SOURCE.name, pairing.pairs, label_map, options.reading, divide, problems, remarks)


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


def in_order(options: Options) -> dict[str, Sequence[int]]:
    """The first pictures train, the next ones validate, the last ones test."""
    counts = (options.train, options.validation, options.test)
    ends = pairwise(accumulate(counts, initial=0))
    return {split: range(start, end) for split, (start, end) in zip(SPLITS, ends, strict=True)}


SOURCE = DataSource(
    name="mouse",
    summary="mouse liver fluorescence, 50 pictures 256x256, three classes (unpublished), or "
    "pictures laid out alike",
    options=Options,
    load=load,
    layout="a folder with Image/NAME.png and GroundTruth/NAME.png (black background, red membrane, "
    "green nucleus)",
    obtain="the paper's pictures are unpublished, so ask its authors, or put your own or pictures "
    "like those of the 2018 Data Science Bowl (BBBC038) there",
    needs_folder=True,
)
