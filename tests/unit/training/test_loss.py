"""The loss and its class weights."""

import pytest
import torch

from fre_hpo.data.dataset import IGNORED
from fre_hpo.training.loss import class_weights, cross_entropy


def test_plain_cross_entropy_has_no_weights() -> None:
    assert class_weights("none", torch.zeros(1, 2, 2, dtype=torch.int64), 3) is None


def test_weights_are_inverse_square_roots_with_mean_one_over_the_pixels() -> None:
    labels = torch.tensor([0] * 81 + [1] * 9 + [2] * 9 + [IGNORED] * 5).view(1, 1, -1)
    weights = class_weights("sqrt", labels, 3)
    assert weights is not None
    assert weights[1] / weights[0] == pytest.approx(3)
    counted = weights * torch.tensor([81, 9, 9])
    assert counted.sum().item() == pytest.approx(99)


def test_a_class_without_pixels_has_a_finite_weight() -> None:
    weights = class_weights("sqrt", torch.zeros(1, 4, 4, dtype=torch.int64), 2)
    assert weights is not None
    assert weights.isfinite().all()


def test_ignored_pixels_are_in_no_loss() -> None:
    logits = torch.randn(1, 2, 1, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[[0, 1, IGNORED]]])
    shorter = cross_entropy(logits[..., :2], labels[..., :2], None)
    assert cross_entropy(logits, labels, None) == pytest.approx(shorter.item())
