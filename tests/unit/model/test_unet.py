"""The SE-U-Net: its size, its shapes, and where its three slots lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fre_hpo.model.blocks import SqueezeExcite, Upsample
from fre_hpo.model.norm import Norm
from fre_hpo.model.unet import SEUNet
from fre_hpo.study.spec import ModelSpec


def small(
    widths: Sequence[int] = (4, 8, 16),
    channels: int = 1,
    norm: Norm = "batch",
    upsample: Upsample = "transposed",
    **slots: nn.Module,
) -> SEUNet:
    torch.manual_seed(0)
    return SEUNet(
        widths, 3, channels=channels, norm=norm, upsample=upsample, se_reduction=4, **slots
    )


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


class Doubled(nn.Module):
    """A bottleneck that remembers what it saw."""

    def forward(self, features: Tensor) -> Tensor:
        self.seen = features
        return 2 * features


def test_the_default_network_has_the_size_that_is_told() -> None:
    defaults = ModelSpec()
    with torch.device("meta"):
        network = SEUNet(
            defaults.widths,
            3,
            channels=1,
            norm=defaults.norm,
            upsample=defaults.upsample,
            se_reduction=defaults.se_reduction,
        )
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 1, 256, 256))
    assert parameters(network) == 7_754_907
    assert counter.get_total_flops() / 1e9 == pytest.approx(73.38, abs=0.005)


@pytest.mark.parametrize("upsample", ["transposed", "bilinear"])
@pytest.mark.parametrize("norm", ["batch", "batch_renorm", "group"])
def test_logits_have_the_images_size(norm: Norm, upsample: Upsample) -> None:
    network = small(channels=2, norm=norm, upsample=upsample)
    assert network(torch.randn(2, 2, 16, 24)).shape == (2, 3, 16, 24)


def test_every_parameter_learns() -> None:
    network = small(side_head=nn.Conv2d(16, 3, 1))
    main, side = network.forward_both(torch.randn(2, 1, 16, 16))
    assert side is not None
    (main.square().mean() + side.square().mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_skip_connections_are_the_encoders_features_at_each_size() -> None:
    network = small()
    skips, deepest = network.encode(torch.randn(1, 1, 32, 32))
    assert [tuple(skip.shape) for skip in skips] == [(1, 4, 32, 32), (1, 8, 16, 16)]
    assert deepest.shape == (1, 16, 8, 8)


def test_every_skip_connection_reaches_the_output() -> None:
    network = small().eval()
    skips, deepest = network.encode(torch.randn(1, 1, 32, 32))
    whole = network.decode(skips, deepest)
    for missing in range(len(skips)):
        cut = [skip * (i != missing) for i, skip in enumerate(skips)]
        assert not torch.equal(network.decode(cut, deepest), whole)


def test_the_bottleneck_sees_the_deepest_maps_behind_relu_and_squeeze_excite() -> None:
    bottleneck = Doubled()
    network = small(bottleneck=bottleneck).eval()
    images = torch.randn(2, 1, 32, 32)
    gated: list[Tensor] = []
    last = network.encoder[-1]
    assert isinstance(last, nn.Sequential)
    assert isinstance(last[-1], SqueezeExcite)
    last[-1].register_forward_hook(lambda layer, inputs, output: gated.append(output))
    output = network(images)
    assert torch.equal(bottleneck.seen, gated[0])
    assert bottleneck.seen.min() == 0
    skips, deepest = network.encode(images)
    assert torch.equal(output, network.decode(skips, 2 * deepest))


def test_the_side_head_sees_what_leaves_the_bottleneck_and_only_in_training() -> None:
    seen: list[Tensor] = []
    side_head = nn.Conv2d(16, 3, 1)
    side_head.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    bottleneck = Doubled()
    network = small(bottleneck=bottleneck, side_head=side_head).eval()
    images = torch.randn(2, 1, 32, 32)
    main, side = network.forward_both(images)
    assert torch.equal(seen.pop(), 2 * bottleneck.seen)
    assert side is not None
    assert side.shape == main.shape == (2, 3, 32, 32)
    assert torch.equal(network(images), main)
    assert seen == []


def test_without_slots_both_outputs_are_the_plain_one() -> None:
    network = small().eval()
    images = torch.randn(1, 1, 16, 16)
    main, side = network.forward_both(images)
    assert side is None
    assert torch.equal(main, network(images))


def test_squeeze_excite_scales_each_map_by_a_gate_of_all_means() -> None:
    torch.manual_seed(0)
    layer = SqueezeExcite(8, reduction=4)
    features = torch.randn(2, 8, 5, 5)
    state: dict[str, Any] = layer.state_dict()
    means = features.sum(dim=(2, 3)) / 25
    hidden = (means @ state["gate.0.weight"].T + state["gate.0.bias"]).clamp(min=0)
    gate = 1 / (1 + torch.exp(-(hidden @ state["gate.2.weight"].T + state["gate.2.bias"])))
    assert hidden.shape == (2, 2)
    torch.testing.assert_close(layer(features), features * gate.reshape(2, 8, 1, 1))


def test_fewer_maps_than_the_reduction_leave_one_hidden_number() -> None:
    assert SqueezeExcite(4, reduction=16)(torch.ones(1, 4, 2, 2)).shape == (1, 4, 2, 2)
