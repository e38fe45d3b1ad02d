"""How well one prediction agrees with its truth, class by class.

For single images that are shown; a study's values come from the whole split (design 3.12).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.dataset import IGNORED


def image_iou(
    truth: NDArray[np.uint8], prediction: NDArray[np.uint8], classes: int
) -> list[float | None]:
    """Intersection over union of each class; None for one that is in neither.

    Pixels that the truth ignores count nowhere.  A class that is drawn where there is none has 0: in one
    image that is an error like any other.
    """
    labelled = truth != IGNORED
    pairs = truth[labelled].astype(np.intp) * classes + prediction[labelled]
    counts = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    hit = np.diag(counts)
    union = counts.sum(axis=0) + counts.sum(axis=1) - hit
    return [float(h / u) if u else None for h, u in zip(hit, union, strict=True)]


def mean(values: Sequence[float | None]) -> float | None:
    """Over the classes that there are."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
