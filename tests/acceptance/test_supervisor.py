"""A search and its supervisor: crashes that nobody has to look after, signals, the background."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from acceptance.processes import (
    MANY,
    STUDY,
    TWO,
    assert_same_search,
    background,
    coordinator,
    events,
    files_with,
    gone,
    kill,
    read_json,
    start_flags,
    wait_for,
    wait_for_event,
    wait_until_interrupted,
)
from acceptance.terminal import CTRL_C, HIDES, SHOWS, Terminal
from postgres import PASSWORD
from searching import fre_hpo


def starts(home: Path) -> list[dict[str, Any]]:
    return [e for e in events(home) if e["event"] == "study_started"]


# --- crashes ------------------------------------------------------------------------------------


def test_a_killed_coordinator_is_replaced_and_nothing_is_lost(home: Path, unbroken: Path) -> None:
    with background(*TWO, home=home) as search:
        for trial in (0, 1):
            pid = wait_for_event(home, "epoch", trial=trial, epoch=3)["pid"]
            assert pid != search.pid
            kill(pid)
        _, errors = search.communicate(timeout=60)
    assert search.returncode == 0, errors
    told = [line for line in errors.splitlines() if line.startswith("The coordinator ended")]
    assert (
        told
        == ["The coordinator ended unexpectedly (killed by signal 9); it is started again, 1 of 5."]
        * 2
    )  # what the second had done was progress
    assert_same_search(home, unbroken)
    assert len({start["pid"] for start in starts(home)}) == 3


def test_a_coordinator_ends_with_its_supervisor(home: Path) -> None:
    with background(*MANY, home=home) as search:
        pid = wait_for_event(home, "epoch")["pid"]
        status = read_json("status", STUDY, home=home)
        assert status["coordinator"]["pid"] == pid == coordinator(search)
        kill(search.pid)
        wait_for(lambda: gone(pid), "the coordinator's end", seconds=2)
    wait_until_interrupted(home)


# --- on a terminal ------------------------------------------------------------------------------


def test_ctrl_c_on_a_terminal_ends_it_cleanly(home: Path) -> None:
    with Terminal(*MANY, home=home) as terminal:
        terminal.wait_for(lambda: [e for e in events(home) if e["event"] == "epoch"])
        terminal.press(CTRL_C)
        assert terminal.end() == 75, terminal.screen
        screen, lines = terminal.screen, terminal.lines
    assert "Traceback" not in screen
    assert "Error" not in screen
    assert screen.rindex(SHOWS) > screen.rindex(HIDES)
    assert lines[-1].startswith("Stopped: ")
    assert len(starts(home)) == 1


def test_a_terminal_is_tidied_after_a_crash(home: Path) -> None:
    with Terminal(*MANY, home=home) as terminal:
        terminal.wait_for(lambda: [e for e in events(home) if e["event"] == "epoch"])
        terminal.wait_for(lambda: HIDES in terminal.screen)
        kill(starts(home)[0]["pid"])
        terminal.wait_for(lambda: "1 of 5" in terminal.screen)
        killed = terminal.screen
        terminal.wait_for(lambda: len(starts(home)) == 2)
        terminal.press(CTRL_C)
        assert terminal.end() == 75, terminal.screen
    told = killed.rindex("The coordinator ended unexpectedly")
    assert killed.rindex(SHOWS, 0, told) > killed.rindex(HIDES, 0, told)
    assert killed[:told].endswith("\r\x1b[2K" + SHOWS)


def test_a_closed_terminal_asks_it_to_stop(home: Path) -> None:
    with Terminal(*MANY, home=home) as terminal:
        terminal.wait_for(lambda: [e for e in events(home) if e["event"] == "epoch"])
        terminal.close()
        assert terminal.process.wait(30) == 75
    assert events(home)[-1]["event"] == "study_finished"
    assert read_json("status", STUDY, home=home)["state"] == "stopped"


# --- in the background --------------------------------------------------------------------------


def test_in_the_background_neither_terminal_nor_coordinator_is_needed(
    home: Path, unbroken: Path
) -> None:
    with Terminal(*TWO, "--detach", home=home) as terminal:
        assert terminal.end() == 0, terminal.screen
        lines = terminal.lines
    supervisor = int(next(line.split()[1] for line in lines if line.startswith(f"{STUDY} ")))
    assert any(f"`fre-hpo stop {STUDY}`" in line for line in lines)
    try:
        pid = wait_for_event(home, "epoch", trial=0, epoch=3)["pid"]
        for process in (supervisor, pid):
            assert psutil.Process(process).terminal() is None
            os.kill(process, signal.SIGHUP)
        kill(pid)
        wait_for(lambda: gone(supervisor), "the search's end", seconds=60)
    finally:
        if not gone(supervisor):
            kill(supervisor)
    assert_same_search(home, unbroken)
    log = (home / "studies" / STUDY / "search.log").read_text()
    assert "it is started again, 1 of 5." in log
    assert f"files: {home}/studies/{STUDY}" in log
    assert read_json("status", STUDY, home=home)["state"] == "finished"


def test_what_is_refused_does_not_go_into_the_background(home: Path) -> None:
    mistaken = fre_hpo(*TWO, "--set", "X=0", "--detach", home=home)
    assert mistaken.returncode == 2
    assert mistaken.stderr.startswith("Error: ")
    assert not home.exists()
    nowhere = start_flags("--ray-address", "127.0.0.1:1", "--detach", executor="ray")
    unreachable = fre_hpo(*nowhere, home=home)
    assert (unreachable.returncode, unreachable.stdout) == (5, "")
    assert unreachable.stderr.startswith("Error: The Ray cluster at 127.0.0.1:1")
    assert not (home / "studies" / STUDY).exists()
    with background(*MANY, home=home):
        wait_for_event(home, "epoch")
        held = fre_hpo(*MANY, "--detach", home=home)
    assert (held.returncode, held.stdout) == (3, "")


def test_a_complete_study_has_nothing_to_do_in_the_background(unbroken: Path) -> None:
    result = fre_hpo(*TWO, "--detach", home=unbroken)
    assert result.returncode == 0
    assert "All 2 trials are complete already" in result.stderr
    assert result.stdout.startswith("best: ")


# --- the password -------------------------------------------------------------------------------


@pytest.mark.parametrize("detach", [[], ["--detach"]], ids=["foreground", "background"])
def test_a_password_is_neither_listed_nor_kept(
    detach: list[str], postgres_url: str, home: Path
) -> None:
    flags = [*MANY, *detach, "--storage", postgres_url]
    with background(*flags, home=home) as search:
        pid = wait_for_event(home, "epoch")["pid"]
        lists = [" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])]
        assert sum(" start --dataset phantom" in line for line in lists) >= 2
        assert [line for line in lists if PASSWORD in line] == []
        supervisor = psutil.Process(pid).parent()
        assert supervisor is not None
        supervisor.terminate()
        output, errors = search.communicate(timeout=30)
        wait_for(lambda: gone(supervisor.pid), "the search's end")
    assert search.returncode == (0 if detach else 75)
    assert errors.count("Warning: ") == 1
    assert PASSWORD not in output + errors
    assert files_with(home, PASSWORD) == []
    assert files_with(home, ":***@") != [] or not detach
