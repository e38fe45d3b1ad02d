"""Probabilities of images of any size, against the network given the same pixels at once."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fre_hpo.inference import predict
from fre_hpo.inference.network import TrainedNetwork
from fre_hpo.inference.predict import (
    page_labels,
    probabilities,
    receptive_radius,
    tile_of,
)
from fre_hpo.inference.tiles import plan
from networks import local_network, trained_network


def noise(height: int, width: int) -> NDArray[np.float32]:
    rng = np.random.default_rng([height, width])
    return rng.random((1, height, width), dtype=np.float32)


def whole(network: TrainedNetwork, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The network's own answer to an image whose sides its stride divides."""
    shares: NDArray[np.float32] = (
        network.logits(torch.from_numpy(image[None])).softmax(1)[0].numpy()
    )
    return shares


def joined(
    network: TrainedNetwork, image: NDArray[np.float32], tile: tuple[int, int] | None = None
) -> NDArray[np.float32]:
    bands: NDArray[np.float32] = torch.cat(list(probabilities(network, image, tile)), 1).numpy()
    return bands


def test_a_picture_of_the_trainings_size_gives_what_validation_gave() -> None:
    network, image = trained_network(), noise(32, 32)
    assert (joined(network, image) == whole(network, image)).all()


def test_a_small_image_is_mirrored_to_the_stride_and_cut_off_again() -> None:
    network, image = trained_network(), noise(21, 30)
    padded = np.pad(image, ((0, 0), (0, 3), (0, 2)), mode="symmetric")
    assert (joined(network, image) == whole(network, padded)[:, :21, :30]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([None, (16, 16), (20, 48)]))
def test_any_size_is_covered_by_shares(
    height: int, width: int, tile: tuple[int, int] | None
) -> None:
    found = joined(trained_network(), noise(height, width), tile)
    assert found.shape == (3, height, width)
    assert np.abs(found.sum(axis=0) - 1).max() < 1e-5
    assert found.min() >= 0


def test_tiles_give_what_the_whole_gives_where_the_network_is_local() -> None:
    """But for a rim, where the whole has no mirror image around it."""
    network = local_network()
    reach = receptive_radius(network.module)
    image = noise(300, 420)
    tiled, at_once = joined(network, image, (208, 208)), whole(network, image)
    inner = (slice(None), slice(reach, -reach), slice(reach, -reach))
    assert 3 * (reach + 4) <= 208 // 2
    assert len(plan(300, 208, 4, reach).starts) > 1
    np.testing.assert_allclose(tiled[inner], at_once[inner], atol=1e-6)
    assert np.abs(tiled - at_once).max() > 1e-4


@pytest.mark.parametrize("upsample", ["transposed", "bilinear"])
def test_nothing_reaches_farther_than_the_radius(upsample: str) -> None:
    network = local_network({"model.upsample": upsample})
    radius = receptive_radius(network.module)
    side = 4 * (2 * radius // 4 + 2)
    reached = 0
    for y, x in product(range(side // 2, side // 2 + 4), repeat=2):
        image = torch.rand(1, 1, side, side, requires_grad=True)
        network.module(image)[0, :, y, x].sum().backward()
        assert image.grad is not None
        rows, columns = np.nonzero(image.grad[0, 0].numpy())
        reached = max(reached, *(int(abs(a - b).max()) for a, b in ((rows, y), (columns, x))))
    assert radius // 2 < reached <= radius


def test_away_from_the_seams_each_tile_speaks_for_itself() -> None:
    network, image = trained_network(), noise(150, 130)
    found, reach = joined(network, image), receptive_radius(network.module)
    rows, columns = plan(150, 32, 4, reach), plan(130, 32, 4, reach)
    compared = 0
    for row, column in product(range(len(rows.starts)), range(len(columns.starts))):
        tile = image[:, rows.pixels(row)[:, None], columns.pixels(column)]
        own = whole(network, np.ascontiguousarray(tile))
        alone = np.outer(rows.weights[row] == 1, columns.weights[column] == 1)
        (down, y), (across, x) = rows.inside(row), columns.inside(column)
        here = alone[down, across]
        np.testing.assert_allclose(
            found[:, y, x][:, here], own[:, down, across][:, here], atol=1e-6
        )
        compared += int(here.sum())
    assert compared > 1000


def test_how_many_tiles_are_computed_at_once_does_not_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, image = trained_network(), noise(70, 90)
    many = joined(network, image)
    assert (joined(network, image) == many).all()
    monkeypatch.setattr(predict, "PIXELS_AT_ONCE", 1)
    np.testing.assert_allclose(joined(network, image), many, atol=1e-6)


def test_one_row_of_tiles_is_in_memory_at_a_time() -> None:
    image = noise(1000, 40)
    bands = list(probabilities(trained_network(), image))
    assert sum(band.shape[1] for band in bands) == 1000
    assert max(band.shape[1] for band in bands) <= 32


@pytest.mark.parametrize("shape", [(64, 64), (65, 63), (1, 1), (97, 150)])
def test_a_shrunk_image_is_enlarged_as_if_at_once(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bands' borders must not show: the same as enlarging all of it."""
    network = trained_network()
    page = np.random.default_rng(0).integers(0, 256, (1, *shape), dtype=np.uint8)
    reading = network.card.reading
    monkeypatch.setattr(
        type(network.card), "reading", type(reading)(normalise="full-scale", factor=3)
    )
    small = torch.cat(list(probabilities(network, predict.prepare(page, network.card))), dim=1)
    large = torch.nn.functional.interpolate(
        small[None], scale_factor=3.0, mode="bilinear", align_corners=False
    )[0, :, : shape[0], : shape[1]]
    labels = page_labels(network, page)
    assert labels.shape == shape
    assert (labels == large.argmax(0).numpy()).mean() > 0.999
    assert tile_of(100, network) == (36, 36)


@pytest.mark.gpu
def test_a_gpu_repeats_its_bits_and_agrees_with_the_cpu() -> None:
    from fre_hpo.inference.network import from_bytes
    from trials import result, small_spec

    data, image = result(small_spec("fre")).network, noise(150, 130)
    network = from_bytes(data, "best.pt", "cuda").repeatable()
    first, again = (torch.cat(list(probabilities(network, image)), 1).cpu() for _ in range(2))
    torch.use_deterministic_algorithms(False)
    assert torch.equal(first, again)
    np.testing.assert_allclose(first.numpy(), joined(trained_network(), image), atol=1e-2)
