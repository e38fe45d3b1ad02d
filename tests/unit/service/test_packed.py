"""A start uses what was measured of trials that share a GPU, unless it is told otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fre_hpo.scheduling.packing import Finding, Workload, remember
from fre_hpo.scheduling.placement import Machine
from fre_hpo.service import search
from fre_hpo.service.check import Preparation, check
from fre_hpo.service.request import Request
from fre_hpo.settings import Settings
from searching import tiny_request

GPU = Machine(cpus=8, gpus=1)
TWO = Finding(2, "NVIDIA X", "2026-11-23")
REQUEST = replace(tiny_request(), executor="ray", parallel=None)


@pytest.fixture
def measured(home: Path) -> tuple[Preparation, Settings]:
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    remember(home, Workload((4, 8, 16), 32, 32, 4), TWO)
    return check(REQUEST, settings), settings


def test_trials_share_a_gpu_as_was_measured(measured: tuple[Preparation, Settings]) -> None:
    preparation, settings = measured
    packed = search._packed(preparation, REQUEST, settings)
    placement = search._placement(REQUEST, GPU, packed)
    assert (packed, placement.parallel, placement.gpus_per_trial) == (TWO, 2, 0.5)
    sentence = search._placement_sentence(REQUEST, placement, packed)
    assert sentence.endswith("as `fre-hpo bench pack` found on 2026-11-23 (NVIDIA X).")


@pytest.mark.parametrize(
    "request_",
    [
        replace(REQUEST, gpus_per_trial=1.0),
        replace(REQUEST, ray_address="head:6379"),
        replace(REQUEST, executor="inline"),
    ],
)
def test_a_flag_or_a_cluster_goes_before_it(
    measured: tuple[Preparation, Settings], request_: Request
) -> None:
    preparation, settings = measured
    packed = search._packed(preparation, request_, settings)
    assert packed is None
    assert search._placement(request_, GPU, packed).parallel == 1


def test_without_a_gpu_nothing_changes(measured: tuple[Preparation, Settings]) -> None:
    preparation, settings = measured
    packed = search._packed(preparation, REQUEST, settings)
    placement = search._placement(REQUEST, Machine(cpus=2, gpus=0), packed)
    assert (placement.device, placement.parallel) == ("cpu", 2)
    assert "bench" not in search._placement_sentence(REQUEST, placement, packed)
