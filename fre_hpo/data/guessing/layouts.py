"""Ways in which laboratories lay out pictures and masks, recognised from a listing.

Conventions with a name first, then folders that face one another, then
pictures and masks in one folder, then single stacks.  Every proposal is two templates, and the one
that pairs most files wins.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from fre_hpo.data.guessing import folders
from fre_hpo.data.guessing.conventions import cell_tracking, nnunet
from fre_hpo.data.guessing.folders import Family
from fre_hpo.data.guessing.groups import FEWEST
from fre_hpo.data.guessing.listing import (
    Fit,
    Layout,
    Listing,
    fit,
    join,
    stem,
    stems_by_folder,
)
from fre_hpo.data.guessing.names import (
    MASK_WORDS,
    Pattern,
    between,
    even,
    is_oriented,
    within,
    words,
)
from fre_hpo.data.guessing.per_picture import folder_per_picture
from fre_hpo.errors import counted

Variety = Callable[[str], int]
"""How many different values a file has: of two that belong together the mask has fewer."""

_ONE_FOLDER = "images and masks in one folder"
_MOST_FAMILIES = 12


def recognise(listing: Listing, variety: Variety) -> Layout | None:
    """The layout that pairs pictures and masks, None where nothing does."""
    layout = nnunet(listing) or cell_tracking(listing)
    if layout is not None:
        return layout
    found = list(_facing(listing))
    if not any(_is_whole(layout.fit) for layout in found):
        found += _one_folder(listing, variety)
        found += folder_per_picture(listing)
    found = found or list(_stacks(listing)) or list(_unnamed(listing, variety))
    found = [layout for layout in found if layout.fit.pairs]
    if not found:
        return None
    most = max(len(layout.fit.pairs) for layout in found)
    best = _plausible([layout for layout in found if len(layout.fit.pairs) == most], variety)
    best = _single(listing, _closer(listing, best))
    return _enough_groups(listing, _with_others(best, found))


def _plausible(layouts: list[Layout], variety: Variety) -> Layout:
    """Of layouts that pair equally many the first; in one folder, where outlines or second masks could
    be taken for pictures, the first of which the pictures vary more than the masks."""
    if layouts[0].form != _ONE_FOLDER:
        return layouts[0]
    real = (layout for layout in layouts if _is_turned(layout.fit.turned(), variety))
    return next(real, layouts[0])


def _is_whole(found: Fit) -> bool:
    """Nothing is left over."""
    return bool(found.pairs) and not (found.unlabelled or found.unpictured)


def _facing(listing: Listing) -> Iterator[Layout]:
    """Folders whose names say that they hold pictures and masks."""
    families = sorted(folders.facing(listing.folders), key=_rank)
    for family in families[:_MOST_FAMILIES]:
        yield from _paired(listing, family, "folders of images and masks")


def _rank(family: Family) -> tuple[int, bool, bool]:
    """Families of most folders first, then those named for pictures, then "labels"."""
    named = folders.read(family.folders[0]).role == "image"
    return -len(family.folders), not named, "label" not in family.masks.lower()


def _paired(listing: Listing, family: Family, form: str) -> Iterator[Layout]:
    images = stems_by_folder(listing, family.folders)
    masks = stems_by_folder(listing, family.partners)
    pattern = between(images, masks)
    if pattern is not None and not ("{group}" in pattern.image and "{group}" in family.images):
        templates = (f"{pattern.image}.*", f"{pattern.mask}.*")
    elif len(images) == len(masks) == 1:
        places = (family.folders[0], family.partners[0])
        templates = tuple(listing.pictures(place)[0] for place in places)  # type: ignore[assignment]
    else:
        return
    both = join(family.images, templates[0]), join(family.masks, templates[1])
    if (found := fit(listing, *both)).pairs:
        yield Layout(form, *both, found)


def _one_folder(listing: Listing, variety: Variety) -> Iterator[Layout]:
    """Pictures and masks side by side, told apart by their names."""
    families = sorted(folders.alone(listing.folders), key=lambda family: -len(family.folders))
    for family in families[:_MOST_FAMILIES]:
        names = stems_by_folder(listing, family.folders)
        many = sum(len(listing.pictures(folder)) for folder in family.folders)
        proposals = [_templates(p, is_oriented(p)) for p in within(names)]
        for images, masks, oriented in [*proposals, *_by_ending(listing, family)]:
            if "{group}" in images and "{group}" in family.images:
                continue
            both = join(family.images, images), join(family.masks, masks)
            found = fit(listing, *both)
            enough = 1 if oriented else 2
            if len(found.pairs) < enough or 4 * len(found.pairs) < many:
                continue
            if not oriented and _is_turned(found, variety):
                both = both[1], both[0]
                found = fit(listing, *both)
            yield Layout(_ONE_FOLDER, *both, found)


def _templates(pattern: Pattern, oriented: bool) -> tuple[str, str, bool]:
    return f"{pattern.image}.*", f"{pattern.mask}.*", oriented


def _by_ending(listing: Listing, family: Family) -> Iterator[tuple[str, str, bool]]:
    """a.jpg with a.png: two endings of one name."""
    names = [name for folder in family.folders for name in listing.pictures(folder)]
    endings = Counter(map(_ending, names))
    for one, other in [(a, b) for a in sorted(endings) for b in sorted(endings) if a < b]:
        yield f"{{id}}{one}", f"{{id}}{other}", False


def _is_turned(found: Fit, variety: Variety) -> bool:
    """Whether the files that were taken for masks vary more than the pictures."""
    votes = [variety(image) < variety(mask) for image, mask in even(found.pairs, 3)]
    return 2 * sum(votes) > len(votes)


def _stacks(listing: Listing) -> Iterator[Layout]:
    """One stack of pictures beside one of labels, such as train-volume.tif and train-labels.tif."""
    for folder in listing.folders:
        names = listing.pictures(folder)
        masks = [name for name in names if words(stem(name)) & MASK_WORDS]
        pictures = [name for name in names if name not in masks]
        if len(masks) == 1 and 1 <= len(pictures) <= 4:
            own = words(stem(masks[0]))
            best = max(pictures, key=lambda name: len(words(stem(name)) & own))
            both = join(folder, best), join(folder, masks[0])
            yield Layout("a stack of images and one of labels", *both, fit(listing, *both))


def _unnamed(listing: Listing, variety: Variety) -> Iterator[Layout]:
    """Two folders whose names say nothing but whose files are called alike."""
    places = listing.folders[:6]
    for one, other in [(a, b) for a in places for b in places if a < b]:
        for layout in _paired(listing, Family(one, other, (one,), (other,)), "two folders"):
            if 2 * len(layout.fit.pairs) < max(map(len, map(listing.pictures, (one, other)))):
                continue
            both = layout.images, layout.masks
            if _is_turned(layout.fit, variety):
                both = layout.masks, layout.images
            note = (f"{PurePosixPath(both[1]).parent} is taken for the masks by its few values",)
            yield Layout(layout.form, *both, fit(listing, *both), notes=note)


def _closer(listing: Listing, layout: Layout) -> Layout:
    """State the ending of the pictures where other files of one folder have another, as Cellpose's
    flows do."""
    endings = {_ending(image) for image, _ in layout.fit.pairs}
    others = {_ending(image) for image in layout.fit.unlabelled}
    mixed = len(endings) != 1 or endings & others or not layout.images.endswith(".*")
    if layout.form != _ONE_FOLDER or not others or mixed:
        return layout
    images = layout.images.removesuffix(".*") + endings.pop()
    found = fit(listing, images, layout.masks)
    rest = counted(len(layout.fit.unlabelled), "file")
    verb = "belongs" if len(layout.fit.unlabelled) == 1 else "belong"
    note = f"{rest} beside them ({', '.join(sorted(others))}) {verb} to no pair"
    told = layout.told | set(layout.fit.unlabelled)
    return replace(layout, images=images, fit=found, notes=(*layout.notes, note), told=told)


def _ending(path: str) -> str:
    """A picture's ending as it is written; .ome.tif is one."""
    name = PurePosixPath(path).name
    return name[len(stem(name)) :]


def _single(listing: Listing, layout: Layout) -> Layout:
    """A single pair by its own names: a stack beside its labels has no id."""
    if len(layout.fit.pairs) != 1:
        return layout
    images, masks = layout.fit.pairs[0]
    found = fit(listing, images, masks)
    return replace(layout, images=images, masks=masks, fit=found) if found.pairs else layout


def _with_others(layout: Layout, found: list[Layout]) -> Layout:
    """Say which other folders of masks would fit."""
    others = [
        other for other in found if other.images == layout.images and other.masks != layout.masks
    ]
    doubts = [
        f'There are other masks for the same pictures: change data.masks to "{other.masks}" if you '
        "mean those"
        for other in others[:2]
    ]
    told = layout.told.union(mask for other in others[:2] for _, mask in other.fit.pairs)
    return replace(layout, doubts=(*layout.doubts, *doubts), told=told)


def _enough_groups(listing: Listing, layout: Layout) -> Layout:
    """Groups too few for three splits are none: the pictures are divided one by one."""
    groups = layout.fit.distinct("group")
    if not groups or len(groups) >= FEWEST - 1:
        return layout
    free = "*" if "{id}" in layout.images else "{id}"
    images, masks = (text.replace("{group}", free) for text in (layout.images, layout.masks))
    found = fit(listing, images, masks)
    count, verb = counted(len(groups), "group"), "is" if len(groups) == 1 else "are"
    few = f"There {verb} only {count} ({', '.join(sorted(groups))}), and three splits need three"
    if sorted(found.pairs) != sorted(layout.fit.pairs):
        doubt = f"{few}: write {{id}} or * instead of {{group}}, or add groups"
        return replace(layout, doubts=(*layout.doubts, doubt))
    doubt = (
        f"{few}: every picture is divided by itself, so that one group lies on both sides of a split; "
        "if these are animals or patients, add more of them and run this again"
    )
    return replace(layout, images=images, masks=masks, fit=found, doubts=(*layout.doubts, doubt))
