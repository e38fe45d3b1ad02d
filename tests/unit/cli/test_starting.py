"""``fre-hpo start`` in this process: what a dry run prints, what reaches the search, how it ends."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fre_hpo.cli.main import run
from fre_hpo.scheduling.state import Outcome
from fre_hpo.service.check import check
from fre_hpo.service.start import Ended
from fre_hpo.settings import load
from fre_hpo.study.space import written
from searching import TINY, as_flags, tiny_request

Captured = pytest.CaptureFixture[str]
PHANTOM = ["start", "--dataset", "phantom"]


def test_a_dry_run_prints_every_key_and_creates_nothing(capsys: Captured, home: Path) -> None:
    assert run([*PHANTOM, "--dry-run", "--trials", "7", *as_flags(TINY), "--seed", "4"]) == 0
    out, err = capsys.readouterr()
    table, splits = out.split("\n\n")
    shown = dict(line.split(None, 1) for line in table.splitlines()[1:])
    spec = check(tiny_request(overrides={"seed": 4}), load()).spec
    assert list(shown) == list(spec.flat())
    assert all(shown[key].startswith(f"{written(v)} ") for key, v in spec.flat().items())
    assert shown["seed"].split()[1:3] == ["command", "line"]
    assert shown["model.norm"].split()[1] == "default"
    assert [line.split() for line in splits.splitlines()[1:]] == [
        ["train", "6", "32", "32"],
        ["validation", "2", "32", "32"],
        ["test", "2", "32", "32"],
    ]
    assert "Study phantom-fre: 0 of 7 trials are complete, 7 would be run" in err
    assert "nothing was created" in err
    assert not home.exists()


def test_quiet_leaves_results_alone(capsys: Captured, home: Path) -> None:
    assert run([*PHANTOM, "--executor", "inline", "--trials", "1", "-q", *as_flags(TINY)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("best: trial 0  B=")
    assert f"files: {home}/studies/phantom-fre\n" in out


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch, home: Path) -> list[Any]:
    """What the service is asked for; it does nothing and says that all is done."""
    asked: list[Any] = []

    def record(preparation: Any, request: Any, settings: Any, observer: Any) -> Ended:
        asked.append(request)
        return Ended("phantom-fre", Outcome.COMPLETE, 0, 0)

    monkeypatch.setattr("fre_hpo.service.start.run", record)
    return asked


def test_flags_reach_the_search(requests: list[Any]) -> None:
    flags = ["--method", "fre", "--trials", "9", "--hours", "1.5", "--epochs", "12", "--study", "s"]
    flags += ["--seed", "3", "--parallel", "2", "--device", "cpu"]
    flags += ["--executor", "inline", "--gpus-per-trial", "0.5", "--retries", "0"]
    flags += ["--set", "model.widths=8,16", "--set", "X=1..10:log", "--enqueue", "B=4,X=2.5"]
    assert run([*PHANTOM, *flags, "--ray-address", "head:6379"]) == 0
    (request,) = requests
    assert (request.dataset, request.method, request.study) == ("phantom", "fre", "s")
    assert (request.trials, request.hours, request.retries) == (9, 1.5, 0)
    assert (request.parallel, request.gpus_per_trial) == (2, 0.5)
    assert (request.device, request.executor) == ("cpu", "inline")
    assert request.ray_address == "head:6379"
    assert request.overrides == {
        "model.widths": [8, 16],
        "X": "1..10:log",
        "training.epochs": 12,
        "seed": 3,
    }
    assert request.enqueue == ({"B": 4, "X": 2.5},)


def test_what_is_not_given_is_left_to_the_study(requests: list[Any]) -> None:
    assert run([*PHANTOM, "--parallel", "auto"]) == 0
    (request,) = requests
    assert request.overrides == {}
    assert request.method is request.trials is request.hours is request.parallel is None
    assert (request.device, request.executor, request.retries) == ("auto", "ray", 3)


@pytest.mark.parametrize(
    ("outcome", "code", "words"),
    [
        (Outcome.STOPPED, 75, "Stopped: 0 of 5 trials are complete"),
        (Outcome.OUT_OF_TIME, 6, "The hours are used up"),
        (Outcome.FAILING, 6, "Trials keep failing"),
    ],
)
def test_how_it_ended_is_the_exit_code(
    outcome: Outcome,
    code: int,
    words: str,
    capsys: Captured,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = Ended("phantom-fre", outcome, 0, 5)
    monkeypatch.setattr("fre_hpo.service.start.run", lambda *_: ended)
    assert run(PHANTOM) == code
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"files: {home}/studies/phantom-fre",
        f"storage: sqlite:///{home}/fre-hpo.db",
    ]
    assert err.startswith(words)


def test_an_unexpected_error_is_one_sentence_too(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the disk is made of cheese")

    monkeypatch.setattr("fre_hpo.service.start.run", fail)
    assert run(PHANTOM) == 1
    error = capsys.readouterr().err
    assert re.fullmatch(r"Error: Unexpected RuntimeError: the disk is made of cheese .*\n", error)
    assert run([*PHANTOM, "--debug"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_drawn_data_takes_no_folder(capsys: Captured, home: Path) -> None:
    assert run([*PHANTOM, "--data-dir", str(home)]) == 2
    assert "leave --data-dir away" in capsys.readouterr().err
    assert not home.exists()


def test_what_an_earlier_start_fixed_is_said(capsys: Captured, home: Path) -> None:
    flags = [*PHANTOM, "--executor", "inline", *as_flags(TINY)]
    assert run([*flags, "--trials", "1"]) == 0
    capsys.readouterr()
    assert run([*PHANTOM, "--trials", "2", "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert "1 of 2 trials are complete, 1 would be run" in err
    assert re.search(r"training\.epochs +3 +study phantom-fre", out)
    assert run([*PHANTOM, "--executor", "inline", "--trials", "2", "--trace"]) == 0
    err = capsys.readouterr().err
    assert "goes on with the settings of its first start" in err
    assert "training.trace stays false, as study phantom-fre was begun." in err
    assert run([*PHANTOM, "--trials", "1"]) == 0
    assert "All 2 trials are complete already" in capsys.readouterr().err


def test_deterministic_is_a_key_by_another_name(requests: list[Any]) -> None:
    assert run([*PHANTOM, "--deterministic"]) == 0
    assert run([*PHANTOM]) == 0
    assert [r.overrides for r in requests] == [{"engine.deterministic": True}, {}]
