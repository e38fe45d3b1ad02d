"""How many trials share a GPU: as was found before, else as a probe finds, unless a flag says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fre_hpo.scheduling import probe
from fre_hpo.scheduling.packing import Extent, Finding, Notes, Workload, remember
from fre_hpo.scheduling.placement import Machine
from fre_hpo.service import search
from fre_hpo.service.check import Preparation, check
from fre_hpo.service.gpu_share import TOO_SHORT, share_of_a_gpu
from fre_hpo.settings import Settings
from fre_hpo.trial import Job, TrainingData
from searching import tiny_request

GPU = Machine(cpus=8, gpus=1)
TWO = Finding(2, "NVIDIA X", "2026-11-23")
THREE = Finding(3, "NVIDIA Y", "2026-11-24", "a probe")
REQUEST = replace(tiny_request(trials=200), executor="ray", parallel=None)
TINY = Workload((4, 8, 16), 32, 32, 4)
Prepared = tuple[Preparation, Settings]


@pytest.fixture
def prepared(home: Path) -> Prepared:
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    return check(REQUEST, settings), settings


class Probes:
    """Stands in for the probe and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Job, Extent, Notes]] = []

    def __call__(
        self,
        job: Job,
        data: TrainingData,
        extent: Extent,
        notes: Notes,
        say: Callable[[str], None],
    ) -> Finding:
        self.asked.append((job, extent, notes))
        return THREE


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> Probes:
    probes = Probes()
    monkeypatch.setattr(probe, "probe", probes)
    return probes


def found(prepared: Prepared, machine: Machine = GPU, **changes: Any) -> tuple[Any, list[str]]:
    """The finding that is used, and what was said."""
    preparation, settings = prepared
    said: list[str] = []
    request = replace(REQUEST, **changes)
    return share_of_a_gpu(preparation, request, settings, machine, said.append), said


def test_trials_share_a_gpu_as_was_measured(prepared: Prepared, probes: Probes) -> None:
    remember(prepared[1].home, TINY, TWO)
    packed, said = found(prepared)
    assert (packed, said, probes.asked) == (TWO, [], [])
    placement = search._wanted(REQUEST, GPU, packed).on(GPU)
    assert (placement.parallel, placement.gpus_per_trial) == (2, 0.5)
    sentence = search._placement_sentence(REQUEST, placement, packed)
    assert sentence.endswith("as `fre-hpo bench pack` found on 2026-11-23 (NVIDIA X).")


@pytest.mark.parametrize(
    ("machine", "changes"),
    [
        (GPU, {"gpus_per_trial": 1.0}),
        (GPU, {"executor": "inline"}),
        (GPU, {"device": "cpu"}),
        (Machine(cpus=8, gpus=0), {}),
    ],
)
def test_a_flag_goes_before_it_and_without_a_gpu_there_is_nothing_to_share(
    prepared: Prepared, probes: Probes, machine: Machine, changes: dict[str, Any]
) -> None:
    remember(prepared[1].home, TINY, TWO)
    assert found(prepared, machine, **changes) == (None, [])
    assert probes.asked == []


def test_where_nothing_is_known_a_probe_looks(prepared: Prepared, probes: Probes) -> None:
    packed, _ = found(prepared, Machine(cpus=8, gpus=2), parallel=6, hours=2.0)
    ((job, extent, notes),) = probes.asked
    assert packed == THREE
    assert extent == Extent(trials=200, epochs=3, seconds=7200, parallel=6, gpus=2)
    assert notes == Notes(prepared[1].home, TINY)
    assert (job.device, job.threads, job.parameters) == ("cuda", 4, {"B": 1, "X": 1})


def test_on_a_cluster_a_probe_tells_which_gpu_it_is(prepared: Prepared, probes: Probes) -> None:
    """What was found on this machine holds for its own GPUs."""
    remember(prepared[1].home, TINY, TWO)
    packed, _ = found(prepared, ray_address="head:6379")
    assert packed == THREE
    assert probes.asked[0][2].place == ""


def test_a_search_of_a_trial_for_each_gpu_has_nothing_to_share(
    prepared: Prepared, probes: Probes
) -> None:
    assert found(prepared, Machine(cpus=8, gpus=4), parallel=4) == (None, [])
    assert probes.asked == []


def test_a_short_search_is_not_probed_and_that_is_said(home: Path, probes: Probes) -> None:
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    short = check(replace(REQUEST, trials=20), settings)
    assert found((short, settings)) == (None, [TOO_SHORT])
    assert probes.asked == []


def test_an_engine_of_its_own_is_a_workload_of_its_own(home: Path, probes: Probes) -> None:
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    overrides = {**REQUEST.overrides, "engine.precision": "float32", "engine.compile": True}
    exact = check(replace(REQUEST, overrides=overrides), settings)
    remember(home, TINY, TWO)
    assert found((exact, settings))[0] == THREE
    assert probes.asked[0][2].workload.engine == "float32 compiled"
