"""Class probabilities and labels of an image of any size.

An image larger than a tile is cut into overlapping tiles; where they overlap, their probabilities are mixed
by weights that rise and fall smoothly, so that no seam is to be seen.  One row of tiles is in memory at a
time.

The size of a tile is more than a matter of memory: the squeeze-and-excitation blocks average over the whole
of what the network is given, so that a network trained on pictures of 256x256 knows the averages of such
pictures.  By default tiles are therefore as large as the pictures of its training, and an image of just
their size gives what validation gave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fre_hpo.data.assembly.tiling import Shape
from fre_hpo.errors import OutOfMemory
from fre_hpo.inference.card import multiple
from fre_hpo.inference.network import TrainedNetwork
from fre_hpo.inference.preparing import prepare, read_pages
from fre_hpo.inference.tiles import Axis, plan
from fre_hpo.model.unet import SEUNet

PIXELS_AT_ONCE = 2**18
"""So many pixels of a row of tiles are given to the network at once; at least one tile."""


def masks(network: TrainedNetwork, path: Path) -> NDArray[np.uint8]:
    """The class indices of an image file, (pages, height, width), in its own size.

    Raises PictureError where the file cannot be read.
    """
    pages = read_pages(path, network.card)
    return np.stack([page_labels(network, page) for page in pages])


def page_labels(
    network: TrainedNetwork,
    page: NDArray[Any],
    tile: Shape | None = None,
    done: Callable[[int], None] | None = None,
) -> NDArray[np.uint8]:
    """The class indices of one page as stored, (channels, height, width) -> (height, width).

    tile: as ``probabilities`` takes it.  done: called with the number of pixels that were just computed.
    """
    shape: Shape = (page.shape[1], page.shape[2])
    labels = np.empty(shape, np.uint8)
    bands = probabilities(network, prepare(page, network.card), tile)
    top = 0
    for band in _enlarged(bands, network.card.reading.factor, shape):
        rows = labels[top : top + band.shape[1]]
        rows[:] = band.argmax(dim=0).to("cpu", torch.uint8).numpy()
        top += len(rows)
        if done:
            done(rows.size)
    return labels


def probabilities(
    network: TrainedNetwork, image: NDArray[np.float32], tile: Shape | None = None
) -> Iterator[Tensor]:
    """Class probabilities of a prepared image (channels, height, width), from top to bottom: each (classes,
    rows, width), on the network's device.

    tile: height and width, multiples of the card's stride; by default the training pictures'.  A side that
    is not longer is given to the network whole, mirrored as far as the stride wants it.
    """
    height, width = tile or network.card.tile
    stride, reach = network.card.stride, receptive_radius(network.module)
    rows = plan(image.shape[1], height, stride, reach)
    columns = plan(image.shape[2], width, stride, reach)
    try:
        yield from _bands(network, image, rows, columns)
    except (torch.OutOfMemoryError, MemoryError) as error:
        size = f"{rows.tile}x{columns.tile}"
        raise OutOfMemory(device=network.device.type, tile=size) from error


def receptive_radius(network: SEUNet) -> int:
    """How many pixels away an input may change an output through convolutions, poolings and up-steps.

    What the squeeze-and-excitation blocks bring from farther away, from the whole tile, is not in it.
    """
    depth = len(network.encoder)
    steps = range(depth - 1)  # between the depths
    convolutions = sum(2 << d for d in range(depth)) + sum(2 << d for d in steps)
    poolings = sum(1 << d for d in steps)
    up_steps = sum(2 << d for d in steps)  # of bilinear ones, which reach farther
    return convolutions + poolings + up_steps


def tile_of(side: int, network: TrainedNetwork) -> Shape:
    """The square tile for a side in pixels of the picture, as ``data.tile`` counts them."""
    shrunk = -(-side // network.card.reading.factor)
    whole = multiple(shrunk, network.card.stride)
    return whole, whole


# --- rows of tiles ------------------------------------------------------------------------------


def _bands(
    network: TrainedNetwork, image: NDArray[np.float32], rows: Axis, columns: Axis
) -> Iterator[Tensor]:
    """Sum up rows of tiles; a band is done where the next row begins."""
    classes, width = len(network.card.classes), columns.length
    sums = torch.zeros(classes, rows.tile, width, device=network.device)
    for number, start in enumerate(rows.starts):
        _add_row(network, image[:, rows.pixels(number)], rows.weights[number], columns, sums)
        last = number + 1 == len(rows.starts)
        done = rows.tile if last else rows.starts[number + 1] - start
        in_tile, _ = rows.inside(number)
        yield sums[:, in_tile.start : min(done, in_tile.stop)].clone()
        sums = torch.cat([sums[:, done:], torch.zeros_like(sums[:, :done])], dim=1)


def _add_row(
    network: TrainedNetwork,
    image: NDArray[np.float32],
    weights: NDArray[np.float32],
    columns: Axis,
    sums: Tensor,
) -> None:
    """Add a row of tiles to the sums; image: (channels, tile height, image width)."""
    down = torch.from_numpy(weights).to(network.device)[:, None]
    for first in range(0, len(columns.starts), _at_once(len(weights), columns.tile)):
        numbers = range(len(columns.starts))[first:][: _at_once(len(weights), columns.tile)]
        tiles = np.stack([image[:, :, columns.pixels(number)] for number in numbers])
        shares = network.logits(torch.from_numpy(tiles).to(network.device)).softmax(dim=1)
        for number, share in zip(numbers, shares, strict=True):
            in_tile, in_image = columns.inside(number)
            across = torch.from_numpy(columns.weights[number]).to(network.device)
            sums[:, :, in_image] += (share * (down * across))[:, :, in_tile]


def _at_once(height: int, width: int) -> int:
    return max(1, PIXELS_AT_ONCE // (height * width))


# --- back to the picture's own size -------------------------------------------------------------


def _enlarged(bands: Iterable[Tensor], factor: int, shape: Shape) -> Iterator[Tensor]:
    """Bands of a shrunk image (classes, rows, width) -> bands of the image, as if enlarged at once.

    Linear between the middles of the areas that were averaged; each band waits for the row below it.
    """
    if factor == 1:
        yield from bands
        return
    left = shape[0]
    for rows in _with_neighbours(bands):
        large = F.interpolate(
            rows[None], scale_factor=float(factor), mode="bilinear", align_corners=False
        )[0, :, factor:-factor, : shape[1]]
        yield large[:, :left]
        left -= large.shape[1]


def _with_neighbours(bands: Iterable[Tensor]) -> Iterator[Tensor]:
    """Every row once, each band with the row above and the row below it; edges are repeated."""
    waiting: Tensor | None = None
    for band in bands:
        rows = torch.cat([band[:, :1], band] if waiting is None else [waiting, band], dim=1)
        if rows.shape[1] > 2:
            yield rows
        waiting = rows[:, -2:]
    if waiting is not None:
        yield torch.cat([waiting, waiting[:, -1:]], dim=1)
