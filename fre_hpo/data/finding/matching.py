"""Which files below a folder fit a template, and what the placeholders stand for in each."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from fre_hpo.data.finding.dead_ends import DeadEnd
from fre_hpo.data.finding.folder import Folder
from fre_hpo.data.finding.template import Part, Template, Values, split_of

Key = tuple[tuple[str, str], ...]
"""Placeholders with their values, by name; an image and its mask have the same."""


class Match(NamedTuple):
    """A file that fits a template."""

    place: str
    values: Values
    """The placeholders' values as they are written in the names."""
    key: Key

    @classmethod
    def of(cls, place: str, values: Values) -> "Match":
        """With the key that the values give: one word for each split."""
        if len(values) == 1 and values[0][0] != "split":
            return cls(place, values, values)
        plain = ((n, (split_of(v) or v) if n == "split" else v) for n, v in sorted(values))
        return cls(place, values, tuple(plain))

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.place).name


def matches(
    folder: Folder, template: Template, option: str, problems: list[str], ends: list[DeadEnd]
) -> list[Match]:
    """All files that fit; where there are none and no problem says why, the dead end is noted.

    option: what the template is called in a recipe.
    """
    noted = len(problems)
    *above, last = template.parts
    places: list[tuple[str, Values]] = [("", ())]
    for part in above:
        deeper = [found for place in places for found in _enter(folder, *place, part)]
        if not deeper:
            if len(problems) == noted:
                ends.append(DeadEnd(template.text, option, places[0][0], part))
            return []
        places = deeper
    found = [match for place in places for match in _files(folder, *place, last, problems)]
    if not found and len(problems) == noted:
        ends.append(DeadEnd(template.text, option, places[0][0], others=len(places) - 1))
    return found


def told_apart(
    images: Sequence[Match], masks: Sequence[Match], image: Template, mask: Template
) -> tuple[list[Match], list[Match]]:
    """Files that fit both templates count once: as masks, because a_masks.png also fits {id}.*,
    unless the images' template prescribes more of the name."""
    in_both = {match.place for match in images} & {match.place for match in masks}
    if not in_both:
        return list(images), list(masks)
    image_is_closer = image.parts[-1].literal_length > mask.parts[-1].literal_length
    only_images = [m for m in images if image_is_closer or m.place not in in_both]
    only_masks = [m for m in masks if not image_is_closer or m.place not in in_both]
    return only_images, only_masks


def unread(folder: Folder, used: Iterable[Match]) -> tuple[Path, ...]:
    """What was met on the way and is neither an image nor a mask: files, and folders as a whole."""
    known = {match.place for match in used}
    for place in {place.rpartition("/")[0] for place in known}:
        known.update((place, *(str(above) for above in PurePosixPath(place).parents)))
    visited = [place for place in folder.listed if not place or place in known]
    entries = [entry for place in visited for entry in folder.entries(place)]
    return tuple(folder / entry.place for entry in entries if entry.place not in known)


def _enter(folder: Folder, place: str, values: Values, part: Part) -> Iterator[tuple[str, Values]]:
    """The folders one level deeper that fit."""
    if part.literal:
        below = f"{place}/{part.text}" if place else part.text
        if folder.has_folder(below):
            yield below, values
        return
    for entry in folder.entries(place):
        if entry.is_folder and (found := part.match(entry.name, values)) is not None:
            yield entry.place, found


def _files(
    folder: Folder, place: str, values: Values, part: Part, problems: list[str]
) -> Iterator[Match]:
    """The files that fit, without those that may not be read."""
    for entry in folder.entries(place):
        found = part.match(entry.name, values)
        if found is None or (entry.is_folder and not part.is_picture):
            continue
        if entry.is_folder:
            problems.append(f"{folder / entry.place} is a folder named like a picture: rename it")
        elif folder.may_read(entry.place):
            yield Match.of(entry.place, found)
