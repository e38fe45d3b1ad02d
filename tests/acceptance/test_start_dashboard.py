"""`start --dashboard`: the pages stand beside the search, from its beginning to its end."""

from __future__ import annotations

import re
from pathlib import Path

import psutil

from acceptance.processes import (
    MANY,
    STUDY,
    TWO,
    background,
    events,
    gone,
    kill,
    wait_for,
    wait_for_event,
)
from searching import fre_hpo
from viewing import fetch, token_of

LINE = re.compile(r"^dashboard: (http://127\.0\.0\.1:\d+/\S+\?token=\S+)$", re.MULTILINE)


def served(address: str) -> bool:
    """Whether the API lists the study."""
    reply = fetch(address, "/api/studies", Authorization=f"Bearer {token_of(address)}")
    return reply.status == 200 and f'"{STUDY}"' in reply.text


def dashboards(supervisor: int) -> list[int]:
    children = psutil.Process(supervisor).children()
    return [child.pid for child in children if "dashboard" in child.cmdline()]


def starts(home: Path) -> int:
    return sum(event["event"] == "study_started" for event in events(home))


def test_its_address_is_told_and_it_outlives_a_crash_of_the_coordinator(home: Path) -> None:
    with background(*TWO, "--dashboard", home=home) as search:
        assert search.stderr is not None
        address = wait_for(lambda: LINE.search(search.stderr.readline()), "the address")[1]
        assert served(address)
        (pid,) = dashboards(search.pid)
        kill(wait_for_event(home, "epoch", trial=1)["pid"])
        wait_for(lambda: starts(home) == 2, "another coordinator")
        assert served(address)
        _, errors = search.communicate(timeout=60)
    assert search.returncode == 0, errors
    assert "it is started again, 1 of 5" in errors
    assert gone(pid)
    assert address not in "".join(
        file.read_text(errors="replace") for file in home.rglob("*") if file.is_file()
    )


def test_in_the_background_whoever_started_it_is_told(home: Path) -> None:
    result = fre_hpo(*MANY, "--detach", "--dashboard", home=home)
    assert result.returncode == 0, result.stderr
    named, told = result.stdout.splitlines()
    supervisor = int(named.split()[1])
    try:
        address = LINE.fullmatch(told)[1]  # type: ignore[index]
        assert served(address)
        assert address not in (home / "studies" / STUDY / "search.log").read_text()
        (pid,) = dashboards(supervisor)
        stopped = fre_hpo("stop", STUDY, home=home)
        assert stopped.returncode == 0, stopped.stderr
        wait_for(lambda: gone(supervisor) and gone(pid), "the end of both", 60)
    finally:
        if not gone(supervisor):
            psutil.Process(supervisor).terminate()


def test_a_refused_search_shows_nothing(home: Path) -> None:
    result = fre_hpo(*TWO, "--set", "X=0", "--dashboard", home=home)
    assert result.returncode == 2
    assert "dashboard" not in result.stdout + result.stderr
