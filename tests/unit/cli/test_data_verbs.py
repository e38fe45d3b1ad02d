"""``fre-hpo data``: what each verb prints, what it writes, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from drawn import draw_drosophila_set, draw_mouse_set
from fre_hpo.cli.main import run
from fre_hpo.data.fetching import fetch as fetching
from fre_hpo.service.check import check as check_start
from fre_hpo.service.request import Request
from fre_hpo.settings import load
from searching import environment
from serving import Behaviour, Server

Captured = pytest.CaptureFixture[str]
SMALL = ["--set", "data.train=3", "--set", "data.validation=2", "--set", "data.test=1"]
MOUSE = ["mouse", "--set", "data.train=4", "--set", "data.validation=2", "--set", "data.test=1"]


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the user is in, and that pictures and recipes are written to."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return draw_mouse_set(tmp_path / "my pictures", count=7)


def printed(capsys: Captured, *arguments: str) -> tuple[str, str]:
    """Stdout and stderr of a command that succeeds."""
    code = run(["data", *arguments])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out, err


def refused(capsys: Captured, *arguments: str, code: int) -> str:
    """The error of a command that prints nothing else."""
    assert run(["data", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert "Traceback" not in err
    return str(err)


# --- check --------------------------------------------------------------------------------------


def test_check_prints_splits_and_shares_and_draws(capsys: Captured, home: Path, work: Path) -> None:
    out, err = printed(capsys, "check", "phantom", *SMALL)
    splits, classes, rest = out.split("\n\n")
    assert [line.split() for line in splits.splitlines()] == [
        ["split", "images", "pictures", "height", "width", "channels"],
        ["train", "3", "3", "64", "64", "1"],
        ["validation", "2", "2", "64", "64", "1"],
        ["test", "1", "1", "64", "64", "1"],
    ]
    assert classes.splitlines()[0].split() == ["class", "train", "validation", "test"]
    assert [line.split()[0] for line in classes.splitlines()[1:]] == [
        "background",
        "membrane",
        "nucleus",
    ]
    assert "picture: phantom-check.png" in rest
    assert err == "No problems were found.\n"
    assert [path.name for path in work.iterdir()] == ["phantom-check.png"]
    with Image.open(work / "phantom-check.png") as picture:
        assert picture.format == "PNG"
    assert not home.exists()


def test_check_for_programs(capsys: Captured, work: Path, pictures: Path) -> None:
    flags = ["check", *MOUSE, "--data-dir", str(pictures), "--no-picture"]
    out, _ = printed(capsys, *flags, "-f", "json")
    found = json.loads(out)
    assert (found["dataset"], found["recipe"]) == ("mouse", "mouse")
    assert found["folder"] == str(pictures)
    assert found["remarks"] == []
    assert "picture" not in found
    train = found["splits"]["train"]
    assert [train[key] for key in ("images", "sources", "height", "width")] == [4, 4, 64, 64]
    assert list(train["shares"]) == found["classes"] == ["background", "membrane", "nucleus"]
    assert sum(train["shares"].values()) == pytest.approx(1)
    out, _ = printed(capsys, *flags, "-f", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["split"] for row in rows] == ["train", "validation", "test"]
    assert float(rows[0]["shares.nucleus"]) == train["shares"]["nucleus"]
    assert list(work.iterdir()) == []


def test_it_is_the_data_that_a_start_trains_on(capsys: Captured, pictures: Path) -> None:
    flags = ["check", *MOUSE, "--data-dir", str(pictures), "--no-picture", "-f", "json"]
    checked = json.loads(printed(capsys, *flags)[0])
    sizes = {"data.train": 4, "data.validation": 2, "data.test": 1}
    request = Request("mouse", data_dir=pictures, overrides=sizes)
    assert check_start(request, load()).dataset.fingerprint == checked["fingerprint"]


def test_every_problem_is_in_one_list_and_nothing_is_written(
    capsys: Captured, home: Path, work: Path, pictures: Path
) -> None:
    (pictures / "GroundTruth" / "cell2.png").unlink()
    (pictures / "Image" / "cell3.png").write_bytes(b"")
    mask = np.asarray(Image.open(pictures / "GroundTruth" / "cell5.png")).copy()
    mask[0, 0] = (1, 2, 3)
    Image.fromarray(mask).save(pictures / "GroundTruth" / "cell5.png")
    error = refused(capsys, "check", *MOUSE, "--data-dir", str(pictures), code=1)
    assert error.startswith("Error: 3 problems were found; nothing was created:\n")
    for name in ("cell2.png", "cell3.png", "cell5.png"):
        assert name in error
    assert list(work.iterdir()) == []
    assert not home.exists()


def test_remarks_are_warnings(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    from fre_hpo.service import datasets

    ordinary = datasets.data.load

    def remarking(*arguments: Any) -> Any:
        found = ordinary(*arguments)
        object.__setattr__(found, "remarks", ("The test split has no nucleus.",))
        return found

    monkeypatch.setattr(datasets.data, "load", remarking)
    flags = ["check", "phantom", *SMALL, "--no-picture"]
    out, err = printed(capsys, *flags)
    assert err == "Warning: The test split has no nucleus.\nNo problems were found.\n"
    assert printed(capsys, *flags, "-q") == (out, "")
    found = json.loads(printed(capsys, *flags, "-f", "json")[0])
    assert found["remarks"] == ["The test split has no nucleus."]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["check", "fantom"], 2, "did you mean phantom?"),
        (["check", "phantom", "--set", "data.siez=64"], 2, "did you mean data.size"),
        (["check", "phantom", "--data-dir", "x"], 2, "leave --data-dir away"),
        (["check", "mouse"], 4, "is not in"),
        (["check", "nothing.toml"], 1, "No such file"),
        (["check", "phantom", "-o", "sheet.jpg"], 2, "ends with .png"),
        (["show", "phantom", "-o", "/proc/no/sheet.png"], 1, "cannot be written"),
        (["chekc", "phantom"], 2, "did you mean check?"),
        (["fetch", "drosofila"], 2, "did you mean drosophila"),
    ],
)
def test_mistakes(
    capsys: Captured, home: Path, work: Path, arguments: list[str], code: int, words: str
) -> None:
    assert words in refused(capsys, *arguments, code=code)
    assert list(work.iterdir()) == []
    assert not home.exists()


# --- the picture --------------------------------------------------------------------------------


def test_show_writes_the_contact_sheet_only(capsys: Captured, work: Path) -> None:
    assert printed(capsys, "show", "phantom", *SMALL, "-o", "sheet.png") == ("sheet.png\n", "")
    assert [path.name for path in work.iterdir()] == ["sheet.png"]
    printed(capsys, "check", "phantom", *SMALL, "-o", "other.png")
    assert (work / "sheet.png").read_bytes() == (work / "other.png").read_bytes()


def test_an_earlier_sheet_is_replaced(capsys: Captured, work: Path) -> None:
    printed(capsys, "show", "phantom", *SMALL)
    first = (work / "phantom-check.png").read_bytes()
    printed(capsys, "show", "phantom", *SMALL, "--set", "data.seed=1")
    assert (work / "phantom-check.png").read_bytes() != first
    assert len(list(work.iterdir())) == 1


@pytest.mark.parametrize("other", ["a picture", "a text"])
def test_another_file_is_not_replaced(capsys: Captured, work: Path, other: str) -> None:
    path = work / "phantom-check.png"
    if other == "a picture":
        Image.new("RGB", (8, 8)).save(path)
    else:
        path.write_text("mine")
    before = path.read_bytes()
    error = refused(capsys, "check", "phantom", *SMALL, code=2)
    assert "phantom-check.png is there already and is no contact sheet of fre-hpo" in error
    assert path.read_bytes() == before


# --- init ---------------------------------------------------------------------------------------


def test_init_check_start_without_editing(capsys: Captured, work: Path, pictures: Path) -> None:
    out, err = printed(capsys, "init", str(pictures))
    assert out == "my-pictures.toml\n"
    assert err.endswith(
        "Next:\n  fre-hpo data check my-pictures.toml\n  fre-hpo start --dataset my-pictures.toml\n"
    )
    out, err = printed(capsys, "check", "my-pictures.toml")
    assert "No problems were found." in err
    assert (work / "my-pictures-check.png").is_file()
    assert run(["start", "--dataset", "my-pictures.toml", "--dry-run"]) == 0


def test_a_relative_folder_stays_relative_to_the_recipe(
    capsys: Captured, work: Path, pictures: Path
) -> None:
    (work / "recipes").mkdir()
    printed(capsys, "init", "../my pictures", "-o", "recipes/liver.toml", "-q")
    assert 'folder = "../../my pictures"' in (work / "recipes" / "liver.toml").read_text()
    printed(capsys, "check", "recipes/liver.toml", "--no-picture")


def test_a_recipe_is_replaced_by_force_only(capsys: Captured, work: Path, pictures: Path) -> None:
    path = work / "my-pictures.toml"
    path.write_text("mine")
    error = refused(capsys, "init", str(pictures), code=2)
    assert "my-pictures.toml is there already" in error
    assert "--force" in error
    assert path.read_text() == "mine"
    out, err = printed(capsys, "init", str(pictures), "--force", "-q")
    assert (out, err) == ("my-pictures.toml\n", "")
    assert 'dataset = "pairs"' in path.read_text()


def test_init_wants_a_folder_and_a_recipes_name(
    capsys: Captured, work: Path, pictures: Path
) -> None:
    assert "does not exist" in refused(capsys, "init", "nowhere", code=2)
    assert ".toml" in refused(capsys, "init", str(pictures), "-o", "liver.txt", code=2)
    (work / "empty").mkdir()
    refused(capsys, "init", "empty", code=1)
    assert [path.name for path in work.iterdir()] == ["empty"]


@pytest.mark.parametrize("form", ["pics", "./pics", "../work/pics"])
def test_a_start_with_a_folder_is_told_of_init(capsys: Captured, work: Path, form: str) -> None:
    (work / "pics").mkdir()
    assert run(["start", "--dataset", form]) == 2
    assert f"`fre-hpo data init {form}` writes a recipe for it" in capsys.readouterr().err


# --- fetch --------------------------------------------------------------------------------------


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drawn set stands for the published one; its folder."""
    folder = draw_drosophila_set(tmp_path / "drawn")
    lines = [
        f"{fetching._checksum(path)}  {path.relative_to(folder).as_posix()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    checksums = fetching.read_checksums("\n".join(lines))
    real = fetching.drosophila()
    drawn = fetching.Publication(**{**vars(real), "checksums": checksums})
    monkeypatch.setitem(fetching.PUBLICATIONS, "drosophila", lambda: drawn)
    return folder


def zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, f"master/{path.relative_to(folder)}")
    return content.getvalue()


def test_fetch_puts_it_where_dataset_looks(capsys: Captured, home: Path, published: Path) -> None:
    out, err = printed(capsys, "fetch", "drosophila", "--from", str(published))
    assert out == f"{home}/data/drosophila\n"
    assert "All 40 files are as published." in err
    assert "CC BY-NC-SA" in err
    printed(capsys, "check", "drosophila", "--set", "data.tile=64", "--no-picture")
    out, err = printed(capsys, "fetch", "drosophila-quick")
    assert out == f"{home}/data/drosophila\n"
    assert "It is there already" in err
    assert printed(capsys, "fetch", "drosophila", "-q") == (out, "")


def test_fetch_from_a_server_into_a_folder(
    capsys: Captured, tmp_path: Path, published: Path
) -> None:
    to = tmp_path / "elsewhere"
    with Server(Behaviour(zipped(published))) as server:
        out, _ = printed(capsys, "fetch", "drosophila", "--from", server.url, "--data-dir", str(to))
    assert out == f"{to}\n"
    assert len(list((to / "stack1" / "raw").iterdir())) == 20


def test_fetch_tells_every_wrong_file(capsys: Captured, home: Path, published: Path) -> None:
    (published / "stack1" / "raw" / "07.tif").write_bytes(b"")
    (published / "stack1" / "labels" / "labels00000003.png").unlink()
    error = refused(capsys, "fetch", "drosophila", "--from", str(published), code=1)
    assert "2 problems were found; nothing was created" in error
    assert "07.tif" in error
    assert "labels00000003.png is missing" in error
    assert not home.exists()


def test_what_cannot_be_fetched(capsys: Captured, home: Path) -> None:
    error = refused(capsys, "fetch", "mouse", code=4)
    assert "unpublished" in error
    assert "Image/NAME.png" in error
    assert f"{home}/data/mouse" in error
    out, err = printed(capsys, "fetch", "phantom")
    assert out == ""
    assert "nothing to fetch" in err
    assert not home.exists()


def test_on_a_terminal_a_bar_comes_and_goes(
    capsys: Captured, tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fre_hpo.cli.telling.interactive", lambda: True)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "60")
    with Server(Behaviour(zipped(published))) as server:
        flags = ["fetch", "drosophila", "--from", server.url]
        _, err = printed(capsys, *flags, "--data-dir", str(tmp_path / "a"))
        assert "━" in err
        assert max(map(len, err.split("All 40 files")[1].splitlines())) <= 60, "whole words"
        assert printed(capsys, *flags, "--data-dir", str(tmp_path / "b"), "-q")[1] == ""


# --- loading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["init", "--help"]])
def test_the_help_loads_nothing_heavy(arguments: list[str], home: Path) -> None:
    heavy = {"numpy", "PIL", "pydantic", "rich", "optuna", "torch", "ray"}
    program = "import sys; from fre_hpo.cli.main import run; run(sys.argv[1:]); "
    program += f"print(sorted({heavy!r} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", program, "data", *arguments],
        env=environment(home),
        cwd=Path(fetching.__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines()[-1] == "[]"
