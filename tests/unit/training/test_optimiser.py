"""Our Adam is torch's to the last bit, and does not load torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import torch

from fre_hpo.training.optimiser import Adam

PROGRAM = """
import sys
import torch
from fre_hpo.training.optimiser import Adam
weights = torch.nn.Linear(3, 2)
adam = Adam(weights.parameters(), lr=0.1)
adam.zero_grad()
weights(torch.ones(1, 3)).sum().backward()
adam.step()
adam.load_state_dict(adam.state_dict())
assert "torch._dynamo" not in sys.modules
"""


def trained(kind: type[torch.optim.Adam]) -> list[torch.Tensor]:
    """Weights after ten steps, with the state saved and loaded in between."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Linear(7, 2))
    optimiser = kind(network.parameters(), lr=0.01)
    for step in range(10):
        optimiser.zero_grad()
        network(torch.randn(4, 5)).square().sum().backward()
        optimiser.step()
        if step == 5:
            again = kind(network.parameters(), lr=0.3)
            again.load_state_dict(optimiser.state_dict())
            optimiser = again
    return [*network.parameters()]


def test_it_computes_what_torchs_does() -> None:
    ours, theirs = trained(Adam), trained(torch.optim.Adam)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_steps_are_not_part_of_the_gradient() -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    adam = Adam([weight])
    (weight * 2).sum().backward()
    adam.step()
    assert weight.grad_fn is None
    assert torch.is_grad_enabled()


def test_the_compiler_stays_unloaded() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
