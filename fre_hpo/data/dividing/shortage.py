"""Too few groups for the splits: what a user can do, in a sentence that fits the case."""

from collections.abc import Sequence
from dataclasses import dataclass

from fre_hpo.errors import counted

_LISTED = 6


@dataclass(frozen=True)
class Undivided:
    """What is left to deal out, and none of it can be divided."""

    groups: Sequence[str]
    """By name; these hold several pictures, or may."""
    stacks: Sequence[str]
    """Files with several pages, which are groups of their own."""
    pictures: int
    """Single pictures without group."""

    @classmethod
    def of(cls, groups: Sequence[tuple[str | None, Sequence[str]]]) -> "Undivided":
        """Of groups' names, None for a single picture, each with the names of its pictures.

        A group is a stack when its pictures are named after it: a.tif with a.tif[1], a.tif[2].
        """
        named = [(group, names) for group, names in groups if group is not None]
        stacks = [g for g, names in named if all(name.startswith(f"{g}[") for name in names)]
        others = [g for g, _ in named if g not in stacks]
        return cls(others, stacks, len(groups) - len(named))

    @property
    def count(self) -> int:
        return len(self.groups) + len(self.stacks) + self.pictures

    @property
    def noun(self) -> str:
        """What there could be more of."""
        return "group" if self.groups else "stack" if self.stacks else "picture"

    def __str__(self) -> str:
        kinds = [
            f"{counted(len(names), noun)} ({_listed(names)})"
            for names, noun in ((self.groups, "group"), (self.stacks, "stack"))
            if names
        ]
        if self.pictures:
            lone = " without group" if self.groups else ""
            kinds.append(f"{counted(self.pictures, 'picture')}{lone}")
        return _joined(kinds)


def too_few(rest: Undivided, shares: Sequence[str], folds: int, split: str, ungroup: str) -> str:
    """The sentence about fewer groups than there are splits to fill.

    shares: the splits that a share fills, besides train or the folds.  split: as the rule has it.
    ungroup: the clause that says how the pictures of a group become single ones.
    """
    if not rest.count:
        return "no picture is left to train on: add pictures or make another split smaller"
    wanted = [counted(folds, "fold") if folds else "train", *reversed(shares)]
    missing = len(shares) + (folds or 1) - rest.count
    ways = []
    if folds and rest.count - len(shares) > 1:
        ways.append(f"set data.folds to {rest.count - len(shares)} at most")
    if rest.groups:
        ways.append(f"{ungroup} if the pictures of a group are independent")
    elif rest.stacks:
        ways.append(_SMALLER_STACKS.get(split, "cut stacks into several files"))
    more = f"a {rest.noun}" if missing == 1 else counted(missing, rest.noun)
    ways.append(f"or add {more}" if ways else f"add {more}")
    why = f", and a {rest.noun} is never divided" if rest.noun != "picture" else ""
    return f"{rest} cannot fill {_joined(wanted)}{why}: {', '.join(ways)}"


_SMALLER_STACKS = {
    "random": 'set data.split = "order", which divides stacks into blocks of neighbouring pages'
}


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    if more < 2:
        return ", ".join(names)
    return f"{', '.join(names[:_LISTED])} and {more} more"


def _joined(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    *first, end = words
    return f"{', '.join(first)} and {end}" if first else end
