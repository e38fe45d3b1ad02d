"""Searches in processes of their own: started, watched through their event log, killed."""

from __future__ import annotations

import csv
import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil

from fre_hpo.service import read
from fre_hpo.settings import Settings
from searching import TINY, as_flags, command, environment, fre_hpo

STUDY = "phantom-fre"
LONGER = {**TINY, "training.epochs": 16}
"""A trial long enough to be killed in its middle."""


def start_flags(*more: str, longer: bool = False, executor: str = "inline") -> list[str]:
    """The arguments of a small phantom search."""
    sizes = as_flags(LONGER if longer else TINY)
    return ["start", "--dataset", "phantom", "--executor", executor, *more, *sizes]


TWO = start_flags("--trials", "2", longer=True)
MANY = start_flags("--trials", "50", longer=True)


@contextmanager
def background(*arguments: str, home: Path, fault: str = "") -> Iterator[subprocess.Popen[str]]:
    """A command that runs meanwhile; when the block is left it is dead, and its coordinator with it."""
    process = subprocess.Popen(
        command(*arguments),
        env={**environment(home), "FRE_HPO_FAULT": fault},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def halted(
    *arguments: str, home: Path, epoch: int = 1, point: str = "epoch"
) -> Iterator[subprocess.Popen[str]]:
    """A search whose coordinator halts when it has written so many epochs, until ``go_on``: on no
    machine is it too fast for what is to happen in its middle."""
    with background(*arguments, home=home, fault=f"{point}:{epoch}:halt") as search:
        wait_for(lambda: _is_halted(search), f"{point} {epoch}")
        yield search


def _is_halted(search: subprocess.Popen[str]) -> bool:
    assert search.poll() is None, search.communicate()
    children = psutil.Process(search.pid).children()
    return [child.status() for child in children] == [psutil.STATUS_STOPPED]


def go_on(search: subprocess.Popen[str]) -> None:
    psutil.Process(coordinator(search)).resume()


def events(home: Path, study: str = STUDY) -> list[dict[str, Any]]:
    """The event log so far; a line that is being written is left out."""
    log = home / "studies" / study / "events.jsonl"
    text = log.read_text() if log.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def wait_for_event(home: Path, event: str, **facts: Any) -> dict[str, Any]:
    """The first event that has these facts; waits for it."""

    def found() -> dict[str, Any] | None:
        wanted = {"event": event, **facts}.items()
        return next((e for e in events(home) if wanted <= e.items()), None)

    return wait_for(found, f"{event} {facts}")


def wait_for(found: Callable[[], Any], what: str, seconds: float = 90) -> Any:
    """What the function finds, once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def kill(pid: int) -> None:
    """kill -9."""
    psutil.Process(pid).send_signal(signal.SIGKILL)


def coordinator(search: subprocess.Popen[str]) -> int:
    """The process that runs a search; the one that was started is its supervisor."""
    (child,) = psutil.Process(search.pid).children()
    return child.pid


def gone(pid: int) -> bool:
    """Whether a process has ended, collected or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_interrupted(home: Path) -> None:
    """Until the system, and so ``status``, no longer knows a killed coordinator."""
    wait_for(lambda: read_json("status", STUDY, home=home)["state"] == "interrupted", "its end", 10)


def read_json(*arguments: str, home: Path) -> Any:
    """What a verb prints with ``-f json``."""
    result = fre_hpo(*arguments, "-f", "json", home=home)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def outcome(home: Path) -> list[tuple[Any, ...]]:
    """Of every trial what may not depend on how often the search was killed."""
    names = ("number", "state", "params", "value", "class_iou", "best_epoch", "epochs", "seed")
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    return [tuple(t[n] for n in names) for t in read.trials(settings, STUDY)]


def curve(home: Path, number: int) -> list[dict[str, str]]:
    """A trial's whole curve, times aside, digit by digit."""
    path = home / "studies" / STUDY / "trials" / str(number) / "curve.csv"
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def assert_same_search(home: Path, unbroken: Path) -> None:
    """Parameters, values and curves are those of the unbroken search, to the last digit."""
    assert outcome(home) == outcome(unbroken)
    assert [curve(home, n) for n in (0, 1)] == [curve(unbroken, n) for n in (0, 1)]
    assert rows(home, "COMPLETE") == 2
    assert sum(rows(home, state) for state in ("RUNNING", "WAITING", "FAIL")) == 0


def rows(home: Path, state: str) -> int:
    """How many trials are in a state, as the database itself tells."""
    with closing(sqlite3.connect(home / "fre-hpo.db")) as database:
        query = "SELECT count(*) FROM trials WHERE state = ?"
        return int(database.execute(query, (state,)).fetchone()[0])


def files_with(folder: Path, text: str) -> list[Path]:
    """The files below a folder that hold a text anywhere."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in paths if text.encode() in path.read_bytes()]
