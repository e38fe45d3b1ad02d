"""What a machine gives to a cluster unless told otherwise."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from fre_hpo.scheduling import machine

LISTED = """\
GPU 0: NVIDIA H200 (UUID: GPU-11111111-2222-3333-4444-555555555555)
  MIG 1g.18gb Device 0: (UUID: MIG-aaaaaaaa-2222-3333-4444-555555555555)
GPU 1: NVIDIA H200 (UUID: GPU-66666666-2222-3333-4444-555555555555)
"""


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(tmp_path, monkeypatch, f"cat <<'END'\n{LISTED}END\n")


def tell(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have ``nvidia-smi`` be this script."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("visible", "count"),
    [
        (None, 2),
        ("0", 1),
        ("1,0", 2),
        ("", 0),
        ("-1", 0),
        ("NoDevFiles", 0),
        ("GPU-11111111-2222-3333-4444-555555555555", 1),
        ("MIG-aaaaaaaa-2222-3333-4444-555555555555", 1),
        ("0,1,2,3", 2),
    ],
)
def test_gpus_are_those_that_are_visible(visible: str | None, count: int) -> None:
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert machine.gpus(environ) == count


def test_without_a_driver_there_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpus({"CUDA_VISIBLE_DEVICES": "0"}) == 0


def test_a_driver_that_fails_tells_of_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(tmp_path, monkeypatch, "echo 'GPU 0: broken'; exit 9\n")
    assert machine.gpus({}) == 0


@pytest.mark.parametrize(
    ("files", "share"),
    [
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 64),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ({}, 64),
    ],
)
def test_a_containers_share_of_the_cpus_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], share: int
) -> None:
    monkeypatch.setattr(machine, "usable_cpus", lambda: 64)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert machine.cpus(tmp_path) == share


@pytest.mark.parametrize(
    ("free", "size", "warned"),
    [
        (64, machine.ON_DISK, True),
        (1000, (900 * 2**20), False),
        (100_000, None, False),
    ],
)
def test_objects_stay_within_shared_memory(
    monkeypatch: pytest.MonkeyPatch, free: int, size: int | None, warned: bool
) -> None:
    """free: MB of /dev/shm, on a machine of 24 GB."""
    room = SimpleNamespace(f_bavail=free, f_blocks=free, f_frsize=2**20)
    monkeypatch.setattr(os, "statvfs", lambda folder: room)
    monkeypatch.setattr(machine, "_memory", lambda: 24 * 2**30)
    found = machine.store()
    assert found.size == size
    assert ("holds only 64 MB" in found.warning) is warned


def test_where_there_is_no_shared_memory_ray_chooses(tmp_path: Path) -> None:
    assert machine.store(tmp_path / "nothing") == machine.Store(None)
