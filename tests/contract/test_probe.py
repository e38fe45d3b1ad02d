"""The probe on a real Ray: the code that runs on a GPU, with the CPU in its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from fre_hpo.scheduling import probe as probing
from fre_hpo.scheduling.packing import Extent, Finding, Notes, Workload
from fre_hpo.scheduling.probe import RayStand, probe
from fre_hpo.trial import TrainingData
from trials import drawn_data, small_job, small_spec

SPEC = small_spec()
WORK = Workload((8, 8, 16), 32, 32, 2)
LONG = Extent(trials=50, epochs=10**6, seconds=None, parallel=2, gpus=1)


@pytest.fixture(autouse=True)
def quick(local_ray: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "WINDOW_SECONDS", 0.3)


def probed(notes: Notes, extent: Extent = LONG, **job: Any) -> tuple[Finding | None, list[str]]:
    said: list[str] = []
    wanted = replace(small_job(SPEC), **job)
    return probe(wanted, drawn_data(SPEC), extent, notes, said.append), said


def cpus_are_free() -> bool:
    return ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"]


def test_trials_are_tried_together_and_a_sentence_tells(tmp_path: Path) -> None:
    found, said = probed(Notes(tmp_path, WORK))
    assert found is not None
    assert (found.gpu, found.by) == ("cpu", "a probe")
    assert found.trials in (1, 2)
    assert said[1].startswith("A probe on cpu trained one trial ")
    assert "2 at once" in said[1]


def test_what_it_finds_is_remembered_by_the_gpus_name(tmp_path: Path) -> None:
    known = Finding(2, "cpu", "2026-11-23")
    notes = Notes(tmp_path, WORK, place="")
    notes.of("cpu").write(known)
    found, said = probed(notes)
    assert found == known
    assert len(said) == 1


def test_a_training_that_fails_costs_the_search_nothing(tmp_path: Path) -> None:
    found, said = probed(Notes(tmp_path, WORK), checkpoint=b"damaged")
    assert found is None
    assert said[1].startswith("The probe came to nothing (")
    assert "each trial has a GPU to itself" in said[1]
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_is_free_it_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "FREE_SECONDS", 0.5)
    found, said = probed(Notes(tmp_path, WORK), device="cuda")  # this Ray has none
    assert found is None
    assert said[1] == (
        "The probe came to nothing (no GPU is free): each trial has a GPU to itself."
    )


def test_memory_that_runs_out_is_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class SmallGPU(RayStand):
        def add(self) -> Any:
            if self._training:
                raise probing.Crowded("CUDA out of memory")
            return super().add()

    monkeypatch.setattr(probing, "RayStand", SmallGPU)
    notes = Notes(tmp_path, WORK)
    found, said = probed(notes)
    assert found is not None
    assert found.trials == 1
    assert "for its memory holds no more" in said[1]
    assert notes.read() == found


@pytest.mark.gpu
def test_a_gpu_is_probed(tmp_path: Path) -> None:
    """Needs a Ray with a GPU: the probe's own, beside the one of the other tests."""
    assert torch.cuda.is_available()
    ray.shutdown()
    ray.init(address="local", num_gpus=1, include_dashboard=False, log_to_driver=False)
    data: TrainingData = drawn_data(SPEC)
    said: list[str] = []
    job = replace(small_job(SPEC), device="cuda")
    found = probe(job, data, LONG, Notes(tmp_path, WORK), said.append)
    assert found is not None, said
    assert found.gpu == torch.cuda.get_device_name(0)
    assert ray.get_gpu_ids() == []
