"""Who trains, who validates, who tests: pictures are dealt to the splits group by group.

A group (patient, section, movie) lies on one side only; a picture without one is its own.  Groups are
dealt in the order of a hash of the seed and their names, so that it matters neither how a file system
orders its files nor, as far as sizes allow, what else lies there.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fre_hpo.data.dividing.dealing import even_blocks, even_parts, nearest_subset, nearest_tail
from fre_hpo.data.dividing.shortage import Undivided, too_few
from fre_hpo.data.finding.template import SPLITS
from fre_hpo.errors import counted, nearest

__all__ = ["SPLITS", "Item", "Rule", "divide"]

Share = float | tuple[str, ...]

Group = tuple[str, int]
"""A group's name and -1; or the name of a picture without group, and its number among namesakes."""

Groups = Mapping[Group, Sequence[int]]
"""Groups as they first appear -> the places of their pictures."""

_FEW = 20


@dataclass(frozen=True)
class Rule:
    """How pictures are divided, as the recipe says it."""

    split: Literal["given", "random", "order"]
    """Each picture says its split; or groups are dealt by the seed; or blocks in the given order,
    train first and test last, as suits stacks and movies, whose neighbours are near copies."""
    validation: Share
    """A share of the pictures, or the groups (or single pictures) by name."""
    test: Share
    folds: int
    """0, or the number of parts for cross-validation, at least 2."""
    fold: int
    """Which part validates, counted from 0."""
    seed: int


@dataclass(frozen=True)
class Item:
    """One picture: a file, or a page of one."""

    name: str
    group: str | None
    split: str | None


def divide(
    items: Sequence[Item],
    rule: Rule,
    problems: list[str],
    ungroup: str = "write {id} or * instead of {group}",
) -> dict[str, list[int]]:
    """Split -> indices into items, ascending; what hinders is appended to problems.

    Test is chosen first, validation next, and the rest trains.  Where the pictures say their split,
    only one that nobody is in is taken out of train, and shares are shares of train.  With folds, all
    but test - a given validation included - is cut into parts, and one of them validates.

    ungroup: how a user makes single pictures of groups, for the sentence about too few of these.
    """
    noted = len(problems)
    groups = _groups(items)
    problems += _twins(groups)
    chosen = _given(items, groups, rule, problems) if rule.split == "given" else {}
    shares = _shares(rule, chosen)
    problems += _bad_rule(rule, shares)
    named = {split: _named(items, groups, rule, split, chosen, problems) for split in SPLITS[1:]}
    problems += _in_both(named)
    pictures = sum(len(places) for group, places in groups.items() if group not in chosen)
    chosen |= {group: split for split, those in named.items() for group in those}
    if len(problems) == noted:
        rest = [group for group in groups if group not in chosen]
        if len(rest) < len(shares) + (rule.folds or 1):
            undivided = _undivided(items, groups, rest)
            problems.append(too_few(undivided, list(shares), rule.folds, rule.split, ungroup))
        else:
            chosen |= _taken(groups, rest, rule, shares, pictures)
    splits: dict[str, list[int]] = {split: [] for split in SPLITS}
    for group, places in groups.items():
        splits[chosen.get(group, "train")] += places
    return {split: sorted(places) for split, places in splits.items()}


def _groups(items: Sequence[Item]) -> dict[Group, list[int]]:
    groups: dict[Group, list[int]] = {}
    namesakes: Counter[str] = Counter()
    for place, item in enumerate(items):
        if item.group is None:
            groups[item.name, namesakes[item.name]] = [place]
            namesakes[item.name] += 1
        else:
            groups.setdefault((item.group, -1), []).append(place)
    return groups


def _twins(groups: Groups) -> list[str]:
    """Groups that are probably one, spelt in two ways: divided, they would leak."""
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for name, number in groups:
        if number < 0:
            spellings[name.strip().casefold()].append(name)
    return [
        f"the groups {' and '.join(names)} differ only in case: write one name for both"
        for names in spellings.values()
        if len(names) > 1
    ]


def _given(
    items: Sequence[Item], groups: Groups, rule: Rule, problems: list[str]
) -> dict[Group, str]:
    """Groups that are in validation or test by their own word."""
    silent = [item.name for item in items if item.split not in SPLITS]
    if silent:
        problems.append(
            f"split is given, but not for {len(silent)} of {counted(len(items), 'picture')} (the first "
            f"is {silent[0]}): say train, validation or test for each, or set split to random"
        )
    chosen = {}
    for group, places in groups.items():
        counts = Counter(split for place in places if (split := items[place].split) in SPLITS)
        if len(counts) > 1:
            there = " and ".join(
                f"{split} ({counted(counts[split], 'picture')})"
                for split in SPLITS
                if counts[split]
            )
            problems.append(f"the group {group[0]} is in {there}: put its pictures into one split")
        for split in counts:
            chosen[group] = str(split)
    kept = {"test"} if rule.folds else {"validation", "test"}
    return {group: split for group, split in chosen.items() if split in kept}


def _shares(rule: Rule, chosen: Mapping[Group, str]) -> dict[str, float]:
    """The splits that a share fills, in the order of filling: those that nobody is in yet."""
    wanted = (
        {"test": rule.test} if rule.folds else {"test": rule.test, "validation": rule.validation}
    )
    held = set(chosen.values())
    return {
        split: share
        for split, share in wanted.items()
        if split not in held and isinstance(share, float | int)
    }


def _bad_rule(rule: Rule, shares: Mapping[str, float]) -> list[str]:
    """What cannot be done with any pictures."""
    problems = []
    if rule.folds and not (rule.folds > 1 and 0 <= rule.fold < rule.folds):
        problems.append(
            f"fold = {rule.fold} of folds = {rule.folds} is no part: set folds to 2 or more, and fold "
            f"from 0 to folds - 1"
        )
    if rule.folds and not isinstance(rule.validation, float | int):
        problems.append("validation names groups, but folds chooses them: leave one of both out")
    for split, share in shares.items():
        if not 0 < share < 1:
            problems.append(
                f"data.{split} = {share:g} leaves {split if share <= 0 else 'train'} without pictures: set "
                f"a share between 0 and 1, such as 0.15, or name groups"
            )
    if not problems and sum(shares.values()) >= 1:
        values = " and ".join(f"{split} = {share:g}" for split, share in shares.items())
        problems.append(f"{values} leave no picture to train on: make them smaller")
    return problems


def _named(
    items: Sequence[Item],
    groups: Groups,
    rule: Rule,
    split: str,
    chosen: Mapping[Group, str],
    problems: list[str],
) -> list[Group]:
    """The groups that the rule names for a split."""
    names = rule.validation if split == "validation" else rule.test
    if isinstance(names, float | int):
        return []
    if split in chosen.values():
        problems.append(
            f"{split} names groups, but the pictures say themselves which are in {split}: leave the "
            f"option {split} out, or set split to random"
        )
        return []
    if not names:
        problems.append(f"{split} = [] names no group: name some, or set a share such as 0.15")
    by_name: defaultdict[str, list[Group]] = defaultdict(list)
    for group in groups:
        by_name[group[0]].append(group)
    inside = {item.name: item.group for item in items if item.group is not None}
    found: list[Group] = []
    for name in dict.fromkeys(names):
        if any(group in chosen for group in by_name.get(name, ())):
            problems.append(
                f"{split} names {name}, which says itself that it is in another split: {_ONE}"
            )
        elif name in by_name:
            found += by_name[name]
        elif name in inside:
            problems.append(
                f"{split} names {name}, a picture of the group {inside[name]}, which stays together: "
                f"name the group"
            )
        else:
            problems.append(
                f"{split} names {name}, but there is no such group: {_hint(name, by_name)}"
            )
    return found


_ONE = "leave it in one"


def _hint(name: str, known: Mapping[str, object]) -> str:
    if len(known) <= _FEW:
        return nearest(name, known)
    return f"there are {len(known)}, such as {min(known)}"


def _in_both(named: Mapping[str, Sequence[Group]]) -> list[str]:
    both = dict.fromkeys(group[0] for group in named["validation"] if group in named["test"])
    return [f"{name} is named in validation and in test: {_ONE}" for name in both]


def _taken(
    groups: Groups,
    rest: list[Group],
    rule: Rule,
    shares: Mapping[str, float],
    pictures: int,
) -> dict[Group, str]:
    """The groups of the rest that go into splits with a share, or into the fold that validates.

    pictures: what shares are shares of.
    """
    chosen: dict[Group, str] = {}
    parts = len(shares) + (rule.folds or 1)
    if rule.split != "order":
        rest = sorted(rest, key=lambda group: _drawn(rule.seed, group))
    take = nearest_tail if rule.split == "order" else nearest_subset
    for split, share in shares.items():
        parts -= 1
        sizes = [len(groups[group]) for group in rest]
        taken = {rest[place] for place in take(sizes, share * pictures, leave=parts)}
        chosen |= dict.fromkeys(taken, split)
        rest = [group for group in rest if group not in taken]
    if rule.folds:
        cut = even_blocks if rule.split == "order" else even_parts
        part = cut([len(groups[group]) for group in rest], rule.folds)[rule.fold]
        chosen |= dict.fromkeys((rest[place] for place in part), "validation")
    return chosen


def _drawn(seed: int, group: Group) -> bytes:
    """Where a group stands in the order that the seed draws: the same on every machine."""
    name, number = group
    return hashlib.sha256(f"{seed} {number} {name}".encode(errors="surrogatepass")).digest()


def _undivided(items: Sequence[Item], groups: Groups, rest: Sequence[Group]) -> Undivided:
    return Undivided.of(
        [
            (name if number < 0 else None, [items[place].name for place in groups[name, number]])
            for name, number in rest
        ]
    )
