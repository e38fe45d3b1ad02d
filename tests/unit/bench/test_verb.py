"""``fre-hpo bench`` and ``python -m fre_hpo.bench``: what they print, write and exit with."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fre_hpo.bench import __main__ as script
from fre_hpo.bench import suite
from fre_hpo.bench.machine import describe
from fre_hpo.bench.measures import FASTER, SLOWER, Arm, Figure, Part, Ratio
from fre_hpo.bench.pack import BEST
from fre_hpo.bench.report import Report
from fre_hpo.bench.request import PARTS, Request
from fre_hpo.bench.shapes import SHAPES
from fre_hpo.cli.main import run
from fre_hpo.scheduling.packing import Finding, Workload, remembered

Captured = pytest.CaptureFixture[str]
Command = Callable[[list[str]], int]
FAST = Ratio("plain twin", "ours", 2.0, 1.9, 2.1, FASTER, gated=True)
SLOW = Ratio("plain twin", "ours", 0.6, 0.5, 0.7, SLOWER, gated=True)


def measured(ratio: Ratio) -> Report:
    machine = {**describe(torch.device("cpu")), "load_before": 0.5, "load_after": 0.5}
    part = Part("step", "one training step", "ms", (Arm("ours", 61.7, 0.5),), (ratio,))
    return Report(machine, SHAPES["tiny"], (part,))


@pytest.fixture(params=["fre-hpo bench", "python -m fre_hpo.bench"])
def command(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Both ways to call it, which take the same flags."""
    if request.param == "fre-hpo bench":
        return lambda arguments: run(["bench", *arguments])

    def called(arguments: list[str]) -> int:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        return script.main()

    return called


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Ratio], list[Request]]:
    """Answer every request with a ratio; returns the requests made."""

    def answered(ratio: Ratio) -> list[Request]:
        requests: list[Request] = []

        def instead(request: Request, tell: object) -> Report:
            requests.append(request)
            return measured(ratio)

        monkeypatch.setattr(suite, "run", instead)
        monkeypatch.setattr(script, "run", instead)
        return requests

    return answered


def test_a_table_says_what_was_measured(
    command: Command, answer: Callable[[Ratio], list[Request]], capsys: Captured
) -> None:
    (requests, code) = answer(FAST), command(["step", "--tiny"])
    out = capsys.readouterr().out
    assert code == 0
    assert requests == [Request("step", tiny=True)]
    assert "step: one training step" in out
    assert [line.split()[:3] for line in out.splitlines() if line.startswith("ours")] == [
        ["ours", "61.7", "0.5"],
        ["ours", "2.00", "plain"],
    ]


def test_every_flag_reaches_the_measurement(
    command: Command, answer: Callable[[Ratio], list[Request]]
) -> None:
    requests = answer(FAST)
    flags = ["--device", "cpu", "--shape", "cpu", "--compile", "--seconds", "7"]
    assert command([*flags, "--storage", "postgresql://host/db"]) == 0
    assert requests == [Request("all", False, "cpu", "cpu", True, 7.0, "postgresql://host/db")]


def test_json_goes_to_the_screen_and_to_a_file(
    command: Command,
    answer: Callable[[Ratio], list[Request]],
    capsys: Captured,
    tmp_path: Path,
) -> None:
    answer(FAST)
    assert command(["-f", "json", "-o", str(tmp_path / "report.json")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "report.json").read_text())
    assert printed["parts"][0]["ratios"][0]["median"] == 2.0


def test_a_slow_fast_path_exits_1_with_one_sentence(
    command: Command, answer: Callable[[Ratio], list[Request]], capsys: Captured
) -> None:
    answer(SLOW)
    assert command(["step"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "Error: step: ours runs at 0.60 times the speed of its plain twin (95 % interval 0.50 to "
        "0.70); at least 0.8 is wanted."
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_refused(command: Command, capsys: Captured) -> None:
    assert command(["step", "--device", "cuda"]) == 2
    assert "use --device cpu" in capsys.readouterr().err


def test_an_unknown_shape_is_answered_with_the_known_ones(capsys: Captured) -> None:
    assert run(["bench", "step", "--shape", "mose"]) == 2
    assert "did you mean mouse" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_said(
    answer: Callable[[Ratio], list[Request]], capsys: Captured, tmp_path: Path
) -> None:
    answer(FAST)
    assert run(["bench", "-o", str(tmp_path / "missing" / "report.json")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_the_help_names_every_part_and_shape(capsys: Captured) -> None:
    assert run(["bench", "--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in (*PARTS, *SHAPES))


@pytest.mark.parametrize(("kind", "tiny"), [("cuda", False), ("cuda", True), ("cpu", False)])
def test_what_pack_finds_on_a_gpu_is_remembered_for_later_starts(
    kind: str, tiny: bool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {**describe(torch.device("cpu")), "device": "NVIDIA X", "kind": kind}
    facts |= {"date": "2026-11-23T07:00:00+00:00", "load_before": 0.5, "load_after": 0.5}
    part = Part("pack", "trainings at once", "ms", figures=(Figure(BEST, 2, "trials at once"),))
    report = Report(facts, SHAPES["mouse"], (part,))
    monkeypatch.setattr(suite, "run", lambda request, tell: report)
    assert run(["bench", "pack", *(["--tiny"] if tiny else [])]) == 0
    found = remembered(home, Workload((64, 128, 256, 512), 256, 256, 16))
    expected = Finding(2, "NVIDIA X", "2026-11-23") if (kind, tiny) == ("cuda", False) else None
    assert found == expected
