"""The SE-U-Net of the paper (Fig. 1), with three slots for what the methods add.

The figure's exact widths are not in the text; 64-128-256-512 with three poolings gives the 512 feature
maps at the end of the encoder ("yellow layer") that the paper names, and 7.75 M parameters.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from fre_hpo.model.blocks import ConvBlock, Upsample, UpStep
from fre_hpo.model.norm import Norm


class SEUNet(nn.Module):
    """Images (N, channels, H, W) to class logits (N, classes, H, W).

    H and W are multiples of ``stride``.  ``bottleneck`` acts on the deepest feature maps,
    behind their SE block; ``side_head`` sees them too and gives a second output in training.
    """

    def __init__(
        self,
        widths: Sequence[int],
        classes: int,
        *,
        channels: int,
        norm: Norm,
        upsample: Upsample,
        se_reduction: int,
        bottleneck: nn.Module | None = None,
        side_head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        inputs = [channels, *widths[:-1]]
        self.encoder = nn.ModuleList(
            ConvBlock(i, o, norm, se_reduction) for i, o in zip(inputs, widths, strict=True)
        )
        rising = list(reversed(widths))
        self.decoder = nn.ModuleList(
            UpStep(i, o, norm, se_reduction, upsample) for i, o in pairwise(rising)
        )
        self.head = nn.Conv2d(widths[0], classes, kernel_size=1)
        self.bottleneck = bottleneck or nn.Identity()
        self.side_head = side_head

    @property
    def stride(self) -> int:
        """Every block of the encoder but the first halves height and width."""
        return int(2 ** (len(self.encoder) - 1))

    def forward(self, images: Tensor) -> Tensor:
        """The network's own output; all that evaluation needs."""
        skips, deepest = self.encode(images)
        return self.decode(skips, self.bottleneck(deepest))

    def forward_both(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """The network's output and the side head's, resized to the image; for training."""
        skips, deepest = self.encode(images)
        deepest = self.bottleneck(deepest)
        return self.decode(skips, deepest), self._side_output(deepest, images)

    def encode(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """The skip connections, shallow to deep, and the deepest feature maps."""
        skips: list[Tensor] = []
        features = images
        for depth, block in enumerate(self.encoder):
            if depth:
                skips.append(features)
                features = F.max_pool2d(features, kernel_size=2)
            features = block(features)
        return skips, features

    def decode(self, skips: list[Tensor], deepest: Tensor) -> Tensor:
        features = deepest
        for step, skip in zip(self.decoder, reversed(skips), strict=True):
            features = step(features, skip)
        logits: Tensor = self.head(features)
        return logits

    def _side_output(self, deepest: Tensor, images: Tensor) -> Tensor | None:
        if self.side_head is None:
            return None
        return F.interpolate(
            self.side_head(deepest), size=images.shape[-2:], mode="bilinear", align_corners=False
        )
