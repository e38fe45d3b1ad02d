"""How a network is computed: number format, memory format, optimiser's kernels, compiled or not.

What is computed is the same for every engine; ``PLAIN`` is the twin that the others are tested against.
Which engine a trial gets is decided where it trains, for a cluster's machines may differ.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from fre_hpo.model.unet import SEUNet
from fre_hpo.training.optimiser import Adam

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Engine:
    """precision: of convolutions and feature maps; weights, statistics, loss and optimiser stay float32.
    channels_last: the memory format of weights and feature maps.  fused: the optimiser's step in one
    kernel.  compiled: the network by torch.compile, in training.  deterministic: only kernels that
    give the same bits again."""

    precision: Precision
    channels_last: bool = True
    fused: bool = True
    compiled: bool = False
    deterministic: bool = False

    def __str__(self) -> str:
        flags = {"compiled": self.compiled, "deterministic": self.deterministic}
        return ", ".join([self.precision, *(name for name, is_on in flags.items() if is_on)])

    def set_up(self) -> None:
        """Set what torch keeps for the whole process; to be called before anything is on a device."""
        if self.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        if torch.are_deterministic_algorithms_enabled() != self.deterministic:
            torch.use_deterministic_algorithms(
                self.deterministic
            )  # loads the compiler, for a second
        torch.backends.cudnn.benchmark = not self.deterministic

    @property
    def picture_dtype(self) -> torch.dtype:
        """Of training images at rest: what the first convolution makes of them anyway."""
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    def place(self, network: SEUNet, device: torch.device) -> None:
        """Bring a network onto the device, in this engine's memory format."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        network.to(device, memory_format=layout)  # type: ignore[call-overload]

    def adam(self, network: SEUNet, learning_rate: float) -> Adam:
        return Adam(network.parameters(), lr=learning_rate, fused=self.fused)

    def forward_both(self, network: SEUNet, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """The network's logits and the side head's (N, classes, H, W), in float32; for training."""
        with self._autocast(images):
            output, side = self._forward_both(network, images)
        return output.float(), None if side is None else side.float()

    @property
    def _forward_both(self) -> Callable[[SEUNet, Tensor], tuple[Tensor, Tensor | None]]:
        return _compiled() if self.compiled else SEUNet.forward_both

    def forward(self, network: SEUNet, images: Tensor) -> Tensor:
        """The network's own logits (N, classes, H, W), in float32; for evaluation."""
        with self._autocast(images):
            logits: Tensor = network(images)
        return logits.float()

    def encode(self, network: SEUNet, images: Tensor) -> tuple[Tensor, Tensor]:
        """The deepest skip connection and the deepest feature maps, as the engine computes them."""
        with self._autocast(images):
            skips, deepest = network.encode(images)
        return skips[-1], deepest

    def _autocast(self, images: Tensor) -> torch.autocast:
        enabled = self.precision == "bfloat16"
        return torch.autocast(images.device.type, torch.bfloat16, enabled=enabled)


PLAIN = Engine("float32", channels_last=False, fused=False)


def choose(
    precision: Literal["auto"] | Precision,
    device: torch.device,
    *,
    compiled: bool = False,
    deterministic: bool = False,
) -> Engine:
    """The engine for a device; "auto" is bfloat16 where the device computes with it itself."""
    if precision == "auto":
        precision = "bfloat16" if computes_bfloat16(device) else "float32"
    fused = device.type in ("cpu", "cuda")
    return Engine(precision, fused=fused, compiled=compiled, deterministic=deterministic)


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16; elsewhere it is emulated, and slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )


@cache
def _compiled() -> Callable[[SEUNet, Tensor], tuple[Tensor, Tensor | None]]:
    """Compiled once for all networks of a process that have the same shape and method: the network is an
    argument, its weights are no part of the code, nor is any of a method's parameters."""
    compiled: Callable[..., tuple[Tensor, Tensor | None]]
    compiled = torch.compile(SEUNet.forward_both, dynamic=False)
    return compiled
