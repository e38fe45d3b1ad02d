"""Groups of different sizes dealt so that the sums come near to what is wanted.

Nothing here knows a name: groups are places in a list of sizes (numbers of pictures, at least 1).
"""

from collections.abc import Sequence
from itertools import combinations

from fre_hpo.errors import counted

_FEW = 10
"""So many groups are tried in all combinations."""

Sizes = Sequence[int]


def nearest_subset(sizes: Sizes, target: float, leave: int) -> list[int]:
    """Places of groups whose sizes sum as near to the target as can be; `leave` others remain.

    Among sums equally near it is the smaller one, made of groups that stand early.  Raises ValueError
    when the groups are too few for one to be taken.
    """
    most = _most(sizes, leave)
    if len(sizes) <= _FEW:
        numbers = range(1, most + 1)
        choices = (c for number in numbers for c in combinations(range(len(sizes)), number))
        return list(min(choices, key=lambda c: _distance(sum(sizes[i] for i in c), target)))
    last = _last_of_sums(sizes, target)
    sums = sorted(last, key=lambda total: _distance(total, target))
    subsets = (_traced(total, last, sizes) for total in sums)
    return next(subset for subset in subsets if len(subset) <= most)


def nearest_tail(sizes: Sizes, target: float, leave: int) -> list[int]:
    """As nearest_subset, but the last groups of the list, side by side."""
    most, total, totals = _most(sizes, leave), 0, []
    for size in list(reversed(sizes))[:most]:
        total += size
        totals.append(total)
    number = 1 + min(range(most), key=lambda i: _distance(totals[i], target))
    return list(range(len(sizes) - number, len(sizes)))


def even_parts(sizes: Sizes, parts: int) -> list[list[int]]:
    """Every group in one of the parts: the largest first, each to the part that has least so far.

    The parts differ by no more than the largest group.
    """
    dealt: list[list[int]] = [[] for _ in range(parts)]
    totals = [0] * parts
    for place in sorted(range(len(sizes)), key=lambda i: -sizes[i]):  # stable: ties as they stand
        least = min(range(parts), key=lambda part: (totals[part], len(dealt[part])))
        dealt[least].append(place)
        totals[least] += sizes[place]
    return [sorted(part) for part in dealt]


def even_blocks(sizes: Sizes, parts: int) -> list[list[int]]:
    """As even_parts, but each part is a block of groups side by side, in the order of the list."""
    blocks: list[list[int]] = []
    rest = list(range(len(sizes)))
    for part in range(parts, 0, -1):
        total = sum(sizes[place] for place in rest)
        tail = nearest_tail([sizes[place] for place in rest], total / part, leave=part - 1)
        blocks.insert(0, rest[-len(tail) :])
        rest = rest[: -len(tail)]
    blocks[0] = rest + blocks[0]
    return blocks


def _most(sizes: Sizes, leave: int) -> int:
    """How many groups may be taken at most."""
    if len(sizes) <= leave:
        raise ValueError(f"{counted(len(sizes), 'group')}, and {leave} must remain")
    return len(sizes) - leave


def _distance(total: int, target: float) -> tuple[float, int]:
    return abs(total - target), total


def _last_of_sums(sizes: Sizes, target: float) -> dict[int, int]:
    """Sums that can be reached -> the place of the last group that they need.

    One bit for each sum; the groups are taken one after the other, until a sum is as near as a whole
    number can be.
    """
    last: dict[int, int] = {}
    reached = 1
    for place, size in enumerate(sizes):
        new = (reached << size) & ~reached
        reached |= new
        while new:
            lowest = new & -new
            last[lowest.bit_length() - 1] = place
            new ^= lowest
        if round(target) in last:
            break
    return last


def _traced(total: int, last: dict[int, int], sizes: Sizes) -> list[int]:
    """The groups that make up a sum."""
    places = []
    while total:
        places.append(last[total])
        total -= sizes[last[total]]
    return sorted(places)
