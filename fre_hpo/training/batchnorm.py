"""The batch-norm rule of evaluation (design 3.10).

Feature Random Enhancement multiplies feature maps in training only, but the running statistics of the
layers behind are learned with the enhancement on.  Used in evaluation, with it off, they shift the
network's output by an artefact of the normalisation.  The rule "recalibrate" therefore replaces them, for
evaluation only, by statistics of un-augmented training images with the enhancement off.  It is an addition
to the paper; "running" is what the paper's code presumably did.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fre_hpo.model.norm import BatchRenorm, StatisticsNorm


def statistics_layers(network: nn.Module) -> list[nn.BatchNorm2d | BatchRenorm]:
    """The layers whose running statistics decide in evaluation."""
    return [layer for layer in network.modules() if isinstance(layer, StatisticsNorm)]


@contextmanager
def recalibrated(network: nn.Module, images: Tensor) -> Iterator[None]:
    """Within this block the network, in evaluation mode, normalises by the statistics of ``images``.

    images (N, C, H, W): one batch of un-augmented training images, which bounds the cost to one forward
    pass.  Each layer's statistics are taken with all layers before it already re-estimated.  The learned
    running statistics are put back at the end.
    """
    layers = statistics_layers(network)
    learned = [(mean.clone(), var.clone()) for mean, var in map(_running, layers)]
    try:
        estimate_statistics(network, images)
        yield
    finally:
        for layer, (mean, var) in zip(layers, learned, strict=True):
            _overwrite(layer, mean, var)


@torch.no_grad()
def estimate_statistics(network: nn.Module, images: Tensor) -> None:
    """Overwrite every running mean and variance by those of one batch, layer by layer."""
    layers = statistics_layers(network)
    if not layers:
        return
    hooks = [layer.register_forward_pre_hook(_take_statistics) for layer in layers]
    try:
        network(images)
    finally:
        for hook in hooks:
            hook.remove()


def _take_statistics(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
    assert isinstance(layer, StatisticsNorm)
    var, mean = torch.var_mean(inputs[0].float(), dim=(0, 2, 3))
    _overwrite(layer, mean, var)


def _running(layer: nn.BatchNorm2d | BatchRenorm) -> tuple[Tensor, Tensor]:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    return layer.running_mean, layer.running_var


def _overwrite(layer: nn.BatchNorm2d | BatchRenorm, mean: Tensor, var: Tensor) -> None:
    for running, value in zip(_running(layer), (mean, var), strict=True):
        running.copy_(value)


def spread_evenly(count: int, wanted: int) -> list[int]:
    """Indices of ``wanted`` of ``count`` images, evenly spread, the same at every call."""
    chosen = min(count, wanted)
    return [i * count // chosen for i in range(chosen)]
