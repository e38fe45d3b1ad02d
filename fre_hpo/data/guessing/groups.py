"""Which pictures belong together - a patient, an animal, a section - as far as their names say it.

Neighbouring pictures are near copies of one another: on both sides of a split they flatter every
measurement.  A wrong group does little harm, a missed one leaks, so names that look like groups are
taken for groups, but only where there are enough of them for three splits.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fre_hpo.data.guessing.names import identity

FEWEST = 4
"""Groups that there must be, so that each split has one and training has two."""

_LARGEST = 0.6
"""Of all pictures, so many may be in one group."""


@dataclass(frozen=True)
class Groups:
    """template: what {id} is to be replaced by; counts: group -> number of pictures."""

    template: str
    counts: Counter[str]

    @property
    def enough(self) -> bool:
        return len(self.counts) >= FEWEST


def find_groups(ids: Sequence[str]) -> Groups | None:
    """The coarsest groups that the ids name; such with too few groups only if there are no others."""
    ids = list(dict.fromkeys(ids))
    plain = [groups for groups in _levels(ids) if _plain(groups.counts)]
    return next((groups for groups in plain if groups.enough), next(iter(plain), None))


def _plain(counts: Counter[str]) -> bool:
    """Several groups, most of them with several members, none with nearly all."""
    several = sum(count > 1 for count in counts.values())
    largest = max(counts.values(), default=0)
    fair = largest <= max(_LARGEST * counts.total(), 1) or len(counts) < FEWEST
    return len(counts) > 1 and 2 * several > len(counts) and fair


def _levels(ids: Sequence[str]) -> Iterator[Groups]:
    """Groups from coarse to fine, each checked by taking the ids apart again."""
    skeletons = {re.sub("[0-9]+", "0", text) for text in ids}
    templates = _numbered(ids) if len(skeletons) == 1 else _separated(ids)
    for template in templates:
        found = [identity(template, text) for text in ids]
        keys = [key for key in found if key]
        if len(keys) == len(ids) and len(set(keys)) == len(ids):
            yield Groups(template, Counter(key[0] for key in keys))


def _numbered(ids: Sequence[str]) -> Iterator[str]:
    """Names that differ in their numbers alone, such as m2_s14: m{group}_s{id}."""
    split = [re.split("([0-9]+)", text) for text in ids]  # numbers at odd places
    parts = split[0]
    varying = [place for place in range(1, len(parts), 2) if len({row[place] for row in split}) > 1]
    for last, following in pairwise(varying):
        before = "".join(parts[: varying[0]])
        between = "".join(parts[last + 1 : following])
        after = "".join(parts[varying[-1] + 1 :])
        yield f"{before}{{group}}{between}{{id}}{after}"


def _separated(ids: Sequence[str]) -> Iterator[str]:
    """Names of several words, such as anna_03: {group}_{id}."""
    for separator in ("_", "-", " ", "."):
        if all(separator in text.strip(separator) for text in ids):
            yield f"{{group}}{separator}{{id}}"
