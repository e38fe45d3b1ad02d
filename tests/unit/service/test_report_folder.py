"""The folder of a report: there as a whole or not at all, and nobody else's is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fre_hpo.errors import CannotWrite, FolderInTheWay
from fre_hpo.results.report.study import study_report
from fre_hpo.service import report_folder
from fre_hpo.service.report_folder import refuse_occupied, write
from reported import study_facts

REPORT = study_report(study_facts(), "Written.")
FILES = [
    "figures",
    "figures/predictions.png",
    "figures/search.svg",
    "index.html",
    "recipe.toml",
    "report.md",
]


def inside(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_report_is_a_page_markdown_figures_and_a_recipe(tmp_path: Path) -> None:
    write(REPORT, "seed = 1\n", tmp_path / "out")
    assert inside(tmp_path / "out") == FILES
    assert (tmp_path / "out" / "recipe.toml").read_text() == "seed = 1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_report_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    write(REPORT, "first", folder)
    (folder / "figures" / "old.svg").touch()
    write(REPORT, "second", folder)
    assert inside(folder) == FILES
    assert (folder / "recipe.toml").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("thesis.tex", "holds thesis.tex, which is no report's"),
        ("figures/mine.xcf", "holds figures/mine.xcf, which is no report's"),
        ("index.html", "is no report of fre-hpo"),
    ],
)
def test_somebody_elses_folder_is_refused(name: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(FolderInTheWay, match="name a new folder with --out") as caught:
        write(REPORT, "", tmp_path / "out")
    assert said in str(caught.value)
    assert path.read_text() == "mine"


def test_what_was_added_to_a_report_is_not_lost(tmp_path: Path) -> None:
    write(REPORT, "", tmp_path / "out")
    (tmp_path / "out" / "notes.txt").touch()
    with pytest.raises(FolderInTheWay, match=r"notes\.txt"):
        refuse_occupied(tmp_path / "out")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(FolderInTheWay, match="is a file"):
        refuse_occupied(tmp_path / "out")


@pytest.mark.parametrize("broken", ["figures/search.svg", "in place"])
def test_a_report_that_cannot_be_written_leaves_the_earlier_one(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    write(REPORT, "earlier", folder)
    real_write, real_replace = report_folder.write_atomically, Path.replace

    def fail_at(path: Path, content: bytes) -> None:
        if str(path).endswith(broken):
            raise OSError(5, "Input/output error")
        real_write(path, content)

    def fail_to_move(path: Path, target: Any) -> Path:
        if broken == "in place" and path.name == ".out.part":
            raise OSError(5, "Input/output error")
        return real_replace(path, target)

    monkeypatch.setattr(report_folder, "write_atomically", fail_at)
    monkeypatch.setattr(Path, "replace", fail_to_move)
    with pytest.raises(CannotWrite, match="Input/output error"):
        write(REPORT, "new", folder)
    assert inside(folder) == FILES
    assert (folder / "recipe.toml").read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
