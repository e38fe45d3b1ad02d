"""The parts of the SE-U-Net."""

from typing import Literal

import torch
from torch import Tensor, nn

from fre_hpo.model.norm import Norm, make_norm

Upsample = Literal["transposed", "bilinear"]


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation (Hu et al. 2018): each feature map is scaled by a gate in 0..1 that is
    computed from the means of all maps."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.gate = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid()
        )

    def forward(self, features: Tensor) -> Tensor:
        gate: Tensor = self.gate(features.mean(dim=(2, 3)))
        return features * gate[:, :, None, None]


class ConvBlock(nn.Sequential):
    """Two times 3x3 convolution, normalisation, ReLU; then squeeze-and-excitation."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, se_reduction: int) -> None:
        super().__init__(
            _convolution(inputs, outputs),
            make_norm(norm, outputs),
            nn.ReLU(inplace=True),
            _convolution(outputs, outputs),
            make_norm(norm, outputs),
            nn.ReLU(inplace=True),
            SqueezeExcite(outputs, se_reduction),
        )


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution; the normalisation behind it brings the bias."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False)


class UpStep(nn.Module):
    """Doubles height and width, halves the maps, concatenates the skip connection, convolves."""

    def __init__(
        self, inputs: int, outputs: int, norm: Norm, se_reduction: int, upsample: Upsample
    ) -> None:
        super().__init__()
        self.up = _upsampling(inputs, outputs, upsample)
        self.block = ConvBlock(2 * outputs, outputs, norm, se_reduction)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        result: Tensor = self.block(torch.cat([skip, self.up(deep)], dim=1))
        return result


def _upsampling(inputs: int, outputs: int, upsample: Upsample) -> nn.Module:
    if upsample == "transposed":
        return nn.ConvTranspose2d(inputs, outputs, kernel_size=2, stride=2)
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        nn.Conv2d(inputs, outputs, kernel_size=1),
    )
