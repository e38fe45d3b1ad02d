"""The batch-norm rule: whose statistics evaluation uses, and that nothing of it stays."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fre_hpo.model.norm import BatchRenorm, Norm
from fre_hpo.model.unet import SEUNet
from fre_hpo.training.batchnorm import recalibrated, spread_evenly, statistics_layers
from fre_hpo.training.loop import CALIBRATION_IMAGES
from trials import prepared, result, small_spec

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


def some_images() -> Tensor:
    return torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 3


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
        for layer, x in inputs.items():
            count = x.numel() // x.shape[1]
            mean = x.sum(dim=(0, 2, 3)) / count
            var = (x - mean[:, None, None]).square().sum(dim=(0, 2, 3)) / (count - 1)
            found = [layer.get_buffer(name).double() for name in ("running_mean", "running_var")]
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
    outcome = result(spec)
    assert any(row.miou_recalibrated != row.miou_running for row in outcome.curve)


@pytest.mark.parametrize(
    ("rule", "counts"),
    [
        ("recalibrate", lambda row: row.miou_recalibrated),
        ("running", lambda row: row.miou_running),
    ],
)
def test_the_studys_rule_counts(rule: str, counts: Callable[..., float]) -> None:
    outcome = result(small_spec("fre", {"training.eval_bn": rule, "training.epochs": 6}))
    assert any(row.miou_recalibrated != row.miou_running for row in outcome.curve)
    values = [counts(row) for row in outcome.curve]
    assert [row.miou for row in outcome.curve] == values
    assert outcome.miou == max(values)
    assert outcome.best_epoch == values.index(max(values)) + 1


def test_calibration_images_are_plain_training_images() -> None:
    settings = {"training.epochs": 1, "training.batch_size": 16, "data.train": 20}
    training = prepared(small_spec("baseline", settings))
    shown: list[Tensor] = []
    encoder = training.network.encoder[0]
    encoder.register_forward_pre_hook(lambda layer, inputs: shown.append(inputs[0].clone()))
    list(training.run())
    # Two training batches, the calibration batch, then the validation split once by each rule.
    assert [len(images) for images in shown] == [10, 10, 16, 3, 3]
    assert torch.equal(shown[2], training.train.images[spread_evenly(20, CALIBRATION_IMAGES)])
    assert torch.equal(shown[3], training.validation.images)
    assert torch.equal(shown[4], training.validation.images)


@given(st.integers(1, 500), st.integers(1, 64))
def test_chosen_images_are_spread_evenly(count: int, wanted: int) -> None:
    chosen = spread_evenly(count, wanted)
    assert len(set(chosen)) == len(chosen) == min(count, wanted)
    assert chosen == sorted(chosen)
    assert set(chosen) <= set(range(count))
    gaps = {b - a for a, b in zip(chosen, [*chosen[1:], count], strict=True)}
    assert max(gaps) - min(gaps) <= 1
