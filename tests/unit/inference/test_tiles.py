"""Tiles cover every pixel, their weights add up to one, and what sticks out is the mirror image."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.inference.tiles import Axis, plan

STRIDES = st.sampled_from([1, 2, 4, 8])


@st.composite
def axes(draw: st.DrawFn) -> tuple[Axis, int, int]:
    """An axis with its stride and reach; sides from 1 pixel on, tiles from one stride on."""
    stride = draw(STRIDES)
    tile = stride * draw(st.integers(1, 24))
    reach = draw(st.integers(0, 80))
    return plan(draw(st.integers(1, 700)), tile, stride, reach), stride, reach


@given(axes())
def test_weights_add_up_to_one_at_every_pixel(planned: tuple[Axis, int, int]) -> None:
    axis, _, _ = planned
    total = np.zeros(axis.length)
    for number in range(len(axis.starts)):
        in_tile, in_image = axis.inside(number)
        total[in_image] += axis.weights[number][in_tile]
    assert np.abs(total - 1).max() < 1e-6


@given(axes())
def test_tiles_begin_where_the_networks_poolings_do(planned: tuple[Axis, int, int]) -> None:
    axis, stride, _ = planned
    assert all(start % stride == 0 for start in (*axis.starts, axis.tile))
    assert list(axis.starts) == sorted(set(axis.starts))


@given(axes())
def test_a_tile_holds_the_image_and_its_mirror_image(planned: tuple[Axis, int, int]) -> None:
    axis, _, _ = planned
    image = np.arange(axis.length)
    around = axis.tile
    padded = np.pad(image, around, mode="symmetric")
    for number, start in enumerate(axis.starts):
        found = image[axis.pixels(number)]
        assert (found == padded[around + start :][: axis.tile]).all()


@given(axes())
def test_neighbours_overlap_by_as_much_as_half_a_tile_allows(
    planned: tuple[Axis, int, int],
) -> None:
    axis, stride, reach = planned
    overlaps = [a + axis.tile - b for a, b in zip(axis.starts, axis.starts[1:], strict=False)]
    wanted = min(3 * reach, axis.tile // 2) // stride * stride
    assert all(overlap >= wanted for overlap in overlaps)


@given(axes())
def test_what_counts_of_a_tile_sees_all_that_it_could(planned: tuple[Axis, int, int]) -> None:
    """Where tiles are large against the reach, a pixel with any weight lies as deep inside as that."""
    axis, stride, reach = planned
    if len(axis.starts) == 1 or axis.tile // 2 < 3 * (reach + stride):
        return
    counted = np.flatnonzero(axis.weights[0])
    assert counted[0] >= reach
    assert counted[-1] < axis.tile - reach


def test_a_side_that_fits_is_one_tile_as_small_as_possible() -> None:
    axis = plan(33, 256, 8, 65)
    assert (axis.tile, axis.starts) == (40, (0,))
    assert (axis.weights == 1).all()


def test_weights_change_smoothly_and_the_middle_is_one_tiles_own() -> None:
    axis = plan(1024, 256, 8, 65)
    for number, weights in enumerate(axis.weights):
        in_tile, _ = axis.inside(number)
        assert np.abs(np.diff(weights[in_tile])).max() < 0.05
    assert (axis.weights[2] == 1).any()
