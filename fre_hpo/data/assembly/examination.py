"""What a data set's pictures tell together: classes that are missing, pictures that come twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fre_hpo.data.dataset import IGNORED


@dataclass(frozen=True)
class PageFacts:
    """What was seen of one picture.  digest: of its pixels, the same for a copy of more bits; labels:
    digest of its class indices; constant: whether its pixels all have one value; counts: pixels of each
    label value, 0 to 255."""

    digest: str
    labels: str
    constant: bool
    counts: tuple[int, ...]


Pages = Mapping[str, Sequence[tuple[str, PageFacts]]]
"""For each split the names of its pictures with what was seen of them."""


def examine(classes: Sequence[str], pages: Pages, problems: list[str], remarks: list[str]) -> None:
    """Note what makes a set useless (problems) and what its owner should know (remarks)."""
    totals = {split: _totals(named) for split, named in pages.items()}
    problems += _empty_splits(totals, len(classes))
    problems += _absent_from_train(classes, totals)
    problems += _in_two_splits(pages)
    remarks += _absent_elsewhere(classes, totals)
    remarks += _twice_in_a_split(pages)
    remarks += _constant(pages)


def _totals(named: Sequence[tuple[str, PageFacts]]) -> list[int]:
    nothing = (0,) * (IGNORED + 1)
    counts = (nothing, *(facts.counts for _, facts in named))
    return [sum(column) for column in zip(*counts, strict=True)]


def _empty_splits(totals: Mapping[str, Sequence[int]], classes: int) -> Iterator[str]:
    for split, counts in totals.items():
        if not sum(counts[:classes]):
            yield (
                f"{split} has no labelled pixel ({counts[IGNORED]} are ignored): give it pictures with "
                "labels"
            )


def _absent_from_train(
    classes: Sequence[str], totals: Mapping[str, Sequence[int]]
) -> Iterator[str]:
    counts = totals["train"][: len(classes)]
    if not sum(counts):
        return
    for name, count in zip(classes, counts, strict=True):
        if not count:
            yield (
                f"train has no pixel of the class {name} (0 of {sum(counts)}), so it cannot be "
                "learned: move a picture that shows it into train, or take the class out of the label map"
            )


def _absent_elsewhere(classes: Sequence[str], totals: Mapping[str, Sequence[int]]) -> Iterator[str]:
    for split in ("validation", "test"):
        missing = [name for index, name in enumerate(classes) if not totals[split][index]]
        if missing:
            them = "it" if len(missing) == 1 else "them"
            left = f", and one class alone tells no trial from another: {_OTHERWISE}"
            yield (
                f"{split} has no pixel of {' and '.join(missing)}: the mean of the {split} mIoU leaves "
                f"{them} out{left if len(missing) == len(classes) - 1 else ''}."
            )


_OTHERWISE = "divide the pictures otherwise (split_seed, larger shares, or groups by name)"


def _in_two_splits(pages: Pages) -> Iterator[str]:
    seen: dict[str, tuple[str, str]] = {}
    for split, named in pages.items():
        for name, facts in named:
            there, other = seen.setdefault(facts.digest, (split, name))
            if there != split and not facts.constant:
                yield (
                    f"{name} in {split} has the same content as {other} in {there}: take one of them "
                    "away, with its mask"
                )


def _twice_in_a_split(pages: Pages) -> Iterator[str]:
    for split, named in pages.items():
        seen: dict[str, tuple[str, str]] = {}
        for name, facts in named:
            other, labels = seen.setdefault(facts.digest, (name, facts.labels))
            if other != name and not facts.constant:
                also = "" if labels == facts.labels else " but different masks: keep the right one"
                yield f"{name} and {other}, both in {split}, have the same content{also}."


def _constant(pages: Pages) -> Iterator[str]:
    for split, named in pages.items():
        blank = [name for name, facts in named if facts.constant]
        if blank:
            more = f" and {len(blank) - 1} more" if len(blank) > 1 else ""
            yield f"{blank[0]}{more} in {split} hold one value everywhere: such a picture shows nothing."
