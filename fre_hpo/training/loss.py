"""The loss: softmax cross-entropy (paper, section 4), weighted by class where a recipe asks for it."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from fre_hpo.data.dataset import IGNORED


def class_weights(kind: Literal["none", "sqrt"], labels: Tensor, classes: int) -> Tensor | None:
    """A weight for each class from the training labels, None for plain cross-entropy.

    "sqrt": the inverse square root of the class's frequency, scaled to a mean of 1 over the pixels.  A small
    network on a short schedule otherwise often never learns a class of some per cent of the pixels.  It is
    not in the paper.
    """
    if kind == "none":
        return None
    counted = labels[labels != IGNORED].cpu()
    counts = torch.bincount(counted, minlength=classes).clamp(min=1).double()
    weights = counts.rsqrt()
    scaled = weights * counts.sum() / (weights * counts).sum()
    return scaled.float().to(labels.device)


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Mean over the pixels that are not ignored; logits (N, classes, H, W), labels (N, H, W).

    The mean is taken here: torch's own is not deterministic on a GPU.
    """
    labels = labels.long()
    losses = F.cross_entropy(logits, labels, weight=weights, ignore_index=IGNORED, reduction="none")
    counted = labels != IGNORED
    if weights is None:
        return losses.sum() / counted.sum()
    return losses.sum() / (weights[labels.where(counted, 0)] * counted).sum()
