"""The fixtures keep the machine's own settings away and never let CI skip in silence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from needs import require_or_skip

FOREIGN = {"FRE_HPO_STORAGE", "OPTUNA_STORAGE", "RAY_ADDRESS", "PGPASSWORD"}


def test_what_is_missing_is_skipped_on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs a microscope"):
        require_or_skip(None, "needs a microscope")


def test_what_is_missing_fails_under_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="needs a microscope"):
        require_or_skip(None, "needs a microscope")


@pytest.mark.parametrize("ci", ["true", ""])
def test_what_is_there_is_used(monkeypatch: pytest.MonkeyPatch, ci: str) -> None:
    monkeypatch.setenv("CI", ci)
    require_or_skip(Path("/"), "needs a root folder")


def test_the_home_is_the_tests_own_and_not_there_yet(home: Path, tmp_path: Path) -> None:
    assert os.environ["FRE_HPO_HOME"] == str(home)
    assert home.is_relative_to(tmp_path)
    assert not home.exists()


def test_no_foreign_setting_reaches_a_test() -> None:
    assert FOREIGN.isdisjoint(os.environ)


def test_foreign_settings_are_taken_away() -> None:
    """The test above, in a run that inherits every one of them."""
    node = f"{Path(__file__)}::{test_no_foreign_setting_reaches_a_test.__name__}"
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", node],
        env=os.environ | dict.fromkeys(FOREIGN, "somebody's own"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in result.stdout


def test_ray_offers_two_cpus(local_ray: None) -> None:
    import ray

    @ray.remote
    def worker() -> int:
        return os.getpid()

    assert ray.cluster_resources()["CPU"] == 2
    assert ray.get(worker.remote()) != os.getpid()
