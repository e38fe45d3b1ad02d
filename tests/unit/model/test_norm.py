"""Batch renormalisation against its formulas (Ioffe 2017), in NumPy and double precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from fre_hpo.model.norm import BatchRenorm, Norm, make_norm

CHANNELS = 3
Floats = NDArray[np.float64]


@dataclass
class Reference:
    """One layer's weights and running statistics; ``train`` is a step forward and back."""

    weight: Floats
    bias: Floats
    mean: Floats
    var: Floats
    steps: int
    eps: float = 1e-5
    momentum: float = 0.1

    def train(self, x: Floats, gradient: Floats) -> dict[str, Floats]:
        axes, count = (0, 2, 3), x.size // x.shape[1]
        mean, var = x.mean(axis=axes), x.var(axis=axes)
        std, running = np.sqrt(var + self.eps), np.sqrt(self.var + self.eps)
        share = min(self.steps / 1000, 1.0)
        r_max, d_max = 1 + 2 * share, 5 * share
        r = np.minimum(np.maximum(std / running, 1 / r_max), r_max)
        d = np.minimum(np.maximum((mean - self.mean) / running, -d_max), d_max)
        normal = (x - wide(mean)) / wide(std)
        corrected = normal * wide(r) + wide(d)
        self.mean = self.mean + self.momentum * (mean - self.mean)
        self.var = self.var + self.momentum * (var * count / (count - 1) - self.var)
        self.steps += 1
        centred = gradient - wide(gradient.mean(axis=axes))
        along = normal * wide((gradient * normal).mean(axis=axes))
        return {
            "output": corrected * wide(self.weight) + wide(self.bias),
            "x": wide(self.weight * r / std) * (centred - along),
            "weight": (gradient * corrected).sum(axis=axes),
            "bias": gradient.sum(axis=axes),
            "r": r,
            "d": d,
        }


def wide(per_channel: Floats) -> Floats:
    return per_channel[None, :, None, None]


def a_layer(rng: np.random.Generator, steps: int) -> tuple[BatchRenorm, Reference]:
    layer = BatchRenorm(CHANNELS).double()
    values = {
        "weight": rng.uniform(0.5, 2, CHANNELS),
        "bias": rng.normal(size=CHANNELS),
        "running_mean": rng.normal(size=CHANNELS),
        "running_var": rng.uniform(0.5, 2, CHANNELS),
    }
    state = {name: torch.from_numpy(value) for name, value in values.items()}
    layer.load_state_dict({**state, "steps": torch.tensor(steps)})
    return layer, Reference(*(value.copy() for value in values.values()), steps)


# The spread of the batches decides whether the bounds are reached.
@pytest.mark.parametrize("spread", [0.05, 1.0, 30.0])
@pytest.mark.parametrize("steps", [0, 1, 400, 999, 5000])
def test_training_follows_the_formulas(steps: int, spread: float) -> None:
    rng = np.random.default_rng(steps)
    layer, reference = a_layer(rng, steps)
    for _ in range(4):
        x = rng.normal(rng.normal(0, spread, (1, CHANNELS, 1, 1)), spread, (2, CHANNELS, 5, 4))
        gradient = rng.normal(size=x.shape)
        inputs = torch.from_numpy(x).requires_grad_()
        layer.zero_grad()
        output = layer(inputs)
        output.backward(torch.from_numpy(gradient))
        expected = reference.train(x, gradient)
        found = {
            "output": output.detach(),
            "x": inputs.grad,
            "weight": layer.weight.grad,
            "bias": layer.bias.grad,
        }
        for name, tensor in found.items():
            assert tensor is not None
            np.testing.assert_allclose(tensor, expected[name], rtol=1e-5, atol=1e-7, err_msg=name)
        np.testing.assert_allclose(layer.running_mean, reference.mean, rtol=1e-12)
        np.testing.assert_allclose(layer.running_var, reference.var, rtol=1e-12)
        assert layer.steps == reference.steps


def test_the_bounds_are_reached_on_both_sides() -> None:
    """What the test above would show nothing about if its batches stayed within them."""
    seen: dict[str, set[float]] = {"r": set(), "d": set()}
    for spread in (0.05, 30.0):
        rng = np.random.default_rng(7)
        _, reference = a_layer(rng, 5000)
        x = rng.normal(rng.normal(0, spread, (1, CHANNELS, 1, 1)), spread, (2, CHANNELS, 5, 4))
        answer = reference.train(x, np.ones_like(x))
        for name, values in seen.items():
            values |= set(answer[name].round(6).tolist())
    assert {round(1 / 3, 6), 3.0} <= seen["r"]
    assert {-5.0, 5.0} & seen["d"]


def test_the_first_step_is_batch_normalisation() -> None:
    torch.manual_seed(0)
    x, gradient = 3 + 2 * torch.randn(4, CHANNELS, 6, 6), torch.randn(4, CHANNELS, 6, 6)
    layers: list[nn.Module] = [BatchRenorm(CHANNELS), nn.BatchNorm2d(CHANNELS)]
    outputs, gradients = [], []
    for layer in layers:
        inputs = x.clone().requires_grad_()
        output = layer(inputs)
        output.backward(gradient)
        outputs.append(output.detach())
        gradients.append(inputs.grad)
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*gradients)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(*(layer.get_buffer(name) for layer in layers))


def test_evaluation_uses_the_running_statistics_and_leaves_them() -> None:
    rng = np.random.default_rng(1)
    layer, reference = a_layer(rng, 10)
    layer.eval()
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    x = rng.normal(5, 3, (2, CHANNELS, 4, 4))
    normal = (x - wide(reference.mean)) / np.sqrt(wide(reference.var) + 1e-5)
    expected = normal * wide(reference.weight) + wide(reference.bias)
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach(), expected, rtol=1e-12)
    for name, tensor in layer.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize(
    ("norm", "kind"),
    [("batch", nn.BatchNorm2d), ("batch_renorm", BatchRenorm), ("group", nn.GroupNorm)],
)
def test_normalisation_by_name(norm: Norm, kind: type[nn.Module]) -> None:
    assert type(make_norm(norm, 16)) is kind


@pytest.mark.parametrize(("channels", "groups"), [(4, 4), (8, 8), (64, 8)])
def test_group_normalisation_has_eight_groups_or_one_per_map(channels: int, groups: int) -> None:
    layer = make_norm("group", channels)
    assert isinstance(layer, nn.GroupNorm)
    assert layer.num_groups == groups
