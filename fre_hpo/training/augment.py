"""Flips and quarter turns of a split's pictures, on the device where they lie.

"flips" mirrors left-right and up-down, each for half of the pictures; "quarter-turns" turns half of them
by 90 degrees.  Both together give the eight symmetries of the square with equal probability.  A picture
that is not square is not turned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence

import torch
from torch import Tensor

from fre_hpo.training.arrays import DeviceSplit

TABLE_BYTES = 256 * 2**20
"""Up to so much all variants of a split's pictures are laid ready; larger ones are turned when drawn."""

Change = Callable[[Tensor], Tensor]


class AugmentedSplit:
    """A training split whose every picture comes turned by chance; dtype: of the images."""

    def __init__(
        self,
        split: DeviceSplit,
        kinds: Collection[str],
        dtype: torch.dtype = torch.float32,
        table_bytes: int = TABLE_BYTES,
    ) -> None:
        self._changes = changes(kinds, *split.images.shape[-2:])
        variants = 2 ** len(self._changes)
        self._count = len(split)
        self._images, self._labels = split.images.to(dtype), split.labels
        nbytes = self._images.nbytes + self._labels.nbytes
        self._laid_ready = variants * nbytes <= table_bytes
        if self._laid_ready:
            self._images, self._labels = (
                torch.cat([turned(x, self._changes, code) for code in range(variants)])
                for x in (self._images, self._labels)
            )

    def shuffled(
        self, batch_size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Every picture once, with its labels, in an order drawn from ``generator``, which also draws the
        changes; batches of nearly equal size, so that no remainder of a few pictures is normalised by its
        own statistics."""
        order = torch.randperm(self._count, generator=generator)
        for chosen in order.tensor_split(math.ceil(self._count / batch_size)):
            codes = draw(len(chosen), len(self._changes), generator)
            yield self._batch(chosen, codes)

    def _batch(self, chosen: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        if self._laid_ready:
            place = (codes * self._count + chosen).to(self._images.device)
            return self._images.index_select(0, place), self._labels.index_select(0, place)
        place = chosen.to(self._images.device)
        return (
            each_turned(self._images.index_select(0, place), self._changes, codes),
            each_turned(self._labels.index_select(0, place), self._changes, codes),
        )


def changes(kinds: Collection[str], height: int, width: int) -> list[Change]:
    """What may happen to a picture of that size, each by its own chance of one half, in this order."""
    found: list[Change] = []
    if "flips" in kinds:
        found += [lambda x: x.flip(-1), lambda x: x.flip(-2)]
    if "quarter-turns" in kinds and height == width:
        found.append(lambda x: x.rot90(1, (-2, -1)))
    return found


def draw(count: int, bits: int, generator: torch.Generator) -> Tensor:
    """For each of ``count`` pictures which of the changes happen, as bits of a number (count,)."""
    codes = torch.zeros(count, dtype=torch.int64)
    for bit in range(bits):
        codes += (torch.rand(count, generator=generator) < 0.5) << bit
    return codes


def turned(pictures: Tensor, of: Sequence[Change], code: int) -> Tensor:
    """All pictures (..., H, W), changed alike."""
    for bit, change in enumerate(of):
        if code >> bit & 1:
            pictures = change(pictures)
    return pictures


def each_turned(pictures: Tensor, of: Sequence[Change], codes: Tensor) -> Tensor:
    """Each of the pictures (N, ..., H, W), changed by its own code (N,)."""
    result = torch.empty_like(pictures)
    for code in codes.unique().tolist():
        chosen = (codes == code).nonzero().flatten().to(pictures.device)
        result[chosen] = turned(pictures[chosen], of, code)
    return result
