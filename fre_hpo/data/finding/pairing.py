"""Which mask belongs to which image: two templates, one look at the folder, every doubt said.

Names that agree exactly belong together.  Where they do not, numbers are compared as numbers (00 and
00000000), and letters without regard to case or to how an accent is stored - but only while that
leaves one image and one mask: nothing is ever chosen among several.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

from fre_hpo.data.finding import dead_ends
from fre_hpo.data.finding.dead_ends import DeadEnd
from fre_hpo.data.finding.folder import Folder
from fre_hpo.data.finding.matching import Key, Match, matches, told_apart, unread
from fre_hpo.data.finding.template import (
    SPLITS,
    BadTemplate,
    Template,
    check_templates,
    parse_both,
    star_texts,
)

__all__ = [
    "SPLITS",
    "BadTemplate",
    "Pair",
    "Pairing",
    "check_templates",
    "find_pairs",
    "natural_order",
]

_LISTED = 20
_CELLPOSE = "_cp"
"""What Cellpose's program puts before `_masks`; its window does not."""


@dataclass(frozen=True)
class Pair:
    """An image file with its mask file."""

    id: str
    """Unique among the pairs: what the placeholders stood for, as in train/m2/03, or WT/1 where a
    `*` tells pictures apart."""
    image: Path
    mask: Path
    split: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Pairing:
    """What was found, in natural order of the images."""

    pairs: tuple[Pair, ...] = ()
    unread: tuple[Path, ...] = ()
    """What lies beside the pictures and is not read: files that are no picture by their ending,
    pictures whose name fits neither template, and folders that no template enters."""
    unlabelled: tuple[Path, ...] = ()
    """Images that were left out because they have no mask."""
    remarks: tuple[str, ...] = ()
    """Sentences for people about what was passed over, such as columns of a manifest."""


@dataclass
class _Alike:
    """The files whose names agree but for case, accents and leading zeros."""

    images: list[Match] = field(default_factory=list)
    masks: list[Match] = field(default_factory=list)

    def pairs(self) -> list[tuple[Match, Match]]:
        """One image and one mask, or each image with the mask of exactly its name; else none."""
        if len(self.images) == len(self.masks) == 1:
            return [(self.images[0], self.masks[0])]
        masks = {mask.key: mask for mask in self.masks}
        images = {image.key: image for image in self.images}
        distinct = len(masks) == len(self.masks) and len(images) == len(self.images)
        if distinct and masks.keys() == images.keys():
            return [(image, masks[key]) for key, image in images.items()]
        return []

    @property
    def is_ambiguous(self) -> bool:
        """Images and masks lie there, but it is not plain which belong together."""
        return bool(self.images and self.masks) and not self.pairs()


def find_pairs(
    folder: Path,
    images: str,
    masks: str,
    *,
    leave_out_unlabelled: bool,
    problems: list[str],
    advice: str = "",
) -> Pairing:
    """Pair the files below the folder that fit the two templates.

    Appends a sentence for all that is missing, ambiguous or in the way, and goes on; without any
    pair there is at least one problem.  Raises BadTemplate.

    advice: ends the sentence about an image without mask, and begins with ", or".
    """
    image, mask = parse_both(images, masks)
    top = Folder(folder, problems)
    ends: list[DeadEnd] = []
    all_images = matches(top, image, "images", problems, ends)
    all_masks = matches(top, mask, "masks", problems, ends)
    problems += dead_ends.sentences(top, ends)
    image_files, mask_files = map(_sorted, told_apart(all_images, all_masks, image, mask))
    rest = unread(top, [*image_files, *mask_files])
    if not image_files or not mask_files:
        if all_images and all_masks:
            problems.append(
                f'{top / all_images[0].place} and all others fit both "{images}" and "{masks}": '
                f"write templates that tell masks from images"
            )
        return Pairing(unread=rest)
    groups = _alike(image_files, _named_like_images(mask_files, image_files, mask))
    found = {image.place: (image, mask) for alike in groups for image, mask in alike.pairs()}
    pairs = [found[image.place] for image in image_files if image.place in found]
    unlabelled = [file for alike in groups if not alike.masks for file in alike.images]
    spare = [file for alike in groups if not alike.images for file in alike.masks]
    if not leave_out_unlabelled:
        problems += _without_partner(
            top, unlabelled, mask, mask_files, "images have no mask", advice
        )
        unlabelled = []
    problems += _without_partner(top, spare, image, image_files, "masks have no image")
    problems += [_ambiguous(top, alike) for alike in groups if alike.is_ambiguous]
    return Pairing(
        pairs=tuple(_pair(top, *pair) for pair in pairs),
        unread=rest,
        unlabelled=tuple(top / file.place for file in unlabelled),
    )


def natural_order(name: str) -> tuple[list[int | str], str]:
    """Sort key that puts cell2 before cell10, as the lab's loader does."""
    parts = re.split(r"([0-9]+)", name)  # numbers at odd places
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def shortened(sentences: Sequence[str], rest: str) -> list[str]:
    """The first sentences of many alike, and how many more there are: two at least."""
    more = len(sentences) - _LISTED
    return [*sentences[:_LISTED], f"{more} more {rest}"] if more > 1 else list(sentences)


def _sorted(files: Sequence[Match]) -> list[Match]:
    return sorted(files, key=lambda file: natural_order(file.place))


def _named_like_images(
    masks: Sequence[Match], images: Sequence[Match], template: Template
) -> list[Match]:
    """Masks that Cellpose named a_cp_masks.png count as those of a, unless an image is called a_cp."""
    if "{id}_masks" not in template.parts[-1].text:
        return list(masks)
    known = {image.key for image in images}
    return [mask if mask.key in known else _without_cp(mask) for mask in masks]


def _without_cp(mask: Match) -> Match:
    values = ((n, v.removesuffix(_CELLPOSE) if n == "id" else v) for n, v in mask.values)
    return Match.of(mask.place, tuple(values))


def _alike(images: Sequence[Match], masks: Sequence[Match]) -> list[_Alike]:
    """The files by what their names have in common, in natural order."""
    groups: defaultdict[Key, _Alike] = defaultdict(_Alike)
    for image in images:
        groups[_folded(image.key)].images.append(image)
    for mask in masks:
        groups[_folded(mask.key)].masks.append(mask)
    return list(groups.values())


def _folded(key: Key) -> Key:
    return tuple((name, _folded_text(value)) for name, value in key)


@lru_cache(maxsize=4096)
def _folded_text(text: str) -> str:
    """Numbers without leading zeros; letters without case and with their accents stored one way."""
    if re.fullmatch("[0-9]+", text):
        return text.lstrip("0") or "0"
    return unicodedata.normalize("NFC", text).casefold()


def _pair(top: Folder, image: Match, mask: Match) -> Pair:
    """The pair's name, split and group are as in the image's name."""
    values = dict(image.key)
    above = [values[name] for name in ("split", "group") if name in values]
    parts = [*above, *star_texts(image.values), *([values["id"]] if "id" in values else [])]
    return Pair(
        id="/".join(parts) or PurePosixPath(image.place).stem,
        image=top / image.place,
        mask=top / mask.place,
        split=values.get("split"),
        group=values.get("group"),
    )


def _without_partner(
    top: Folder,
    files: Sequence[Match],
    template: Template,
    others: Sequence[Match],
    rest: str,
    advice: str = "",
) -> list[str]:
    """A sentence for each file whose partner does not lie there."""
    widths = {len(dict(other.values).get("id", "")) for other in others}
    width = widths.pop() if len(widths) == 1 else 0
    return shortened(
        [
            f"{top / file.place} has no partner {_expected(file, template, width)}: add that file or "
            f"remove this one{advice}"
            for file in files
        ],
        f"{rest}: add them, remove the others, or correct the template",
    )


def _expected(file: Match, template: Template, width: int) -> str:
    """The partner's path; a number is padded to the width that the others there have."""

    def padded(name: str, value: str) -> str:
        if name != "id" or not width or not re.fullmatch("[0-9]+", value):
            return value
        return (value.lstrip("0") or "0").zfill(width)

    values = tuple((name, padded(name, value)) for name, value in file.values)
    return template.filled(values).removesuffix(".*") + ".png" * template.parts[-1].any_ending


def _ambiguous(top: Folder, alike: _Alike) -> str:
    """The sentence about files of which several could belong together."""
    many = alike.images if len(alike.images) > 1 else alike.masks
    what = "images" if many is alike.images else "masks"
    first, second = many[:2]
    more = f" (and {len(many) - 2} more)" if len(many) > 2 else ""
    if len({file.key for file in many}) < len(many):
        why = f"are {what} of the same name"
    else:
        why = f"are {what} whose names differ only in leading zeros, case or accents"
    return f"{top / first.place} and {second.place}{more} {why}: keep or rename one"
