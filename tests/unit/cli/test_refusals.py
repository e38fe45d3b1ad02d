"""Every mistake on the command line: the contract's code, one sentence or one list, nothing created."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawn import draw_drosophila_set, draw_mouse_set
from fre_hpo.cli.main import run
from searching import TINY, as_flags

Captured = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Refusal:
    code: int
    error: str

    @property
    def problems(self) -> list[str]:
        return re.findall(r"^  \d+\. (.*)$", self.error, flags=re.MULTILINE)


def refuse(capsys: Captured, home: Path, *arguments: str) -> Refusal:
    """The exit code and the error of a command that must change nothing."""
    before = sorted(home.parent.rglob("*"))
    code = run(arguments)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert "Traceback" not in err
    heading, *rest = err.splitlines()
    assert all(re.match(r"  \d+\. ", line) for line in rest)
    assert not rest or heading.endswith("nothing was created:")
    assert sorted(home.parent.rglob("*")) == before
    assert not home.exists()
    return Refusal(code, err)


def phantom(*more: str) -> list[str]:
    return ["start", "--dataset", "phantom", "--executor", "inline", *as_flags(TINY), *more]


USAGE = {
    "an unknown data set": (["start", "--dataset", "mosue"], "did you mean mouse?"),
    "an unknown method": (phantom("--method", "fre-fixd"), "did you mean fre-fixed"),
    "an unknown verb": (["strat"], "did you mean start"),
    "an unknown flag": (["start", "--datset", "phantom"], "Did you mean one of: '--dataset'"),
    "no data set": (["start"], "Missing option '--dataset'"),
    "no study": (["status"], "Missing argument 'STUDY'"),
    "an unknown key": (phantom("--set", "training.epoch=4"), "did you mean training.epochs"),
    "a key without a value": (phantom("--set", "seed"), "--set takes KEY=VALUE"),
    "a bad value": (phantom("--set", "training.epochs=many"), "it must be a whole number"),
    "B above the maps": (phantom("--set", "B=1..17"), "the network has 16 feature maps"),
    "a width of none": (phantom("--set", "model.widths=4,0,8"), "model.widths"),
    "a bad name": (phantom("--study", "cells/2026"), "1 to 64 letters, digits"),
    "an empty name": (phantom("--study", ""), "1 to 64 letters, digits"),
    "a long name": (phantom("--study", "x" * 65), "1 to 64 letters, digits"),
    "the folder above": (phantom("--study", ".."), "not dots alone"),
    "no trials": (phantom("--trials", "0"), "'--trials'"),
    "no hours": (phantom("--hours", "0"), "'--hours'"),
    "hours that are no number": (phantom("--hours", "nan"), "--hours"),
    "no epochs": (phantom("--epochs", "0"), "'--epochs'"),
    "a negative seed": (phantom("--seed", "-1"), "'--seed'"),
    "parallel foo": (phantom("--parallel", "foo"), "neither a number above 0 nor auto"),
    "parallel 0": (phantom("--parallel", "0"), "neither a number above 0 nor auto"),
    "two inline": (phantom("--parallel", "2"), "use --executor ray"),
    "gpus without one": (phantom("--gpus-per-trial", "1", "--device", "cpu"), "leave it away"),
    "an unknown device": (phantom("--device", "tpu"), "'auto', 'cpu', 'cuda', 'mps'"),
    "an unknown scheme": (phantom("--storage", "mongodb://h/x"), "supported are sqlite:///FILE"),
    "no URL": (phantom("--storage", "studies.db"), "write sqlite:///FILE"),
    "a port that is none": (phantom("--storage", "postgresql://h:x/y"), "write sqlite:///FILE"),
    "a missing storage file": (phantom("--storage", "@nowhere"), "The storage file nowhere"),
    "a point outside": (phantom("--enqueue", "B=17,X=5"), "the search goes over 1..16"),
    "a point elsewhere": (phantom("--enqueue", "lambda=0.5"), "(known are B, X)"),
    "a point without value": (phantom("--enqueue", "B"), "--enqueue takes KEY=VALUE"),
}


@pytest.mark.parametrize("mistake", USAGE)
def test_a_mistake_of_usage_exits_2(mistake: str, capsys: Captured, home: Path) -> None:
    arguments, words = USAGE[mistake]
    refusal = refuse(capsys, home, *arguments)
    assert refusal.code == 2
    assert words in refusal.error
    assert refusal.problems == []


def test_a_device_that_is_not_there(
    capsys: Captured, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fre_hpo.service.search.accelerators", lambda: (0, False))
    for device in ("cuda", "mps"):
        refusal = refuse(capsys, home, *phantom("--device", device))
        assert refusal.code == 2
        assert "use --device auto" in refusal.error


def test_several_mistakes_are_told_together(capsys: Captured, home: Path) -> None:
    mistakes = ["epohcs=3", "training.batch_size=0", "B=0", "model.norm=layer"]
    flags = [part for mistake in mistakes for part in ("--set", mistake)]
    refusal = refuse(capsys, home, *phantom(*flags))
    assert refusal.code == 2
    assert refusal.error.startswith("Error: 4 problems were found; nothing was created:\n")
    assert len(refusal.problems) == 4
    assert all(any(m.split("=")[0] in p for p in refusal.problems) for m in mistakes)


def test_recipes_that_cannot_be_read(capsys: Captured, home: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("epochs = [")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    expected = {
        tmp_path / "missing.toml": "No such file",
        broken: "it is not TOML",
        binary: "not UTF-8",
        folder: "Is a directory",
    }
    for path, words in expected.items():
        refusal = refuse(capsys, home, "start", "--dataset", str(path))
        assert refusal.code == 1
        assert str(path) in refusal.error
        assert words in refusal.error


# --- data ---------------------------------------------------------------------------------------


def mouse(folder: Path) -> list[str]:
    options = {"data.train": 2, "data.validation": 1, "data.test": 1}
    flags = as_flags({**{k: v for k, v in TINY.items() if not k.startswith("data.")}, **options})
    return [
        "start",
        "--dataset",
        "mouse",
        "--executor",
        "inline",
        "--data-dir",
        str(folder),
        *flags,
    ]


def test_a_data_set_that_is_not_there_exits_4(capsys: Captured, home: Path, tmp_path: Path) -> None:
    refusal = refuse(capsys, home, *mouse(tmp_path / "nowhere"))
    assert refusal.code == 4
    assert "expected is a folder with Image/NAME.png" in refusal.error
    refusal = refuse(capsys, home, "start", "--dataset", "drosophila")
    assert refusal.code == 4
    assert f"{home}/data/drosophila" in refusal.error
    assert "fre-hpo data fetch drosophila" in refusal.error


def test_all_faults_of_a_data_set_are_told_together(
    capsys: Captured, home: Path, tmp_path: Path
) -> None:
    folder = draw_mouse_set(tmp_path / "cells", count=4, size=32)
    (folder / "GroundTruth" / "cell2.png").unlink()
    odd = folder / "GroundTruth" / "cell3.png"
    pixels = np.array(Image.open(odd))
    pixels[0, 0] = (1, 2, 3)
    Image.fromarray(pixels).save(odd)
    refusal = refuse(capsys, home, *mouse(folder))
    assert refusal.code == 1
    assert len(refusal.problems) == 2
    assert "cell2.png has no partner GroundTruth/cell2.png" in refusal.problems[0]
    assert "cell3.png" in refusal.problems[1]


def test_sections_without_labels(capsys: Captured, home: Path, tmp_path: Path) -> None:
    folder = draw_drosophila_set(tmp_path / "flies", sections=20, size=32)
    (folder / "stack1" / "labels" / "labels00000003.png").unlink()
    flags = ["--data-dir", str(folder), "--set", "data.tile=32"]
    refusal = refuse(capsys, home, "start", "--dataset", "drosophila", *flags)
    assert refusal.code in (1, 4)
    assert "labels00000003.png" in refusal.error


# --- storage ------------------------------------------------------------------------------------


def test_a_folder_or_another_file_as_database(capsys: Captured, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    other = tmp_path / "notes.txt"
    other.write_text("no database, but a text that is longer than the head of one" * 4)
    for path, code in ((folder, 5), (other, 1)):
        refusal = refuse(capsys, home, *phantom("--storage", f"sqlite:///{path}"))
        assert refusal.code == code
        assert f"sqlite:///{path}" in refusal.error


@pytest.mark.parametrize("verb", ["status", "trials", "best", "delete"])
def test_an_unknown_study_exits_4(verb: str, capsys: Captured, home: Path) -> None:
    refusal = refuse(capsys, home, verb, "nothing")
    assert refusal.code == 4
    assert "There is no study 'nothing'" in refusal.error


def test_a_traceback_only_with_debug(capsys: Captured, home: Path) -> None:
    assert run(["status", "nothing", "--debug"]) == 4
    error = capsys.readouterr().err
    assert "Traceback (most recent call last)" in error
    assert error.splitlines()[-1].startswith("Error: There is no study 'nothing'")
