"""How an image of any size is covered with overlapping tiles whose weights add up to one.

Height and width are planned apart: a tile's weights are the product of those of its rows and columns.
Across a side a tile has a margin of weight zero, which only gives context to what lies further in; then
its weight rises smoothly, while that of its neighbour falls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fre_hpo.inference.card import multiple


@dataclass(frozen=True)
class Axis:
    """The tiles along one side of an image.

    length: of the side, in pixels.  tile: of each tile.  starts: where they begin; before 0 and beyond the
    length the image is mirrored.  weights: (tiles, tile), for every pixel of the side they add up to 1.
    """

    length: int
    tile: int
    starts: tuple[int, ...]
    weights: NDArray[np.float32] = field(repr=False)

    def pixels(self, number: int) -> NDArray[np.intp]:
        """Which pixels of the image a tile holds, (tile,); the mirror image where it sticks out."""
        turning = np.arange(self.starts[number], self.starts[number] + self.tile) % (
            2 * self.length
        )
        return np.where(turning < self.length, turning, 2 * self.length - 1 - turning)

    def inside(self, number: int) -> tuple[slice, slice]:
        """The part of a tile that lies in the image: in the tile, and in the image."""
        start = self.starts[number]
        first, last = max(start, 0), min(start + self.tile, self.length)
        return slice(first - start, last - start), slice(first, last)


def plan(length: int, tile: int, stride: int, reach: int) -> Axis:
    """Cover a side.

    tile: a multiple of ``stride``, on whose multiples all tiles begin, as the network's poolings do.
    reach: how far away a pixel can change another one's output through convolutions.  Tiles overlap by three
    times as much, so that what counts of a tile sees all that it could see in a larger one; at most by half
    a tile.  A side that fits into a tile is one tile, as small as ``stride`` allows.
    """
    if length <= tile:
        only = multiple(length, stride)
        return Axis(length, only, (0,), np.ones((1, only), np.float32))
    overlap = min(3 * multiple(reach, stride), tile // 2) // stride * stride
    margin = overlap // 3 // stride * stride
    starts = _starts(length, tile, stride, overlap, margin)
    weights = _normalised(starts, length, _window(tile, margin, overlap - 2 * margin))
    return Axis(length, tile, starts, weights)


def _starts(length: int, tile: int, stride: int, overlap: int, margin: int) -> tuple[int, ...]:
    """Evenly spread, from a margin before the image to a margin behind it."""
    room = multiple(length + 2 * margin, stride) - tile
    steps = max(math.ceil(room / (tile - overlap)), 1)
    return tuple(room * i // steps // stride * stride - margin for i in range(steps + 1))


def _window(tile: int, margin: int, ramp: int) -> NDArray[np.float64]:
    """(tile,): 0 in the margins, 1 in the middle, a squared sine between."""
    pixel = np.arange(tile)
    depth = np.minimum(pixel, tile - 1 - pixel) - margin + 0.5
    window: NDArray[np.float64] = np.sin(np.pi / 2 * np.clip(depth / max(ramp, 1), 0, 1)) ** 2
    return window


def _normalised(
    starts: tuple[int, ...], length: int, window: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Each tile's window as a share of all that cover the pixel; outside the image it does not matter."""
    first, last = starts[0], max(starts[-1] + len(window), length)
    total = np.zeros(last - first)
    for start in starts:
        total[start - first :][: len(window)] += window
    shares = [window / np.maximum(total[s - first :][: len(window)], 1e-12) for s in starts]
    return np.array(shares, dtype=np.float32)
