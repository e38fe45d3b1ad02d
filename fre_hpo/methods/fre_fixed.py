"""Fixed enhancement, the paper's additional experiment (Table 3): ten feature maps, drawn once from the
seed, times 10,000 in every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fre_hpo.methods.method import MAPS, Method, Parameter, Slots


def slots(parameters: Mapping[str, Any], maps: int, classes: int, seed: int) -> Slots:
    from fre_hpo.methods.gain import MapGain, draw_maps

    gain = MapGain(maps)
    gain.enhance(draw_maps(maps, int(parameters["B"]), seed, epoch=0), float(parameters["X"]))
    return Slots(bottleneck=gain)


METHOD = Method(
    name="fre-fixed",
    summary="fixed enhancement: B maps drawn once, times X",
    parameters=(
        Parameter("B", "int", 1, MAPS, 10, "how many feature maps are enhanced"),
        Parameter("X", "float", 1.0, 1e6, 10_000, "the factor they are multiplied by"),
    ),
    slots=slots,
)
