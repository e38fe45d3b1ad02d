"""A comparison in a process of its own: killed, stopped, and gone on with to the same table."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from acceptance.processes import background, coordinator, events, kill, read_json, wait_for
from fre_hpo.service.compared import compared
from fre_hpo.settings import Settings
from searching import TINY, as_flags, fre_hpo

SMALL = {**TINY, "training.epochs": 4}
FLAGS = ["compare", "--dataset", "phantom", "--methods", "baseline,dropout,fre", "--seeds", "2"]
COMPARE = [*FLAGS, "--trials", "2", "--executor", "inline", "--parallel", "1", *as_flags(SMALL)]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The table of the comparison that nobody touched, as JSON."""
    home = tmp_path_factory.mktemp("unbroken") / "home"
    result = fre_hpo(*COMPARE, "-f", "json", home=home)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def wait_for_epoch(home: Path, study: str, trial: int, epoch: int) -> None:
    wanted = {"event": "epoch", "trial": trial, "epoch": epoch}.items()
    wait_for(lambda: any(wanted <= e.items() for e in events(home, study)), f"{study} {epoch}")


def readings(home: Path) -> list[tuple[str, int]]:
    found = compared(Settings(home, f"sqlite:///{home}/fre-hpo.db"), "phantom")
    return [(reading.study, reading.networks) for reading in found.readings]


@pytest.mark.slow
def test_killed_twice_on_the_way_it_ends_with_the_same_table(home: Path, unbroken: Any) -> None:
    with background(*COMPARE, home=home) as search:
        wait_for_epoch(home, "phantom-fre", trial=1, epoch=2)
        kill(search.pid)
    with background(*COMPARE, home=home) as search:
        wait_for_epoch(home, "phantom-dropout-seeds", trial=0, epoch=2)
        kill(search.pid)
    result = fre_hpo(*COMPARE, "-f", "json", home=home)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == unbroken
    assert readings(home) == [("phantom", 6)]
    shown = fre_hpo("compare", "--study", "phantom", "-f", "json", home=home)
    assert json.loads(shown.stdout) == unbroken


@pytest.mark.slow
def test_a_coordinator_that_dies_is_started_again(home: Path, unbroken: Any) -> None:
    with background(*COMPARE, "-f", "json", home=home) as search:
        wait_for_epoch(home, "phantom-baseline-seeds", trial=1, epoch=2)
        kill(coordinator(search))
        output, errors = search.communicate(timeout=120)
    assert search.returncode == 0, errors
    assert "The coordinator ended unexpectedly" in errors
    assert json.loads(output) == unbroken


@pytest.mark.slow
def test_one_sigterm_stops_it_and_the_same_command_goes_on(home: Path, unbroken: Any) -> None:
    with background(*COMPARE, home=home) as search:
        wait_for_epoch(home, "phantom-fre", trial=0, epoch=1)
        search.terminate()
        output, errors = search.communicate(timeout=60)
    assert search.returncode == 75
    assert output == ""
    assert "Stopped: " in errors
    assert "trainings are complete; the same command goes on from here." in errors
    assert read_json("status", "phantom-fre", home=home)["state"] == "stopped"
    assert json.loads(fre_hpo(*COMPARE, "-f", "json", home=home).stdout) == unbroken


@pytest.mark.slow
def test_in_the_background(home: Path, unbroken: Any) -> None:
    result = fre_hpo(*COMPARE, "--detach", home=home)
    assert result.returncode == 0, result.stderr
    name, pid = result.stdout.split()
    assert name == "phantom"
    assert f"`kill {pid}` stops it" in result.stderr

    def shown() -> subprocess.CompletedProcess[str] | None:
        found = fre_hpo("compare", "--study", "phantom", "-f", "json", home=home)
        return found if found.returncode == 0 else None

    assert json.loads(wait_for(shown, "the table", 120).stdout) == unbroken
