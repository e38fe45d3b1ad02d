"""Flips and quarter turns: label with image, eight symmetries, equally often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import pytest
import torch
from torch import Tensor

from fre_hpo.training.arrays import DeviceSplit
from fre_hpo.training.augment import AugmentedSplit

BOTH = ("flips", "quarter-turns")


def numbered(height: int, width: int, count: int) -> tuple[Tensor, Tensor]:
    """Pictures whose every pixel has a number of its own, and labels with the same numbers."""
    labels = torch.arange(height * width).reshape(1, height, width).repeat(count, 1, 1)
    return torch.stack([labels.float(), -labels.float()], dim=1), labels


Kinds = Collection[str]


@pytest.fixture(params=["laid ready", "turned when drawn"])
def table_bytes(request: pytest.FixtureRequest) -> int:
    """Both ways give the same."""
    return 0 if request.param == "turned when drawn" else 2**30


def augment(
    images: Tensor, labels: Tensor, kinds: Kinds, generator: torch.Generator, table_bytes: int
) -> tuple[Tensor, Tensor]:
    """All pictures of a split, in one batch."""
    split = DeviceSplit(images, labels, torch.zeros(len(labels)), ("one",))
    ((images, labels),) = AugmentedSplit(split, kinds, table_bytes=table_bytes).shuffled(
        len(split), generator
    )
    return images, labels


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def variants(labels: Tensor) -> Counter[tuple[int, ...]]:
    return Counter(tuple(picture.flatten().tolist()) for picture in labels)


@pytest.mark.parametrize("shape", [(3, 3), (4, 6)])
@pytest.mark.parametrize("kinds", [(), ("flips",), ("quarter-turns",), BOTH])
def test_labels_turn_with_their_image(
    kinds: tuple[str, ...], shape: tuple[int, int], table_bytes: int
) -> None:
    images, labels = augment(*numbered(*shape, count=50), kinds, generator(), table_bytes)
    assert torch.equal(images[:, 0], labels.float())
    assert torch.equal(images[:, 1], -labels.float())
    assert labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("kinds", "shape", "symmetries"),
    [
        ((), (3, 3), 1),
        (("flips",), (3, 3), 4),
        (("quarter-turns",), (3, 3), 2),
        (BOTH, (3, 3), 8),
        (BOTH, (2, 4), 4),
    ],
)
def test_every_symmetry_occurs_equally_often(
    kinds: tuple[str, ...], shape: tuple[int, int], symmetries: int, table_bytes: int
) -> None:
    count = 4000
    _, labels = augment(*numbered(*shape, count), kinds, generator(), table_bytes)
    found = variants(labels)
    assert len(found) == symmetries
    expected = count / symmetries
    assert all(abs(n - expected) <= 5 * expected**0.5 for n in found.values())


def test_the_eight_are_the_squares_symmetries(table_bytes: int) -> None:
    _, labels = augment(*numbered(3, 3, 500), BOTH, generator(), table_bytes)
    _, (plain,) = numbered(3, 3, 1)
    turned = [plain.rot90(k) for k in range(4)]
    expected = [tuple(x.flatten().tolist()) for t in turned for x in (t, t.flip(0))]
    assert set(variants(labels)) == set(expected)


def test_a_picture_that_is_not_square_keeps_its_shape(table_bytes: int) -> None:
    images, labels = augment(*numbered(2, 4, 8), BOTH, generator(), table_bytes)
    assert images.shape == (8, 2, 2, 4)
    assert labels.shape == (8, 2, 4)


def test_the_generator_decides_and_the_input_stays(table_bytes: int) -> None:
    images, labels = numbered(3, 3, 20)
    first = augment(images, labels, BOTH, generator(1), table_bytes)[1]
    assert torch.equal(augment(images, labels, BOTH, generator(1), table_bytes)[1], first)
    assert not torch.equal(augment(images, labels, BOTH, generator(2), table_bytes)[1], first)
    assert torch.equal(labels, numbered(3, 3, 20)[1])


def test_it_is_the_same_laid_ready_and_turned_when_drawn() -> None:
    images, labels = numbered(3, 3, 40)
    images *= torch.arange(1, 41)[:, None, None, None]
    split = DeviceSplit(images, labels, torch.zeros(40), ("one",))
    ways = [AugmentedSplit(split, BOTH, table_bytes=size) for size in (0, 2**30)]
    for one, other in zip(*(way.shuffled(7, generator()) for way in ways), strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_only_a_small_split_is_laid_ready() -> None:
    images, labels = numbered(4, 4, 10)
    split = DeviceSplit(images, labels, torch.zeros(10), ("one",))
    needed = 8 * (images.nbytes + labels.nbytes)
    assert AugmentedSplit(split, BOTH, table_bytes=needed)._laid_ready
    assert not AugmentedSplit(split, BOTH, table_bytes=needed - 1)._laid_ready
