"""What is doubtful about a folder: said as sentences, because only a person can judge it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from fre_hpo.data.finding.template import split_of
from fre_hpo.data.guessing.groups import Groups
from fre_hpo.data.guessing.listing import Fit, Layout
from fre_hpo.data.guessing.seen import Seen, depths, named, repeated, summed_up
from fre_hpo.data.guessing.tally import Tallies
from fre_hpo.errors import counted

_MOST = 10
"""Broken files that are named one by one."""


def file_doubts(
    folder: Path, layout: Layout, seen: Seen, masks: Seen, tallies: Tallies
) -> Iterator[str]:
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
            f"Saved with loss, as JPEG does: {counted(len(tallies.lossy), 'mask')} ({files}), so that "
            "labels are changed and cannot be used: export again as PNG or TIFF"
        )
    yield from _other_sizes(folder, layout.fit, seen, masks)
    yield from _other_depths(folder, seen)
    paths = [folder / name for pair in layout.fit.pairs for name in pair]
    yield from summed_up((*seen.broken, *tallies.broken), paths)[:_MOST]
    yield from _repeats(folder, layout.fit)
    if len(layout.fit.pairs) * max(seen.pages, 1) < 3:
        yield "There are fewer than three pictures, too few for three splits"


def _other_sizes(folder: Path, found: Fit, seen: Seen, masks: Seen) -> Iterator[str]:
    """Masks of another size than their pictures."""
    paths = [(folder / image, folder / mask) for image, mask in found.pairs]
    looked = [
        (image, mask, seen.headers[image], masks.headers[mask])
        for image, mask in paths
        if image in seen.headers and mask in masks.headers
    ]
    sizes = [(image, mask, i.height, i.width, m.height, m.width) for image, mask, i, m in looked]
    wrong = [row for row in sizes if row[2:4] != row[4:6]]
    if not wrong:
        return
    image, mask, *size = wrong[0]
    first = f"{named([mask], folder)} is {size[2]}x{size[3]} and {named([image], folder)} {size[0]}x{size[1]}"
    if len(wrong) == 1:
        yield f"1 mask has another size than its picture ({first}): give both one size"
    else:
        yield (
            f"{len(wrong)} masks have another size than their pictures (the first, {first}): give both "
            "one size"
        )


def _other_depths(folder: Path, seen: Seen) -> Iterator[str]:
    """Pictures saved with other bit depths than most."""
    (usual, _), *others = depths(seen)
    for dtype, paths in others:
        verb = "is" if len(paths) == 1 else "are"
        yield (
            f"{counted(len(paths), 'picture')} ({named(paths, folder)}) {verb} {dtype} while most are "
            f"{usual}: percentiles make them alike, but exporting all in one way is better"
        )


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
        more = f" and {counted(count - 1, 'more such set')}" if count > 1 else ""
        if len(splits) > 1:
            yield (
                f"The same in {' and '.join(splits)}: {counted(count, 'picture')} ({files}), so that scores "
                "would be memory: remove the copies from one"
            )
        else:
            yield f"The same picture more than once: {files}{more}: keep one of each"


def group_doubts(groups: Groups | None, split: str) -> Iterator[str]:
    """Groups in names that were not taken for such: with three there is one for each split at least."""
    if not groups or groups.enough or split != "random":
        return
    listed = ", ".join(f"{name} ({count})" for name, count in groups.counts.items())
    advice = (
        f"write {groups.template} instead of {{id}} in data.images and data.masks"
        if len(groups.counts) > 2
        else "add a third, for each split needs one"
    )
    yield (
        f"The names seem to tell {counted(len(groups.counts), 'group')}, {listed}, whose pictures are on "
        f"both sides of a split: if these are animals or patients, {advice}"
    )


def smoothed_doubts(folder: Path, smoothed: Sequence[Path], tallies: Tallies) -> Iterator[str]:
    """Masks that tell nothing, while others do."""
    if smoothed:
        verb, them = ("is", "it") if len(smoothed) == 1 else ("are", "them")
        yield (
            f"{len(smoothed)} of {counted(len(tallies.masks), 'mask')} {verb} smoothed "
            f"({named(smoothed, folder)}): export {them} again without smoothing"
        )
