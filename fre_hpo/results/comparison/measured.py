"""What was measured of each method: confusion matrices, per seed and source image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fre_hpo.errors import UnlikeMeasurements

if TYPE_CHECKING:
    from fre_hpo.results.comparison.paper import PaperTable

BASELINE: Final = "baseline"
PRIMARY: Final = "fre"
"""The primary question is this method against the baseline; all others are secondary."""

Split = Literal["validation", "test"]
SPLITS: Final[tuple[Split, ...]] = ("validation", "test")

Counts = NDArray[np.int64]
"""(seeds, sources, classes, classes): pixels with the row's true class and the column's predicted one."""


@dataclass(frozen=True, eq=False)
class Confusions:
    """One method on one split.  sources: the names of the source images, in the order of the counts."""

    sources: tuple[str, ...]
    counts: Counts

    def __post_init__(self) -> None:
        shape = self.counts.shape
        if len(shape) != 4 or shape[1] != len(self.sources) or shape[2] != shape[3]:
            raise ValueError(f"counts of shape {shape} for {len(self.sources)} sources")


@dataclass(frozen=True, eq=False)
class Measured:
    """One method, trained once for each seed with the same parameters.

    seeds: in the order of the first axis of all counts.  test: None until the test split is read.
    """

    method: str
    parameters: Mapping[str, int | float]
    seeds: tuple[int, ...]
    validation: Confusions
    test: Confusions | None = None

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {self.seeds}")
        for split in SPLITS:
            found = self.on(split)
            if found is not None and len(found.counts) != len(self.seeds):
                raise ValueError(f"{len(found.counts)} matrices for {len(self.seeds)} seeds")

    def on(self, split: Split) -> Confusions | None:
        return self.validation if split == "validation" else self.test


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that the tables of one comparison are made of.

    budgets: for each searched method the number of trials that chose its parameters.  eval_bn: the rule of
    the batch-norm statistics (design 3.10).  search_seed: the seed that the trials of the searches shared,
    None where they had none in common.  paper: tables to quote beside, see ``paper.tables_for``.  failed:
    for each method how many trainings came to no result and were replaced by other seeds.  remarks: what
    else a reader must know, in sentences.
    Raises UnlikeMeasurements when the methods saw different images or classes.
    """

    dataset: str
    classes: tuple[str, ...]
    methods: tuple[Measured, ...]
    budgets: Mapping[str, int] = field(default_factory=dict)
    eval_bn: str = "recalibrate"
    search_seed: int | None = None
    paper: tuple[PaperTable, ...] = ()
    failed: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [measured.method for measured in self.methods]
        if len(set(names)) < len(names):
            raise ValueError(f"a method twice in {names}")
        for split in SPLITS:
            self._check_alike(split)

    def _check_alike(self, split: Split) -> None:
        found = {m.method: c for m in self.methods if (c := m.on(split)) is not None}
        first = next(iter(found.items()), None)
        for method, confusions in found.items():
            if confusions.counts.shape[-1] != len(self.classes):
                raise UnlikeMeasurements(one=method, other="the data set", what="classes")
            if first is not None and confusions.sources != first[1].sources:
                raise UnlikeMeasurements(one=first[0], other=method, what=f"{split} images")

    def find(self, method: str) -> Measured | None:
        return next((m for m in self.methods if m.method == method), None)

    @property
    def baseline(self) -> Measured | None:
        return self.find(BASELINE)

    @property
    def judged_on(self) -> Split:
        """Test, once it was read for all methods; before that validation, which is optimistic."""
        return "test" if all(m.test is not None for m in self.methods) else "validation"


def of_seeds(measured: Measured, split: Split, seeds: tuple[int, ...]) -> Counts | None:
    """The counts of these seeds in this order; None where the split was not read."""
    found = measured.on(split)
    return None if found is None else found.counts[[measured.seeds.index(s) for s in seeds]]


def shared_seeds(one: Measured, other: Measured) -> tuple[int, ...]:
    """The seeds that both were trained with: each is a pair of the same initialisation and data order."""
    return tuple(seed for seed in one.seeds if seed in other.seeds)
