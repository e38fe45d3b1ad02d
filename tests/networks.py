"""Trained networks for tests: small ones, trained once in a session, and one whose convolutions are all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from fre_hpo.inference.network import TrainedNetwork, from_bytes
from trials import result, small_spec


def trained_network(
    method: str = "fre", settings: Mapping[str, Any] | None = None
) -> TrainedNetwork:
    """The network of a small trial on drawn cells of 32x32 (trials.SMALL)."""
    return from_bytes(result(small_spec(method, settings)).network, "best.pt")


def local_network(settings: Mapping[str, Any] | None = None) -> TrainedNetwork:
    """The same without anything that looks farther than convolutions do: the gates are constant."""
    network = trained_network("baseline", settings)
    for name, parameter in network.module.named_parameters():
        if ".gate." in name:
            with torch.no_grad():
                parameter.zero_()
    return network
