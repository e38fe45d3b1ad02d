"""Intersection over union from confusion matrices (paper, section 4; design 3.12).

The same numbers as ``fre_hpo.training.metrics`` gives, for many matrices at once: a class counts where the
truth contains it, and the mean is over those classes.  A class that a method draws where there is none is not
scored itself, but its pixels are missing from the classes that there are.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fre_hpo.results.comparison.measured import Counts

Floats = NDArray[np.float64]


def class_iou(counts: Counts) -> Floats:
    """IoU of each class over all sources: (..., sources, C, C) -> (..., C), NaN where the truth lacks it."""
    return _iou(counts.sum(axis=-3))


def mean_iou(counts: Counts) -> Floats:
    """Mean IoU over the classes that the truth contains: (..., sources, C, C) -> (...)."""
    return mean_of_classes(class_iou(counts))


def without_each_source(counts: Counts) -> Floats:
    """Mean IoU with one source left out: (..., sources, C, C) -> (..., sources).

    A class that only the left-out source contains keeps its IoU: nothing is known of how it varies.
    """
    total = counts.sum(axis=-3, keepdims=True)
    rest, whole = _iou(total - counts), _iou(total)
    return mean_of_classes(np.where(np.isnan(rest), whole, rest))


def mean_of_classes(iou: Floats) -> Floats:
    """(..., C) -> (...); NaN where there is no class at all."""
    present = ~np.isnan(iou)
    number = present.sum(axis=-1)
    total = np.where(present, iou, 0.0).sum(axis=-1)
    mean: Floats = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return mean


def optional(values: Iterable[float]) -> tuple[float | None, ...]:
    """None for NaN, as tables and JSON need it."""
    return tuple(None if np.isnan(value) else float(value) for value in values)


def single_source_classes(counts: Counts) -> list[int]:
    """Classes whose truth lies in one source image only."""
    sources = (counts.sum(axis=-1) > 0).reshape(-1, *counts.shape[-3:-1]).any(axis=0).sum(axis=0)
    return [int(index) for index in np.flatnonzero(sources == 1)]


def _iou(matrix: NDArray[np.int64]) -> Floats:
    hit = np.diagonal(matrix, axis1=-2, axis2=-1)
    truth, predicted = matrix.sum(axis=-1), matrix.sum(axis=-2)
    union = truth + predicted - hit
    iou: Floats = np.where(truth > 0, hit / np.maximum(union, 1), np.nan)
    return iou
