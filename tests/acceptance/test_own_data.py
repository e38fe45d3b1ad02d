"""A folder never seen before becomes a search in three commands; every trap is said on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import labs
from fre_hpo.cli.main import run

Capture = pytest.CaptureFixture[str]
SMALL = ("--trials", "2", "--epochs", "2", "--set", "model.widths=4,8,16", "--executor", "inline")


@dataclass
class Desk:
    """A working folder and a terminal."""

    folder: Path
    capture: Capture

    def type(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Run a command that must end with the code; returns what stdout and stderr show."""
        assert run(arguments) == code, self.capture.readouterr()
        shown = self.capture.readouterr()
        assert "Traceback" not in shown.err
        return shown.out, shown.err

    def recipe(self, lab: Path) -> str:
        """What `data init` wrote, by its name."""
        out, _ = self.type("data", "init", str(lab))
        return out.strip()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Desk:
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Desk(folder, capsys)


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (labs.fiji_lab, ["Well A1 (fixed).tif", "black"]),
        (labs.movies, ["one per cell", "without a mask"]),
        (labs.train_and_test, ["validation"]),
        (labs.ome_stack, ["channel", "order"]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_three_commands_without_editing(
    draw: Callable[[Path], Path], said: Sequence[str], desk: Desk, tmp_path: Path, home: Path
) -> None:
    lab = draw(tmp_path / "lab")
    before = {path: path.stat().st_mtime_ns for path in sorted(lab.rglob("*"))}
    out, init = desk.type("data", "init", str(lab))
    recipe = out.strip()
    notes = Path(recipe).read_text(encoding="utf-8") + init
    out, check = desk.type("data", "check", recipe)
    assert not home.exists()
    for word in said:
        assert word in notes + check, word
    desk.type("start", "--dataset", recipe, *SMALL)
    study = Path(recipe).stem + "-fre"
    trials = json.loads(desk.type("trials", study, "-f", "json")[0])
    assert [trial["state"] for trial in trials] == ["COMPLETE", "COMPLETE"]
    assert all(trial["value"] > 0 for trial in trials)
    assert {path: path.stat().st_mtime_ns for path in sorted(lab.rglob("*"))} == before


def test_training_pictures_in_the_test_folder_are_refused_and_the_rest_trains(
    desk: Desk, tmp_path: Path, home: Path
) -> None:
    lab = labs.train_and_test(tmp_path / "lab", repeated=2)
    recipe = desk.recipe(lab)
    for verb in (["data", "check", recipe], ["start", "--dataset", recipe, *SMALL]):
        _, err = desk.type(*verb, code=1)
        for number in (0, 1):
            copy, picture = f"holdout_{number}.png", f"train/images/img_{number}.png"
            assert re.search(rf"{copy} in test has the same content as {picture} in train: ", err)
        assert err.splitlines()[0].startswith("Error: 2 problems were found; nothing was created")
    assert not home.exists()
    for path in lab.rglob("holdout_*"):
        path.unlink()
    desk.type("start", "--dataset", recipe, *SMALL)


def test_a_study_refuses_to_go_on_with_changed_labels(desk: Desk, tmp_path: Path) -> None:
    lab = labs.train_and_test(tmp_path / "lab")
    recipe = desk.recipe(lab)
    desk.type("start", "--dataset", recipe, *SMALL)
    path = lab / "train" / "masks" / "img_3.png"
    mask = np.array(Image.open(path))
    mask[5, 5] = 255 - mask[5, 5]
    Image.fromarray(mask).save(path)
    again = ("start", "--dataset", recipe, *SMALL[2:], "--trials", "3")
    _, err = desk.type(*again, code=2)
    assert "was started on other data" in err


def test_what_nobody_can_recognise_is_said_in_one_sentence(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _, err = desk.type("data", "init", str(tmp_path / "empty"), code=1)
    assert err.count("\n") == 1
    assert list(desk.folder.iterdir()) == []


def test_what_the_check_warns_of_is_warned_of_by_a_start_too(desk: Desk, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    for part in ("images", "masks"):
        (lab / part).mkdir(parents=True)
    for number, (picture, classes) in enumerate(labs.cells(6, 48, 48)):
        labs.save_pair(lab, f"{number}", picture, classes * (number != 4))
    Path("lab.toml").write_text(
        f'dataset = "pairs"\n[data]\nfolder = "{lab}"\nsplit = "order"\n'
        "labels = { background = 0, membrane = 1, nucleus = 2 }\n"
    )
    warning = "Warning: validation has no pixel of membrane and nucleus: "
    for verb in (["data", "check"], ["start", *SMALL, "--dry-run", "--dataset"]):
        assert warning in desk.type(*verb, "lab.toml")[1]
    assert warning in desk.type("start", *SMALL, "--dataset", "lab.toml")[1]
    assert "validation has no pixel of membrane" in desk.type("logs", "lab-fre")[0]
