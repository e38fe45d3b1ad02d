"""A search that is archived while it runs, and goes on somewhere else as if nothing had happened."""

from __future__ import annotations

import zipfile
from pathlib import Path

from acceptance.processes import (
    STUDY,
    TWO,
    assert_same_search,
    events,
    go_on,
    halted,
    outcome,
    read_json,
)
from searching import fre_hpo


def test_archived_in_the_middle_of_a_trial_both_go_on(
    home: Path, unbroken: Path, tmp_path: Path
) -> None:
    file, elsewhere = tmp_path / "study.zip", tmp_path / "elsewhere"
    with halted(*TWO, home=home, epoch=21) as search:
        made = fre_hpo("archive", STUDY, "--out", str(file), home=home)
        assert made.returncode == 0, made.stderr
        assert made.stdout == f"{file}\n"
        assert "2 trials (1 complete, 1 to go on with), 1 trained network" in made.stderr
        assert "The search is running" in made.stderr
        with zipfile.ZipFile(file) as inside:
            assert f"{STUDY}/trials/1/checkpoint.pt" in inside.namelist()
        restored = fre_hpo("archive", "--restore", str(file), home=elsewhere)
        assert restored.returncode == 0, restored.stderr
        assert restored.stdout == f"{STUDY}\n"
        assert f"To go on:  fre-hpo start --dataset phantom --method fre --study {STUDY}" in (
            restored.stderr
        )
        status = read_json("status", STUDY, home=elsewhere)
        assert (status["state"], status["coordinator"]) == ("stopped", None)
        assert (status["complete"], status["waiting"]) == (1, 1)
        result = fre_hpo(*TWO, home=elsewhere)
        assert result.returncode == 0, result.stderr
        assert_same_search(elsewhere, unbroken)
        begun = [e for e in events(elsewhere) if e["event"] == "trial_started" and e["trial"] == 1]
        assert [e["attempt"] for e in begun] == [1, 2]
        assert begun[1]["epoch"] >= 4
        go_on(search)
        assert search.wait(timeout=120) == 0
    assert outcome(home) == outcome(unbroken)
