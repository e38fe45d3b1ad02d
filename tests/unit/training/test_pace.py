"""How fast a training runs and what it takes, measured on itself."""

from __future__ import annotations

import time

import pytest
import torch

from fre_hpo.training import pace
from fre_hpo.training.pace import Pace, Pacer, memory
from trials import prepared, small_spec

ENDLESS = small_spec(settings={"training.epochs": 10**6})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "WARM_SECONDS", 0.05)


def test_it_trains_for_as_long_as_it_is_told() -> None:
    training = prepared(ENDLESS)
    pacer = Pacer(training, threads=1)
    pacer.warm_up()
    warm = training.epoch
    assert warm >= 1
    started = time.perf_counter()
    found = pacer.train(0.3)
    assert 0.3 <= found.seconds <= time.perf_counter() - started
    assert found.epochs == training.epoch - warm


def test_an_epoch_at_least() -> None:
    assert Pacer(prepared(ENDLESS), threads=1).train(0).epochs == 1


def test_the_rate() -> None:
    assert Pace(epochs=6, seconds=4.0).rate == 1.5


def test_memory_on_the_cpu_is_what_is_resident() -> None:
    held = torch.ones(1 << 22)
    found = memory(torch.device("cpu"))
    assert held.nbytes < found.taken < found.total
    assert 0 < found.free < found.total


@pytest.mark.gpu
def test_memory_on_a_gpu_is_what_torch_reserved() -> None:
    device = torch.device("cuda")
    held = torch.ones(1 << 24, device=device)
    found = memory(device)
    assert held.nbytes <= found.taken < found.total
    assert found.free < found.total - held.nbytes
