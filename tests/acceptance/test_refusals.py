"""Mistakes that only a process of its own can show: nothing is created, whatever fails first.

The many other mistakes are in unit/cli, where they cost no start of Python.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from acceptance.processes import start_flags
from postgres import free_port
from searching import fre_hpo


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["start", "--dataset", "fantom"], 2, "did you mean phantom?"),
        (start_flags("--set", "training.epoch=4"), 2, "did you mean training.epochs"),
        (start_flags("--storage", "postgresql://fre@127.0.0.1:{port}/fre"), 5, "refused"),
        (start_flags("--ray-address", "127.0.0.1:{port}", executor="ray"), 5, "fre-hpo head"),
    ],
    ids=["data set", "key", "storage", "cluster"],
)
def test_one_sentence_and_nothing_created(
    arguments: list[str], code: int, words: str, home: Path
) -> None:
    filled = [argument.replace("{port}", str(free_port())) for argument in arguments]
    began = time.monotonic()
    result = fre_hpo(*filled, home=home)
    assert time.monotonic() - began < 30
    assert result.returncode == code
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr
    assert not home.exists()
