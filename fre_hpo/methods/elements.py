"""Dropout, element by element (Srivastava et al. 2014)."""

import torch
from torch import Tensor, nn


class ElementDropout(nn.Module):
    """Sets each element of feature maps (N, maps, H, W) to zero with probability ``rate`` and scales the
    others by 1 / (1 - rate), in training; the identity in evaluation.

    Unlike torch's own it drops the same elements whatever the memory format, and its rate is a buffer: a
    compiled network serves every rate.  A rate of 1 leaves nothing.
    """

    rate: Tensor

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.register_buffer("rate", torch.tensor(rate), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        if not self.training:
            return features
        kept = torch.rand(features.shape, device=features.device) >= self.rate
        scale = 1 / (1 - self.rate).clamp(min=torch.finfo(torch.float32).tiny)
        return features * (kept * scale).to(features.dtype)
