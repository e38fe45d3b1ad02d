"""Searches that are killed, stopped and interrupted, and go on as if nothing had happened."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from acceptance.processes import (
    STUDY,
    TWO,
    assert_same_search,
    background,
    coordinator,
    events,
    kill,
    outcome,
    read_json,
    rows,
    start_flags,
    wait_for,
    wait_for_event,
    wait_until_interrupted,
)
from searching import fre_hpo

TWO_ON_RAY = start_flags("--trials", "2", "--parallel", "1", longer=True, executor="ray")


def test_killed_in_the_middle_of_a_trial_it_goes_on_with_the_same_curves(
    home: Path, unbroken: Path
) -> None:
    with background(*TWO, home=home) as search:
        wait_for_event(home, "epoch", trial=0, epoch=3)
        kill(search.pid)
    wait_until_interrupted(home)
    assert rows(home, "RUNNING") == 1
    result = fre_hpo(*TWO, home=home)
    assert result.returncode == 0, result.stderr
    assert_same_search(home, unbroken)
    resumed = [e for e in events(home) if e["event"] == "trial_started" and e["trial"] == 0]
    assert [e["attempt"] for e in resumed] == [1, 2]
    assert resumed[1]["epoch"] >= 2


def test_sigterm_leaves_a_checkpoint_and_a_start_goes_on(home: Path, unbroken: Path) -> None:
    with background(*TWO, home=home) as search:
        wait_for_event(home, "epoch", trial=0, epoch=3)
        search.terminate()
        output, errors = search.communicate(timeout=30)
    assert search.returncode == 75
    assert "Stopped: 0 of 2 trials are complete" in errors
    assert f"files: {home}/studies/{STUDY}" in output
    assert (home / "studies" / STUDY / "trials" / "0" / "checkpoint.pt").is_file()
    status = read_json("status", STUDY, home=home)
    assert (status["state"], status["coordinator"]) == ("stopped", None)
    assert fre_hpo(*TWO, home=home).returncode == 0
    assert_same_search(home, unbroken)


def test_one_ctrl_c_stops_and_a_second_one_ends_at_once(home: Path) -> None:
    slow = ["--set", "data.size=128", "--set", "data.train=200", "--set", "model.widths=16,32,64"]
    with background(*start_flags("--trials", "1"), *slow, home=home) as search:
        wait_for_event(home, "trial_started", trial=0)
        search.send_signal(signal.SIGINT)
        time.sleep(1)  # well inside the first epoch; two signals that come too close are one
        search.send_signal(signal.SIGINT)
        _, errors = search.communicate(timeout=30)
    assert search.returncode == 130
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == "Error: Interrupted."
    assert [e["event"] for e in events(home)] == ["study_started", "trial_started"]


def test_a_second_start_is_refused_and_told_who_runs_the_study(home: Path) -> None:
    with background(*start_flags("--trials", "50"), home=home) as search:
        wait_for_event(home, "epoch")
        began = time.monotonic()
        second = fre_hpo(*start_flags("--trials", "50"), home=home)
        assert time.monotonic() - began < 15
        assert second.returncode == 3
        assert f"process {coordinator(search)} on {socket.gethostname()}" in second.stderr
        assert second.stdout == ""
        refused = fre_hpo("delete", STUDY, "--yes", home=home)
        assert refused.returncode == 3
        assert (home / "studies" / STUDY).is_dir()
        status = read_json("status", STUDY, home=home)
        assert status["state"] == "running"
        assert status["coordinator"] == {"host": socket.gethostname(), "pid": coordinator(search)}
        search.send_signal(signal.SIGINT)
        assert search.wait(30) == 75


def test_two_first_starts_at_once_make_one_search(home: Path) -> None:
    arguments = start_flags("--trials", "3")
    with background(*arguments, home=home) as one, background(*arguments, home=home) as other:
        errors = [process.communicate(timeout=60)[1] for process in (one, other)]
    codes = sorted([one.returncode, other.returncode])
    assert codes in ([0, 3], [0, 0]), errors  # 0 as well: it began when the first had ended
    assert rows(home, "COMPLETE") == 3
    assert len(outcome(home)) == 3


@pytest.mark.slow
def test_on_ray_a_killed_worker_and_a_killed_coordinator_change_nothing(
    home: Path, unbroken: Path
) -> None:
    with background(*TWO_ON_RAY, home=home) as search:
        worker = wait_for_event(home, "epoch", trial=0, epoch=3)["pid"]
        assert worker not in (search.pid, coordinator(search), os.getpid())
        kill(worker)
        second = wait_for_event(home, "epoch", trial=0, attempt=2)
        assert second["pid"] != worker
        wait_for_event(home, "epoch", trial=1, epoch=3)
        family = _trainers_and_servers(search.pid)
        kill(search.pid)
        search.wait()
        wait_for(lambda: not _alive(family), "the end of the workers", seconds=20)
    first = _started(home, 0)
    assert [e["attempt"] for e in first] == [1, 2]
    assert first[1]["epoch"] >= 2
    assert [e["trial"] for e in events(home) if e["event"] == "trial_lost"] == [0]
    result = fre_hpo(*TWO_ON_RAY, home=home)
    assert result.returncode == 0, result.stderr
    assert [e["attempt"] for e in _started(home, 1)] == [1, 2]
    assert_same_search(home, unbroken)


def _started(home: Path, trial: int) -> list[dict[str, Any]]:
    return [e for e in events(home) if e["event"] == "trial_started" and e["trial"] == trial]


def _trainers_and_servers(pid: int) -> list[psutil.Process]:
    """All of Ray's processes but two idle agents, which take a minute to notice that they are alone."""
    family = psutil.Process(pid).children(recursive=True)
    found = [process for process in family if not process.name().endswith("Agent")]
    assert any(process.name().startswith("ray::TrialActor") for process in found)
    return found


def _alive(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; one that ended and was not yet collected does not."""
    alive = []
    for process in family:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
        except psutil.NoSuchProcess:
            continue
    return alive
