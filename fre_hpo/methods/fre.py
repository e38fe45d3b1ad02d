"""Feature Random Enhancement, the paper's proposal (section 3): at every epoch B of the feature maps at
the end of the encoder are drawn at random and multiplied by X, in training only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fre_hpo.methods.method import MAPS, Method, Parameter, Slots


def slots(parameters: Mapping[str, Any], maps: int, classes: int, seed: int) -> Slots:
    from fre_hpo.methods.gain import MapGain, draw_maps

    count, factor = int(parameters["B"]), float(parameters["X"])
    gain = MapGain(maps)

    def start_epoch(epoch: int) -> None:
        gain.enhance(draw_maps(maps, count, seed, epoch), factor)

    return Slots(bottleneck=gain, start_epoch=start_epoch)


METHOD = Method(
    name="fre",
    summary="Feature Random Enhancement: B maps drawn anew each epoch, times X",
    parameters=(
        Parameter("B", "int", 1, MAPS, "1..maps:log", "how many feature maps are enhanced"),
        Parameter("X", "float", 1.0, 1e6, "1..1000:log", "the factor they are multiplied by"),
    ),
    slots=slots,
)
