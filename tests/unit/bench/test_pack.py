"""What the packing probe advises, and that the array form computes what separate networks do."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from fre_hpo.bench.measures import FASTER, SAME, Ratio
from fre_hpo.bench.pack import ALONE, advice


def ratio(count: int, median: float, low: float) -> Ratio:
    verdict = FASTER if low > 1 else SAME
    return Ratio(ALONE, f"{count} at once", median, low, median + 0.1, verdict)


def test_one_at_a_time_unless_more_is_shown_to_pay() -> None:
    assert "--parallel 1;" in advice([ratio(2, 1.1, 0.9), ratio(3, 1.2, 0.99)], "cpu")


@pytest.mark.parametrize(
    ("kind", "flags"), [("cpu", "--parallel 3"), ("cuda", "--gpus-per-trial 0.333")]
)
def test_the_best_number_is_given_as_flags(kind: str, flags: str) -> None:
    said = advice([ratio(2, 1.2, 1.1), ratio(3, 1.4, 1.2), ratio(4, 1.5, 0.9)], kind)
    assert said.endswith(flags)
    assert "3 at once, 1.40 times" in said


def test_no_more_at_once_than_pay() -> None:
    assert "--parallel 2" in advice([ratio(2, 1.76, 1.65), ratio(3, 1.77, 1.64)], "cpu")


def test_a_grouped_convolution_is_separate_ones_side_by_side() -> None:
    images, weights = torch.rand(2, 2, 3, 8, 8), torch.rand(2, 4, 3, 3, 3)
    separate = [F.conv2d(i, w, padding=1) for i, w in zip(images, weights, strict=True)]
    grouped = F.conv2d(
        images.transpose(0, 1).flatten(1, 2), weights.flatten(0, 1), padding=1, groups=2
    )
    torch.testing.assert_close(grouped, torch.cat(separate, dim=1))
