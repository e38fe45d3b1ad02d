"""A split on the device: all of it resident, cut into batches there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fre_hpo.data.dataset import Split


@dataclass(frozen=True)
class DeviceSplit:
    """images (N, C, H, W) float32, labels (N, H, W) uint8, source (N,) the index of each picture's source
    image among ``sources``."""

    images: Tensor
    labels: Tensor
    source: Tensor
    sources: tuple[str, ...]

    @classmethod
    def place(cls, split: Split, device: torch.device) -> DeviceSplit:
        names = tuple(dict.fromkeys(split.sources))
        index = {name: i for i, name in enumerate(names)}
        return cls(
            images=torch.tensor(split.images, device=device),
            labels=torch.tensor(split.labels, device=device, dtype=torch.uint8),
            source=torch.tensor([index[name] for name in split.sources], device=device),
            sources=names,
        )

    def __len__(self) -> int:
        return len(self.images)

    def in_order(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Every picture once, as stored: images, labels, source."""
        yield from zip(
            self.images.split(batch_size),
            self.labels.split(batch_size),
            self.source.split(batch_size),
            strict=True,
        )
