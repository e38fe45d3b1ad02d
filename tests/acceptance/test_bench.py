"""The benchmarks as a stranger runs them, and on a machine on which nothing can be installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from searching import environment, fre_hpo

REPOSITORY = Path(__file__).resolve().parents[2]
BARE = """
import runpy, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {
            "click", "filelock", "imagecodecs", "optuna", "platformdirs", "psutil", "psycopg2",
            "pydantic", "ray", "rich", "sqlalchemy",
        }:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Missing())
sys.argv[0] = "bench"
runpy.run_module("fre_hpo.bench", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("part", ["step", "epoch", "determinism"])
def test_nothing_but_torch_and_numpy_and_pillow_is_needed(part: str, home: Path) -> None:
    arguments = [part, "--tiny", "--device", "cpu", "--seconds", "0.1", "-f", "json"]
    result = subprocess.run(
        [sys.executable, "-c", BARE, *arguments],
        cwd=REPOSITORY,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in result.stderr, result.stderr
    (found,) = json.loads(result.stdout)["parts"]
    assert found["name"] == part
    assert all(arm["median"] > 0 for arm in found["arms"])


@pytest.mark.slow
def test_every_part_measures_and_no_fast_path_is_slow(home: Path, tmp_path: Path) -> None:
    """A check of two minutes on a free machine."""
    report = ["-o", str(tmp_path / "report.json")]
    result = fre_hpo("bench", "--tiny", *report, home=home, timeout=400)
    assert result.returncode == 0, result.stderr
    parts = {p["name"]: p for p in json.loads((tmp_path / "report.json").read_text())["parts"]}
    assert list(parts) == ["step", "epoch", "trial", "search-overhead", "pack", "determinism"]
    assert parts["determinism"]["figures"][0]["value"] == 1
    assert parts["search-overhead"]["figures"][0]["value"] < 50
    assert "ours" in result.stdout
