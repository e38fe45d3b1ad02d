"""A search as a user runs it: started, looked at, started again, enlarged, deleted."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from acceptance.processes import STUDY, outcome, read_json, rows, start_flags
from searching import fre_hpo


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A search of two trials in its home, which the tests of this module only read."""
    home = tmp_path_factory.mktemp("finished") / "home"
    return home, fre_hpo(*start_flags("--trials", "2"), home=home)


Finished = tuple[Path, subprocess.CompletedProcess[str]]


def test_it_ends_well_and_says_what_was_found_and_where_it_lies(finished: Finished) -> None:
    home, result = finished
    assert result.returncode == 0, result.stderr
    found, files, storage = result.stdout.splitlines()
    observed = read_json("best", STUDY, home=home)["observed"]
    match = re.fullmatch(r"best: trial (\d+)  B=(\d+), X=([\d.]+)  mIoU ([\d.]+)", found)
    assert match is not None, found
    assert int(match[1]) == observed["number"]
    assert int(match[2]) == observed["params"]["B"]
    assert float(match[3]) == pytest.approx(observed["params"]["X"], rel=1e-3)
    assert float(match[4]) == pytest.approx(observed["value"], abs=1e-4)
    assert files == f"files: {home}/studies/{STUDY}"
    assert storage == f"storage: sqlite:///{home}/fre-hpo.db"
    assert (home / "studies" / STUDY / "trials" / match[1] / "best.pt").is_file()


def test_without_a_terminal_stderr_is_one_plain_line_a_trial(finished: Finished) -> None:
    _, result = finished
    lines = [line for line in result.stderr.splitlines() if line.startswith("trial ")]
    assert [line.split()[1] for line in lines] == ["0", "1"]
    assert all(re.search(r"  B=\d+, X=[\d.]+  mIoU 0\.\d{4} at epoch \d", line) for line in lines)
    assert all("membrane 0." in line for line in lines)
    assert not set("\x1b\r━") & set(result.stderr + result.stdout)


def test_the_reading_verbs_agree_with_the_database(finished: Finished) -> None:
    home, _ = finished
    status = read_json("status", STUDY, home=home)
    assert (status["state"], status["wanted"], status["complete"]) == ("finished", 2, 2)
    assert rows(home, "COMPLETE") == 2
    assert [t["number"] for t in read_json("trials", STUDY, home=home)] == [0, 1]


def test_an_unknown_study_exits_4_with_the_nearest_name(finished: Finished) -> None:
    home, _ = finished
    result = fre_hpo("status", "phantom-fer", home=home)
    assert result.returncode == 4
    assert "did you mean phantom-fre?" in result.stderr


def test_started_again_it_runs_nothing_and_a_larger_total_adds_exactly_that(home: Path) -> None:
    fre_hpo(*start_flags("--trials", "1"), home=home)
    first = outcome(home)
    again = fre_hpo(*start_flags(), "--trials", "1", home=home)
    assert again.returncode == 0
    assert again.stdout.startswith("best: trial 0")
    assert "\ntrial " not in again.stderr
    assert outcome(home) == first
    more = fre_hpo(
        "start", "--dataset", "phantom", "--executor", "inline", "--trials", "3", home=home
    )
    assert more.returncode == 0, more.stderr
    assert rows(home, "COMPLETE") == 3
    assert len(outcome(home)) == 3
    assert outcome(home)[:1] == first
