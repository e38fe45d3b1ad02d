"""SE-U-Net + SuperVision: a second loss at the deepest feature maps.

A 1x1 convolution leads from them to the classes, resized to the input by bilinear interpolation;
Loss = (1 - lambda) * Loss1 + lambda * Loss2, where Loss1 is the network's own cross-entropy and Loss2 the
side output's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fre_hpo.methods.method import Method, Parameter, Slots

if TYPE_CHECKING:
    from torch import Tensor


def slots(parameters: Mapping[str, Any], maps: int, classes: int, seed: int) -> Slots:
    from torch import nn

    weight = float(parameters["lambda"])

    def loss(main: Tensor, side: Tensor) -> Tensor:
        return (1 - weight) * main + weight * side

    return Slots(side_head=nn.Conv2d(maps, classes, kernel_size=1), loss=loss)


METHOD = Method(
    name="supervision",
    summary="SE-U-Net with a second loss at the end of the encoder",
    parameters=(Parameter("lambda", "float", 0.0, 1.0, "0..1", "weight of the second loss"),),
    slots=slots,
)
