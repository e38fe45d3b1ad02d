"""What the chosen templates would not read: nothing is passed over in silence."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from fre_hpo.data.finding.template import parse
from fre_hpo.data.guessing.listing import Layout, Listing, stem
from fre_hpo.data.guessing.names import IMAGE_WORDS, MASK_WORDS, affixes, even, words
from fre_hpo.errors import counted

_MOST_VALUES = 64
"""A file with more is no mask of classes."""
_NEARLY_ALL = 0.8
"""Of the pictures, so many have a second mask where it is no accident."""
_FEW = 3
"""So few pairs do not show that the layout is understood."""


def left_over(listing: Listing, layout: Layout) -> list[str]:
    """Pictures that nothing reads and no other sentence tells of."""
    known = {*layout.fit.unlabelled, *layout.fit.unpictured, *layout.told}
    return [path for path in _not_paired(listing, layout) if path not in known]


def _not_paired(listing: Listing, layout: Layout) -> list[str]:
    used = {path for pair in layout.fit.pairs for path in pair}
    return [path for path in listing.every_picture if path not in used]


def left_over_doubt(listing: Listing, layout: Layout) -> Iterator[str]:
    """How many pictures are not read."""
    if rest := left_over(listing, layout):
        total = counted(len(listing.every_picture), "picture")
        verb = "is" if len(rest) == 1 else "are"
        why = f"listed in {layout.manifest}" if layout.manifest else "read by these templates"
        yield f"{len(rest)} of {total} {verb} not {why} (the first is {rest[0]})"


def too_much_left(listing: Listing, layout: Layout, pictures: int) -> str | None:
    """A clause where most pictures would not be read, so that the layout is not understood.

    Channels and other masks beside what is read, and pools of pictures without masks, are no sign of
    that.  pictures: in all pairs, the pages of stacks counted.
    """
    if layout.manifest:
        return None
    rest = left_over(listing, layout)
    if pictures >= _FEW:
        places = _beside(layout)
        rest = [path for path in rest if not places & {_above(path), _above(_above(path)) + "/"}]
    total = len(listing.every_picture)
    if 2 * len(rest) <= total:
        return None
    return (
        f"{len(rest)} of {counted(total, 'picture')} would not be read (the first is {rest[0]}): what "
        f'can be recognised is "{layout.images}" with "{layout.masks}", {counted(pictures, "picture")}'
    )


def _beside(layout: Layout) -> set[str]:
    """The folders of pictures and masks; where these are two, all that lie beside them, as "above/"."""
    places = set()
    for image, mask in layout.fit.pairs:
        places |= {_above(image), _above(mask)}
        if _above(image) != _above(mask):
            places.add(_above(_above(image)) + "/")
    return places


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def several_masks(listing: Listing, layout: Layout, variety: Callable[[str], int]) -> Sequence[str]:
    """What tells the masks of one picture apart, that of the chosen ones included; empty for one."""
    if len(layout.fit.pairs) < 2 or layout.manifest:
        return ()
    text = parse(layout.masks).parts[-1].text
    own = text if "{id}" in text else stem(text)
    rest = _not_paired(listing, layout)
    found: dict[str, list[str]] = {}
    for text, path in _partners(layout, own, rest):
        found.setdefault(text, []).append(path)
    enough = _NEARLY_ALL * len(layout.fit.pairs)
    alike = {t: paths for t, paths in found.items() if len(paths) >= enough and _are_alike(own, t)}
    if not alike:
        return ()
    most = max(_MOST_VALUES, *(variety(mask) for _, mask in even(layout.fit.pairs, 2)))
    others = [t for t, paths in alike.items() if all(variety(p) <= most for p in even(paths, 2))]
    return sorted([own, *others]) if others else ()


def _are_alike(one: str, other: str) -> bool:
    """Both are called masks or neither is: the outlines beside a mask are drawn from it."""
    said, others = (words(text.replace("{id}", " ")) for text in (one, other))
    return bool(said & MASK_WORDS) == bool(others & MASK_WORDS) and not others & IMAGE_WORDS


def _partners(layout: Layout, own: str, rest: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Files beside the masks, each with its name as a template: {id}_membrane, or that very name."""
    folders = {_above(mask) for _, mask in layout.fit.pairs}
    part = parse(layout.masks).parts[-1]
    names = (PurePosixPath(mask).name for _, mask in layout.fit.pairs)
    ids = {dict(part.match(name) or ()).get("id", "") for name in names}
    for path in rest:
        name = stem(PurePosixPath(path).name)
        if _above(path) not in folders:
            continue
        if "{id}" not in own:
            yield name, path
            continue
        texts = [f"{before}{{id}}{after}" for before, after in affixes(name, ids)]
        if name in ids:
            yield "{id}", path
        elif texts:
            yield min(texts, key=len), path


def several_masks_problem(folder: Path, masks: Sequence[str]) -> str:
    number = {2: "two", 3: "three", 4: "four"}.get(len(masks), str(len(masks)))
    listed = ", ".join(text.replace("{id}", "") or "the bare name" for text in masks)
    return (
        f"In {folder} each picture has {number} masks ({listed}): one file for each class cannot be "
        "read, so merge them into one mask with a number for each class, or keep one of them"
    )
