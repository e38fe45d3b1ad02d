"""The methods that Feature Random Enhancement is compared with, and what is alike for all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fre_hpo.data import IGNORED, Split
from fre_hpo.methods import METHODS, get
from fre_hpo.training import checkpoint
from fre_hpo.trial import Result, TrainingData, build_network, prepare
from trials import curve, drawn_data, prepared, reports, result, small_job, small_spec

MAPS = 16


# --- all six ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_its_result_is_a_plain_network(method: str) -> None:
    """The trained network and the plain one give the same logits, bit for bit, from one state."""
    spec = small_spec(method)
    outcome = reports(spec)[-1]
    assert isinstance(outcome, Result)
    assert outcome.epochs == len(outcome.curve) == 3
    assert all(np.isfinite(row.loss) and 0 < row.miou < 1 for row in outcome.curve)
    state = checkpoint.from_bytes(outcome.network, "best.pt")["state"]
    plain = build_network(spec, channels=1, classes=3, seed=99)
    plain.load_state_dict(state)
    training = prepared(spec)
    training.network.load_state_dict(state, strict=method != "supervision")
    images = training.validation.images
    with torch.no_grad():
        expected = plain.eval()(images)
        assert torch.equal(training.network.eval()(images), expected)
        assert expected.std() > 0


@pytest.mark.parametrize("method", METHODS)
def test_losses_fall(method: str) -> None:
    outcome = result(small_spec(method, {"training.epochs": 5}))
    assert outcome.curve[-1].loss < outcome.curve[0].loss


def shared_states(method: str) -> dict[str, Tensor]:
    """The untrained network's state; of a shallower one the part that has the same place."""
    state = prepared(small_spec(method)).network.state_dict()
    if method == "without-deep-layers":
        return {name: value for name, value in state.items() if name.startswith("encoder.")}
    return {name: value for name, value in state.items() if not name.startswith("side_head.")}


@pytest.mark.parametrize("method", METHODS)
def test_all_methods_start_from_the_same_weights(method: str) -> None:
    baseline, state = shared_states("baseline"), shared_states(method)
    if method != "without-deep-layers":
        assert state.keys() == baseline.keys()
    assert len(state) > 20
    assert all(torch.equal(value, baseline[name]) for name, value in state.items())
    other = prepared(small_spec(method, {"seed": 1})).network.state_dict()
    assert not torch.equal(other["encoder.0.0.weight"], baseline["encoder.0.0.weight"])


def batches(method: str, seed: int = 0) -> list[Tensor]:
    """What the network is shown while training, augmented, over two epochs."""
    training = prepared(small_spec(method, {"seed": seed, "training.epochs": 2}))
    shown: list[Tensor] = []

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if layer.training:
            shown.append(inputs[0].clone())

    training.network.encoder[0].register_forward_pre_hook(keep)
    list(training.run())
    return shown


def test_all_methods_are_shown_the_same_batches() -> None:
    baseline = batches("baseline")
    assert [len(images) for images in baseline] == [2, 2, 1] * 2
    assert not torch.equal(baseline[0], baseline[3])
    for method in METHODS:
        shown = batches(method)
        assert all(torch.equal(*both) for both in zip(shown, baseline, strict=True)), method
    assert not torch.equal(batches("baseline", seed=1)[0], baseline[0])


# --- without the deep layers ---------------------------------------------------------------------


def test_without_deep_layers_the_network_ends_one_block_earlier() -> None:
    spec = small_spec("without-deep-layers")
    assert spec.maps == 8
    whole = prepared(small_spec("baseline")).network
    cut = prepared(spec).network
    assert (len(cut.encoder), len(cut.decoder)) == (2, 1)
    assert (len(whole.encoder), len(whole.decoder)) == (3, 2)
    sizes = [sum(p.numel() for p in network.parameters()) for network in (cut, whole)]
    assert sizes[0] < sizes[1] / 2


# --- dropout ------------------------------------------------------------------------------------


@pytest.mark.parametrize("B", [1, 5, 12, 16])
def test_dropout_takes_elements_not_maps_at_the_rate_of_b_of_all(B: int) -> None:
    bottleneck = get("dropout").slots({"B": B}, MAPS, 3, 0).bottleneck
    assert bottleneck is not None
    torch.manual_seed(0)
    features = torch.rand(8, MAPS, 32, 32) + 1
    output = bottleneck.train()(features)
    dropped = output == 0
    rate, count = B / MAPS, features.numel()
    assert abs(dropped.sum().item() - rate * count) <= 5 * (count * rate * (1 - rate)) ** 0.5
    if B < MAPS:
        torch.testing.assert_close(output[~dropped], features[~dropped] / (1 - rate))
        per_map = dropped.float().mean(dim=(2, 3))
        assert (per_map - rate).abs().max() < 5 * (rate * (1 - rate) / 1024) ** 0.5
    assert bottleneck.eval()(features) is features


def test_dropout_lies_at_the_end_of_the_encoder_and_is_drawn_anew_each_epoch() -> None:
    training = prepared(small_spec("dropout", {"B": 8}))
    dropped: list[Tensor] = []

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert inputs[0].shape[1:] == (MAPS, 8, 8)
        if layer.training:
            dropped.append((output == 0) & (inputs[0] != 0))

    training.network.bottleneck.register_forward_hook(keep)
    list(training.run())
    assert len(dropped) == 9
    assert not torch.equal(dropped[0], dropped[3])


# --- supervision --------------------------------------------------------------------------------


def ramp(inputs: int, outputs: int) -> NDArray[np.float64]:
    """Linear interpolation from pixel centre to pixel centre as a matrix, edges repeated."""
    weights = np.zeros((outputs, inputs))
    for i in range(outputs):
        place = min(max((i + 0.5) * inputs / outputs - 0.5, 0), inputs - 1)
        left = min(int(place), inputs - 2)
        weights[i, left], weights[i, left + 1] = left + 1 - place, place - left
    return weights


def cross_entropy(logits: NDArray[np.float64], labels: NDArray[np.uint8]) -> float:
    """Mean of -log softmax at the true class over all pixels that have one."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    truth = np.where(labels == IGNORED, 0, labels)[:, None]
    taken = np.take_along_axis(shares, truth, axis=1)[:, 0]
    return float(-np.log(taken[labels != IGNORED]).mean())


def partly_ignored(given: TrainingData) -> TrainingData:
    labels = given.train.labels.copy()
    labels[:, :5] = IGNORED
    train = Split(given.train.images, labels, given.train.sources)
    return TrainingData(given.classes, train, given.validation)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_supervision_is_the_papers_equation(weight: float) -> None:
    """Recomputed in NumPy from the deepest maps of the untrained network, all images in a batch."""
    settings = {"lambda": weight, "training.batch_size": 5, "training.augment": []}
    spec = small_spec("supervision", settings)
    data = partly_ignored(drawn_data(spec))
    first = next(prepare(small_job(spec), data).run())

    network = prepare(small_job(spec), data).network
    side_head = network.side_head
    assert isinstance(side_head, nn.Conv2d)
    kernel = side_head.weight.detach().double().numpy()
    assert kernel.shape == (3, MAPS, 1, 1)
    assert side_head.bias is not None
    bias = side_head.bias.detach().double().numpy()
    with torch.no_grad():
        skips, deepest = network.encode(torch.tensor(data.train.images))
        main = network.decode(skips, deepest).double().numpy()
    coarse = np.einsum("oc,nchw->nohw", kernel[:, :, 0, 0], deepest.double().numpy())
    coarse += bias[:, None, None]
    side = np.einsum("Hh,nohw,Ww->noHW", ramp(8, 32), coarse, ramp(8, 32))
    loss1, loss2 = (cross_entropy(logits, data.train.labels) for logits in (main, side))
    assert abs(loss1 - loss2) > 0.01
    assert first.loss == pytest.approx((1 - weight) * loss1 + weight * loss2, rel=1e-4)


@pytest.mark.parametrize("norm", ["batch", "batch_renorm", "group"])
def test_supervision_of_weight_zero_is_the_baseline_bit_for_bit(norm: str) -> None:
    settings = {"model.norm": norm}
    baseline = result(small_spec("baseline", settings))
    outcome = result(small_spec("supervision", {**settings, "lambda": 0}))
    assert curve(outcome) == curve(baseline)
    states = [checkpoint.from_bytes(r.network, "best.pt")["state"] for r in (outcome, baseline)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_side_head_is_trained_and_no_part_of_the_result() -> None:
    spec = small_spec("supervision")
    training = prepared(spec)
    assert isinstance(training.network.side_head, nn.Conv2d)
    before = training.network.side_head.weight.detach().clone()
    list(training.run())
    assert not torch.equal(training.network.side_head.weight, before)
    assert training.best is not None
    assert not any(name.startswith("side_head") for name in training.best.state)
