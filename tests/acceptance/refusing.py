"""Starts that must be refused: a recipe for a set that was broken, and the sentences that come of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import forms
from formats import LABELS
from fre_hpo.cli.main import run

Captured = pytest.CaptureFixture[str]

SHORT = ["--executor", "inline", "--trials", "1", "--epochs", "1", "--set", "model.widths=2,4"]


def intact(folder: Path) -> Path:
    """images/NN.png and masks/NN.png, in which nothing is wrong."""
    forms.LAYOUTS["images and masks"](folder / "set")
    return folder / "set"


def write_recipe(folder: Path, options: Mapping[str, Any]) -> Path:
    values = {"folder": folder.name, "labels": LABELS, **forms.IN_ORDER, **options}
    lines = ['dataset = "pairs"', "[data]", *(f"{k} = {_toml(v)}" for k, v in values.items())]
    path = folder.with_suffix(".toml")
    path.write_text("\n".join(lines) + "\n")
    return path


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value)


def start(folder: Path, options: Mapping[str, Any], *more: str) -> int:
    """Were nothing wrong, the search would be over in a moment."""
    recipe = write_recipe(folder, options)
    return run(["start", "--dataset", str(recipe), *SHORT, *more])


def refuse(folder: Path, capsys: Captured, **options: Any) -> list[str]:
    """The problems that a start finds, which must change nothing."""
    write_recipe(folder, options)
    before = sorted(folder.parent.rglob("*"))
    code = start(folder, options)
    out, err = capsys.readouterr()
    assert (code, out) == (1, ""), err
    assert sorted(folder.parent.rglob("*")) == before
    return sentences(err)


def sentences(error: str) -> list[str]:
    """What is told: alone after "Error:", or in a numbered list."""
    assert "Traceback" not in error
    heading, *numbered = error.splitlines()
    if not numbered:
        return [heading.removeprefix("Error: ")]
    assert heading == f"Error: {len(numbered)} problems were found; nothing was created:"
    found = []
    for number, line in enumerate(numbered, 1):
        assert line.startswith(f"  {number}. ")
        found.append(line.removeprefix(f"  {number}. "))
    return found


def assert_told(found: Sequence[str], folder: Path, *words: str) -> None:
    """One sentence, which has all the words and says what to do; {set} among them is the folder."""
    assert len(found) == 1, found
    for word in words:
        assert word.replace("{set}", str(folder)) in found[0]
    assert re.search(r": \w+ .*\w", found[0])
