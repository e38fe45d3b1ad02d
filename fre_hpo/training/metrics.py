"""Intersection over union from confusion matrices.

A data set's mIoU comes from one matrix over the whole split, not from a mean over images: most images
lack a class (design 3.12).  The matrices are kept per source image, so that intervals can resample images.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Confusion = NDArray[np.int64]
"""(sources, classes, classes): pixels of source image s with true class t (row), predicted p (column)."""


_EXACT = 2**24
"""Below it a sum of ones is exact in float32."""


def count_confusion(
    predicted: Tensor, labels: Tensor, source: Tensor, sources: int, classes: int
) -> Tensor:
    """Count the pixels of a batch into a matrix per source image.

    predicted and labels (N, H, W), source (N,) the index of each picture's source image; returns an int64
    tensor (sources, classes, classes).  Ignored pixels are counted nowhere, for IGNORED is no class.  The
    counts are products of matrices of zeros and ones, for which a GPU need not be waited for.
    """
    pixels = labels[0].numel()
    number = torch.float32 if pixels < _EXACT else torch.float64
    kinds = torch.arange(classes, device=labels.device)[:, None]
    true, guess = (x.flatten(1)[:, None] == kinds for x in (labels, predicted))
    images = true.to(number) @ guess.to(number).transpose(1, 2)
    total = torch.zeros(sources, classes, classes, dtype=torch.int64, device=labels.device)
    return total.index_add_(0, source, images.long())


def class_iou(confusion: Confusion) -> list[float | None]:
    """IoU of each class from matrices per source; None for a class that the truth does not contain."""
    total = confusion.sum(axis=0)
    hit = np.diag(total)
    truth, predicted = total.sum(axis=1), total.sum(axis=0)
    return [
        float(h / (t + p - h)) if t else None for h, t, p in zip(hit, truth, predicted, strict=True)
    ]


def mean_iou(confusion: Confusion) -> float:
    """Mean of the IoU over the classes that the truth contains."""
    present = [iou for iou in class_iou(confusion) if iou is not None]
    return sum(present) / len(present)
