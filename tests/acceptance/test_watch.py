"""A live search, watched on a terminal, through a pipe, and over what may happen to it meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from acceptance.processes import (
    STUDY,
    background,
    coordinator,
    events,
    go_on,
    halted,
    kill,
    start_flags,
    wait_for_event,
)
from acceptance.test_terminal import COLOUR
from acceptance.tmux import PROMPT, Tmux
from postgres import PASSWORD, Postgres
from searching import command, environment, fre_hpo

MANY = start_flags("--trials", "50", longer=True)
TWO = start_flags("--trials", "2", longer=True)


def has(*words: str) -> Any:
    """All of them are seen."""
    return lambda lines: all(word in "\n".join(lines) for word in words)


RUNNING = re.compile(r" +\d+  B=\d+, X=[\d.]+ +\d+/16 ")


def readable(lines: list[str], columns: int, rows: int) -> bool:
    """Everything is at its place: the title, the bar, the counts, the times, a running trial."""
    assert len(lines) <= rows
    assert all(len(line) <= columns for line in lines)
    text = "\n".join(lines)
    return (
        lines[0].startswith(f"{STUDY}  running on ")
        and lines[0].endswith("q quits")
        and lines[1].endswith("%")
        and "of 50 trials complete, 1 running" in text
        and re.search(r"elapsed \d+:\d\d  left \d+:\d\d  done \d\d:\d\d", text) is not None
        and any(RUNNING.match(line) for line in lines)
        and re.search(r"\d\d:\d\d:\d\d  Trial \d+, B=", text) is not None
    )


def test_it_fills_the_screen_at_any_size_and_never_scrolls(home: Path) -> None:
    with background(*MANY, home=home), Tmux(home, 80, 24) as terminal:
        wait_for_event(home, "epoch", trial=1)
        terminal.type("watch", STUDY)
        for columns, rows in ((80, 24), (200, 50), (60, 12), (80, 24)):
            terminal.resize(columns, rows)
            terminal.wait_for(lambda lines, c=columns, r=rows: readable(lines, c, r))
            assert terminal.on_alternate_screen
            assert terminal.scrolled == 0
            assert not terminal.cursor_is_shown
        assert COLOUR.search(terminal.coloured)
        terminal.wait_for(has("trial 0  mIoU 0."))
        terminal.press("q")
        terminal.wait_for(lambda lines: lines[-1] == PROMPT)
        assert not terminal.on_alternate_screen
        assert terminal.cursor_is_shown
        assert "mIoU" not in "\n".join(terminal.lines)


@pytest.mark.parametrize("end", ["C-c", "TERM", "HUP"])
def test_however_it_is_left_the_terminal_is_as_before(end: str, home: Path) -> None:
    with background(*MANY, home=home), Tmux(home, 80, 24) as terminal:
        wait_for_event(home, "epoch")
        terminal.type("watch", STUDY, after="; echo code $?")
        terminal.wait_for(has("running on", "q quits"))
        if end == "C-c":
            terminal.press("C-c")
        else:
            (watching,) = psutil.Process(terminal.pid).children()
            watching.send_signal(getattr(signal, f"SIG{end}"))
        terminal.wait_for(has("code 0"))
        assert not terminal.on_alternate_screen
        assert terminal.cursor_is_shown
        terminal.press("x")
        terminal.wait_for(lambda lines: lines[-1] == f"{PROMPT}x")


@pytest.mark.parametrize("variables", [{"LANG": "C"}, {"NO_COLOR": "1"}], ids=["C", "no colour"])
def test_plain_characters_where_asked_for(variables: dict[str, str], home: Path) -> None:
    with background(*MANY, home=home), Tmux(home, 80, 24, **variables) as terminal:
        wait_for_event(home, "epoch")
        terminal.type("watch", STUDY)
        lines = terminal.wait_for(has("running on", "q quits", "/16"))
        assert "\n".join(lines).isascii()
        assert bool(COLOUR.search(terminal.coloured)) is ("NO_COLOR" not in variables)
        terminal.press("q")


def test_the_end_is_told_below_what_was_there(home: Path) -> None:
    with halted(*TWO, home=home) as search, Tmux(home, 100, 30) as terminal:
        terminal.type("watch", STUDY, after="; echo code $?")
        terminal.wait_for(has("0 of 2 trials complete", "best    none yet"))
        go_on(search)
        lines = terminal.wait_for(has("code 0"))
        search.communicate()
    assert not any("q quits" in line for line in lines)
    text = "\n".join(lines)
    assert f"{STUDY} is finished: 2 of 2 trials are complete." in text
    assert re.search(r"best: trial \d  B=\d+, X=[\d.]+  mIoU 0\.\d{4} at epoch \d+", text)
    assert "more trials: fre-hpo start --dataset" in text


def test_a_crash_is_waited_through(home: Path) -> None:
    with background(*MANY, home=home) as search, Tmux(home, 100, 24) as terminal:
        wait_for_event(home, "epoch")
        terminal.type("watch", STUDY)
        terminal.wait_for(has("running on"))
        first = coordinator(search)
        kill(first)
        terminal.wait_for(has("interrupted", "The coordinator is gone for 0:0"))
        terminal.wait_for(lambda lines: lines[0].startswith(f"{STUDY}  running"))
        assert coordinator(search) != first
        assert not any("is gone" in line for line in terminal.lines)
        terminal.press("q")


def test_a_database_that_is_gone_for_a_while(
    postgres_server: Postgres, postgres_url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a machine that has nothing but the URL."""
    monkeypatch.setenv("FRE_HPO_STORAGE", postgres_url)
    elsewhere = home.with_name("elsewhere")
    with background(*MANY, home=home), Tmux(elsewhere, 100, 24) as terminal:
        wait_for_event(home, "epoch", trial=1)
        terminal.type("watch", STUDY)
        terminal.wait_for(has("running on", "/16"))
        postgres_server.stop("immediate")
        lost = terminal.wait_for(has("The storage is out of reach for 0:0", "/16"))
        assert PASSWORD not in "\n".join(lost)
        postgres_server.start()
        terminal.wait_for(lambda lines: not any("out of reach" in line for line in lines))
        terminal.wait_for(has("running on", "/16"))
        assert terminal.on_alternate_screen
        terminal.press("q")
    assert not elsewhere.exists()


# --- no terminal --------------------------------------------------------------------------------


@contextmanager
def watching(*flags: str, home: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command("watch", STUDY, *flags),
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


STAMPED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ")


def test_through_a_pipe_it_is_lines_until_the_search_ends(home: Path) -> None:
    with halted(*TWO, home=home) as search, watching(home=home) as watch:
        assert watch.stdout is not None
        first = watch.stdout.readline()
        go_on(search)
        out, errors = watch.communicate(timeout=60)
        search.communicate(timeout=60)
    assert re.match(rf"{STAMPED.pattern}{STUDY} is running  0/2 trials  ", first)
    assert (watch.returncode, errors) == (0, "")
    lines = out.splitlines()
    told = [line for line in lines if STAMPED.match(line)]
    assert any("  Trial 1, B=" in line and " begins on " in line for line in told)
    trials = [STAMPED.sub("", line) for line in told if "  trial " in line]
    assert [line[:8] for line in trials] == ["trial 0 ", "trial 1 "]
    assert lines[len(told)] == (
        f"{STUDY} is finished: 2 of 2 trials are complete. All 2 trials that were asked for are complete."
    )
    assert "\x1b" not in out


def test_quietly_it_tells_only_the_trials_that_end(home: Path) -> None:
    with background(*MANY, home=home):
        wait_for_event(home, "epoch")
        with watching("-q", home=home) as watch:
            assert watch.stdout is not None
            lines = [watch.stdout.readline() for _ in range(3)]
    trials = [STAMPED.sub("", line).split()[:2] for line in lines]
    numbers = [int(number) for _, number in trials]
    assert [word for word, _ in trials] == ["trial"] * 3
    assert numbers == [numbers[0] + n for n in range(3)]


def test_a_reader_that_leaves_ends_it_quietly(home: Path) -> None:
    with background(*MANY, home=home):
        wait_for_event(home, "epoch", trial=0)
        shell = " ".join([*command("watch", STUDY), "| head -n 1; echo ${PIPESTATUS[0]}"])
        result = subprocess.run(
            ["bash", "-c", shell],
            env=environment(home),
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
    first, code = result.stdout.splitlines()
    assert STAMPED.match(first)
    assert code == "0"
    assert result.stderr == ""


def test_one_that_does_not_run_is_told_once(home: Path) -> None:
    with background(*MANY, home=home) as search:
        wait_for_event(home, "trial_finished", trial=0)
        fre_hpo("stop", STUDY, "--now", home=home)
        search.communicate(timeout=60)
    result = fre_hpo("watch", STUDY, home=home)
    assert (result.returncode, result.stderr) == (0, "")
    first, *_, command_line = result.stdout.splitlines()
    complete = sum(e["event"] == "trial_finished" for e in events(home))
    assert first.startswith(
        f"{STUDY} is stopped: {complete} of 50 trials are complete. It was stopped"
    )
    assert command_line.startswith("to go on: fre-hpo start --dataset ")
    assert command_line.endswith(f"--study {STUDY} --trials 50")
    missing = fre_hpo("watch", "nothing", home=home)
    assert missing.returncode == 4
    assert missing.stdout == ""


def test_it_loads_neither_torch_nor_ray(home: Path) -> None:
    assert fre_hpo(*start_flags("--trials", "1"), home=home).returncode == 0
    program = f"""
import json, sys
from fre_hpo.cli.main import run
code = run(["watch", "{STUDY}"])
print(json.dumps([code, sorted({{"torch", "ray", "matplotlib", "plotly"}} & set(sys.modules))]))
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(result.stdout.splitlines()[-1]) == [0, []]
    assert os.environ.get("FRE_HPO_STORAGE") is None
