"""Look at a folder and guess the options of `pairs`: every guess has its reason beside it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from fre_hpo.data.finding.template import split_of
from fre_hpo.data.guessing import options
from fre_hpo.data.guessing import seen as pictures_seen
from fre_hpo.data.guessing.conventions import mask_per_object
from fre_hpo.data.guessing.doubts import file_doubts, group_doubts, smoothed_doubts
from fre_hpo.data.guessing.groups import Groups, find_groups
from fre_hpo.data.guessing.layouts import recognise
from fre_hpo.data.guessing.leftover import (
    left_over_doubt,
    several_masks,
    several_masks_problem,
    too_much_left,
)
from fre_hpo.data.guessing.listing import (
    Fit,
    Layout,
    Listing,
    fit,
    from_the_root,
    readable,
)
from fre_hpo.data.guessing.manifests import class_names, manifest
from fre_hpo.data.guessing.meaning import Meaning, interpret
from fre_hpo.data.guessing.seen import Choice, Seen
from fre_hpo.data.guessing.tally import Tallies, count_masks
from fre_hpo.data.guessing.tiles import choose_tile
from fre_hpo.errors import DataProblems, counted

TOPICS = ("layout", "pictures", "values", "files")
"""Keys of what was found as a whole."""


@dataclass(frozen=True)
class Guess:
    """options: keys of [data] besides the folder.  training: keys of [training].

    found: (key, remark), first those of TOPICS, then "<key of data>", "labels.<class>" and
    "training.<key>".  doubts: sentences for people.
    """

    options: Mapping[str, Any]
    training: Mapping[str, Any]
    found: tuple[tuple[str, str], ...]
    doubts: tuple[str, ...]


def guess(folder: Path) -> Guess:
    """What lies in a folder, and how it is probably to be read; nothing is written.

    Raises DataProblems with one sentence where no pictures with masks can be recognised.
    """
    if not folder.is_dir():
        raise DataProblems([f"{folder} is no folder: name the one that holds images and masks"])
    folder = from_the_root(folder)
    listing = Listing.of(folder)
    if objects := mask_per_object(listing):
        advice = "merge them into one mask with a number for each object"
        raise DataProblems([f"In {folder} {objects}, which cannot be read: {advice}"])
    layout = _recognised(folder, listing)
    layout, groups = _grouped(listing, layout)
    seen = pictures_seen.look_at([folder / image for image, _ in layout.fit.pairs])
    if not seen.headers:
        raise DataProblems([f"No picture in {folder} can be read; {seen.broken[0]}"])
    if problem := too_much_left(listing, layout, max(len(layout.fit.pairs), seen.total)):
        raise DataProblems([f"In {folder} {problem}: {_ONE_SET}"])
    layout = replace(layout, doubts=(*layout.doubts, *left_over_doubt(listing, layout)))
    masks = pictures_seen.look_at([folder / mask for _, mask in layout.fit.pairs])
    tallies = count_masks([folder / mask for _, mask in layout.fit.pairs])
    above = folder / PurePosixPath(layout.images).parent.parent
    names = class_names(above / "dataset.json") if layout.form == "nnU-Net" else {}
    meaning = interpret(tallies, names, expect_cells=layout.named_for_cells)
    return _concluded(Evidence(folder, layout, groups, seen, masks, tallies, meaning))


_ONE_SET = (
    "name a folder that holds one set alone, or list all pairs in a CSV file with the columns image and "
    "mask"
)


def _recognised(folder: Path, listing: Listing) -> Layout:
    """By a manifest if there is a usable one, else by names."""
    listed = manifest(folder, listing)
    if listed is not None and listed.fit.pairs:
        return listed

    def variety(name: str) -> int:
        return pictures_seen.variety(folder / name)

    layout = recognise(listing, variety)
    problems = listed.doubts if listed else ()
    if layout is None:
        raise DataProblems(problems or [_nothing(folder, listing)])
    if masks := several_masks(listing, layout, variety):
        raise DataProblems([several_masks_problem(folder, masks)])
    return replace(layout, doubts=(*problems, *layout.doubts))


def _nothing(folder: Path, listing: Listing) -> str:
    volumes = any(name.endswith((".nii", ".nii.gz")) for n in listing.files.values() for name in n)
    hint = "save the slices of NIfTI volumes as PNG or TIFF and " if volumes else ""
    return (
        f"{folder} holds no pictures with masks that can be recognised ({listing.summary()}): {hint}"
        "lay them out as images/a.png with masks/a.png, as a.png with a_mask.png, like nnU-Net or the "
        "Cell Tracking Challenge, or list them in a CSV file with the columns image and mask"
    )


def _grouped(listing: Listing, layout: Layout) -> tuple[Layout, Groups | None]:
    """Put {group} into the templates where the names of the pictures tell groups."""
    if "{id}" not in layout.images or "{group}" in layout.images + layout.masks:
        return layout, None
    groups = find_groups([values["id"] for values in layout.fit.values])
    if groups is None or not groups.enough or options.is_sequence(layout):
        return layout, groups
    both = [text.replace("{id}", groups.template) for text in (layout.images, layout.masks)]
    found = fit(listing, *both)
    if len(found.pairs) != len(layout.fit.pairs) or found.unpictured != layout.fit.unpictured:
        return layout, None
    if crossing := _in_several_splits(found):
        verb = "is" if len(crossing) == 1 else "are"
        doubt = (
            f"The names tell groups of which {len(crossing)} {verb} in several splits "
            f"({', '.join(crossing[:3])}): if these are animals or patients, test scores would flatter"
        )
        return replace(layout, doubts=(*layout.doubts, doubt)), None
    return replace(layout, images=both[0], masks=both[1], fit=found), groups


def _in_several_splits(found: Fit) -> list[str]:
    """The groups that the folders divide."""
    splits: dict[str, set[str | None]] = {}
    for values in found.values:
        splits.setdefault(values["group"], set()).add(split_of(values.get("split", "")))
    return [group for group, places in splits.items() if len(places) > 1]


@dataclass(frozen=True)
class Evidence:
    """All that was looked at."""

    folder: Path
    layout: Layout
    groups: Groups | None
    seen: Seen
    masks: Seen
    tallies: Tallies
    meaning: Meaning


def _concluded(evidence: Evidence) -> Guess:
    layout, seen, meaning = evidence.layout, evidence.seen, evidence.meaning
    channel, mixed = pictures_seen.choose_channel(seen)
    choices: dict[str, Choice] = dict(options.place_choices(layout))
    choices |= options.label_choices(meaning)
    choices["channel"] = options.with_channel_name(channel, layout, evidence.folder)
    choices["normalise"] = pictures_seen.choose_normalisation(seen)
    choices["tile"] = choose_tile(seen)
    choices |= options.split_choices(layout, evidence.groups, seen)
    training = options.training_choices(seen, choices["tile"][0], len(layout.fit.pairs))
    found = [
        *_topics(evidence),
        *((key, remark) for key, (_, remark) in choices.items() if remark),
        *((f"labels.{name}", meaning.remarks[name]) for name in meaning.labels),
        *((f"training.{key}", remark) for key, (_, remark) in training.items()),
    ]
    doubts = [
        *layout.doubts,
        *file_doubts(evidence.folder, layout, seen, evidence.masks, evidence.tallies),
        *smoothed_doubts(evidence.folder, meaning.smoothed, evidence.tallies),
        *meaning.doubts,
        *mixed,
        *group_doubts(evidence.groups, choices["split"][0]),
    ]
    labels = {"labels": dict(meaning.labels)} if meaning.labels else {}
    return Guess(
        options={key: value for key, (value, _) in choices.items()} | labels,
        training={key: value for key, (value, _) in training.items()},
        found=tuple((key, readable(remark)) for key, remark in found),
        doubts=tuple(map(readable, doubts)),
    )


def _topics(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What was found as a whole."""
    layout, tallies = evidence.layout, evidence.tallies
    yield "layout", f"{layout.form}, {counted(len(layout.fit.pairs), 'file')} with masks"
    yield from (("layout", note) for note in layout.notes)
    yield "pictures", evidence.seen.summary()
    yield "values", _read_masks(tallies)
    yield from (("values", note) for note in evidence.meaning.notes)
    headers = {**evidence.seen.headers, **evidence.masks.headers}
    for remark in pictures_seen.misnamed(headers, evidence.folder):
        yield "files", remark


def _read_masks(tallies: Tallies) -> str:
    read = len(tallies.masks)
    if not read:
        return "no mask could be read"
    count = (
        "all masks" if read == tallies.count else f"{read} of {tallies.count} masks, evenly chosen,"
    )
    kind = "colour" if tallies.colours else "value"
    return f"{count} were read: {counted(len(tallies.values), kind)}"
