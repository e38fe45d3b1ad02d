"""A laboratory's own pictures: pairs of an image and a mask, wherever they lie and however they are
labelled.  `fre-hpo data init FOLDER` writes such options down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fre_hpo.data.building import build
from fre_hpo.data.dataset import Dataset
from fre_hpo.data.images import PERCENTILES, Percentiles
from fre_hpo.data.labels import Instances, LabelMap, Value
from fre_hpo.data.manifest import read_manifest
from fre_hpo.data.pairing import Pairing, check_templates, find_pairs
from fre_hpo.data.pictures import Channel
from fre_hpo.data.source import DataSource, PictureOptions
from fre_hpo.data.splitting import Item, Rule, divide
from fre_hpo.data.survey import Reading
from fre_hpo.errors import DataProblems

Share = Annotated[float, Field(ge=0, lt=1)]


class Options(PictureOptions):
    """Where the pictures lie, what their labels mean, and how they are divided."""

    images: str = Field(
        "images/{id}.*", description="template of the images' paths: {id}, {group}, {split}, *"
    )
    masks: str = Field("masks/{id}.*", description="template of the masks' paths")
    manifest: str = Field(
        "", description="a CSV or JSON file in place of templates: image, mask, split, group"
    )
    allow_outside: bool = Field(
        False, description="whether the manifest may name files outside its folder"
    )
    unlabelled: Literal["refuse", "leave out"] = Field(
        "refuse", description="images without a mask: refuse them, or leave them out"
    )
    labels: dict[str, Value | tuple[Value, ...]] = Field(
        {},
        description="for each class its numbers in the masks, or its colours such as '#ff0000'",
    )
    ignore: tuple[Value, ...] = Field((), description="numbers or colours that count nowhere")
    inverted: bool = Field(False, description="whether the masks hold full scale minus the number")
    instances: Instances = Field(
        "no",
        description="masks with a number for each cell: boundary makes background, membrane (edge) "
        "and nucleus of them, foreground makes background and cell",
    )
    channel: Channel = Field(
        "grey", description="grey (colours become luminance), all, or a channel's number from 1"
    )
    percentiles: Percentiles = Field(
        PERCENTILES, description="percentiles that become 0 and 1 where normalise uses them"
    )
    split: Literal["given", "random", "order"] = Field(
        "random",
        description="given by {split} or the manifest, random by group, or order (for stacks: the last "
        "pictures test)",
    )
    validation: Share | tuple[str, ...] = Field(
        0.15, description="share of the pictures that choose epoch and trial, or a list of groups"
    )
    test: Share | tuple[str, ...] = Field(
        0.15, description="share of the pictures read only after the search, or a list of groups"
    )
    folds: int = Field(
        0, ge=0, description="divide all but test into so many parts by group; 0 does not"
    )
    fold: int = Field(0, ge=0, description="the part that validates, from 0 to folds - 1")
    split_seed: int = Field(0, ge=0, lt=2**32, description="another seed divides otherwise")

    @model_validator(mode="after")
    def _can_be_read(self) -> Options:
        if not self.manifest:
            check_templates(self.images, self.masks)
        if self.instances == "no":
            LabelMap.of(self.labels or {"background": 0, "foreground": 255}, self.ignore)
        elif self.labels or self.ignore:
            raise ValueError(
                f"instances = {self.instances} makes its own classes: leave labels and ignore away"
            )
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(f"percentiles = {low}, {high} must rise and lie between 0 and 100")
        if self.folds == 1 or self.fold >= max(self.folds, 1):
            raise ValueError(
                f"fold = {self.fold} of folds = {self.folds}: folds is 0 or from 2 on, and fold below it"
            )
        if isinstance(self.channel, int) and self.channel < 1:
            raise ValueError(f"channel = {self.channel}: channels are counted from 1")
        return self

    @property
    def reading(self) -> Reading:
        return Reading(self.channel, self.normalise, self.percentiles, self.tile, self.factor)

    @property
    def says_labels(self) -> bool:
        return bool(self.labels) or self.instances != "no"

    @property
    def label_map(self) -> LabelMap:
        """Of a recipe that does not say its labels, a map that can read any mask that is one."""
        if not self.labels:
            instances = "foreground" if self.instances == "no" else self.instances
            return LabelMap.of_instances(instances, inverted=self.inverted)
        return LabelMap.of(self.labels, self.ignore, inverted=self.inverted, key="data.labels")

    @property
    def rule(self) -> Rule:
        return Rule(self.split, self.validation, self.test, self.folds, self.fold, self.split_seed)


def load(folder: Path | None, options: Options) -> Dataset:
    """Find, read, check, divide and cut the pictures."""
    if folder is None or not folder.is_dir():
        raise SOURCE.not_found(folder)
    problems = [] if options.says_labels else [_NO_LABELS]
    remarks: list[str] = []
    pairing = _pairing(folder, options, problems)
    remarks += [*pairing.remarks, *_left_out(pairing)]
    if not pairing.pairs:
        raise DataProblems(problems)

    def divided(items: Sequence[Item], problems: list[str]) -> Mapping[str, Sequence[int]]:
        if len(pairing.pairs) == 1 and options.split == "random":
            remarks.append(_NEIGHBOURS)
        return divide(items, options.rule, problems)

    return build(
        SOURCE.name,
        pairing.pairs,
        options.label_map,
        options.reading,
        divided,
        problems,
        remarks,
        whole_stacks=options.split != "order",
    )


_NEIGHBOURS = (
    "The pages of one stack are divided at random, though neighbours are near copies: set data.split = "
    '"order" for honest figures.'
)
_NO_LABELS = (
    "data.labels is empty, so no mask can be read: name the classes there, such as labels = "
    '{ background = 0, nucleus = 255 }, or set data.instances = "boundary" for one number per cell'
)


def _pairing(folder: Path, options: Options, problems: list[str]) -> Pairing:
    leave_out = options.unlabelled == "leave out"
    if options.manifest:
        return read_manifest(
            folder,
            options.manifest,
            allow_outside=options.allow_outside,
            leave_out_unlabelled=leave_out,
            problems=problems,
        )
    return find_pairs(
        folder, options.images, options.masks, leave_out_unlabelled=leave_out, problems=problems
    )


def _left_out(pairing: Pairing) -> list[str]:
    """What lies there and is not read."""
    kinds = (
        (pairing.unlabelled, "images without a mask are left out"),
        (pairing.unread, "other files lie beside the pictures and are not read"),
    )
    return [f"{len(paths)} {what} (the first is {paths[0]})." for paths, what in kinds if paths]


SOURCE = DataSource(
    name="pairs",
    summary="your own images and masks, described by a recipe",
    options=Options,
    load=load,
    layout="a folder with the images and masks that the recipe names",
    obtain="`fre-hpo data init FOLDER` looks at a folder and writes a recipe for it",
    needs_folder=True,
)
