"""The PostgreSQL of the tests does what the other tests rely on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import psycopg2
import pytest

from postgres import PASSWORD, Postgres, binary_folders, find_binaries

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _running(postgres_server: Postgres) -> None:
    postgres_server.start()


def test_each_test_gets_an_empty_database(postgres_server: Postgres, postgres_url: str) -> None:
    database = postgres_url.rsplit("/", 1)[1]
    postgres_server.query("CREATE TABLE rows AS SELECT 7 AS number", database)
    assert postgres_server.query("SELECT number FROM rows", database) == [(7,)]
    tables = "SELECT * FROM information_schema.tables WHERE table_name = 'rows'"
    assert postgres_server.query(tables) == []


def test_a_wrong_password_is_refused(postgres_server: Postgres) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(postgres_server.url.replace(PASSWORD, "wrong"))


@pytest.mark.parametrize("crash", ["immediate", "kill"])
def test_committed_rows_survive_a_crash(
    postgres_server: Postgres, postgres_url: str, crash: str
) -> None:
    database = postgres_url.rsplit("/", 1)[1]
    postgres_server.query("CREATE TABLE rows AS SELECT 7 AS number", database)
    if crash == "kill":
        postgres_server.kill()
    else:
        postgres_server.stop("immediate")
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        postgres_server.query("SELECT 1")
    postgres_server.start()
    assert postgres_server.query("SELECT number FROM rows", database) == [(7,)]
    assert "was not properly shut down" in postgres_server.log()


def test_a_crash_ends_a_held_connection(postgres_server: Postgres, postgres_url: str) -> None:
    held = psycopg2.connect(postgres_url)
    postgres_server.restart("immediate")
    with pytest.raises(psycopg2.OperationalError):
        held.cursor().execute("SELECT 1")
    held.close()


def test_the_server_does_not_run_as_root(postgres_server: Postgres) -> None:
    assert postgres_server.process is not None
    owner = psutil.Process(postgres_server.process.pid).uids().effective
    assert owner == (os.geteuid() or owner) != 0


def test_a_start_that_fails_shows_the_servers_log(postgres_server: Postgres) -> None:
    configuration = postgres_server.data / "postgresql.conf"
    good = configuration.read_text()
    postgres_server.stop()
    configuration.write_text(good + "no_such_setting = 1\n")
    with pytest.raises(RuntimeError, match="no_such_setting"):
        postgres_server.start()
    configuration.write_text(good)


def test_the_port_stays_the_same_over_a_restart(postgres_server: Postgres) -> None:
    url = postgres_server.url
    postgres_server.restart()
    assert postgres_server.url == url
    assert postgres_server.query("SELECT 1") == [(1,)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_programs_that_the_servers_account_cannot_reach_are_copied(tmp_path: Path) -> None:
    """pytest's temporary folders belong to root alone, as a virtual environment in /root does."""
    binaries = next(folder for folder in binary_folders() if "site-packages" in folder.parts)
    package = binaries.parents[1]
    hidden = tmp_path / "site-packages"
    shutil.copytree(binaries.parent, hidden / package.name / binaries.parent.name, symlinks=True)
    shutil.copytree(package.with_suffix(".libs"), hidden / f"{package.name}.libs")
    server = Postgres(hidden / package.name / binaries.parent.name / "bin")
    try:
        server.start()
        assert server.query("SELECT 1") == [(1,)]
        assert server.binaries.is_relative_to(server.folder)
    finally:
        server.close()
    assert not server.folder.exists()


def test_the_server_ends_with_the_tests_process_even_if_that_is_killed() -> None:
    program = f"""
        import sys, time
        sys.path.insert(0, {str(TESTS)!r})
        from postgres import Postgres, find_binaries
        server = Postgres(find_binaries())
        server.start()
        print(server.process.pid, server.folder, flush=True)
        time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        pid, folder = tests.stdout.readline().split()
        server = psutil.Process(int(pid))
        tests.kill()
    server.wait(30)
    shutil.rmtree(folder)


def test_the_folder_named_in_the_environment_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "initdb").touch()
    monkeypatch.setenv("FRE_HPO_TEST_POSTGRES_BIN", str(tmp_path))
    assert find_binaries() == tmp_path
