"""Pictures of any size -> tiles of one size; what is missing at an edge is mirrored and ignored."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int]
"""Height and width."""


def corners(picture: Shape, tile: Shape) -> Iterator[tuple[int, int]]:
    """The upper left corners of the tiles that cover a picture, row by row, without overlap."""
    for top in range(0, picture[0], tile[0]):
        for left in range(0, picture[1], tile[1]):
            yield top, left


def count(picture: Shape, tile: Shape) -> int:
    """How many tiles cover a picture."""
    return -(-picture[0] // tile[0]) * -(-picture[1] // tile[1])


def cut(picture: NDArray[Any], out: NDArray[Any], ignored: int | None = None) -> None:
    """Cut (..., height, width) into ``out``, (tiles, ..., tile height, tile width).

    Every pixel lands in exactly one tile.  What a tile has beyond the picture is ``ignored`` where that
    is given (labels), and the picture's own mirror image otherwise.
    """
    tile = out.shape[-2:]
    for number, (top, left) in enumerate(corners(picture.shape[-2:], tile)):
        piece = picture[..., top : top + tile[0], left : left + tile[1]]
        out[number] = pad(piece, tile, ignored)


def pad(picture: NDArray[Any], shape: Shape, ignored: int | None = None) -> NDArray[Any]:
    """Make (..., height, width) as large as ``shape``, to the right and below."""
    missing = [(0, wanted - side) for wanted, side in zip(shape, picture.shape[-2:], strict=True)]
    if not any(more for _, more in missing):
        return picture
    around = [(0, 0)] * (picture.ndim - 2) + missing
    if ignored is None:
        return np.pad(picture, around, mode="symmetric")
    return np.pad(picture, around, constant_values=ignored)
