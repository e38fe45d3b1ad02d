"""GPUs: what nvidia-smi and torch print, and what is said of it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from fre_hpo.scheduling.doctor import gpus
from fre_hpo.scheduling.doctor.checks import Row
from fre_hpo.scheduling.doctor.gpu_rows import judge_gpus
from fre_hpo.scheduling.doctor.gpus import (
    Gpu,
    Graphics,
    Nvidia,
    Program,
    Torch,
    look_at_nvidia,
    look_at_torch,
    read_nvidia,
    read_torch,
)

GIB = 2**30
LISTED = """\
GPU-aaa, 0, NVIDIA RTX A6000, 49140, 47320, 580.65.06
GPU-bbb, 1, NVIDIA RTX A6000, 49140, 1820, 580.65.06
"""
APPS = """\
GPU-bbb, 4711, /home/anna/env/bin/python, with a comma
GPU-bbb, 4712, [Not Found]
"""
PAGE = "| NVIDIA-SMI 580.65.06     Driver Version: 580.65.06     CUDA Version: 13.0     |\n"
CARD = Gpu(0, "NVIDIA RTX A6000", 48 * GIB, 47 * GIB)
NVIDIA = Nvidia(True, (CARD,), "580.65.06", "13.0")
TORCH = Torch("2.13.0+cu130", "13.0", ("NVIDIA RTX A6000",))


def rows(nvidia: Nvidia = NVIDIA, torch: Torch = TORCH) -> dict[str, Row]:
    return {row.check: row for row in judge_gpus(Graphics(nvidia, torch))}


def problem(nvidia: Nvidia = NVIDIA, torch: Torch = TORCH) -> Row:
    (found,) = [row for row in rows(nvidia, torch).values() if not row.ok]
    return found


# --- nvidia-smi ---------------------------------------------------------------------------------


def test_what_nvidia_smi_lists() -> None:
    found = read_nvidia(LISTED, APPS, PAGE)
    assert (found.driver, found.cuda) == ("580.65.06", "13.0")
    free, used = found.gpus
    assert free == Gpu(0, "NVIDIA RTX A6000", 49140 * 2**20, 47320 * 2**20)
    python = Program(4711, "/home/anna/env/bin/python, with a comma")
    assert used.programs == (python, Program(4712, ""))


def test_what_a_driver_does_not_tell_is_left_open() -> None:
    found = read_nvidia("GPU-aaa, 0, GRID, [N/A], [N/A], 535.1\n", "No running processes\n", "")
    assert found == Nvidia(True, (Gpu(0, "GRID", None, None),), "535.1", "")
    assert read_nvidia("No devices were found\n", "", "").gpus == ()


def program(folder: Path, script: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_an_nvidia_smi_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    program(
        tmp_path,
        f'case "$1" in\n--query-gpu*) printf "{LISTED}";;\n'
        f'--query-compute*) printf "{APPS}";;\n*) printf "{PAGE}";;\nesac',
    )
    assert look_at_nvidia() == read_nvidia(LISTED, APPS, PAGE)
    program(tmp_path, 'echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18')
    assert look_at_nvidia().trouble == "Failed to initialize NVML: Driver/library version mismatch"
    program(tmp_path, "exec sleep 60")
    monkeypatch.setattr(gpus, "NVIDIA_SECONDS", 0.2)
    assert look_at_nvidia() == Nvidia(found=True, trouble="no answer within 0.2 s")


def test_no_nvidia_smi_is_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert look_at_nvidia() == Nvidia()


# --- torch --------------------------------------------------------------------------------------


def test_torch_tells_of_itself_in_a_process_of_its_own() -> None:
    import torch

    found = look_at_torch(os.environ)
    assert found.version == torch.__version__
    assert found.built_for == torch.version.cuda
    assert len(found.gpus) == torch.cuda.device_count()


def test_a_torch_that_fails_is_told_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_TORCH", "fre_hpo.training.no_such_module")
    assert "no_such_module" in look_at_torch(os.environ).trouble
    monkeypatch.setattr(gpus, "TORCH_SECONDS", 0.01)
    assert look_at_torch(os.environ).trouble == "it was not loaded within 0.01 s"


def test_the_answer_of_a_process_is_read() -> None:
    facts = {"version": "2.13.0", "built_for": "13.0", "mps": False, "trouble": "x"}
    output = json.dumps({**facts, "gpus": [{"name": "H200", "memory": 1}]})
    assert read_torch(0, f"a warning\n{output}\n", "", "0") == Torch(
        "2.13.0", "13.0", ("H200",), trouble="x", hidden="0"
    )
    assert read_torch(-11, "", "", None).trouble == "loading it ended the process (signal 11)"
    assert read_torch(1, "", "x\nOSError: libcudart\n", None).trouble == "OSError: libcudart"
    assert read_torch(1, "", "", None).trouble == "loading it failed with exit code 1"


# --- verdicts -----------------------------------------------------------------------------------


def test_a_gpu_in_order() -> None:
    assert {name: row.value for name, row in rows().items()} == {
        "GPU 0": "NVIDIA RTX A6000, 47 GiB of 48 GiB free",
        "GPU driver": "580.65.06, for CUDA up to 13.0",
        "torch's GPUs": "1 GPU, built for CUDA 13.0",
    }
    assert all(row.verdict == "OK" for row in rows().values())


def test_no_gpu_is_no_problem() -> None:
    (row,) = rows(Nvidia(), Torch("2.13.0+cpu")).values()
    assert row == Row("GPU", "none, trials train on the CPU", missing=True)
    assert rows(Nvidia(), Torch("2.13.0", mps=True))["GPU"].value == "Apple's, by MPS"
    assert rows(Nvidia(), Torch("2.13.0", "6.4", ("AMD MI300",)))["GPU"].value == "AMD MI300"


def test_a_driver_that_fails_is_a_problem() -> None:
    found = problem(Nvidia(found=True, trouble="couldn't communicate"))
    assert found.value == "nvidia-smi: couldn't communicate"
    assert "`nvidia-smi`" in found.hint


def full(*programs: Program) -> Nvidia:
    return replace(NVIDIA, gpus=(replace(CARD, free=GIB, programs=programs),))


def test_a_gpu_that_others_fill_is_a_problem_and_one_that_trials_fill_is_not() -> None:
    trial = Program(1, "ray::Trainer.train")
    others = [Program(pid, "/usr/bin/python") for pid in (7, 8, 9)]
    assert "`ps -fp 7 8 9`" in problem(full(trial, *others)).hint
    assert problem(full(trial, *others)).value.endswith(
        "used by 4 programs (ray::Trainer.train 1, python 7, python 8, ...)"
    )
    assert rows(full(trial))["GPU 0"].ok
    assert "`nvidia-smi`" in problem(full()).hint
    unknown = replace(CARD, memory=None, free=None)
    assert rows(replace(NVIDIA, gpus=(unknown,)))["GPU 0"] == Row("GPU 0", "NVIDIA RTX A6000")


@pytest.mark.parametrize(
    ("cuda", "built_for", "fits"),
    [("13.0", "13.0", True), ("13.0", "13.2", True), ("13.0", "12.8", True), ("", "13.0", True)],
)
def test_a_driver_runs_what_was_built_for_its_major_version(
    cuda: str, built_for: str, fits: bool
) -> None:
    found = rows(replace(NVIDIA, cuda=cuda), replace(TORCH, built_for=built_for))
    assert found["GPU driver"].ok == fits


def test_a_driver_too_old_for_torch_is_a_problem() -> None:
    found = rows(replace(NVIDIA, cuda="12.4"))["GPU driver"]
    assert found.value == "580.65.06, for CUDA up to 12.4, too old for torch"
    assert "`pip install --force-reinstall torch --index-url" in found.hint
    assert "pip" not in rows(replace(NVIDIA, cuda="11.4"))["GPU driver"].hint


def test_a_torch_that_uses_no_gpu_where_there_is_one_is_a_problem() -> None:
    assert "build for CPUs" in problem(torch=Torch("2.13.0+cpu")).value
    old = replace(TORCH, trouble="GPU 0: no kernel image is available")
    assert problem(torch=old).value == "1 of 1: GPU 0: no kernel image is available"
    assert problem(torch=replace(TORCH, gpus=())).value == "0 of 1: no reason was given"
    damaged = Torch(trouble="OSError: libcudart")
    assert problem(torch=damaged).value == "torch cannot be loaded: OSError: libcudart"
    assert problem(Nvidia(), damaged).check == "torch's GPUs"


def test_gpus_that_are_hidden_on_purpose_are_no_problem() -> None:
    hidden = rows(torch=replace(TORCH, gpus=(), hidden=""))["torch's GPUs"]
    assert hidden.value == "0 of 1, as CUDA_VISIBLE_DEVICES='' says"
    assert hidden.verdict == "-"
