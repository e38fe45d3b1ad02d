"""The command line answers at once: what looks and what helps loads neither torch nor Ray."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from searching import environment

PROGRAM = """
import json, sys
from fre_hpo.cli.main import run
code = run(sys.argv[1:])
loaded = sorted({"torch", "ray", "optuna"} & set(sys.modules))
print("\\n" + json.dumps([code, loaded]))
"""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], [0, []]),
        (["start", "--help"], [0, []]),
        (["status", "nothing"], [4, ["optuna"]]),
        (["start", "--dataset", "phantom", "--set", "X=0"], [2, ["optuna"]]),
        (["start", "--dataset", "phantom", "--dry-run"], [0, ["optuna"]]),
    ],
    ids=["help", "help of start", "status", "a mistake", "a dry run"],
)
def test_neither_torch_nor_ray_is_loaded(
    arguments: list[str], expected: list[object], home: Path
) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(result.stdout.splitlines()[-1]) == expected


def test_a_supervisor_is_light(home: Path) -> None:
    """It stays in memory beside every search, and must load before the coordinator can."""
    modules = "fre_hpo.cli.main, fre_hpo.service.supervisor, json, sys"
    heavy = {"numpy", "optuna", "pydantic", "ray", "rich", "sqlalchemy", "torch"}
    program = f"import {modules}\nprint(json.dumps(sorted({heavy!r} & set(sys.modules))))"
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(result.stdout) == []
