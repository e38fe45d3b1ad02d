"""Feature Random Enhancement, random and fixed: which maps are multiplied, by what, and when."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fre_hpo.methods.gain import MapGain, draw_maps
from fre_hpo.training.loop import Training
from trials import curve, prepared, result, small_spec

MAPS = 16


@given(st.integers(1, 600), st.integers(0, 2**32 - 1), st.integers(0, 10**6), st.data())
def test_a_draw_is_so_many_different_maps(
    maps: int, seed: int, epoch: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, maps))
    drawn = draw_maps(maps, count, seed, epoch)
    assert len(set(drawn)) == len(drawn) == count
    assert set(drawn) <= set(range(maps))
    assert drawn == draw_maps(maps, count, seed, epoch)


def test_every_map_is_drawn_equally_often() -> None:
    epochs, count = 4000, 4
    times = Counter(index for e in range(1, epochs + 1) for index in draw_maps(MAPS, count, 3, e))
    expected = epochs * count / MAPS
    assert set(times) == set(range(MAPS))
    assert all(
        abs(n - expected) < 5 * (expected * (1 - count / MAPS)) ** 0.5 for n in times.values()
    )


def test_draws_of_seeds_and_epochs_are_unrelated() -> None:
    draws = {tuple(draw_maps(512, 10, seed, epoch)) for seed in range(20) for epoch in range(20)}
    assert len(draws) == 400


def test_a_gain_acts_on_the_chosen_maps_of_all_images_in_training_only() -> None:
    gain = MapGain(MAPS)
    features = torch.randn(3, MAPS, 5, 5)
    assert torch.equal(gain(features), features)
    gain.enhance([2, 7], 100.0)
    gain.enhance([0, 7], 30.0)
    expected = features.clone()
    expected[:, [0, 7]] *= 30.0
    assert torch.equal(gain(features), expected)
    assert gain.eval()(features) is features


def test_a_gain_is_written_in_place_and_no_part_of_the_state() -> None:
    gain = MapGain(MAPS)
    place = gain.gain.data_ptr()
    gain.enhance([1], 5.0)
    assert gain.gain.data_ptr() == place
    assert gain.state_dict() == {}


class Seen:
    """What went into the bottleneck and what came out, while training and while evaluating."""

    def __init__(self, training: Training) -> None:
        self.training: list[tuple[Tensor, Tensor]] = []
        self.evaluating: list[tuple[Tensor, Tensor]] = []
        training.network.bottleneck.register_forward_hook(self._keep)

    def _keep(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kept = self.training if layer.training else self.evaluating
        kept.append((inputs[0].detach().clone(), output.detach().clone()))


def enhanced(plain: Tensor, output: Tensor, factor: float) -> set[int]:
    """The maps that are multiplied; every other one, in every image, is the plain one."""
    chosen = {i for i in range(MAPS) if not torch.equal(plain[:, i], output[:, i])}
    for i in chosen:
        assert torch.equal(output[:, i], plain[:, i] * factor)
    return chosen


def trained(method: str, settings: dict[str, object]) -> tuple[list[set[int]], Seen]:
    """The enhanced maps of each epoch; all batches of an epoch have the same."""
    spec = small_spec(method, settings)
    training = prepared(spec)
    seen = Seen(training)
    epochs = []
    for _ in training.run():
        batches = [enhanced(*both, spec.fixed["X"]) for both in seen.training]
        assert len(batches) == 3
        # Of a map that is all zero the product is zero too; another batch may show it.
        epochs.append(set().union(*batches))
        seen.training.clear()
    return epochs, seen


FRE = {"B": 5, "X": 100.0, "training.epochs": 6}


def test_fre_enhances_the_drawn_maps_anew_in_each_epoch() -> None:
    epochs, _ = trained("fre", FRE)
    assert epochs == [set(draw_maps(MAPS, 5, 0, epoch)) for epoch in range(1, 7)]
    assert all(len(chosen) == 5 for chosen in epochs)
    assert len(set(map(frozenset, epochs))) > 1


def test_the_draws_repeat_with_the_seed() -> None:
    epochs, _ = trained("fre", FRE)
    assert trained("fre", FRE)[0] == epochs
    assert trained("fre", {**FRE, "seed": 1})[0] != epochs


def test_fixed_enhancement_keeps_the_maps_of_the_seed() -> None:
    settings = {"B": 3, "X": 10_000.0, "training.epochs": 4}
    epochs, _ = trained("fre-fixed", settings)
    assert epochs == [set(draw_maps(MAPS, 3, 0, epoch=0))] * 4
    others, _ = trained("fre-fixed", {**settings, "seed": 1})
    assert others == [set(draw_maps(MAPS, 3, 1, epoch=0))] * 4
    assert others != epochs


@pytest.mark.parametrize("method", ["fre", "fre-fixed"])
def test_the_plain_value_is_the_baselines(method: str) -> None:
    """In the first batch, before the weights part ways."""
    firsts = []
    for spec in (small_spec("baseline"), small_spec(method)):
        training = prepared(spec)
        seen = Seen(training)
        next(training.run())
        firsts.append(seen.training[0])
    (baseline, _), (plain, output) = firsts
    assert torch.equal(plain, baseline)
    assert not torch.equal(output, baseline)


@pytest.mark.parametrize("method", ["fre", "fre-fixed"])
def test_evaluation_is_untouched(method: str) -> None:
    _, seen = trained(method, {})
    assert len(seen.evaluating) >= 3
    assert all(torch.equal(plain, output) for plain, output in seen.evaluating)


@pytest.mark.parametrize("norm", ["batch", "batch_renorm", "group"])
def test_a_factor_of_one_is_the_baseline_bit_for_bit(norm: str) -> None:
    settings = {"model.norm": norm}
    baseline = result(small_spec("baseline", settings))
    for method in ("fre", "fre-fixed"):
        outcome = result(small_spec(method, {**settings, "X": 1}))
        assert curve(outcome) == curve(baseline)
        assert (outcome.confusion, outcome.miou) == (baseline.confusion, baseline.miou)
    other = result(small_spec("fre", settings))
    assert curve(other) != curve(baseline)


def test_the_best_network_of_a_factor_of_one_is_the_baselines() -> None:
    best = []
    for spec in (small_spec("baseline"), small_spec("fre", {"X": 1})):
        training = prepared(spec)
        list(training.run())
        assert training.best is not None
        best.append(training.best)
    assert best[0].epoch == best[1].epoch
    assert best[0].state.keys() == best[1].state.keys()
    assert all(torch.equal(best[0].state[name], best[1].state[name]) for name in best[0].state)
