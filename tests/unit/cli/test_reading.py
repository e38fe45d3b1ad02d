"""The verbs that look: the contract's keys in every format, and delete."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fre_hpo.cli.main import run
from fre_hpo.scheduling.live import Live
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection, parse_url
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.lock import coordinator_lock
from searching import TINY, as_flags, run_search

STUDY = "phantom-fre"
Captured = pytest.CaptureFixture[str]

STATUS = ["study", "state", "wanted", "complete", "running", "waiting", "failed", "best"]
STATUS += ["eta_seconds", "coordinator"]
TRIAL = ["number", "state", "value", "params", "best_epoch", "epochs", "class_iou", "attempts"]
TRIAL += ["seed", "started_at", "finished_at", "worker"]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a finished search of two trials, to be copied."""
    home = tmp_path_factory.mktemp("searched") / "home"
    run_search(Settings(home, f"sqlite:///{home}/fre-hpo.db"), trials=2)
    return home


@pytest.fixture(autouse=True)
def _study(searched: Path, home: Path) -> None:
    shutil.copytree(searched, home)


def printed(capsys: Captured, *arguments: str) -> str:
    assert run(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return str(out)


def as_json(capsys: Captured, *arguments: str) -> Any:
    return json.loads(printed(capsys, *arguments, "-f", "json"))


def as_rows(capsys: Captured, *arguments: str) -> list[dict[str, str]]:
    text = printed(capsys, *arguments, "--format", "csv")
    return list(csv.DictReader(io.StringIO(text)))


def test_status_has_the_contracts_keys(capsys: Captured) -> None:
    status = as_json(capsys, "status", STUDY)
    assert set(STATUS) <= status.keys()
    assert status["study"] == STUDY
    assert status["state"] == "finished"
    assert [status[n] for n in ("wanted", "complete", "running", "waiting", "failed")] == [
        2,
        2,
        0,
        0,
        0,
    ]
    assert status["best"].keys() == {"number", "value", "params"}
    assert status["eta_seconds"] is None
    assert status["coordinator"] is None
    assert as_json(capsys, "list") == [status]


def test_trials_have_the_contracts_keys(capsys: Captured) -> None:
    trials = as_json(capsys, "trials", STUDY)
    assert [t["number"] for t in trials] == [0, 1]
    for trial in trials:
        assert set(TRIAL) <= trial.keys()
        assert trial["state"] == "COMPLETE"
        assert 0 <= trial["value"] <= 1
        assert list(trial["params"]) == ["B", "X"]
        assert list(trial["class_iou"]) == ["background", "membrane", "nucleus"]
        assert (trial["attempts"], trial["seed"], trial["epochs"]) == (1, 0, 3)
        assert 1 <= trial["best_epoch"] <= 3
        times = [datetime.fromisoformat(trial[n]) for n in ("started_at", "finished_at")]
        assert all(time.utcoffset() == timedelta(0) for time in times)
        assert times[0] < times[1]
        assert trial["worker"]


def test_best_is_the_trial_of_the_highest_value(capsys: Captured) -> None:
    found = as_json(capsys, "best", STUDY)
    assert found.keys() >= {"observed", "recommended"}
    trials = as_json(capsys, "trials", STUDY)
    top = max(trials, key=lambda t: t["value"])
    assert found["observed"] == {n: top[n] for n in ("number", "value", "params")}
    assert as_json(capsys, "status", STUDY)["best"] == found["observed"]


def test_csv_holds_the_same_numbers(capsys: Captured) -> None:
    trials = as_json(capsys, "trials", STUDY)
    rows = as_rows(capsys, "trials", STUDY)
    assert [float(row["value"]) for row in rows] == [t["value"] for t in trials]
    assert [float(row["params.X"]) for row in rows] == [t["params"]["X"] for t in trials]
    assert [row["state"] for row in rows] == ["COMPLETE", "COMPLETE"]
    assert float(rows[0]["class_iou.membrane"]) == trials[0]["class_iou"]["membrane"]
    assert as_rows(capsys, "status", STUDY) == as_rows(capsys, "list")
    assert as_rows(capsys, "list")[0]["complete"] == "2"
    best = as_json(capsys, "best", STUDY)["observed"]
    assert float(as_rows(capsys, "best", STUDY)[0]["value"]) == best["value"]


def test_tables_hold_the_same_numbers(capsys: Captured) -> None:
    best = as_json(capsys, "best", STUDY)["observed"]
    value, b = f"{best['value']:.4f}", str(best["params"]["B"])
    for arguments in (["list"], ["status", STUDY], ["trials", STUDY], ["best", STUDY]):
        assert run(arguments) == 0
        heading, *lines = capsys.readouterr().out.splitlines()
        assert "mIoU" in heading
        assert any(value in line and b in line for line in lines)
        assert not set("\x1b…") & set("".join(lines))


def test_only_best_says_beside_its_table_what_it_cannot_recommend_yet(capsys: Captured) -> None:
    for arguments in (["list"], ["status", STUDY], ["trials", STUDY]):
        printed(capsys, *arguments)
    assert run(["best", STUDY]) == 0
    assert capsys.readouterr().err == "A recommended point needs 8 complete trials.\n"


def test_an_empty_storage_lists_nothing(capsys: Captured, tmp_path: Path) -> None:
    nothing = ["list", "--home", str(tmp_path / "other")]
    assert json.loads(printed(capsys, *nothing, "-f", "json")) == []
    assert run(nothing) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "fre-hpo start --dataset phantom" in err
    assert not (tmp_path / "other").exists()


def test_a_study_without_a_complete_trial_has_no_best(capsys: Captured, home: Path) -> None:
    with closing(sqlite3.connect(home / "fre-hpo.db")) as database, database:
        database.execute("UPDATE trials SET state = 'RUNNING'")
    assert run(["best", STUDY]) == 1
    assert "has no complete trial yet" in capsys.readouterr().err
    status = as_json(capsys, "status", STUDY)
    assert (status["best"], status["complete"]) == (None, 0)
    assert as_json(capsys, "trials", STUDY)[0]["value"] is None


def test_a_running_study_names_its_coordinator(capsys: Captured, home: Path) -> None:
    ledger = Ledger.open(Connection(f"sqlite:///{home}/fre-hpo.db", create=False), STUDY)
    live = Live("running", wanted=5, complete=2, failed=0, slots=1, elapsed=9.0, epochs=3)
    ledger.set_live({**live.to_plain(), "epoch_seconds": 2.0})
    status = as_json(capsys, "status", STUDY)
    assert status["state"] == "running"
    assert status["coordinator"] == {"host": live.host, "pid": live.pid}
    assert status["eta_seconds"] == pytest.approx(18.0)


# --- a study that exists, started otherwise ------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "difference"),
    [
        (["--set", "X=1..100"], "X is 1..1000:log there and 1..100 here"),
        (["--epochs", "4"], "training.epochs is 3 there and 4 here"),
        (["--seed", "1"], "seed is 0 there and 1 here"),
        (["--method", "baseline", "--study", STUDY], "method is fre there and baseline here"),
        (["--set", "data.cells=3"], "data.cells is 2 there and 3 here"),
    ],
)
def test_another_spec_is_refused_and_named(
    flags: list[str], difference: str, capsys: Captured, home: Path
) -> None:
    before = contents(home)
    sizes = as_flags({k: v for k, v in TINY.items() if f"{k}=" not in " ".join(flags)})
    start = ["start", "--dataset", "phantom", "--executor", "inline", "--trials", "4"]
    assert run([*start, *sizes, *flags]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert difference in err
    assert err.count("\n") == 1
    assert contents(home) == before


def contents(home: Path) -> dict[str, bytes]:
    """Every file of the home, and every row of the database."""
    files = {str(p): p.read_bytes() for p in home.rglob("*") if p.is_file() and ".db" not in p.name}
    with closing(sqlite3.connect(home / "fre-hpo.db")) as database:
        return {**files, "database": "\n".join(database.iterdump()).encode()}


# --- delete -------------------------------------------------------------------------------------


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What somebody types when asked."""
    typed: list[str] = []
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: typed.pop(0))
    yield typed
    assert typed == []


def test_delete_asks(capsys: Captured, home: Path, answers: list[str]) -> None:
    answers.append("n")
    assert run(["delete", STUDY]) == 0
    assert capsys.readouterr().err == "Nothing was deleted.\n"
    assert (home / "studies" / STUDY).is_dir()
    answers.append("y")
    assert run(["delete", STUDY]) == 0
    assert f"Deleted {STUDY}." in capsys.readouterr().err
    assert not (home / "studies" / STUDY).exists()
    assert as_json(capsys, "list") == []


def test_delete_without_anybody_to_answer(
    capsys: Captured, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert run(["delete", STUDY]) == 2
    assert "add --yes" in capsys.readouterr().err
    assert (home / "studies" / STUDY).is_dir()


def test_delete_does_not_ask_with_yes(capsys: Captured, home: Path, answers: list[str]) -> None:
    assert run(["delete", STUDY, "--yes"]) == 0
    assert capsys.readouterr().err == f"Deleted {STUDY}.\n"
    assert not (home / "studies" / STUDY).exists()


def test_a_study_that_is_being_run_is_not_deleted(capsys: Captured, home: Path) -> None:
    holder = coordinator_lock(parse_url(f"sqlite:///{home}/fre-hpo.db"), STUDY)
    assert holder.acquire()
    try:
        assert run(["delete", STUDY, "--yes"]) == 3
    finally:
        holder.release()
    assert f"Study {STUDY!r} is already being run by" in capsys.readouterr().err
    assert (home / "studies" / STUDY).is_dir()
    assert len(as_json(capsys, "trials", STUDY)) == 2
