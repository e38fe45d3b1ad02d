"""How much of a split each class covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.dataset import IGNORED, Split


@dataclass(frozen=True)
class Shares:
    """classes: share of the labelled pixels, 0..1, by class name; ignored: share of all pixels that is
    in no class, padding included."""

    classes: dict[str, float]
    ignored: float


def shares(split: Split, classes: Sequence[str]) -> Shares:
    """Count the pixels of a split; a class of which there is none has the share 0."""
    totals = class_pixels(split.labels).sum(axis=0)
    labelled = int(totals[: len(classes)].sum())
    by_name = {name: int(totals[i]) / max(labelled, 1) for i, name in enumerate(classes)}
    return Shares(by_name, int(totals[IGNORED]) / max(int(totals.sum()), 1))


def class_pixels(labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(n, height, width) -> (n, 256): the pixels of each label value in each row."""
    counts = np.zeros((len(labels), IGNORED + 1), dtype=np.int64)
    for row, picture in zip(counts, labels, strict=True):
        row[:] = np.bincount(picture.ravel(), minlength=IGNORED + 1)
    return counts


def percent(share: float) -> str:
    """A share as people read it: 0.03 is 3.0%; what is there never looks like nothing."""
    if share == 0:
        return "none"
    if share < 0.0005:
        return "<0.1%"
    return f"{100 * share:.1f}%"
