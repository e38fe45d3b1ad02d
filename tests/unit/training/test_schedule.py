"""The learning rate of every epoch, and the seeds of every purpose."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.training.schedule import Schedule
from fre_hpo.training.seeding import Purpose, derive
from trials import prepared, result, small_spec

PLAIN = Schedule(
    epochs=10,
    batch_size=4,
    learning_rate=0.1,
    warmup_epochs=0,
    lr_decay="none",
    gradient_clip=0.0,
    class_weights="none",
    augment=(),
    eval_bn="running",
)


def rates(schedule: Schedule) -> list[float]:
    return [schedule.rate(epoch) for epoch in range(1, schedule.epochs + 1)]


def test_without_warm_up_and_decay_the_rate_is_constant() -> None:
    assert rates(PLAIN) == [0.1] * 10


def test_warm_up_rises_in_equal_steps_to_the_full_rate() -> None:
    assert rates(replace(PLAIN, warmup_epochs=4)) == pytest.approx(
        [0.02, 0.04, 0.06, 0.08, *[0.1] * 6]
    )


def test_cosine_falls_from_the_full_rate_towards_zero() -> None:
    found = rates(replace(PLAIN, lr_decay="cosine"))
    assert found == pytest.approx([0.05 * (1 + math.cos(math.pi * i / 10)) for i in range(10)])
    assert found[0] == 0.1
    assert 0 < found[-1] < 0.01


def test_cosine_begins_behind_the_warm_up() -> None:
    found = rates(replace(PLAIN, lr_decay="cosine", warmup_epochs=2))
    assert found[:3] == pytest.approx([0.1 / 3, 0.2 / 3, 0.1])
    assert found[6] == pytest.approx(0.05)
    assert sorted(found[2:], reverse=True) == found[2:]


@given(
    st.integers(1, 50),
    st.integers(0, 60),
    st.sampled_from(["none", "cosine"]),
)
def test_no_epoch_has_a_rate_of_zero_or_above_the_full_one(
    epochs: int, warmup: int, decay: str
) -> None:
    schedule = replace(PLAIN, epochs=epochs, warmup_epochs=warmup, lr_decay=decay)  # type: ignore[arg-type]
    assert all(0 < rate <= 0.1 for rate in rates(schedule))


def test_the_optimiser_is_given_the_rate_of_the_epoch() -> None:
    spec = small_spec(settings={"training.warmup_epochs": 1, "training.lr_decay": "cosine"})
    training = prepared(spec)
    used = []
    for row in training.run():
        (group,) = training.optimizer.param_groups
        used.append(group["lr"])
        assert row.learning_rate == group["lr"]
    assert used == pytest.approx([0.005, 0.01, 0.005])


def test_a_gradient_is_cut_to_its_largest_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = small_spec(settings={"training.gradient_clip": 0.01, "training.epochs": 1})
    training = prepared(spec)
    norms = []
    step = training.optimizer.step

    def watched() -> None:
        gradients = [p.grad.flatten() for p in training.network.parameters() if p.grad is not None]
        norms.append(torch.cat(gradients).norm().item())
        step()

    monkeypatch.setattr(training.optimizer, "step", watched)
    list(training.run())
    assert norms == pytest.approx([0.01] * 3, rel=1e-3)


# --- seeds --------------------------------------------------------------------------------------


def test_paths_have_seeds_of_their_own() -> None:
    """Also paths that differ by a zero at their end, which NumPy would pad to the same words."""
    paths = [(), *((a,) for a in range(40)), *((a, b) for a in range(40) for b in range(40))]
    seeds = {derive(seed, *path) for seed in (0, 1, 2**32 - 1) for path in paths}
    assert len(seeds) == 3 * len(paths)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 10**6), max_size=3))
def test_a_seed_is_a_pure_function_that_torch_takes(seed: int, path: list[int]) -> None:
    derived = derive(seed, *path)
    assert derived == derive(seed, *path)
    assert 0 <= derived < 2**63
    torch.Generator().manual_seed(derived)


def test_the_streams_of_stored_results_stay() -> None:
    """A change of these numbers gives every study that is under way another continuation."""
    assert list(Purpose) == [0, 1, 2, 3]
    assert derive(0, Purpose.INITIALISATION) == 8069282889424829228
    assert derive(7, Purpose.DATA, 3) == 8679082755998392556


def test_two_seeds_give_two_curves() -> None:
    first, second = (result(small_spec(settings={"seed": seed})) for seed in (0, 1))
    assert first.curve[0].loss != second.curve[0].loss
