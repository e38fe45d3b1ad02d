"""What ``fre-hpo compare`` asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from fre_hpo import methods
from fre_hpo.errors import BadValue, FreHpoError, UsageError
from fre_hpo.results.comparison.measured import BASELINE
from fre_hpo.service.request import Request

Point = Literal["recommended", "observed"]
SEEDS = 5


@dataclass(frozen=True)
class CompareRequest:
    """None means not given, and then what the comparison was begun with counts.

    base: the flags that all its studies share; its study is the comparison's name, its trials those of each
    search, its hours those of all together.  methods: all, unless given.  seeds: for each method.  point:
    which point of a search is its choice.
    """

    base: Request
    methods: tuple[str, ...] | None = None
    seeds: int | None = None
    point: Point | None = None

    def mistakes(self) -> Iterator[FreHpoError]:
        """What is wrong with it, whatever the recipe."""
        for name in self.methods or ():
            try:
                methods.get(name)
            except FreHpoError as error:
                yield error
        if self.methods is not None and not {BASELINE} < set(self.methods):
            problem = f"--methods must name {BASELINE} and what is to be compared with it."
            yield UsageError(problem=problem)
        if self.seeds is not None and self.seeds < 1:
            reason = "it must be 1 at least, and 2 for an interval"
            yield BadValue(key="--seeds", value=self.seeds, reason=reason)
        if self.point not in (None, *get_args(Point)):
            reason = f"known are {' and '.join(get_args(Point))}"
            yield BadValue(key="--point", value=self.point, reason=reason)


def in_order(names: frozenset[str] | set[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Methods in the order of a table."""
    return tuple(name for name in methods.METHODS if name in names)
