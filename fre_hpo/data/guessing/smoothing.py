"""Masks that were resized or saved as JPEG: between their values lie others that mean nothing."""

from collections.abc import Sequence
from pathlib import Path

from fre_hpo.data.guessing.tally import FEW, Tallies

_RARE = 0.005
"""Share of the pixels that a value between two frequent ones has."""
_MANY = 6
"""So many values between others are no accident."""
_OVERSHOOT = 0.25
"""Bicubic smoothing leaves the range of the values by a part of it."""


def are_smoothed(tallies: Tallies) -> bool:
    """A few frequent values and many rare ones between them."""
    rare = _rare(tallies)
    return len(rare) >= _MANY and 2 * len(rare) > len(tallies.values) > FEW


def _rare(tallies: Tallies) -> list[int]:
    return [value for value in tallies.values if tallies.share([value]) < _RARE]


def smoothed_doubt(tallies: Tallies) -> str:
    """Where no mask tells what the values were."""
    kind = "colours" if tallies.colours else "grey levels"
    rare = _rare(tallies)
    return (
        f"The masks have {len(tallies.values)} {kind}, {len(rare)} of them in {tallies.share(rare):.1%} "
        "of the pixels: they look resized or once saved as JPEG, so export them again without "
        "smoothing, or write data.labels"
    )


def without_smoothed(tallies: Tallies) -> tuple[Tallies, Sequence[Path]]:
    """The masks of plain values, and the others, if at least half are plain and the others are these
    values smoothed: numbers of cells, in contrast, go on beyond those of a mask with few cells."""
    plain = [mask for mask in tallies.masks if len(mask.values) <= FEW]
    others = [mask for mask in tallies.masks if len(mask.values) > FEW]
    values = {value for mask in plain for value in mask.values}
    if not others or len(plain) < len(others) or not 2 <= len(values) <= FEW:
        return tallies, ()
    beyond = _OVERSHOOT * (max(values) - min(values))
    low, high = min(values) - beyond, max(values) + beyond
    for mask in others:
        between = mask.values.keys() - values
        if len(between) < _MANY or not all(low < value < high for value in between):
            return tallies, ()
    return tallies.only(plain), [mask.path for mask in others]
