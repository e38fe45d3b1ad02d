"""What is doubtful about a folder: said as sentences, because only a person can judge it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fre_hpo.data.guessing.groups import Groups
from fre_hpo.data.guessing.listing import Fit, Layout
from fre_hpo.data.guessing.seen import Seen, look_at, misnamed, named, repeated, summed_up
from fre_hpo.data.guessing.tally import Tallies
from fre_hpo.data.template import split_of
from fre_hpo.errors import counted

_MOST = 10
"""Broken files that are named one by one."""


def file_doubts(folder: Path, layout: Layout, seen: Seen, tallies: Tallies) -> Iterator[str]:
    """What the check would refuse, or what is silently missing."""
    if layout.fit.unlabelled:
        files = named([folder / name for name in layout.fit.unlabelled], folder)
        count = counted(len(layout.fit.unlabelled), "picture")
        yield f"Without a mask, and left out: {count} ({files})"
    if layout.fit.unpictured:
        files = named([folder / name for name in layout.fit.unpictured], folder)
        count = counted(len(layout.fit.unpictured), "mask")
        yield f"Without a picture: {count} ({files}), so add the picture or remove the mask"
    if tallies.lossy:
        files = named(tallies.lossy, folder)
        yield (
            f"Saved with loss, as JPEG does: {counted(len(tallies.lossy), 'mask')} ({files}), whose labels "
            "are changed and cannot be used: export them again as PNG or TIFF"
        )
    paths = [folder / name for pair in layout.fit.pairs for name in pair]
    yield from summed_up((*seen.broken, *tallies.broken), paths)[:_MOST]
    yield from _repeats(folder, layout.fit)
    if len(layout.fit.pairs) * max(seen.pages, 1) < 3:
        yield "There are fewer than three pictures, too few for three splits"


def _repeats(folder: Path, found: Fit) -> Iterator[str]:
    """Pictures that lie there twice; worst across splits."""
    split_by_path = {
        folder / image: split_of(values.get("split", ""))
        for (image, _), values in zip(found.pairs, found.values, strict=True)
    }
    groups = repeated(split_by_path)
    crossing: Counter[tuple[str, ...]] = Counter()
    examples: dict[tuple[str, ...], list[Path]] = {}
    for group in groups:
        splits = tuple(sorted({str(split_by_path[path] or "") for path in group}))
        crossing[splits] += 1
        examples.setdefault(splits, group)
    for splits, count in crossing.items():
        files = named(examples[splits], folder)
        if len(splits) > 1:
            yield (
                f"The same in {' and '.join(splits)}: {counted(count, 'picture')} ({files}), so that scores "
                "would be memory: remove the copies from one"
            )
        else:
            yield f"There more than once: {counted(count, 'picture')} ({files}), so remove the copies"


def group_doubts(groups: Groups | None, split: str) -> Iterator[str]:
    if groups and not groups.enough and split == "random":
        listed = ", ".join(f"{name} ({count})" for name, count in groups.counts.items())
        yield (
            f"The names seem to tell {len(groups.counts)} groups, {listed}, too few for three splits: "
            "if these are animals or patients, their pictures are on both sides of a split"
        )


def misnamed_files(folder: Path, seen: Seen, tallies: Tallies) -> list[str]:
    masks = look_at([mask.path for mask in tallies.masks])
    return misnamed({**seen.headers, **masks.headers}, folder)
