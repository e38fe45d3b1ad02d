"""Flips and quarter turns: label with image, eight symmetries, equally often."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from fre_hpo.training.augment import augment

BOTH = ("flips", "quarter-turns")


def numbered(height: int, width: int, count: int) -> tuple[Tensor, Tensor]:
    """Pictures whose every pixel has a number of its own, and labels with the same numbers."""
    labels = torch.arange(height * width).reshape(1, height, width).repeat(count, 1, 1)
    return torch.stack([labels.float(), -labels.float()], dim=1), labels


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def variants(labels: Tensor) -> Counter[tuple[int, ...]]:
    return Counter(tuple(picture.flatten().tolist()) for picture in labels)


@pytest.mark.parametrize("shape", [(3, 3), (4, 6)])
@pytest.mark.parametrize("kinds", [(), ("flips",), ("quarter-turns",), BOTH])
def test_labels_turn_with_their_image(kinds: tuple[str, ...], shape: tuple[int, int]) -> None:
    images, labels = augment(*numbered(*shape, count=50), kinds, generator())
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
    kinds: tuple[str, ...], shape: tuple[int, int], symmetries: int
) -> None:
    count = 4000
    _, labels = augment(*numbered(*shape, count), kinds, generator())
    found = variants(labels)
    assert len(found) == symmetries
    expected = count / symmetries
    assert all(abs(n - expected) <= 5 * expected**0.5 for n in found.values())


def test_the_eight_are_the_squares_symmetries() -> None:
    _, labels = augment(*numbered(3, 3, 500), BOTH, generator())
    _, (plain,) = numbered(3, 3, 1)
    turned = [plain.rot90(k) for k in range(4)]
    expected = [tuple(x.flatten().tolist()) for t in turned for x in (t, t.flip(0))]
    assert set(variants(labels)) == set(expected)


def test_a_picture_that_is_not_square_keeps_its_shape() -> None:
    images, labels = augment(*numbered(2, 4, 8), BOTH, generator())
    assert images.shape == (8, 2, 2, 4)
    assert labels.shape == (8, 2, 4)


def test_the_generator_decides_and_the_input_stays() -> None:
    images, labels = numbered(3, 3, 20)
    first = augment(images, labels, BOTH, generator(1))[1]
    assert torch.equal(augment(images, labels, BOTH, generator(1))[1], first)
    assert not torch.equal(augment(images, labels, BOTH, generator(2))[1], first)
    assert torch.equal(labels, numbered(3, 3, 20)[1])
