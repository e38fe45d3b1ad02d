"""``fre-hpo doctor``: the table, the hints, the formats, the exit codes; and that it leaves no trace."""

from __future__ import annotations

import csv
import io
import json
import socket
from pathlib import Path

import pytest
from rich.console import Console

from fre_hpo.cli import tables
from fre_hpo.cli.main import run
from fre_hpo.errors import ClusterUnreachable
from fre_hpo.scheduling.doctor.checks import Row
from fre_hpo.service import doctor

Captured = pytest.CaptureFixture[str]

HINT = "Ray keeps data sets in shared memory: start the container with `--shm-size=2g`."
FINE = [[Row("Python", "3.11.7"), Row("torch", "2.13.0")], [Row("GPU", "none", missing=True)]]
BAD = [
    [Row("/dev/shm", "64 MiB of 64 MiB free", HINT)],
    [Row("node", "10.0.0.3", node="gpu-2"), Row("/dev/shm", "64 MiB", HINT, node="gpu-2")],
]


def found_is(monkeypatch: pytest.MonkeyPatch, rows: list[list[Row]]) -> None:
    monkeypatch.setattr(doctor, "examine_here", lambda *given: list(rows))


def test_a_machine_in_order(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    found_is(monkeypatch, FINE)
    assert run(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert [line.rstrip() for line in out.splitlines()] == [
        "what    where  value   verdict",
        "Python  here   3.11.7  OK",
        "torch   here   2.13.0  OK",
        "",
        "GPU     here   none    -",
    ]
    assert err == "\nNo problems were found.\n"
    assert run(["doctor", "-q"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("width", [80, 120])
def test_a_problem_is_a_word_and_has_one_hint(
    width: int, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    found_is(monkeypatch, [*FINE, *BAD])
    monkeypatch.setattr(tables, "console", lambda: Console(highlight=False, width=width))
    assert run(["doctor"]) == 1
    out, err = capsys.readouterr()
    table, _, hints = out.partition("\n1 problem:\n")
    assert sum("problem" in line for line in table.splitlines()) == 2
    words = " ".join(hints.split())
    assert words == f"1. /dev/shm, here, gpu-2: {HINT}"
    assert max(map(len, out.splitlines())) <= width
    assert err == ""


def test_as_json_and_csv(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    found_is(monkeypatch, BAD)
    assert run(["doctor", "-f", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [list(row) for row in found] == [["check", "node", "value", "ok", "hint"]] * 3
    assert [(row["node"], row["ok"]) for row in found] == [
        (socket.gethostname(), False),
        ("gpu-2", True),
        ("gpu-2", False),
    ]
    assert run(["doctor", "-f", "csv"]) == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows[0]["hint"] == HINT


def test_a_cluster_out_of_reach_is_told_after_this_machine(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(address: str, *given: object) -> list[list[Row]]:
        raise ClusterUnreachable(address=address, reason="Connection refused")

    found_is(monkeypatch, FINE)
    monkeypatch.setattr(doctor, "examine_cluster", refuse)
    assert run(["doctor", "--address", "head:6379"]) == 5
    out, err = capsys.readouterr()
    assert "2.13.0" in out
    assert "head:6379 cannot be reached (Connection refused)" in err
    assert "No problems" not in err


def test_nodes_stand_below_this_machine(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    found_is(monkeypatch, FINE)
    monkeypatch.setattr(doctor, "examine_cluster", lambda *given: list(BAD))
    assert run(["doctor", "--address", "head:6379", "-f", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [row["check"] for row in found[:3]] == ["Python", "torch", "GPU"]
    assert found[-1]["node"] == "gpu-2"


def test_this_machine_is_really_looked_at_and_nothing_is_made(
    home: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRE_HPO_STORAGE", "postgresql://fre:hush-hush@127.0.0.1:1/fre")
    assert run(["doctor", "-f", "json"]) == 1
    out, err = capsys.readouterr()
    rows = {row["check"]: row for row in json.loads(out)}
    expected = {"Python", "fre-hpo", "torch", "Ray", "Optuna", "CPU cores", "memory", "open files"}
    expected |= {
        "storage",
        "home",
        "disk of home",
        "cluster token",
        "data mouse",
        "data drosophila",
    }
    assert expected <= set(rows)
    assert not rows["storage"]["ok"]
    assert "hush" not in out + err
    assert "mouse" in rows["data mouse"]["value"]
    assert not home.exists()


def test_the_folders_of_data_sets_are_looked_for(home: Path) -> None:
    from fre_hpo.settings import load

    (home / "data" / "mouse").mkdir(parents=True)
    (home / "data" / "drosophila").mkdir()
    (home / "data" / "mouse" / "Image").mkdir()
    rows = {row.check: row for row in doctor.judge_data(doctor.look_at_data(load()))}
    assert rows["data mouse"] == Row("data mouse", str(home / "data" / "mouse"))
    assert rows["data drosophila"].verdict == "-"
    assert set(rows) == {"data mouse", "data drosophila"}
