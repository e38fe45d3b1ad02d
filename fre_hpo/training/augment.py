"""Flips and quarter turns of a batch, on the device where it lies."""

from collections.abc import Callable, Collection

import torch
from torch import Tensor


def augment(
    images: Tensor, labels: Tensor, kinds: Collection[str], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Turn each image of a batch, and its labels with it, by chance.

    images (N, C, H, W), labels (N, H, W).  "flips" mirrors left-right and up-down, each for half of the
    images; "quarter-turns" turns half of them by 90 degrees.  Both together give the eight symmetries of
    the square with equal probability.  A picture that is not square is not turned.
    """
    if "flips" in kinds:
        images, labels = _by_chance(images, labels, lambda x: x.flip(-1), generator)
        images, labels = _by_chance(images, labels, lambda x: x.flip(-2), generator)
    if "quarter-turns" in kinds and images.shape[-1] == images.shape[-2]:
        images, labels = _by_chance(images, labels, lambda x: x.rot90(1, (-2, -1)), generator)
    return images, labels


def _by_chance(
    images: Tensor,
    labels: Tensor,
    change: Callable[[Tensor], Tensor],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    chosen = torch.rand(len(images), generator=generator) < 0.5
    chosen = chosen.to(images.device)
    return (
        torch.where(chosen[:, None, None, None], change(images), images),
        torch.where(chosen[:, None, None], change(labels), labels),
    )
