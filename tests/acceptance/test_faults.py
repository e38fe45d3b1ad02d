"""Faults one by one: an outage, a halted holder, a full disk, a crash at the worst moment."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from optuna.trial import TrialState

from acceptance.processes import (
    LONGER,
    STUDY,
    background,
    curve,
    events,
    go_on,
    halted,
    outcome,
    read_json,
    rows,
    start_flags,
    wait_for,
    wait_for_event,
)
from fre_hpo.study.folder import StudyFolder
from needs import require_or_skip
from postgres import Postgres
from searching import command, environment, fre_hpo

SEVEN = ["--seed", "7", "--parallel", "1"]


def states(server: Postgres, url: str) -> list[str]:
    """The trials' states as the database itself tells."""
    query = "SELECT state FROM trials ORDER BY number"
    return [str(state) for (state,) in server.query(query, url.rpartition("/")[2])]


def stored_points(server: Postgres, url: str) -> list[tuple[int, int]]:
    """Trial and epoch of every curve point in the database."""
    query = "SELECT number, step FROM trial_intermediate_values JOIN trials USING (trial_id)"
    return sorted(server.query(query, url.rpartition("/")[2]))  # type: ignore[arg-type]


def all_points(trials: int) -> list[tuple[int, int]]:
    epochs = LONGER["training.epochs"]
    return [(trial, epoch) for trial in range(trials) for epoch in range(1, epochs + 1)]


# --- the database --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_an_outage_of_the_database_loses_nothing(
    executor: str,
    home: Path,
    postgres_server: Postgres,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FRE_HPO_STORAGE", postgres_url)
    flags = start_flags("--trials", "4", longer=True, executor=executor)
    with halted(*flags, home=home, epoch=18) as search:
        postgres_server.stop("fast")
        go_on(search)
        time.sleep(6)
        postgres_server.start()
        _, errors = search.communicate(timeout=120)
    assert search.returncode == 0, errors
    assert states(postgres_server, postgres_url) == ["COMPLETE"] * 4
    assert stored_points(postgres_server, postgres_url) == all_points(4)
    assert all(len(curve(home, n)) == LONGER["training.epochs"] for n in range(4))
    assert [e["attempt"] for e in events(home) if e["event"] == "trial_started"] == [1] * 4
    assert len([e for e in events(home) if e["event"] == "storage_lost"]) == 1


def test_patience_that_is_used_up_ends_with_5_and_a_start_goes_on(
    home: Path, postgres_server: Postgres, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRE_HPO_STORAGE", postgres_url)
    flags = start_flags("--trials", "2", "--storage-patience", "2", longer=True)
    with halted(*flags, home=home, epoch=3) as search:
        postgres_server.stop("immediate")
        go_on(search)
        _, errors = search.communicate(timeout=60)
    assert search.returncode == 5
    assert errors.splitlines()[-1].startswith("Error: The storage postgresql")
    postgres_server.start()
    assert fre_hpo(*flags, home=home).returncode == 0
    assert states(postgres_server, postgres_url) == ["COMPLETE"] * 2
    assert stored_points(postgres_server, postgres_url) == all_points(2)


def test_an_outage_after_the_last_write_is_no_failure(
    home: Path, postgres_server: Postgres, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRE_HPO_STORAGE", postgres_url)
    with halted(*start_flags("--trials", "2"), home=home, point="finished") as search:
        postgres_server.stop("fast")
        go_on(search)
        output, errors = search.communicate(timeout=60)
        postgres_server.start()
    assert search.returncode == 0, errors
    assert "best: " not in output
    assert "its best trial cannot be shown now.  The storage postgresql" in errors
    assert "Traceback" not in errors
    assert states(postgres_server, postgres_url) == ["COMPLETE"] * 2


def test_a_holder_that_was_halted_past_its_lock_writes_nothing_more(
    home: Path, postgres_server: Postgres, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRE_HPO_STORAGE", postgres_url)
    flags = start_flags("--trials", "2", longer=True)
    with halted(*flags, home=home, epoch=3) as first:
        postgres_server.restart("fast")
        second = fre_hpo(*flags, home=home)
        assert second.returncode == 0, second.stderr
        before = (events(home), read_json("trials", STUDY, home=home))
        go_on(first)
        _, errors = first.communicate(timeout=60)
    assert first.returncode == 5, errors
    assert "another coordinator may hold it now" in errors.splitlines()[-1]
    assert (events(home), read_json("trials", STUDY, home=home)) == before
    assert states(postgres_server, postgres_url) == ["COMPLETE"] * 2
    assert stored_points(postgres_server, postgres_url) == all_points(2)


# --- somebody else -------------------------------------------------------------------------------


def test_a_trial_failed_in_the_dashboard_is_stopped_and_replaced(home: Path) -> None:
    with halted(*start_flags("--trials", "2", longer=True), home=home, epoch=2) as search:
        storage = optuna.storages.RDBStorage(f"sqlite:///{home}/fre-hpo.db")
        optuna.load_study(study_name=STUDY, storage=storage).tell(0, state=TrialState.FAIL)
        storage.engine.dispose()
        go_on(search)
        wait_for_event(home, "trial_finished", trial=0, state="FAIL")
        assert search.wait(60) == 0
    assert [t["state"] for t in read_json("trials", STUDY, home=home)] == [
        "FAIL",
        "COMPLETE",
        "COMPLETE",
    ]
    found = events(home)
    told = next(i for i, e in enumerate(found) if e.get("state") == "FAIL")
    late = {e["event"] for e in found[told + 1 :] if e.get("trial") == 0}
    assert late <= {"report_dropped"}


def test_stop_from_another_shell(home: Path, unbroken: Path) -> None:
    flags = start_flags("--trials", "2", longer=True)
    with halted(*flags, home=home, epoch=2) as search:
        with background("stop", STUDY, home=home) as stop:
            wait_for(lambda: _order(home) == "stop", "the order")
            go_on(search)
            _, errors = stop.communicate(timeout=30)
        assert search.wait(30) == 75
    assert stop.returncode == 0, errors
    complete = rows(home, "COMPLETE")
    assert f"{STUDY} is stopped: {complete} of 2 trials are complete." in errors
    assert (rows(home, "WAITING"), rows(home, "RUNNING")) == (1, 0)
    last = [e["epoch"] for e in events(home) if e["event"] == "epoch"][-1]
    assert [e["epoch"] for e in events(home) if e["event"] == "checkpoint"][-1] == last
    assert fre_hpo(*flags, home=home).returncode == 0
    assert outcome(home) == outcome(unbroken)[:2]
    trained = [(e["trial"], e["epoch"]) for e in events(home) if e["event"] == "epoch"]
    assert trained == all_points(2)


def test_pause_from_another_shell(home: Path) -> None:
    with background(*start_flags("--trials", "12", longer=True), home=home) as search:
        wait_for_event(home, "epoch", trial=0)
        assert fre_hpo("pause", STUDY, home=home).returncode == 0
        wait_for_event(home, "study_paused")
        wait_for(lambda: _status(home)["running"] == 0, "a pause without a running trial")
        begun = len(outcome(home))
        assert (_status(home)["state"], rows(home, "COMPLETE")) == ("paused", begun)
        assert begun < 12
        time.sleep(2)
        assert search.poll() is None
        assert len(outcome(home)) == begun
        assert fre_hpo("resume", STUDY, home=home).returncode == 0
        wait_for_event(home, "study_resumed")
        wait_for_event(home, "trial_finished", trial=begun)
        assert fre_hpo("stop", STUDY, "--now", home=home).returncode == 0
        assert search.wait(30) == 75


def test_stop_now_does_not_wait_and_stop_of_nothing_is_no_error(home: Path) -> None:
    flags = start_flags("--trials", "2", longer=True)
    with halted(*flags, home=home, epoch=2) as search:
        with background("stop", STUDY, "--now", home=home) as stop:
            wait_for(lambda: _order(home) == "stop now", "the order")
            go_on(search)
            assert stop.wait(30) == 0
        assert search.wait(30) == 75
    assert rows(home, "WAITING") == 1
    again = fre_hpo("stop", STUDY, home=home)
    assert (again.returncode, again.stderr) == (0, f"{STUDY} is not running.\n")
    assert fre_hpo("stop", "no-such", home=home).returncode == 4
    assert fre_hpo(*flags, home=home).returncode == 0  # the order to stop does not stand for ever
    assert rows(home, "COMPLETE") == 2


def _order(home: Path) -> str:
    """The last order as the database itself tells."""
    query = "SELECT value_json FROM study_user_attributes WHERE key = 'order'"
    with closing(sqlite3.connect(home / "fre-hpo.db")) as database:
        row = database.execute(query).fetchone()
    return str(json.loads(row[0])["wish"]) if row else ""


def _status(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json("status", STUDY, home=home)
    return found


# --- the worst moments ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a search that nobody touched."""
    home = tmp_path_factory.mktemp("unbroken") / "home"
    result = fre_hpo(*start_flags("--trials", "3", longer=True), home=home)
    assert result.returncode == 0, result.stderr
    return home


@pytest.mark.parametrize("point", ["row-made", "asked", "before-tell", "told"])
def test_killed_at_the_worst_moment(
    home: Path, unbroken: Path, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second trial; the supervisor or the next start goes on."""
    flags = start_flags("--trials", "3", longer=True)
    with monkeypatch.context() as patch:
        patch.setenv("FRE_HPO_FAULT", f"{point}:2")
        fre_hpo(*flags, home=home)
    assert len([e for e in events(home) if e["event"] == "study_started"]) >= 1
    assert fre_hpo(*flags, home=home).returncode == 0
    assert outcome(home) == outcome(unbroken)
    assert rows(home, "COMPLETE") == 3
    trained = [(e["trial"], e["epoch"]) for e in events(home) if e["event"] == "epoch"]
    assert trained == all_points(3)  # nothing twice
    finished = [e["trial"] for e in events(home) if e["event"] == "trial_finished"]
    assert finished == [0, 1, 2]


@pytest.mark.slow
def test_killed_at_trials_4_8_and_15_it_proposes_and_finds_the_same(
    home: Path, tmp_path: Path
) -> None:
    flags = start_flags("--trials", "16", *SEVEN)
    whole = tmp_path / "whole"
    assert fre_hpo(*flags, home=whole).returncode == 0
    for number in (4, 8, 15):
        with background(*flags, home=home) as search:
            wait_for_event(home, "epoch", trial=number)
            psutil.Process(search.pid).kill()
            search.wait()
    assert fre_hpo(*flags, home=home).returncode == 0
    assert outcome(home) == outcome(whole)


# --- the disk ------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0
    require_or_skip(mounted, "needs root, to mount a small disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("storage", ["sqlite", "postgres"])
def test_a_full_disk_pauses_the_search_until_there_is_space(
    small_disk: Path,
    storage: str,
    unbroken: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if storage == "postgres":
        monkeypatch.setenv("FRE_HPO_STORAGE", request.getfixturevalue("postgres_url"))
    home, filler = small_disk / "home", small_disk / "filler"
    with halted(*start_flags("--trials", "3", longer=True), home=home, epoch=4) as search:
        _fill(filler)
        go_on(search)
        if storage == "postgres":
            wait_for(lambda: "disk is full" in str(_status(home)["message"]), "the message")
            assert _status(home)["state"] == "paused"
        else:
            time.sleep(4)
        assert search.poll() is None
        _assert_nothing_half_written(home)
        filler.unlink()
        _, errors = search.communicate(timeout=120)
    assert search.returncode == 0, errors
    assert "the disk is full" in errors
    assert "nothing was lost" in errors
    assert [e["event"] for e in events(home)].count("disk_full") == 1
    found = [t["params"] for t in read_json("trials", STUDY, home=home)]
    assert found == [params for _, _, params, *_ in outcome(unbroken)]
    trained = [(e["trial"], e["epoch"]) for e in events(home) if e["event"] == "epoch"]
    assert trained == all_points(3)
    assert [curve(home, n) for n in range(3)] == [curve(unbroken, n) for n in range(3)]


def _fill(path: Path) -> None:
    """Take every byte that is left."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue


def _assert_nothing_half_written(home: Path) -> None:
    study = home / "studies" / STUDY
    assert [json.loads(line) for line in (study / "events.jsonl").read_text().splitlines()]
    assert (study / "events.jsonl").read_bytes().endswith(b"\n")
    for curve_file in study.rglob("curve.csv"):
        assert curve_file.read_bytes().endswith(b"\n")
    assert not list(study.rglob("*.part"))


# --- home and storage ----------------------------------------------------------------------------


def test_another_home_is_refused_unless_it_is_meant(home: Path, tmp_path: Path) -> None:
    assert fre_hpo(*start_flags("--trials", "1"), home=home).returncode == 0
    storage = ["--storage", f"sqlite:///{home}/fre-hpo.db"]
    other = tmp_path / "other"
    refused = fre_hpo(*start_flags("--trials", "2"), *storage, home=other)
    assert refused.returncode == 2
    assert str(home) in refused.stderr
    assert "--new-home" in refused.stderr
    assert not other.exists()
    meant = fre_hpo(*start_flags("--trials", "2"), *storage, "--new-home", home=other)
    assert meant.returncode == 0, meant.stderr
    assert rows(home, "COMPLETE") == 2


def test_a_folder_of_another_study_is_refused(home: Path, tmp_path: Path) -> None:
    assert fre_hpo(*start_flags("--trials", "1"), home=home).returncode == 0
    elsewhere = tmp_path / "elsewhere.db"
    before = sorted(home.rglob("*"))
    refused = fre_hpo(
        *start_flags("--trials", "1"), "--storage", f"sqlite:///{elsewhere}", home=home
    )
    assert refused.returncode == 2
    assert str(home / "studies" / STUDY) in refused.stderr
    assert f"{home}/fre-hpo.db" in refused.stderr
    assert sorted(home.rglob("*")) == before
    assert not elsewhere.exists()


def test_a_home_that_was_moved_goes_on(home: Path, tmp_path: Path) -> None:
    assert fre_hpo(*start_flags("--trials", "1"), home=home).returncode == 0
    moved = tmp_path / "moved"
    shutil.move(home, moved)
    assert fre_hpo(*start_flags("--trials", "2"), home=moved).returncode == 0
    assert StudyFolder(moved / "studies" / STUDY).trial(0).best.exists()


# --- the log -------------------------------------------------------------------------------------


def test_logs_tell_the_story(home: Path) -> None:
    assert fre_hpo(*start_flags("--trials", "2"), home=home).returncode == 0
    told = fre_hpo("logs", STUDY, home=home).stdout.splitlines()
    assert [line[21:36].strip() for line in told] == [
        "study started",
        "trial started",
        "trial finished",
        "trial started",
        "trial finished",
        "study finished",
    ]
    one = read_json("logs", STUDY, "--trial", "1", "-n", "0", home=home)
    assert [e["event"] for e in one].count("epoch") == 3
    assert {e["trial"] for e in one} == {1}
    follow = subprocess.Popen(
        command("logs", STUDY, "-n", "1", "--follow"),
        env=environment(home),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert follow.stdout is not None
        assert "study finished" in follow.stdout.readline()
        StudyFolder(home / "studies" / STUDY).log("study_paused")
        assert "study paused" in follow.stdout.readline()
    finally:
        follow.kill()
        follow.communicate()
