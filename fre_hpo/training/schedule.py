"""What one training is told; every number comes from the study's spec, none has a default here."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Schedule:
    """epochs: the full length.  learning_rate: Adam's, reached after ``warmup_epochs`` linear steps and
    then kept ("none") or lowered to zero along a cosine.  gradient_clip: largest norm of the gradient, 0
    for no limit.  class_weights, augment, eval_bn, trace: see the modules of these names."""

    epochs: int
    batch_size: int
    learning_rate: float
    warmup_epochs: int
    lr_decay: Literal["none", "cosine"]
    gradient_clip: float
    class_weights: Literal["none", "sqrt"]
    augment: tuple[str, ...]
    eval_bn: Literal["recalibrate", "running"]
    trace: bool = False

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 1."""
        if epoch <= self.warmup_epochs:
            return self.learning_rate * epoch / (self.warmup_epochs + 1)
        if self.lr_decay == "none":
            return self.learning_rate
        done = (epoch - 1 - self.warmup_epochs) / max(self.epochs - self.warmup_epochs, 1)
        return self.learning_rate * (1 + math.cos(math.pi * done)) / 2
