"""What the coordinator publishes, and what a reader can tell from it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fre_hpo.scheduling.live import STALE_SECONDS, Live, RunningTrial, _born

LIVE = Live(state="running", wanted=4, complete=0, failed=0, slots=2, elapsed=0.0, epochs=100)


def trial(number: int, epoch: int = 0) -> RunningTrial:
    return RunningTrial(number, 1, {"B": 8, "X": 632.0}, epoch=epoch, epochs=100)


def test_it_survives_json() -> None:
    live = replace(LIVE, epoch_seconds=0.5).with_trial(trial(3, 20)).with_trial(trial(1))
    plain = json.loads(json.dumps(live.to_plain()))
    assert Live.from_plain(plain) == live
    assert plain["eta_seconds"] == live.eta_seconds
    assert plain["running"][0]["params"] == {"B": 8, "X": 632.0}


def test_it_names_the_process_that_publishes() -> None:
    before = time.time()
    live = Live("running", wanted=4, complete=0, failed=0, slots=2, elapsed=0.0, epochs=100)
    assert (live.host, live.pid) == (socket.gethostname(), os.getpid())
    assert before <= live.time <= time.time()


def test_trials_are_kept_by_number() -> None:
    live = LIVE.with_trial(trial(5)).with_trial(trial(2)).with_trial(trial(5, 7))
    assert [(t.number, t.epoch) for t in live.running] == [(2, 0), (5, 7)]
    assert live.trial(5).epoch == 7
    assert [t.number for t in live.without_trial(2).running] == [5]
    assert live.without_trial(9) == live
    assert LIVE.running == ()


# --- how long it takes ---------------------------------------------------------------------------


def test_nobody_knows_before_the_first_epoch_or_after_the_end() -> None:
    assert LIVE.eta_seconds is None
    assert replace(LIVE, epoch_seconds=1.0, state="stopped").eta_seconds is None


@pytest.mark.parametrize(
    ("complete", "epochs_done", "expected"),
    [
        (0, [], 200),  # four trials of 100 s in two slots
        (0, [50, 50], 150),
        (1, [0, 0], 150),
        (2, [40, 0], 100),  # two in flight: as long as the longer one
        (3, [90], 10),  # the other slot is of no use
        (3, [], 100),
        (4, [], 0),
        (6, [], 0),
    ],
)
def test_what_is_left_is_shared_by_the_slots(
    complete: int, epochs_done: list[int], expected: float
) -> None:
    live = replace(LIVE, complete=complete, epoch_seconds=1.0)
    for number, epoch in enumerate(epochs_done):
        live = live.with_trial(trial(number, epoch))
    assert live.eta_seconds == expected
    assert replace(live, state="paused").eta_seconds is None
    slow = replace(live, epoch_seconds=2.5)
    assert slow.eta_seconds == 2.5 * expected


# --- whether somebody is there -------------------------------------------------------------------


def test_a_coordinator_on_this_machine_lives_as_long_as_its_process() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        live = replace(LIVE, pid=process.pid, born=_born(process.pid), time=0.0)
        assert live.coordinator_alive()
        process.kill()
    assert not live.coordinator_alive()


def test_a_process_that_was_given_the_same_number_later_is_another_one() -> None:
    assert LIVE.coordinator_alive()
    assert not replace(LIVE, born="0").coordinator_alive()


def test_where_nobody_knows_when_processes_began_the_number_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere(*_: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", nowhere)
    live = Live("running", wanted=4, complete=0, failed=0, slots=2, elapsed=0.0, epochs=100)
    assert live.born is None
    assert live.coordinator_alive()


def test_a_process_of_another_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    assert LIVE.coordinator_alive()


def test_a_coordinator_elsewhere_lives_as_long_as_it_publishes() -> None:
    elsewhere = replace(LIVE, host="another-machine", time=time.time())
    assert elsewhere.coordinator_alive()
    silent = replace(elsewhere, time=time.time() - STALE_SECONDS - 1)
    assert not silent.coordinator_alive()


@pytest.mark.parametrize("state", ["finished", "stopped"])
def test_a_coordinator_that_ended_is_gone(state: str) -> None:
    assert not replace(LIVE, state=state).coordinator_alive()
