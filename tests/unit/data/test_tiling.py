from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fre_hpo.data.assembly import tiling

SIDES = st.integers(1, 40)
SHAPES = st.tuples(SIDES, SIDES)


def numbered(shape: tuple[int, int]) -> np.ndarray:
    """Every pixel has a number of its own, from 1 on."""
    return np.arange(1, shape[0] * shape[1] + 1, dtype=np.int32).reshape(shape)


@settings(deadline=None)
@given(picture=SHAPES, tile=SHAPES)
def test_every_pixel_lands_in_exactly_one_tile(
    picture: tuple[int, int], tile: tuple[int, int]
) -> None:
    pixels = numbered(picture)
    tiles = np.full((tiling.count(picture, tile), *tile), -1, dtype=np.int32)
    tiling.cut(pixels, tiles, ignored=0)
    assert sorted(tiles[tiles > 0].tolist()) == pixels.ravel().tolist()
    assert (tiles >= 0).all()


@settings(deadline=None)
@given(picture=SHAPES, tile=SHAPES, channels=st.integers(1, 3))
def test_tiles_put_together_are_the_picture(
    picture: tuple[int, int], tile: tuple[int, int], channels: int
) -> None:
    pixels = np.stack([numbered(picture) + 10_000 * channel for channel in range(channels)])
    tiles = np.zeros((tiling.count(picture, tile), channels, *tile), dtype=np.int32)
    tiling.cut(pixels, tiles)
    whole = np.zeros((channels, picture[0] + tile[0], picture[1] + tile[1]), dtype=np.int32)
    for corner, piece in zip(tiling.corners(picture, tile), tiles, strict=True):
        whole[:, corner[0] : corner[0] + tile[0], corner[1] : corner[1] + tile[1]] = piece
    np.testing.assert_array_equal(whole[:, : picture[0], : picture[1]], pixels)


@settings(deadline=None)
@given(picture=SHAPES, tile=SHAPES)
def test_tiles_touch_and_do_not_overlap(picture: tuple[int, int], tile: tuple[int, int]) -> None:
    corners = list(tiling.corners(picture, tile))
    assert len(corners) == tiling.count(picture, tile) == len(set(corners))
    for top, left in corners:
        assert top % tile[0] == left % tile[1] == 0
        assert top < picture[0]
        assert left < picture[1]


@settings(deadline=None)
@given(picture=SHAPES, more=st.tuples(st.integers(0, 90), st.integers(0, 90)))
def test_what_is_added_is_the_mirror_image(picture: tuple[int, int], more: tuple[int, int]) -> None:
    pixels = numbered(picture)
    wanted = picture[0] + more[0], picture[1] + more[1]
    padded = tiling.pad(pixels, wanted)
    assert padded.shape == wanted

    def mirrored(place: int, side: int) -> int:
        place %= 2 * side
        return min(place, 2 * side - 1 - place)

    rows = [mirrored(row, picture[0]) for row in range(wanted[0])]
    columns = [mirrored(column, picture[1]) for column in range(wanted[1])]
    np.testing.assert_array_equal(padded, pixels[np.ix_(rows, columns)])


def test_labels_are_ignored_beyond_the_edge() -> None:
    labels = np.ones((5, 7), dtype=np.uint8)
    padded = tiling.pad(labels, (8, 8), 255)
    assert (padded[:5, :7] == 1).all()
    assert (padded == 255).sum() == 64 - 35


def test_what_fits_is_not_copied() -> None:
    pixels = numbered((8, 8))
    assert tiling.pad(pixels, (8, 8)) is pixels


@pytest.mark.parametrize(
    ("picture", "tile", "count"),
    [((700, 1100), (64, 64), 11 * 18), ((256, 256), (256, 256), 1), ((96, 130), (64, 64), 6)],
)
def test_counts(picture: tuple[int, int], tile: tuple[int, int], count: int) -> None:
    assert tiling.count(picture, tile) == count
