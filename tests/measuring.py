"""Comparisons with known numbers, for tests of what is said about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fre_hpo.results.comparison import paper
from fre_hpo.results.comparison.measured import Comparison, Confusions, Counts, Measured
from fre_hpo.results.comparison.simulation import Noise, trained

MOUSE = ("background", "membrane", "nucleus")
FLY = ("background", "membrane", "mitochondria", "synapse")
PARAMETERS: dict[str, dict[str, float]] = {
    "baseline": {},
    "without-deep-layers": {},
    "supervision": {"lambda": 0.3},
    "dropout": {"B": 162},
    "fre": {"B": 162, "X": 632.0},
    "fre-fixed": {"B": 10, "X": 10_000.0},
}
BUDGETS = {"fre": 50, "supervision": 15}


def exactly(iou: float, images: int = 4) -> Counts:
    """One training on two classes of which both have about this IoU in every image: (images, 2, 2)."""
    right = round(10**6 * 2 * iou / (1 + iou))
    one = [[right, 10**6 - right], [10**6 - right, right]]
    return np.array([one] * images)


def with_values(**values: Sequence[float]) -> Comparison:
    """Methods whose test mIoU by seed is about this; underscores in names stand for hyphens."""
    return Comparison(
        "drawn",
        ("background", "cell"),
        tuple(
            measured(name.replace("_", "-"), np.array([exactly(v) for v in found]))
            for name, found in values.items()
        ),
    )


def measured(method: str, counts: Counts, test: Counts | None = None) -> Measured:
    sources = tuple(f"image {index}" for index in range(counts.shape[1]))
    confusions = Confusions(sources, counts if test is None else test)
    parameters = PARAMETERS.get(method, {})
    seeds = tuple(range(1, len(counts) + 1))
    return Measured(method, parameters, seeds, Confusions(sources, counts), confusions)


def simulated(
    dataset: str = "mouse", seeds: int = 3, effect: float = 0.1, **changes: Any
) -> Comparison:
    """All six methods of a data set, fre better by ``effect``; the paper's numbers beside."""
    classes = FLY if dataset == "drosophila" else MOUSE
    noise = Noise(images=4, classes=len(classes))
    methods = []
    for arm, method in enumerate(PARAMETERS):
        gain = effect if method == "fre" else 0.0
        splits = [
            np.stack([trained(noise, split, seed, arm, gain) for seed in range(1, seeds + 1)])
            for split in (0, 1)
        ]
        methods.append(measured(method, *splits))
    values: dict[str, Any] = {
        "budgets": BUDGETS,
        "paper": paper.tables_for(dataset, classes),
        **changes,
    }
    return Comparison(dataset, classes, tuple(methods), **values)
