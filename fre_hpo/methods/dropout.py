"""SE-U-Net + Dropout at the deepest feature maps, element by element, rate B / maps (Tables 1, 2: 162/512
and 8/512)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fre_hpo.methods.method import MAPS, Method, Parameter, Slots


def slots(parameters: Mapping[str, Any], maps: int, classes: int, seed: int) -> Slots:
    from fre_hpo.methods.elements import ElementDropout

    return Slots(bottleneck=ElementDropout(rate=int(parameters["B"]) / maps))


METHOD = Method(
    name="dropout",
    summary="SE-U-Net with Dropout at the end of the encoder",
    parameters=(
        Parameter("B", "int", 1, MAPS, "1..maps:log", "dropout rate times the number of maps"),
    ),
    slots=slots,
)
