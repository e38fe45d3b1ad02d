"""A gain for each feature map, the core of Feature Random Enhancement."""

import numpy as np
import torch
from torch import Tensor, nn


def draw_maps(maps: int, count: int, seed: int, epoch: int) -> list[int]:
    """Draw ``count`` different maps of ``maps`` for an epoch.

    The draw is a pure function of seed and epoch, so that a resumed trial enhances the same maps and no
    random state has to be stored for it.
    """
    generator = np.random.default_rng([seed, epoch])
    return sorted(generator.choice(maps, size=count, replace=False).tolist())


class MapGain(nn.Module):
    """Multiplies feature map i of a batch (N, maps, H, W) by ``gain[i]`` in training; the identity in
    evaluation.

    The gain is a buffer written in place, so that a compiled network keeps one graph (design 3.9).  It is
    not part of the state dict: it follows from the seed and the epoch.
    """

    gain: Tensor

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.register_buffer("gain", torch.ones(1, maps, 1, 1), persistent=False)
        self.chosen: list[int] = []

    def enhance(self, chosen: list[int], factor: float) -> None:
        self.gain.fill_(1.0)
        self.gain[:, chosen] = factor
        self.chosen = chosen

    def forward(self, features: Tensor) -> Tensor:
        return features * self.gain if self.training else features
