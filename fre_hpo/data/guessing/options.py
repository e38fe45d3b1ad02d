"""The values of a recipe's keys, each with the reason for it."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from fre_hpo.data.dividing.splitting import Item, Rule, divide
from fre_hpo.data.finding.template import split_of
from fre_hpo.data.guessing.groups import Groups
from fre_hpo.data.guessing.listing import Layout
from fre_hpo.data.guessing.manifests import channel_names
from fre_hpo.data.guessing.meaning import Meaning
from fre_hpo.data.guessing.names import words
from fre_hpo.data.guessing.seen import Choice, Seen
from fre_hpo.errors import counted

_SEQUENCES = frozenset(
    (
        "stack",
        "slice",
        "slices",
        "section",
        "sections",
        "frame",
        "frames",
        "movie",
        "video",
        "t",
        "z",
    )
)
"""Words that say that neighbouring numbers are neighbouring pictures."""
_ENOUGH = 3
"""Stacks, so that each split has one of its own."""
_SHARE = 0.15


def place_choices(layout: Layout) -> Iterator[tuple[str, Choice]]:
    count = len(layout.fit.unlabelled)
    if layout.manifest:
        yield "manifest", (layout.manifest, f"lists {counted(len(layout.fit.pairs), 'pair')}")
    else:
        yield "images", (layout.images, "")
        yield "masks", (layout.masks, "")
    if count:
        pictures = counted(count + len(layout.fit.pairs), "picture")
        text = f"{count} of {pictures} {'has' if count == 1 else 'have'} no mask"
        yield "unlabelled", ("leave out", text)


def label_choices(meaning: Meaning) -> dict[str, Choice]:
    if meaning.instances:
        text = meaning.remarks["instances"]
        return {"instances": ("boundary", f"{text}: makes background, membrane, nucleus")}
    if meaning.ignore:
        return {"ignore": (list(meaning.ignore), meaning.remarks["ignore"])}
    return {}


def with_channel_name(channel: Choice, layout: Layout, folder: Path) -> Choice:
    """nnU-Net names its channels in dataset.json."""
    above = folder / PurePosixPath(layout.images).parent.parent
    names = channel_names(above / "dataset.json") if layout.form == "nnU-Net" else {}
    listed = ", ".join(names.values())
    return (channel[0], f"{channel[1]}; dataset.json says {listed}") if listed else channel


def split_choices(layout: Layout, groups: Groups | None, seen: Seen) -> dict[str, Choice]:
    """How the pictures are divided; the shares hold for what no folder or list gives."""
    given = {split_of(word) for word in layout.fit.distinct("split")}
    if given and layout.options.get("split", "given") == "given":
        missing = {"train", "validation", "test"} - given
        verb = "is" if len(given) == 1 else "are"
        choices: dict[str, Choice] = {
            "split": ("given", f"there {verb} {', '.join(sorted(map(str, given)))}")
        }
        for split in sorted(missing):
            choices[split] = (_SHARE, "taken out of train, for none is given")
        return choices
    how, why = _division(layout, groups, seen)
    return {
        "split": (how, why),
        "validation": (_SHARE, "chooses epoch and trial"),
        "test": (_SHARE, "read only after the search"),
    }


def _division(layout: Layout, groups: Groups | None, seen: Seen) -> tuple[str, str]:
    found = layout.fit.distinct("group")
    stacks = sum(header.pages > 1 for header in seen.headers.values())
    ordered = layout.options.get("split") == "order"
    if stacks >= _ENOUGH and not found and not ordered:
        return "random", "by stack, never divided, for its pages are near copies"
    if (ordered or stacks or is_sequence(layout)) and not found:
        text = "neighbours are near copies: train first, then validation, then test"
        return "order", "; ".join([text, *_cut_stacks(seen)])
    if found:
        listed = ", ".join(list(found)[:3])
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        source = "the names tell" if groups else "there are"
        return "random", f"by group, never divided: {source} {len(found)} ({listed}{more})"
    return (
        "random",
        "every picture by itself: if some belong together, write {group} into the templates, which takes "
        "three groups or more",
    )


def _cut_stacks(seen: Seen) -> Iterator[str]:
    """Which stacks lie on several sides when the pages are divided in their order."""
    paths = [path for path, header in seen.headers.items() for _ in range(header.pages)]
    items = [Item(f"{path} {number}", None, None) for number, path in enumerate(paths)]
    problems: list[str] = []
    places = divide(items, Rule("order", _SHARE, _SHARE, 0, 0, 0), problems)
    sides = Counter(path for part in places.values() for path in {paths[i] for i in part})
    for path, number in sides.items() if not problems else ():
        if number > 1:
            yield f"{path.name} is cut in {'two' if number == 2 else 'three'}"


def is_sequence(layout: Layout) -> bool:
    """Frames or sections in their order, by what the template says around a number."""
    ids = [values.get("id", "x") for values in layout.fit.values]
    said = words(re.sub(r"\{\w+\}", " ", layout.images.removesuffix(".*")))
    numbered = all(re.fullmatch("[0-9]+", re.sub("^[A-Za-z]+[_-]?", "", text)) for text in ids)
    begin = words(" ".join(re.findall("^[A-Za-z]+", ids[0]))) if ids else set()
    return numbered and bool((said | begin) & _SEQUENCES) and "{group}" not in layout.images


def training_choices(seen: Seen, tile: int, files: int) -> dict[str, Choice]:
    """A short schedule; small batches where there are few pictures to fill them."""
    pages = files * seen.total / len(seen.headers)
    each = [
        1 if tile == 0 else -(-height // tile) * -(-width // tile) * count
        for (height, width), count in seen.sizes.items()
    ]
    tiles = pages * (sum(each) / seen.sizes.total() if tile else 1)
    kind = "tile" if tile else "whole picture"
    batch = next((size for size in (16, 8) if tiles >= 6 * size), 4)
    return {
        "epochs": (40, "for a first look; the paper trains 2000"),
        "batch_size": (batch, f"for about {counted(round(tiles), kind)} in all"),
        "class_weights": ("sqrt", "rare classes are missed without"),
    }
