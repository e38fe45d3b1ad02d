"""The batch-norm rule of evaluation (design 3.10).

Feature Random Enhancement multiplies feature maps in training only, but the running statistics of the
layers behind are learned with the enhancement on.  Used in evaluation, with it off, they shift the
network's output by an artefact of the normalisation.  The rule "recalibrate" therefore replaces them, for
evaluation only, by statistics of un-augmented training images with the enhancement off.  It is an addition
to the paper; "running" is what the paper's code presumably did.

The statistics are those of ``IMAGES`` fixed training images.  Where passing them all through the network
would be more than ``SHARE`` of an epoch, each epoch takes the next few of them and the estimate is a moving
average, in which an image weighs as much as in the full one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fre_hpo.model.norm import BatchRenorm, StatisticsNorm

IMAGES = 16
FEWEST = 4
"""Of fewer images an estimate is too far off."""
SHARE = 0.05
"""Of an epoch's computing, counted in forward passes of an image; a training image is three."""


def statistics_layers(network: nn.Module) -> list[nn.BatchNorm2d | BatchRenorm]:
    """The layers whose running statistics decide in evaluation."""
    return [layer for layer in network.modules() if isinstance(layer, StatisticsNorm)]


class EvaluationStatistics:
    """The statistics by which a network in training is evaluated, beside those that it learns.

    All there is to it between epochs is ``state_dict()``.
    """

    def __init__(self, network: nn.Module) -> None:
        self._layers = statistics_layers(network)
        self._learned = [tensor.clone() for tensor in self._running()]
        self._ours = [tensor.clone() for tensor in self._running()]
        self._epochs = 0

    def __bool__(self) -> bool:
        """Whether the network has any such layer."""
        return bool(self._layers)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Within this block the network normalises by these statistics; then by the learned ones again."""
        if not self._layers:
            yield
            return
        torch._foreach_copy_(self._learned, self._running())
        torch._foreach_copy_(self._running(), self._ours)
        try:
            yield
        finally:
            torch._foreach_copy_(self._ours, self._running())
            torch._foreach_copy_(self._running(), self._learned)

    @torch.no_grad()
    def refresh(self, forward: Callable[[Tensor], Tensor], images: Tensor, count: int) -> None:
        """Follow the network by ``count`` of ``images`` (N, C, H, W), un-augmented training images; with
        all of them the estimate is anew.  While installed, the network in evaluation mode.

        Each layer's statistics are taken with all layers before it already followed up.
        """
        if not self._layers:
            return
        whole = count >= len(images)
        weight = 1.0 if whole or not self._epochs else count / len(images)
        chosen = images if weight == 1.0 else _window(images, self._epochs, count)
        hooks = [layer.register_forward_pre_hook(_follow(weight)) for layer in self._layers]
        try:
            forward(chosen)
        finally:
            for hook in hooks:
                hook.remove()
        self._epochs += 1

    def _running(self) -> list[Tensor]:
        return [tensor for layer in self._layers for tensor in _running(layer)]

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self._epochs, "statistics": self._ours}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._epochs = state["epochs"]
        for ours, stored in zip(self._ours, state["statistics"], strict=True):
            ours.copy_(stored)


def affordable(train: int, validation: int) -> int:
    """How many images an epoch may pass through the network for the statistics, of ``train`` and
    ``validation`` images each."""
    return max(FEWEST, min(IMAGES, int(SHARE * (3 * train + validation))))


def _window(images: Tensor, epoch: int, count: int) -> Tensor:
    """The next ``count`` images, round and round."""
    return images.roll(-epoch * count, dims=0)[:count]


def _follow(weight: float) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    """A hook that mixes a batch's mean and variance into a layer's as if the batch were that share of all
    values."""

    def hook(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(layer, StatisticsNorm)
        var, mean = torch.var_mean(inputs[0].float(), dim=(0, 2, 3))
        old_mean, old_var = _running(layer)
        between = (mean - old_mean).square_().mul_(weight * (1 - weight))
        old_var.lerp_(var, weight).add_(between)
        old_mean.lerp_(mean, weight)

    return hook


def _running(layer: nn.BatchNorm2d | BatchRenorm) -> tuple[Tensor, Tensor]:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    return layer.running_mean, layer.running_var


def spread_evenly(count: int, wanted: int) -> list[int]:
    """Indices of ``wanted`` of ``count`` images, evenly spread, the same at every call."""
    chosen = min(count, wanted)
    return [i * count // chosen for i in range(chosen)]
