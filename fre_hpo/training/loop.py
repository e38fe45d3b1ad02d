"""The training of one network, from the first epoch to the last.

Softmax cross-entropy, Adam, validation after every epoch; the epoch with the best validation mIoU counts
(paper, section 4).  All that decides the result is in ``Training.run`` and the two methods it calls.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fre_hpo.errors import NonFiniteLoss
from fre_hpo.methods import Slots
from fre_hpo.model.unet import SEUNet
from fre_hpo.training.arrays import DeviceSplit
from fre_hpo.training.augment import AugmentedSplit
from fre_hpo.training.batchnorm import IMAGES, EvaluationStatistics, affordable, spread_evenly
from fre_hpo.training.engine import Engine
from fre_hpo.training.loss import class_weights, cross_entropy
from fre_hpo.training.metrics import Confusion, class_iou, count_confusion, mean_iou
from fre_hpo.training.schedule import Schedule
from fre_hpo.training.seeding import Purpose, derive
from fre_hpo.training.trace import TRACED_IMAGES, is_traced, trace_of

COMPARED_EVERY = 10
"""After so many epochs, and after the last one, the batch-norm rule that does not count is measured too."""


@dataclass(frozen=True)
class EpochRow:
    """One line of a trial's curve.  miou is the one that counts under the study's batch-norm rule; both
    rules' values are beside it, None where one was not measured.  seconds: the epoch's wall time,
    validation included.  trace: as ``trace.Trace``, in the epochs that are traced."""

    epoch: int
    loss: float
    miou: float
    miou_recalibrated: float | None
    miou_running: float | None
    class_iou: tuple[float | None, ...]
    learning_rate: float
    seconds: float
    trace: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class Best:
    """The epoch that counts: its validation matrices (sources, classes, classes) and the plain network's
    state with the statistics that gave them, on the device."""

    epoch: int
    miou: float
    confusion: Confusion
    state: dict[str, Tensor]


class Training:
    """A training in progress: network, optimiser, the curve so far and the best epoch.

    Between epochs its whole state is ``state_dict()``; every random draw follows from seed and epoch.
    """

    def __init__(
        self,
        network: SEUNet,
        slots: Slots,
        train: DeviceSplit,
        validation: DeviceSplit,
        classes: int,
        schedule: Schedule,
        seed: int,
        engine: Engine,
    ) -> None:
        self.network = network
        self.slots = slots
        self.train = train
        self.validation = validation
        self.classes = classes
        self.schedule = schedule
        self.seed = seed
        self.engine = engine
        self.optimizer = engine.adam(network, schedule.learning_rate)
        self.weights = class_weights(schedule.class_weights, train.labels, classes)
        self.statistics = EvaluationStatistics(network)
        self._augmented = AugmentedSplit(train, schedule.augment, engine.picture_dtype)
        self._calibration = train.images[spread_evenly(len(train), IMAGES)]
        self.curve: list[EpochRow] = []
        self.best: Best | None = None
        self._traced: tuple[float, ...] | None = None

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.curve)

    def run(self) -> Iterator[EpochRow]:
        """Train the remaining epochs, one row each; raises NonFiniteLoss when the training diverges."""
        while self.epoch < self.schedule.epochs:
            started = time.perf_counter()
            epoch = self.epoch + 1
            losses = self._train_epoch(epoch)
            confusion = self._validate(epoch)
            loss = losses.item()
            if not math.isfinite(loss):
                raise NonFiniteLoss(value=loss, epoch=epoch)
            other = self._validate_by_the_other_rule(epoch) if self.statistics else confusion
            miou, other_miou = mean_iou(confusion), None if other is None else mean_iou(other)
            recalibrates = self.schedule.eval_bn == "recalibrate"
            row = EpochRow(
                epoch=epoch,
                loss=loss,
                miou=miou,
                miou_recalibrated=miou if recalibrates else other_miou,
                miou_running=other_miou if recalibrates else miou,
                class_iou=tuple(class_iou(confusion)),
                learning_rate=self.schedule.rate(epoch),
                seconds=time.perf_counter() - started,
                trace=self._traced,
            )
            self.curve.append(row)
            yield row

    def _train_epoch(self, epoch: int) -> Tensor:
        """One pass over the training split; returns the mean loss per picture, which a GPU may still be
        computing."""
        self.network.train()
        if self.slots.start_epoch:
            self.slots.start_epoch(epoch)
        torch.manual_seed(derive(self.seed, Purpose.DROPOUT, epoch))
        order = torch.Generator().manual_seed(derive(self.seed, Purpose.DATA, epoch))
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(epoch)
        total = torch.zeros((), device=self.train.images.device)
        for images, labels in self._augmented.shuffled(self.schedule.batch_size, order):
            loss = self._loss(images, labels)
            self.optimizer.zero_grad()
            loss.backward()
            if self.schedule.gradient_clip:
                torch.nn.utils.clip_grad_norm_(
                    self.network.parameters(), self.schedule.gradient_clip
                )
            self.optimizer.step()
            total += loss.detach() * len(images)
        return total / len(self.train)

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        output, side = self.engine.forward_both(self.network, images)
        loss = cross_entropy(output, labels, self.weights)
        if side is None or self.slots.loss is None:
            return loss
        return self.slots.loss(loss, cross_entropy(side, labels, self.weights))

    def _validate(self, epoch: int) -> Confusion:
        """Measure the network by the rule that counts and keep it if the epoch is the best so far."""
        self.network.eval()
        if self.schedule.eval_bn == "running":
            confusion = self.measure(self.validation)
            self._keep_if_best(epoch, confusion)
            self._trace(epoch)
            return confusion
        count = affordable(len(self.train), len(self.validation))
        with self.statistics.installed():
            self._refresh_statistics(count)
            confusion = self.measure(self.validation)
            self._keep_if_best(epoch, confusion)
            self._trace(epoch)
        return confusion

    @torch.no_grad()
    def _trace(self, epoch: int) -> None:
        self._traced = None
        if self.schedule.trace and is_traced(epoch, self.schedule.epochs):
            features = self.engine.encode(self.network, self._calibration[:TRACED_IMAGES])
            self._traced = trace_of(self.network, *features).to_plain()

    def _validate_by_the_other_rule(self, epoch: int) -> Confusion | None:
        """None in epochs in which it is not measured."""
        if epoch % COMPARED_EVERY and epoch < self.schedule.epochs:
            return None
        if self.schedule.eval_bn == "recalibrate":
            return self.measure(self.validation)
        with self.statistics.installed():
            self._refresh_statistics(IMAGES)
            return self.measure(self.validation)

    def _refresh_statistics(self, count: int) -> None:
        forward = partial(self.engine.forward, self.network)
        self.statistics.refresh(forward, self._calibration, count)

    @torch.no_grad()
    def measure(self, split: DeviceSplit) -> Confusion:
        """Confusion matrices (sources, classes, classes) of the network as it stands, in evaluation."""
        shape = (len(split.sources), self.classes, self.classes)
        total = torch.zeros(shape, dtype=torch.int64, device=split.images.device)
        for images, labels, source in split.in_order(self.schedule.batch_size):
            predicted = self.engine.forward(self.network, images).argmax(dim=1)
            total += count_confusion(predicted, labels, source, *shape[:2])
        confusion: Confusion = total.cpu().numpy()
        return confusion

    @torch.no_grad()
    def predict(self, split: DeviceSplit, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Labels (len(indices), height, width) of some pictures, by the network as it stands."""
        images = split.images[list(indices)]
        labels = self.engine.forward(self.network, images).argmax(dim=1)
        predicted: NDArray[np.uint8] = labels.to("cpu", torch.uint8).numpy()
        return predicted

    def load_best(self) -> None:
        """Make the network the best epoch's; the training is over then."""
        assert self.best is not None
        self.network.load_state_dict(self.best.state, strict=False)
        self.network.eval()

    def _keep_if_best(self, epoch: int, confusion: Confusion) -> None:
        miou = mean_iou(confusion)
        if self.best is None or miou > self.best.miou:
            now = _plain_state(self.network)
            if self.best is None:
                kept = {name: tensor.clone() for name, tensor in now.items()}
            else:
                kept = self.best.state
                torch._foreach_copy_(list(kept.values()), list(now.values()))
            self.best = Best(epoch, miou, confusion, kept)

    def state_dict(self) -> dict[str, Any]:
        """All that a training needs to go on, as tensors and plain Python; copies on the CPU."""
        state: dict[str, Any] = _on_cpu(
            {
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "statistics": self.statistics.state_dict(),
                "best": None if self.best is None else _best_to_plain(self.best),
            }
        )
        return {**state, "curve": [list(vars(row).values()) for row in self.curve]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for (
            group
        ) in self.optimizer.param_groups:  # the checkpoint may be of a machine with another engine
            group["fused"] = self.engine.fused
        self.curve = [EpochRow(*row) for row in state["curve"]]
        if (
            "statistics" in state
        ):  # as in every checkpoint of this version; without, they are taken anew
            self.statistics.load_state_dict(state["statistics"])
        device = self.train.images.device
        self.best = None if state["best"] is None else _best_from_plain(state["best"], device)


def _plain_state(network: SEUNet) -> dict[str, Tensor]:
    """The state of the network as evaluation uses it."""
    named = network.state_dict().items()
    return {name: tensor.detach() for name, tensor in named if not name.startswith("side_head.")}


def _on_cpu(value: Any) -> Any:
    """A copy of nested dictionaries and lists whose tensors share nothing with the training."""
    match value:
        case Tensor():
            return value.detach().to("cpu", copy=True)
        case dict():
            return {key: _on_cpu(item) for key, item in value.items()}
        case list():
            return [_on_cpu(item) for item in value]
        case _:
            return value


def _best_to_plain(best: Best) -> dict[str, Any]:
    return {**vars(best), "confusion": torch.from_numpy(best.confusion)}


def _best_from_plain(plain: dict[str, Any], device: torch.device) -> Best:
    state = {name: tensor.to(device) for name, tensor in plain["state"].items()}
    return Best(**{**plain, "confusion": plain["confusion"].numpy(), "state": state})
