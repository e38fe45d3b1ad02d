"""The batch-norm rule: whose statistics evaluation uses, and that nothing of it stays."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fre_hpo.model.norm import BatchRenorm, Norm
from fre_hpo.model.unet import SEUNet
from fre_hpo.study.spec import Spec
from fre_hpo.training.batchnorm import (
    FEWEST,
    IMAGES,
    SHARE,
    EvaluationStatistics,
    affordable,
    spread_evenly,
    statistics_layers,
)
from fre_hpo.training.loop import COMPARED_EVERY
from fre_hpo.trial import prepare
from trials import (
    curve,
    drawn_data,
    ended,
    prepared,
    reports,
    result,
    small_job,
    small_spec,
    stopped_after,
)

WITH_STATISTICS: tuple[Norm, ...] = ("batch", "batch_renorm")


def network_of(norm: Norm) -> SEUNet:
    """A network in evaluation whose statistics are nobody's."""
    torch.manual_seed(0)
    network = SEUNet(
        (4, 8, 16), 3, channels=1, norm=norm, upsample="transposed", se_reduction=16
    ).eval()
    for layer in statistics_layers(network):
        nn.init.uniform_(layer.get_buffer("running_mean"), -2, 2)
        nn.init.uniform_(layer.get_buffer("running_var"), 0.1, 3)
    return network


def some_images(count: int = 4) -> Tensor:
    return torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 3


@contextmanager
def recalibrated(network: SEUNet, images: Tensor) -> Iterator[None]:
    """Within this block the network normalises by the statistics of all these images."""
    statistics = EvaluationStatistics(network)
    with statistics.installed():
        statistics.refresh(network, images, len(images))
        yield


def statistics(network: nn.Module) -> list[Tensor]:
    return [
        layer.get_buffer(name).clone()
        for layer in statistics_layers(network)
        for name in ("running_mean", "running_var")
    ]


def equal(some: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(*both) for both in zip(some, others, strict=True))


def test_the_layers_that_decide_in_evaluation() -> None:
    # Two in each of the three encoder blocks and the two of the decoder.
    kinds = {norm: statistics_layers(network_of(norm)) for norm in WITH_STATISTICS}
    assert [type(layer) for layer in kinds["batch"]] == [nn.BatchNorm2d] * 10
    assert [type(layer) for layer in kinds["batch_renorm"]] == [BatchRenorm] * 10
    assert statistics_layers(network_of("group")) == []


@pytest.mark.parametrize("norm", WITH_STATISTICS)
def test_each_layer_normalises_by_the_statistics_of_its_own_input(norm: Norm) -> None:
    network, images = network_of(norm), some_images()
    inputs: dict[nn.Module, Tensor] = {}

    def keep(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        inputs[layer] = given[0].double()

    with recalibrated(network, images), torch.no_grad():
        for layer in statistics_layers(network):
            layer.register_forward_pre_hook(keep)
        network(images)
        assert len(inputs) == 10
        for normaliser, x in inputs.items():
            count = x.numel() // x.shape[1]
            mean = x.sum(dim=(0, 2, 3)) / count
            var = (x - mean[:, None, None]).square().sum(dim=(0, 2, 3)) / (count - 1)
            found = [
                normaliser.get_buffer(name).double() for name in ("running_mean", "running_var")
            ]
            torch.testing.assert_close(found, [mean, var], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", WITH_STATISTICS)
def test_the_network_gives_what_it_gives_this_batch_in_training(norm: Norm) -> None:
    """But for n / (n - 1): training divides by the variance of the batch, evaluation by the
    estimate from it.  The deepest maps of four such images have 256 elements."""
    network, images = network_of(norm), some_images()
    in_training = copy.deepcopy(network).train()
    for layer in statistics_layers(in_training):
        layer.momentum = 1.0
    with torch.no_grad():
        expected = in_training(images)
        outside = network(images)
        with recalibrated(network, images):
            found = network(images)
            first, also_first = statistics(network)[:2], statistics(in_training)[:2]
            torch.testing.assert_close(first, also_first, rtol=1e-6, atol=1e-6)
    scale = expected.std()
    assert (found - expected).abs().max() < 0.02 * scale
    assert (outside - expected).abs().max() > 0.2 * scale


@pytest.mark.parametrize("norm", WITH_STATISTICS)
def test_the_learned_statistics_come_back_bit_for_bit(norm: Norm) -> None:
    network = network_of(norm)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    learned = statistics(network)
    with recalibrated(network, some_images()):
        assert not equal(statistics(network), learned)
    with pytest.raises(KeyboardInterrupt), recalibrated(network, some_images()):
        raise KeyboardInterrupt
    with pytest.raises(RuntimeError), recalibrated(network, torch.ones(1, 2, 8, 8)):
        pytest.fail("the network takes one channel")
    after = network.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    assert not any(layer._forward_pre_hooks for layer in network.modules())


@pytest.mark.parametrize("norm", [*WITH_STATISTICS, "group"])
def test_no_random_number_is_used_and_no_gradient_kept(norm: Norm) -> None:
    network = network_of(norm)
    state = torch.get_rng_state()
    with recalibrated(network, some_images()):
        pass
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in network.parameters())


# --- a few images in each epoch -----------------------------------------------------------------


def first_layers_estimates(norm: Norm, count: int, rounds: int) -> list[tuple[Tensor, Tensor]]:
    """Mean and variance of a network that does not change, after each of so many refreshes."""
    network, images = network_of(norm), some_images(6)
    kept, learned = EvaluationStatistics(network), statistics(network)
    found = []
    for _ in range(rounds):
        with kept.installed():
            kept.refresh(network, images, count)
            mean, var = statistics(network)[:2]
            found.append((mean.double(), var.double()))
        assert equal(statistics(network), learned)
    return found


def pooled(norm: Norm, *chosen: int) -> tuple[Tensor, Tensor]:
    """Mean and variance (of an estimate, n - 1) of what enters the first layer of these images."""
    with torch.no_grad():
        x = network_of(norm).encoder[0][0](some_images(6)[list(chosen)]).double()  # type: ignore[index]
    values = x.transpose(0, 1).flatten(1)
    mean = values.sum(dim=1) / values.shape[1]
    return mean, (values - mean[:, None]).square().sum(dim=1) / (values.shape[1] - 1)


@pytest.mark.parametrize("norm", WITH_STATISTICS)
def test_the_first_estimate_and_every_whole_one_are_those_of_all_images(norm: Norm) -> None:
    everything = pooled(norm, *range(6))
    first, *_ = first_layers_estimates(norm, count=2, rounds=1)
    torch.testing.assert_close(first, everything, rtol=1e-5, atol=1e-6)
    for whole in first_layers_estimates(norm, count=6, rounds=3):
        torch.testing.assert_close(whole, everything, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", WITH_STATISTICS)
@pytest.mark.parametrize("count", [2, 4])
def test_an_estimate_is_a_mixture_of_the_old_one_and_the_next_images(
    norm: Norm, count: int
) -> None:
    """Mean and second moment of a mixture are the weighted means of its parts' own."""
    mean, var = pooled(norm, *range(6))
    square, share = var + mean**2, count / 6
    for epoch, found in enumerate(first_layers_estimates(norm, count, rounds=7)):
        if epoch:
            window = [(epoch * count + i) % 6 for i in range(count)]
            new_mean, new_var = pooled(norm, *window)
            mean = (1 - share) * mean + share * new_mean
            square = (1 - share) * square + share * (new_var + new_mean**2)
        torch.testing.assert_close(found, (mean, square - mean**2), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", WITH_STATISTICS)
@pytest.mark.parametrize(("count", "period"), [(2, 3), (4, 3), (5, 6)])
def test_every_image_weighs_as_much_as_in_the_full_estimate(
    norm: Norm, count: int, period: int
) -> None:
    """Over the epochs in which all images have had equally many turns."""
    found = first_layers_estimates(norm, count, rounds=30 * period)[-period:]
    mean = torch.stack([m for m, _ in found]).mean(dim=0)
    square = torch.stack([v + m**2 for m, v in found]).mean(dim=0)
    expected_mean, expected_var = pooled(norm, *range(6))
    torch.testing.assert_close(mean, expected_mean, rtol=1e-4, atol=1e-5)
    # A window's own variance is estimated with n - 1 of its n values, here at least 2048.
    torch.testing.assert_close(square, expected_var + expected_mean**2, rtol=1e-3, atol=1e-5)


def test_deeper_layers_follow_with_the_shallower_ones_already_there() -> None:
    """Of one window on fresh statistics: what each layer holds is what it is given then."""
    network, images = network_of("batch"), some_images(6)
    kept = EvaluationStatistics(network)
    inputs: dict[nn.Module, Tensor] = {}
    with kept.installed():
        kept.refresh(network, images, 6)
        before = statistics(network)
        kept.refresh(network, images, 3)
        after = statistics(network)
        for layer in statistics_layers(network):
            layer.register_forward_pre_hook(lambda m, given: inputs.update({m: given[0].double()}))
        with torch.no_grad():
            network(images[3:])
    for i, x in enumerate(inputs.values()):
        expected = (before[2 * i].double() + x.mean(dim=(0, 2, 3))) / 2
        torch.testing.assert_close(after[2 * i].double(), expected, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 5000), st.integers(1, 500))
def test_the_rule_costs_its_share_of_an_epoch_or_the_fewest_images(
    train: int, validation: int
) -> None:
    count = affordable(train, validation)
    assert FEWEST <= count <= IMAGES
    assert count <= max(FEWEST, SHARE * (3 * train + validation))
    assert count == IMAGES or count + 1 > SHARE * (3 * train + validation)


@pytest.mark.parametrize(
    ("train", "validation", "count"), [(35, 5, 5), (192, 64, 16), (5, 3, 4), (100, 20, 16)]
)
def test_what_the_papers_data_sets_can_afford(train: int, validation: int, count: int) -> None:
    assert affordable(train, validation) == count


# --- in a training ------------------------------------------------------------------------------


def test_dropout_training_is_the_same_with_and_without_the_rule() -> None:
    """What the rule decides is read off the network; nothing of it reaches the training."""
    losses = [
        [row.loss for row in result(small_spec("dropout", {"training.eval_bn": rule})).curve]
        for rule in ("recalibrate", "running")
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("method", ["baseline", "fre"])
def test_without_running_statistics_both_rules_agree(method: str) -> None:
    outcome = result(small_spec(method, {"model.norm": "group"}))
    assert all(row.miou == row.miou_recalibrated == row.miou_running for row in outcome.curve)


@pytest.mark.parametrize("norm", WITH_STATISTICS)
def test_a_huge_factor_tells_the_rules_apart(norm: Norm) -> None:
    spec = small_spec("fre", {"model.norm": norm, "X": 10_000, "training.epochs": 6})
    last = result(spec).curve[-1]
    assert last.miou_recalibrated is not None
    assert last.miou_running is not None
    assert last.miou_recalibrated != last.miou_running


@pytest.mark.parametrize(
    ("rule", "counts"),
    [
        ("recalibrate", lambda row: row.miou_recalibrated),
        ("running", lambda row: row.miou_running),
    ],
)
def test_the_studys_rule_counts(rule: str, counts: Callable[..., float]) -> None:
    outcome = result(small_spec("fre", {"training.eval_bn": rule, "training.epochs": 6}))
    assert outcome.curve[-1].miou_recalibrated != outcome.curve[-1].miou_running
    values = [counts(row) for row in outcome.curve]
    assert [row.miou for row in outcome.curve] == values
    assert outcome.miou == max(values)
    assert outcome.best_epoch == values.index(max(values)) + 1


def other(rule: str, method: str, norm: Norm = "batch") -> list[float | None]:
    """What twelve epochs say of the rule that does not count."""
    settings = {"training.eval_bn": rule, "training.epochs": 12, "model.norm": norm}
    rows = result(small_spec(method, settings)).curve
    name = "miou_running" if rule == "recalibrate" else "miou_recalibrated"
    return [getattr(row, name) for row in rows]


@pytest.mark.parametrize("rule", ["recalibrate", "running"])
def test_the_other_rule_is_measured_in_every_tenth_epoch_and_the_last(rule: str) -> None:
    assert COMPARED_EVERY == 10
    measured = [epoch for epoch, miou in enumerate(other(rule, "fre"), 1) if miou is not None]
    assert measured == [10, 12]


@pytest.mark.parametrize("rule", ["recalibrate", "running"])
def test_without_running_statistics_both_are_known_in_every_epoch(rule: str) -> None:
    assert None not in other(rule, "fre", "group")


def test_the_other_rules_value_is_the_one_of_a_study_by_that_rule() -> None:
    """Of the same training: the statistics never reach it.  With four training images every estimate is
    of all of them."""
    mious = {}
    for rule in ("recalibrate", "running"):
        settings = {"training.eval_bn": rule, "training.epochs": 12, "data.train": 4}
        mious[rule] = result(small_spec("fre", settings)).curve
    for one, another in zip(*mious.values(), strict=True):
        assert one.loss == another.loss
        if one.epoch in (10, 12):
            assert one.miou_running == another.miou_running == another.miou
            assert one.miou_recalibrated == another.miou_recalibrated == one.miou


def shown(norm: Norm, epochs: int) -> list[Tensor]:
    """What the network is shown in so many epochs of 20 training and 3 validation images."""
    settings = {"training.epochs": epochs, "training.batch_size": 16, "data.train": 20}
    training = prepared(small_spec("baseline", {**settings, "model.norm": norm}))
    images: list[Tensor] = []
    encoder = training.network.encoder[0]
    encoder.register_forward_pre_hook(lambda layer, inputs: images.append(inputs[0].clone()))
    list(training.run())
    return images


@pytest.mark.parametrize("norm", WITH_STATISTICS)
def test_calibration_images_are_plain_training_images(norm: Norm) -> None:
    images = shown(norm, epochs=3)
    # Two training batches, calibration images, the validation split; in the last epoch that once more,
    # by the other rule.
    assert [len(i) for i in images] == [10, 10, 16, 3, 10, 10, 4, 3, 10, 10, 4, 3, 3]
    training = prepared(small_spec("baseline", {"data.train": 20}))
    chosen = training.train.images[spread_evenly(20, IMAGES)]
    for place, expected in ((2, chosen), (6, chosen[4:8]), (10, chosen[8:12])):
        assert torch.equal(images[place], expected)
    for place in (3, 7, 11, 12):
        assert torch.equal(images[place], training.validation.images)


def test_without_running_statistics_the_rule_costs_nothing() -> None:
    assert [len(images) for images in shown("group", epochs=3)] == [10, 10, 3] * 3


# --- going on -----------------------------------------------------------------------------------


def estimates(spec: Spec, data: bytes | None = None, forget: bool = False) -> list[Tensor]:
    """At the end of a training that goes on from a checkpoint, or from one without these estimates."""
    training = prepare(small_job(spec, data), drawn_data(spec))
    if forget:
        training.statistics = EvaluationStatistics(training.network)
    list(training.run())
    kept: list[Tensor] = training.statistics.state_dict()["statistics"]
    return kept


@pytest.mark.parametrize("norm", WITH_STATISTICS)
def test_a_stopped_trial_goes_on_with_the_next_images(norm: Norm) -> None:
    """Four of twelve images in each epoch: an estimate holds those of earlier attempts, bit for bit."""
    settings = {"data.train": 12, "training.batch_size": 6, "training.epochs": 5}
    spec = small_spec("fre", {**settings, "model.norm": norm})
    data = stopped_after(spec, 3)
    unbroken = result(spec)
    assert curve(ended(reports(spec, data))) == curve(unbroken)
    assert equal(estimates(spec, data), estimates(spec))
    assert not equal(estimates(spec, data, forget=True), estimates(spec))


@given(st.integers(1, 500), st.integers(1, 64))
def test_chosen_images_are_spread_evenly(count: int, wanted: int) -> None:
    chosen = spread_evenly(count, wanted)
    assert len(set(chosen)) == len(chosen) == min(count, wanted)
    assert chosen == sorted(chosen)
    assert set(chosen) <= set(range(count))
    gaps = {b - a for a, b in zip(chosen, [*chosen[1:], count], strict=True)}
    assert max(gaps) - min(gaps) <= 1
