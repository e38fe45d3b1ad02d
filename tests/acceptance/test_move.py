"""A coordinator that is lost with its machine, and a search that goes on from an empty home."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from acceptance.processes import (
    STUDY,
    TWO,
    assert_same_search,
    background,
    curve,
    events,
    kill,
    start_flags,
    wait_for_event,
    wait_until_interrupted,
)
from fre_hpo.study.folder import StudyFolder
from searching import fre_hpo
from stored import plain


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


def move(home: Path) -> Path:
    """The machine's disk is gone; only the database is not."""
    elsewhere = home.with_name("elsewhere")
    elsewhere.mkdir()
    for file in home.glob("fre-hpo.db*"):
        file.rename(elsewhere / file.name)
    shutil.rmtree(home)
    return elsewhere


def test_killed_and_moved_it_goes_on_with_the_same_curves(
    home: Path, unbroken: Path, store: Path
) -> None:
    shared = [*TWO, "--checkpoints", str(store)]
    with background(*shared, home=home) as search:
        wait_for_event(home, "epoch", trial=1, epoch=3)
        kill(search.pid)
    wait_until_interrupted(home)
    elsewhere = move(home)
    result = fre_hpo(*TWO, home=elsewhere)
    assert result.returncode == 0, result.stderr
    assert "Fetched 6 files of ended trials" in result.stderr
    assert_same_search(elsewhere, unbroken)
    (resumed,) = [e for e in events(elsewhere) if e["event"] == "trial_started"][-1:]
    assert (resumed["trial"], resumed["attempt"]) == (1, 2)
    assert resumed["epoch"] >= 2
    assert not list(store.rglob("checkpoint*"))


@pytest.mark.slow
def test_a_new_machine_reports_exports_and_predicts(home: Path, store: Path) -> None:
    two = start_flags("--trials", "2", "--checkpoints", str(store))
    assert fre_hpo(*two, home=home).returncode == 0
    before = plain(StudyFolder(home / "studies" / STUDY).trial(0))
    curves = [curve(home, number) for number in (0, 1)]
    elsewhere = move(home)
    refused = fre_hpo("export", STUDY, "--out", str(store.parent / "out"), home=elsewhere)
    assert refused.returncode == 4
    assert f"`fre-hpo fetch {STUDY}` brings them" in refused.stderr
    fetched = fre_hpo("fetch", STUDY, home=elsewhere)
    assert fetched.returncode == 0, fetched.stderr
    assert "12 files fetched from" in fetched.stderr
    assert plain(StudyFolder(elsewhere / "studies" / STUDY).trial(0)) == before
    assert [curve(elsewhere, number) for number in (0, 1)] == curves
    for verb in (
        ("report", STUDY, "--out", str(store.parent / "report")),
        ("export", STUDY, "--out", str(store.parent / "out")),
        ("logs", STUDY),
        ("test", STUDY),
    ):
        done = fre_hpo(*verb, home=elsewhere)
        assert done.returncode == 0, f"{verb}: {done.stderr}"
