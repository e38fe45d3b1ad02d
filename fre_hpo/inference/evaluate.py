"""A trained network against the truth of a split."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fre_hpo.data.dataset import Split
from fre_hpo.inference.network import TrainedNetwork
from fre_hpo.training.arrays import DeviceSplit
from fre_hpo.training.metrics import Confusion, class_iou, count_confusion, mean_iou


@dataclass(frozen=True, eq=False)
class Evaluation:
    """confusion: (sources, classes, classes), a matrix for each source image, in the order of
    ``sources``."""

    sources: tuple[str, ...]
    confusion: Confusion

    @property
    def miou(self) -> float:
        return mean_iou(self.confusion)

    @property
    def class_iou(self) -> list[float | None]:
        return class_iou(self.confusion)


def evaluate(network: TrainedNetwork, split: Split) -> Evaluation:
    """Measure a network on a split, as training measures it on validation: whole pictures, in batches of
    the same size.  On the CPU, with the same engine and number of threads, every bit is the same.
    """
    classes = len(network.card.classes)
    placed = DeviceSplit.place(split.padded(network.card.stride), network.device)
    shape = (len(placed.sources), classes, classes)
    total = torch.zeros(shape, dtype=torch.int64, device=network.device)
    for images, labels, source in placed.in_order(network.card.spec.training.batch_size):
        predicted = network.logits(images).argmax(dim=1)
        total += count_confusion(predicted, labels, source, *shape[:2])
    return Evaluation(placed.sources, total.cpu().numpy())
