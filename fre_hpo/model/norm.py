"""The normalisations that the network can be built with: batch | batch_renorm | group."""

from typing import Literal

import torch
from torch import Tensor, nn

Norm = Literal["batch", "batch_renorm", "group"]
GROUPS = 8


class BatchRenorm(nn.Module):
    """Batch renormalisation over (N, C, H, W), Ioffe 2017.

    In training x is normalised by the batch and corrected towards the running statistics,
    ``(x - mean_B) / std_B * r + d`` with r = std_B / std and d = (mean_B - mean) / std held constant for
    the gradient and clipped to [1/r_max, r_max] and [-d_max, d_max].  Both bounds rise linearly from plain
    batch normalisation (r_max 1, d_max 0) to 3 and 5 over the first ``WARMUP_STEPS`` batches; the original
    ramp of 40,000 steps is longer than the paper's whole training.  In evaluation: the running statistics.
    """

    R_MAX = 3.0
    D_MAX = 5.0
    WARMUP_STEPS = 1000

    running_mean: Tensor
    running_var: Tensor
    steps: Tensor

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        precise = x.float() if x.dtype == torch.bfloat16 else x
        if self.training:
            normalised = self._normalise_in_training(precise)
        else:
            std = (self.running_var + self.eps).sqrt()
            normalised = (precise - _spread(self.running_mean)) / _spread(std)
        result = normalised * _spread(self.weight) + _spread(self.bias)
        return result.to(x.dtype)

    def _normalise_in_training(self, x: Tensor) -> Tensor:
        var, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        std = (var + self.eps).sqrt()
        with torch.no_grad():
            r, d = self._correction(mean, std)
            self._follow(mean, var, count=x.numel() // x.shape[1])
        return (x - _spread(mean)) / _spread(std) * _spread(r) + _spread(d)

    def _correction(self, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        ramp = (self.steps / self.WARMUP_STEPS).clamp(max=1.0)
        r_max, d_max = 1 + ramp * (self.R_MAX - 1), ramp * self.D_MAX
        running_std = (self.running_var + self.eps).sqrt()
        r = torch.clamp(std / running_std, min=1 / r_max, max=r_max)
        d = torch.clamp((mean - self.running_mean) / running_std, min=-d_max, max=d_max)
        return r, d

    def _follow(self, mean: Tensor, var: Tensor, count: int) -> None:
        unbiased = var * (count / max(count - 1, 1))
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(unbiased, self.momentum)
        self.steps.add_(1)


def _spread(per_channel: Tensor) -> Tensor:
    return per_channel.view(1, -1, 1, 1)


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """Build one normalisation layer for ``channels`` feature maps."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "batch_renorm":
        return BatchRenorm(channels)
    return nn.GroupNorm(min(GROUPS, channels), channels)


StatisticsNorm = nn.BatchNorm2d | BatchRenorm
"""Layers that normalise by running statistics in evaluation."""
