"""The search that others are compared with."""

from __future__ import annotations

from pathlib import Path

import pytest

from acceptance.processes import TWO
from searching import fre_hpo


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the search that nobody touched."""
    home = tmp_path_factory.mktemp("unbroken") / "home"
    result = fre_hpo(*TWO, home=home)
    assert result.returncode == 0, result.stderr
    return home
