"""``fre-hpo archive``: what it says, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fre_hpo.cli.main import run
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.part import Part
from ledgers import create, make_charter, search

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def settings(home: Path) -> Settings:
    """A study of three complete trials, one that failed and one that runs, with two files."""
    home.mkdir()
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    ledger = create(settings.storage, "cells")
    ledger.want(9)
    search(ledger, 3)
    ledger.fail(ledger.ask().number, 2, "the training diverged")
    ledger.ask()
    folder = StudyFolder(settings.study_folder("cells"))
    folder.identify(ledger.charter.id, ledger.shown)
    folder.log("study_started")
    folder.trial(1).save_result(b"weights", ["a"], [[[1]]])
    return settings


def test_what_was_written_and_restored_is_told(
    settings: Settings, tmp_path: Path, capsys: Captured
) -> None:
    file = tmp_path / "cells.zip"
    assert run(["archive", "cells", "--out", str(file)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{file}\n"
    trials = "5 trials (3 complete, 1 failed, 1 to go on with)"
    assert err.startswith(f"{trials}, 1 trained network, ")
    assert run(["archive", "--restore", str(file), "--study", "copy"]) == 0
    out, err = capsys.readouterr()
    assert out == "copy\n"
    assert err.splitlines() == [
        f"{trials}; its files are in {settings.study_folder('copy')}.",
        "To go on:  fre-hpo start --dataset phantom --method fre --study copy --trials 9",
    ]
    assert run(["archive", "cells", "-o", str(file), "--force", "-q"]) == 0
    assert capsys.readouterr() == (f"{file}\n", "")


def test_what_is_not_in_it_or_not_here_is_told(
    settings: Settings, tmp_path: Path, capsys: Captured
) -> None:
    connection = Connection(settings.storage, create=True)
    images = str(tmp_path / "images")
    part = Part("confirmation", "pairs", "B=1", ("B=1",), {}, 0)
    mine = replace(make_charter(), id="1" * 32, data_folder=images)
    ledger = Ledger.create(connection, "pairs", mine)
    Ledger.create(connection, "pairs-seeds", replace(mine, id="2" * 32, part=part))
    ledger.ask_again(ledger.ask().number)
    ledger.set_store(str(tmp_path / "unmounted"))
    StudyFolder(settings.study_folder("pairs")).identify("1" * 32, ledger.shown)
    file = str(tmp_path / "pairs.zip")
    assert run(["archive", "pairs", "--out", file]) == 0
    first, lost, confirmed = capsys.readouterr().err.splitlines()
    assert first.startswith("1 trial (1 to go on with), 0 trained networks, ")
    assert lost.startswith(f"Warning: The checkpoint store {tmp_path}/unmounted cannot be reached")
    assert lost.endswith("Trials whose checkpoints are there begin anew where it is restored.")
    assert confirmed == (
        "What confirms it is in studies of their own, which are not in it: pairs-seeds."
    )
    assert run(["archive", "--restore", file, "--study", "copy"]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"Its images were in {images}, which is not here: name their folder with --data-dir."
    )
    assert Ledger.open(connection, "copy").store is None


def test_a_home_that_cannot_be_written_is_told(
    settings: Settings, tmp_path: Path, capsys: Captured
) -> None:
    file = str(tmp_path / "cells.zip")
    assert run(["archive", "cells", "--out", file, "-q"]) == 0
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "studies").touch()
    home = ["--home", str(tmp_path / "elsewhere")]
    assert run(["archive", "--restore", file, *home]) == 2
    assert "cannot be written (Not a directory): name another --home." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ((), 2, "Something is missing: `fre-hpo archive STUDY --out FILE`, or"),
        (("cells",), 2, "Something is missing"),
        (("--out", "a.zip"), 2, "Something is missing"),
        (("cells", "--restore", "a.zip"), 2, "--restore stands alone: `fre-hpo archive STUDY"),
        (("--restore", "a.zip", "--force"), 2, "--restore stands alone"),
        (("cells", "--study", "x", "--out", "a.zip"), 2, "--study names what --restore makes"),
        (("cell", "--out", "a.zip"), 4, "did you mean cells?"),
        (("cells", "--out", "nowhere/a.zip"), 1, "No such file or directory"),
        (("cells", "--out", "."), 2, "is a folder: name a file in it"),
        (("--restore", "a.zip"), 1, "there is no such file"),
        (("--restore", "."), 1, "it is not a ZIP file"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    flags: tuple[str, ...],
    code: int,
    said: str,
    settings: Settings,
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert run(["archive", *flags]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert said in err
    assert len(err.splitlines()) == 1
    assert list(Path.cwd().iterdir()) == []
