"""Searches on a Ray cluster whose nodes come and go, and that outlive it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from acceptance.clusters import Cluster, Node, cluster
from acceptance.processes import (
    background,
    events,
    rows,
    start_flags,
    wait_for,
    wait_for_event,
)
from searching import fre_hpo

BEGIN_SECONDS = 20
NOTICE_SECONDS = 8
RETRY_SECONDS = 15
END_SECONDS = 90

pytestmark = pytest.mark.slow


def flags(epochs: int, on: Cluster | None) -> list[str]:
    """The arguments of a search for two trials, on a cluster or in one process."""
    where = ["--ray-address", on.address] if on else []
    executor = "ray" if on else "inline"
    sizes = start_flags("--trials", "2", *where, executor=executor)
    return [*sizes, "--set", f"training.epochs={epochs}"]


def promised(seconds: float) -> float:
    """What is promised for a machine that is free; where processes wait for cores, all takes longer."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def epoch_on(node: Node, home: Path, trial: int) -> dict[str, Any] | None:
    """The newest epoch of a trial, if it was trained on this node."""
    found = [e for e in events(home) if e["event"] == "epoch" and e["trial"] == trial]
    return found[-1] if found and node.trains(found[-1]["pid"]) else None


def test_a_new_node_trains_and_the_trials_of_a_dead_one_go_on_elsewhere(home: Path) -> None:
    with cluster() as ray, background(*flags(100_000, ray), home=home) as search:
        wait_for_event(home, "epoch", trial=0)
        second = ray.join()
        second.wait()
        patience = promised(BEGIN_SECONDS)
        wait_for(lambda: epoch_on(second, home, trial=1), "the new node", patience)

        third = ray.join()
        third.wait()
        wait_for_event(home, "checkpoint", trial=1)
        second.kill("raylet")
        patience = promised(RETRY_SECONDS)
        wait_for(lambda: "trial_lost" in [e["event"] for e in events(home)], "it", NOTICE_SECONDS)
        wait_for(lambda: epoch_on(third, home, trial=1), "the other node", patience)

        starts = [e for e in events(home) if e["event"] == "trial_started" and e["trial"] == 1]
        losses = [e["attempt"] for e in events(home) if e["event"] == "trial_lost"]
        assert losses == list(range(1, len(losses) + 1))  # one may be lost before it begins
        assert [e["attempt"] for e in starts] == [1, len(losses) + 1]
        assert starts[1]["epoch"] >= 1
        assert {e["trial"] for e in events(home) if e["event"] == "trial_lost"} == {1}
        search.terminate()
        output, errors = search.communicate(timeout=30)
    assert search.returncode == 75
    assert "Raylet" not in output + errors  # Ray would print its log


def lose_head(home: Path, *parts: str) -> None:
    """Kill parts of a head in the middle of a search: it ends, and says that it can go on."""
    at_once = ("--cluster-patience", "0")
    with cluster() as ray, background(*flags(30, ray), *at_once, home=home) as search:
        wait_for_event(home, "epoch", trial=0)
        ray.head.kill(*parts)
        _, errors = search.communicate(timeout=END_SECONDS)
    assert search.returncode == 5, errors
    assert "cluster" in errors.splitlines()[-1]
    assert rows(home, "COMPLETE") < 2


def test_a_search_that_lost_its_head_completes_on_another(home: Path) -> None:
    lose_head(home, "gcs_server")
    with cluster() as ray:
        result = fre_hpo(*flags(30, ray), home=home)
    assert result.returncode == 0, result.stderr
    assert rows(home, "COMPLETE") == 2


def test_a_search_waits_for_its_head_and_goes_on(home: Path) -> None:
    with cluster() as ray, background(*flags(300, ray), home=home) as search:
        wait_for_event(home, "checkpoint", trial=0)
        ray.head.close()
        ray.start_head()
        _, errors = search.communicate(timeout=2 * END_SECONDS)
    assert search.returncode == 0, errors
    assert "is started again" in errors
    assert rows(home, "COMPLETE") == 2
    starts = [e for e in events(home) if e["event"] == "trial_started" and e["trial"] == 0]
    assert starts[-1]["epoch"] > 0


@pytest.mark.parametrize("parts", [["raylet"], ["gcs_server", "raylet"]])
def test_whichever_part_of_the_head_dies_the_search_ends_and_goes_on(
    home: Path, parts: list[str]
) -> None:
    lose_head(home, *parts)
    result = fre_hpo(*flags(30, None), home=home)
    assert result.returncode == 0, result.stderr
    assert rows(home, "COMPLETE") == 2
