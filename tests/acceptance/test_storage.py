"""A real PostgreSQL: what a refused start leaves there, and that no password is shown or kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from acceptance.processes import STUDY, files_with, start_flags
from postgres import PASSWORD, Postgres
from searching import fre_hpo


def tables(server: Postgres, url: str) -> list[tuple[str]]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    return server.query(query, url.rpartition("/")[2])


def test_a_password_on_the_command_line_works_with_a_warning(
    postgres_server: Postgres, postgres_url: str, home: Path
) -> None:
    refused = fre_hpo(*start_flags("--storage", postgres_url, "--set", "X=0"), home=home)
    assert refused.returncode == 2
    assert tables(postgres_server, postgres_url) == []
    assert not home.exists()
    result = fre_hpo(*start_flags("--trials", "1", "--storage", postgres_url), home=home)
    assert result.returncode == 0, result.stderr
    assert result.stderr.startswith("Warning: ")
    assert "FRE_HPO_STORAGE" in result.stderr.splitlines()[0]
    assert ":***@" in result.stdout
    assert PASSWORD not in result.stdout + result.stderr + refused.stdout + refused.stderr
    assert files_with(home, PASSWORD) == []
    assert files_with(home, "trial_finished") != []
    assert not (home / "fre-hpo.db").exists()


def test_from_the_environment_or_a_file_there_is_no_warning(
    postgres_server: Postgres,
    postgres_url: str,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "storage-url"
    file.write_text(f"{postgres_url}\n")
    by_file = fre_hpo(*start_flags("--trials", "1", "--storage", f"@{file}"), home=home)
    monkeypatch.setenv("FRE_HPO_STORAGE", postgres_url)
    by_environment = fre_hpo("best", STUDY, home=home)
    for result in (by_file, by_environment):
        assert result.returncode == 0, result.stderr
        assert "Warning" not in result.stderr
        assert PASSWORD not in result.stdout + result.stderr
    assert files_with(home, PASSWORD) == []
    wrong = fre_hpo("list", "--storage", postgres_url.replace(PASSWORD, "wrong-81"), home=home)
    assert wrong.returncode == 5
    assert "wrong-81" not in wrong.stderr
