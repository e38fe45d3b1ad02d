"""The loop: what an epoch's row says, which epoch counts, and when it gives up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fre_hpo.data import Split
from fre_hpo.errors import NonFiniteLoss
from fre_hpo.training.arrays import DeviceSplit
from fre_hpo.training.augment import AugmentedSplit
from fre_hpo.training.metrics import class_iou, mean_iou
from trials import prepared, small_spec

CPU = torch.device("cpu")


def a_split(count: int = 7) -> Split:
    images = np.arange(count * 2, dtype=np.float32).reshape(count, 2, 1, 1)
    labels = np.arange(count, dtype=np.uint8).reshape(count, 1, 1)
    return Split(images, labels, tuple(f"section{i // 3}" for i in range(count)))


def test_a_split_on_the_device_knows_each_pictures_source() -> None:
    placed = DeviceSplit.place(a_split(), CPU)
    assert placed.sources == ("section0", "section1", "section2")
    assert placed.source.tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert (placed.images.dtype, placed.labels.dtype) == (torch.float32, torch.uint8)
    assert len(placed) == 7


def test_a_placed_split_is_a_copy() -> None:
    split = a_split()
    DeviceSplit.place(split, CPU).images.zero_()
    assert split.images.sum() > 0


def test_shuffled_batches_hold_every_picture_once_with_its_label() -> None:
    placed = DeviceSplit.place(a_split(), CPU)
    orders = []
    for seed in (0, 0, 1):
        generator = torch.Generator().manual_seed(seed)
        batches = list(AugmentedSplit(placed, ()).shuffled(3, generator))
        assert [len(images) for images, _ in batches] == [3, 2, 2]
        for images, labels in batches:
            assert torch.equal(images[:, 0, 0, 0], 2.0 * labels[:, 0, 0])
        orders.append(torch.cat([labels for _, labels in batches]).flatten().tolist())
    assert sorted(orders[0]) == list(range(7))
    assert orders[0] == orders[1] != orders[2]


def test_batches_in_order_are_the_split_as_stored() -> None:
    placed = DeviceSplit.place(a_split(), CPU)
    columns = [torch.cat(column) for column in zip(*placed.in_order(3), strict=True)]
    for column, stored in zip(columns, (placed.images, placed.labels, placed.source), strict=True):
        assert torch.equal(column, stored)


def test_the_loss_of_an_epoch_is_the_mean_over_its_pictures() -> None:
    """Of batches of two, two and one, at a learning rate too small to move anything."""
    settings = {"training.learning_rate": 1e-30, "training.augment": [], "model.norm": "group"}
    training = prepared(small_spec("baseline", settings))
    with torch.no_grad():
        logits = training.network(training.train.images)
    expected = F.cross_entropy(logits, training.train.labels.long()).item()
    losses = [row.loss for row in training.run()]
    assert losses == pytest.approx([expected] * 3, rel=1e-5)


def test_an_epochs_row_is_measured_on_the_whole_validation_split() -> None:
    settings = {"training.eval_bn": "running", "training.batch_size": 4}
    training = prepared(small_spec("baseline", settings))
    for row in training.run():
        confusion = training.measure(training.validation)
        assert confusion.shape == (3, 3, 3)
        assert confusion.sum(axis=(1, 2)).tolist() == [32 * 32] * 3
        assert row.miou == mean_iou(confusion)
        assert row.class_iou == tuple(class_iou(confusion))
        assert row.seconds > 0


def test_the_first_of_equally_good_epochs_counts() -> None:
    """A network that does not move is as good in every epoch."""
    settings = {"training.learning_rate": 1e-30, "model.norm": "group"}
    training = prepared(small_spec("baseline", settings))
    values = [row.miou for row in training.run()]
    assert len(set(values)) == 1
    assert training.best is not None
    assert training.best.epoch == 1


def test_the_best_state_is_a_copy_of_that_epoch() -> None:
    training = prepared(small_spec("baseline", {"training.epochs": 8}))
    states, values = [], []
    for row in training.run():
        network = training.network.state_dict()
        states.append(network["head.weight"].clone())
        values.append(row.miou)
    assert training.best is not None
    best = training.best.epoch - 1
    assert values[best] == max(values) == training.best.miou
    assert torch.equal(training.best.state["head.weight"], states[best])
    assert mean_iou(training.best.confusion) == training.best.miou
    others = [state for i, state in enumerate(states) if i != best]
    assert not any(torch.equal(training.best.state["head.weight"], state) for state in others)
    kept = {name: value.clone() for name, value in training.best.state.items()}
    with torch.no_grad():
        for value in training.network.state_dict().values():
            value.fill_(7)
    assert all(torch.equal(kept[name], value) for name, value in training.best.state.items())


def test_the_best_state_is_kept_in_one_place() -> None:
    """A better epoch overwrites it: the device holds one copy and nothing is allocated for the next."""
    training = prepared(small_spec("baseline", {"training.epochs": 8}))
    epochs, places = [], set()
    for _ in training.run():
        assert training.best is not None
        epochs.append(training.best.epoch)
        places.add(tuple(value.data_ptr() for value in training.best.state.values()))
    assert len(set(epochs)) > 2
    assert len(places) == 1


def tensors(state: Any) -> list[Tensor]:
    """All tensors in nested dictionaries and lists."""
    if isinstance(state, Tensor):
        return [state]
    if isinstance(state, dict):
        state = list(state.values())
    return [t for item in state for t in tensors(item)] if isinstance(state, list) else []


@pytest.mark.parametrize("method", ["baseline", "supervision"])
def test_a_state_is_a_copy_that_training_on_does_not_change(method: str) -> None:
    training = prepared(small_spec(method, {"training.epochs": 4}))
    rows = training.run()
    next(rows)
    state = training.state_dict()
    kept = [t.clone() for t in tensors(state)]
    list(rows)
    assert all(torch.equal(*both) for both in zip(tensors(state), kept, strict=True))
    later = tensors(training.state_dict())
    assert sum(not torch.equal(*both) for both in zip(later, kept, strict=True)) > 100
    assert {t.device.type for t in kept} == {"cpu"}
    assert state["statistics"]["epochs"] == len(state["curve"]) == 1


def test_a_diverging_training_ends_with_its_epoch_and_a_way_out() -> None:
    training = prepared(small_spec("baseline", {"training.learning_rate": 1e20}))
    with pytest.raises(NonFiniteLoss, match=r"in epoch 1: .* smaller training\.learning_rate"):
        list(training.run())
    assert training.epoch == 0


def test_a_training_that_has_ended_does_nothing_more() -> None:
    training = prepared(small_spec())
    assert len(list(training.run())) == 3
    assert list(training.run()) == []
