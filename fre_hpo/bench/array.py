"""Several networks as one array: each convolution of k networks as one convolution in k groups.

All other layers act on each map alone and would profit at most as much; so the convolutions alone tell
whether the array form is worth building.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fre_hpo.bench import ours
from fre_hpo.bench.measures import Figure, Ratio, Timing, compare
from fre_hpo.bench.setup import Setup
from fre_hpo.bench.shapes import Shape
from fre_hpo.bench.timing import Work, interleave
from fre_hpo.training.engine import Engine


@dataclass(frozen=True)
class Convolution:
    """inputs and outputs: feature maps; kernel: its side; height and width of the maps."""

    inputs: int
    outputs: int
    kernel: int
    height: int
    width: int

    def __str__(self) -> str:
        size = f"{self.kernel}x{self.kernel}"
        return f"{size}, {self.inputs} to {self.outputs} maps of {self.height}x{self.width}"


@dataclass(frozen=True)
class ArrayForm:
    """What became of it; ratios say how much faster the grouped convolution is than separate ones."""

    ratios: tuple[Ratio, ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]


def array_form(setup: Setup, networks: int) -> ArrayForm:
    """Time every convolution of a training step, forward and backward, in both forms."""
    found = convolutions(setup.shape)
    each = setup.seconds / len(found)
    timed = {shape: _timed(shape, setup, networks, each) for shape in found}
    ratios = {shape: compare(*pair) for shape, pair in timed.items()}
    separate, grouped = (
        1000 * sum(count * timed[shape][form].median for shape, count in found.items())
        for form in (0, 1)
    )
    paying = sum(ratio.low > 1 for ratio in ratios.values())
    return ArrayForm(
        tuple(ratios.values()),
        (
            Figure(f"all convolutions of {networks} networks, separate", separate, "ms"),
            Figure(f"all convolutions of {networks} networks, as an array", grouped, "ms"),
        ),
        (_conclusion(paying, len(found), separate / grouped),),
    )


def _conclusion(paying: int, shapes: int, gain: float) -> str:
    if paying == 0:
        return "the array form is shown to pay for no convolution of this network"
    return (
        f"the array form pays for {paying} of {shapes} kinds of convolution of this network; "
        f"over all of them it is {gain:.2f} times as fast"
    )


def convolutions(shape: Shape) -> Counter[Convolution]:
    """The 3x3 convolutions of the network, and how often each occurs."""
    found: Counter[Convolution] = Counter()

    def note(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        height, width = output.shape[-2:]
        kernel = layer.kernel_size[0]
        found[Convolution(layer.in_channels, layer.out_channels, kernel, height, width)] += 1

    with torch.device("meta"):
        network = ours.network(shape, ours.method(shape))
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d) and layer.kernel_size[0] > 1:
                layer.register_forward_hook(note)
        network(torch.empty(1, shape.channels, shape.height, shape.width))
    return found


def _timed(
    shape: Convolution, setup: Setup, networks: int, seconds: float
) -> tuple[Timing, Timing]:
    """The separate and the grouped form by turns."""
    batch = setup.shape.batch
    works = [
        Work(f"separate {shape}", _separate(shape, setup, networks, batch)),
        Work(f"array of {shape}", _grouped(shape, setup, networks, batch)),
    ]
    separate, grouped = interleave(works, setup.device, seconds)
    return separate, grouped


def _separate(shape: Convolution, setup: Setup, networks: int, batch: int) -> Callable[[], None]:
    pairs = [_tensors(shape, setup, 1, batch) for _ in range(networks)]

    def run() -> None:
        for images, weight in pairs:
            _forward_and_backward(images, weight, 1)

    return run


def _grouped(shape: Convolution, setup: Setup, networks: int, batch: int) -> Callable[[], None]:
    images, weight = _tensors(shape, setup, networks, batch)
    return lambda: _forward_and_backward(images, weight, networks)


def _tensors(shape: Convolution, setup: Setup, networks: int, batch: int) -> tuple[Tensor, Tensor]:
    """Feature maps (batch, networks * inputs, H, W) and weights in the engine's formats."""
    size = (batch, networks * shape.inputs, shape.height, shape.width)
    kernel = (networks * shape.outputs, shape.inputs, shape.kernel, shape.kernel)
    first, second = (_tensor(s, setup.engine, setup.device) for s in (size, kernel))
    return first, second


def _tensor(size: tuple[int, ...], engine: Engine, device: torch.device) -> Tensor:
    layout = torch.channels_last if engine.channels_last else torch.contiguous_format
    values = torch.rand(size, device=device, dtype=getattr(torch, engine.precision))
    return values.to(memory_format=layout).requires_grad_()


def _forward_and_backward(images: Tensor, weight: Tensor, groups: int) -> None:
    images.grad = weight.grad = None
    output = F.conv2d(images, weight, padding=weight.shape[-1] // 2, groups=groups)
    output.backward(torch.ones_like(output))
