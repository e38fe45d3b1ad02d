"""What the deepest feature maps are like while a network is trained: the paper's Figures 2 and 9.

Measured at the end of an epoch on a few training images without augmentation, by the network as it is
evaluated, so that nothing of the training changes.  A multiplication by X scales a map's sum by X: what
it was before and after is known from one pass through the encoder.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, fields

import torch
from torch import Tensor

from fre_hpo.methods.gain import MapGain
from fre_hpo.model.unet import SEUNet

POINTS = 200
"""Epochs of a trial at most that are traced."""
TRACED_IMAGES = 2


@dataclass(frozen=True)
class Trace:
    """One epoch.

    deepest_mean, skip_mean: the mean feature value at the end of the encoder and at the skip connection
    that meets it in the decoder, both after ReLU and SE block, before the multiplication (Fig. 2).

    Sums over a map's pixels, a mean over the images, added over the maps (Fig. 9): all_sum over all maps
    before the multiplication; enhanced_sum and rest_sum over the enhanced and the other maps before it,
    enhanced_after after it.  enhanced: how many maps were multiplied in this epoch.
    """

    deepest_mean: float
    skip_mean: float
    all_sum: float
    enhanced_sum: float
    enhanced_after: float
    rest_sum: float
    enhanced: float

    def to_plain(self) -> tuple[float, ...]:
        return astuple(self)


COLUMNS = tuple(field.name for field in fields(Trace))


def is_traced(epoch: int, epochs: int) -> bool:
    """The first epoch, the last, and every n-th between, 200 at most."""
    return epoch in (1, epochs) or epoch % math.ceil(epochs / (POINTS - 1)) == 0


def trace_of(network: SEUNet, skip: Tensor, deepest: Tensor) -> Trace:
    """Of a network whose encoder gave these feature maps (N, maps, h, w)."""
    deepest = deepest.float()
    sums = deepest.sum(dim=(2, 3)).mean(dim=0)
    chosen = torch.zeros_like(sums, dtype=torch.bool)
    after = sums
    if isinstance(network.bottleneck, MapGain):
        chosen[network.bottleneck.chosen] = True
        after = sums * network.bottleneck.gain.flatten()
    values = torch.stack(
        [
            deepest.mean(),
            skip.float().mean(),
            sums.sum(),
            sums[chosen].sum(),
            after[chosen].sum(),
            sums[~chosen].sum(),
            chosen.sum(),
        ]
    )
    return Trace(*values.tolist())
