"""A laboratory's own pictures: pairs of an image and a mask, wherever they lie and however they are
labelled.  `fre-hpo data init FOLDER` writes such options down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from fre_hpo.data.assembly.building import build
from fre_hpo.data.assembly.images import PERCENTILES, Percentiles
from fre_hpo.data.assembly.labels import Instances, LabelMap, Value
from fre_hpo.data.assembly.survey import Reading
from fre_hpo.data.dataset import Dataset
from fre_hpo.data.dividing.splitting import Item, Rule, divide
from fre_hpo.data.finding.manifest import read_manifest
from fre_hpo.data.finding.pairing import Pairing, check_templates, find_pairs
from fre_hpo.data.pictures import Channel
from fre_hpo.data.source import DataSource, PictureOptions
from fre_hpo.errors import DataProblems, counted


def _share(given: object) -> object:
    """A share, or groups by name; one name is a list of one."""
    names = (given,) if isinstance(given, str) else given
    if isinstance(names, list | tuple) and names and all(isinstance(n, str) for n in names):
        return tuple(names)
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < 1:
        return float(given)
    raise ValueError("it must be a share from 0 to below 1, or a list of groups")


def _several(given: object) -> tuple[object, ...]:
    """Numbers and colours."""
    values = tuple(given) if isinstance(given, list | tuple) else (given,)
    if all(isinstance(v, int | str) and not isinstance(v, bool) for v in values):
        return values
    raise ValueError("it must be a whole number, a colour such as '#ff0000', or a list of these")


def _one_or_several(given: object) -> object:
    values = _several(given)
    return values if isinstance(given, list | tuple) else given


def _rising(given: object) -> object:
    if isinstance(given, list | tuple) and all(isinstance(g, int | float) for g in given):
        low_and_high = tuple(map(float, given))
        if len(low_and_high) == 2 and 0 <= low_and_high[0] < low_and_high[1] <= 100:
            return low_and_high
    raise ValueError("it must be two numbers that rise, from 0 to 100")


def _channel(given: object) -> object:
    is_number = isinstance(given, int) and not isinstance(given, bool)
    if given in ("grey", "all") or (is_number and given > 0):  # type: ignore[operator]
        return given
    raise ValueError("it must be grey, all, or a channel's number from 1")


Share = Annotated[float | tuple[str, ...], BeforeValidator(_share)]
Values = Annotated[Value | tuple[Value, ...], BeforeValidator(_one_or_several)]
Ignored = Annotated[tuple[Value, ...], BeforeValidator(_several)]


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
    labels: dict[str, Values] = Field(
        {},
        description="for each class its numbers in the masks, or its colours such as '#ff0000'",
    )
    ignore: Ignored = Field((), description="numbers or colours that count nowhere")
    inverted: bool = Field(False, description="whether the masks hold full scale minus the number")
    instances: Instances = Field(
        "no",
        description="masks with a number for each cell: boundary makes background, membrane (edge) "
        "and nucleus of them, foreground makes background and cell",
    )
    channel: Annotated[Channel, BeforeValidator(_channel)] = Field(
        "grey", description="grey (colours become luminance), all, or a channel's number from 1"
    )
    percentiles: Annotated[Percentiles, BeforeValidator(_rising)] = Field(
        PERCENTILES, description="percentiles that become 0 and 1 where normalise uses them"
    )
    split: Literal["given", "random", "order"] = Field(
        "random",
        description="given by {split} or the manifest, random by group, or order (for stacks: the last "
        "pictures test)",
    )
    validation: Share = Field(
        0.15, description="share of the pictures that choose epoch and trial, or a list of groups"
    )
    test: Share = Field(
        0.15, description="share of the pictures read only after the search, or a list of groups"
    )
    folds: int = Field(
        0, ge=0, description="divide all but test into so many parts by group; 0 does not"
    )
    fold: int = Field(0, ge=0, description="the part that validates, from 0 to folds - 1")
    split_seed: int = Field(0, ge=0, lt=2**32, description="another seed divides otherwise")

    @field_validator("labels")
    @classmethod
    def _map_classes(cls, labels: dict[str, Values]) -> dict[str, Values]:
        if labels:
            LabelMap.of(labels)
        return labels

    @model_validator(mode="after")
    def _can_be_read(self) -> Options:
        if not self.manifest:
            check_templates(self.images, self.masks)
        if self.labels:
            LabelMap.of(self.labels, self.ignore)
        if self.instances != "no" and (self.labels or self.ignore):
            raise ValueError(
                f"instances = {self.instances} makes its own classes: leave labels and ignore away "
                "(--set data.labels={})"
            )
        if self.folds == 1 or self.fold >= max(self.folds, 1):
            raise ValueError(
                f"fold = {self.fold} of folds = {self.folds}: folds is 0 or from 2 on, and fold below it"
            )
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
        ungroup = {"ungroup": _UNGROUP_MANIFEST} if options.manifest else {}
        return divide(items, options.rule, problems, **ungroup)

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
    '{ background = 0, nucleus = 255 } or { background = "#000000", nucleus = "#00ff00" }, set '
    'data.instances = "boundary" for one number per cell, or let `fre-hpo data init FOLDER` look'
)
_OR_LEAVE_OUT = ', or set data.unlabelled = "leave out"'
_UNGROUP_MANIFEST = "leave the column group out"


def _pairing(folder: Path, options: Options, problems: list[str]) -> Pairing:
    leave_out = options.unlabelled == "leave out"
    if options.manifest:
        return read_manifest(
            folder,
            options.manifest,
            allow_outside=options.allow_outside,
            leave_out_unlabelled=leave_out,
            problems=problems,
            advice=_OR_LEAVE_OUT,
        )
    return find_pairs(
        folder,
        options.images,
        options.masks,
        leave_out_unlabelled=leave_out,
        problems=problems,
        advice=_OR_LEAVE_OUT,
    )


def _left_out(pairing: Pairing) -> list[str]:
    """What lies there and is not read."""
    remarks = []
    if pairing.unlabelled:
        images = counted(len(pairing.unlabelled), "image")
        remarks.append(f"Left out: {images} without a mask, the first {pairing.unlabelled[0]}.")
    if pairing.unread:
        others = counted(len(pairing.unread), "other file")
        remarks.append(f"Not read: {others} beside the pictures, the first {pairing.unread[0]}.")
    return remarks


SOURCE = DataSource(
    name="pairs",
    summary="your own images and masks, described by a recipe",
    options=Options,
    load=load,
    layout="a folder with the images and masks that the recipe names",
    obtain="`fre-hpo data init FOLDER` looks at a folder and writes a recipe for it",
    needs_folder=True,
)
