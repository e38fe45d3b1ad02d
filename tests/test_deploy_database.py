"""The scripts of deploy/postgresql against a real server: rights, secrets, backup and restore."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import optuna
import psycopg2
import pytest

from postgres import USER, Postgres

SCRIPTS = Path(__file__).resolve().parents[1] / "deploy" / "postgresql"
PASSWORD = "never-in-a-log-77q"


@dataclass(frozen=True)
class Role:
    """A role that owns the database of its name."""

    server: Postgres
    name: str

    def environ(self, user: str | None = None) -> dict[str, str]:
        """As an operator sets it, passwords included."""
        return {
            **os.environ,
            "PATH": f"{self.server.binaries}:{os.environ['PATH']}",
            "PGHOST": self.server.host,
            "PGPORT": str(self.server.port),
            "PGUSER": user or self.name,
            "PGPASSWORD": self.server.password if user else PASSWORD,
            "PGDATABASE": "postgres" if user else self.name,
        }

    def run_sql(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A script, as the server's administrator."""
        names = ["-v", f"role={self.name}", "-v", f"database={self.name}"]
        return subprocess.run(
            ["psql", *names, "-f", SCRIPTS / script],
            env=self.environ(USER) | more,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, script: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """A script, as the role."""
        command = [SCRIPTS / script, *words]
        return subprocess.run(
            command, env=self.environ(), capture_output=True, text=True, check=False
        )

    def query(self, sql: str, database: str | None = None) -> list[tuple[object, ...]]:
        """As the role."""
        server = self.server
        place = {"host": server.host, "port": server.port, "dbname": database or self.name}
        with (
            closing(psycopg2.connect(**place, user=self.name, password=PASSWORD)) as connection,
            connection.cursor() as cursor,
        ):
            connection.autocommit = True
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def url(self) -> str:
        place = f"{self.server.host}:{self.server.port}"
        return f"postgresql+psycopg2://{self.name}:{PASSWORD}@{place}/{self.name}"


@pytest.fixture
def role(postgres_server: Postgres) -> Iterator[Role]:
    postgres_server.start()
    role = Role(postgres_server, f"lab_{uuid.uuid4().hex[:8]}")
    made = role.run_sql("role.sql", POSTGRES_PASSWORD=PASSWORD)
    assert made.returncode == 0, made.stderr
    yield role
    postgres_server.drop_database(role.name)
    postgres_server.query(f"DROP ROLE {role.name}")


@pytest.mark.parametrize(
    "forbidden",
    [
        "CREATE DATABASE more",
        "CREATE ROLE more",
        "ALTER ROLE CURRENT_USER CREATEDB",
        "SELECT pg_read_file('postgresql.conf')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT rolpassword FROM pg_authid",
    ],
)
def test_the_role_may_do_nothing_outside_its_database(role: Role, forbidden: str) -> None:
    role.query("CREATE TABLE allowed (n int)")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        role.query(forbidden)


def test_nobody_else_may_enter_its_database(role: Role) -> None:
    other = Role(role.server, f"{role.name}_other")
    assert other.run_sql("role.sql", POSTGRES_PASSWORD=PASSWORD).returncode == 0
    try:
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            other.query("SELECT 1", role.name)
    finally:
        role.server.drop_database(other.name)
        role.server.query(f"DROP ROLE {other.name}")


def test_run_again_it_keeps_what_is_there_and_sets_the_password(role: Role) -> None:
    role.query("CREATE TABLE kept AS SELECT 1 AS n")
    assert role.run_sql("role.sql", POSTGRES_PASSWORD="another-one-88").returncode == 0
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        role.query("SELECT 1")
    assert role.run_sql("role.sql", POSTGRES_PASSWORD=PASSWORD).returncode == 0
    assert role.query("SELECT n FROM kept") == [(1,)]


def test_without_a_password_it_says_so_and_makes_nothing(postgres_server: Postgres) -> None:
    role = Role(postgres_server, "lab_without_password")
    refused = role.run_sql("role.sql")
    assert refused.returncode != 0
    assert "POSTGRES_PASSWORD" in refused.stderr
    assert postgres_server.query(f"SELECT FROM pg_roles WHERE rolname = '{role.name}'") == []


def test_no_log_and_no_output_shows_the_password(role: Role) -> None:
    """Not even where the server's log keeps every statement, and one fails."""
    role.server.query("ALTER ROLE fre SET log_statement = 'all'")
    role.server.query("ALTER ROLE fre SET log_min_duration_statement = 0")
    try:
        done = role.run_sql("role.sql", POSTGRES_PASSWORD=PASSWORD)
        reserved = Role(role.server, "pg_monitor")  # whose password nobody may set
        failed = reserved.run_sql("role.sql", POSTGRES_PASSWORD=PASSWORD)
    finally:
        role.server.query("ALTER ROLE fre RESET ALL")
    assert done.returncode == 0
    assert "reserved role" in failed.stderr
    said = role.server.log() + done.stdout + done.stderr + failed.stdout + failed.stderr
    assert "log_statement" in said  # the log was kept
    assert PASSWORD not in said


def test_a_server_of_its_own_is_closed(role: Role) -> None:
    server = role.server
    server.query(f"CREATE ROLE postgres SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
    try:
        assert role.query("SELECT 1", "postgres") == [(1,)]
        assert role.run_sql("own-server.sql").returncode == 0
        for database in ("postgres", "template1"):
            with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
                role.query("SELECT 1", database)
        hashes = server.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")
        assert hashes == [(None,)]
    finally:
        server.query("GRANT CONNECT, TEMPORARY ON DATABASE postgres TO PUBLIC")
        server.query("GRANT CONNECT ON DATABASE template1 TO PUBLIC")
        server.query("DROP ROLE postgres")


def add_trials(role: Role, count: int) -> None:
    study = optuna.create_study(
        storage=role.url(), study_name="cells", direction="maximize", load_if_exists=True
    )
    for _ in range(count):
        trial = study.ask()
        trial.set_user_attr("worker", "ws1")
        trial.report(0.5, 1)
        study.tell(trial, trial.suggest_float("X", 1, 1000, log=True))


def rows(role: Role) -> list[tuple[object, ...]]:
    trials = optuna.load_study(storage=role.url(), study_name="cells").trials
    return [
        (
            t.number,
            t.state,
            t.values,
            t.params,
            t.intermediate_values,
            t.user_attrs,
            t.datetime_start,
        )
        for t in trials
    ]


def test_a_backup_comes_back_as_it_was(role: Role, tmp_path: Path) -> None:
    add_trials(role, 3)
    before = rows(role)
    backup = role.run("backup.sh", tmp_path / "fre.dump")
    assert backup.returncode == 0, backup.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["fre.dump"]
    add_trials(role, 2)

    refused = role.run("restore.sh", tmp_path / "fre.dump")
    assert refused.returncode != 0
    assert len(rows(role)) == 5  # nothing was changed: there was something in the database

    role.query("DROP SCHEMA public CASCADE")
    role.query("CREATE SCHEMA public")
    restored = role.run("restore.sh", tmp_path / "fre.dump")
    assert restored.returncode == 0, restored.stderr
    assert rows(role) == before
    add_trials(role, 1)
    assert len(rows(role)) == 4


def test_a_backup_goes_to_another_role_and_database(
    role: Role, postgres_server: Postgres, tmp_path: Path
) -> None:
    add_trials(role, 2)
    assert role.run("backup.sh", tmp_path / "fre.dump").returncode == 0
    other = Role(postgres_server, f"{role.name}_new")
    assert other.run_sql("role.sql", POSTGRES_PASSWORD=PASSWORD).returncode == 0
    try:
        assert other.run("restore.sh", tmp_path / "fre.dump").returncode == 0
        assert rows(other) == rows(role)
    finally:
        postgres_server.drop_database(other.name)
        postgres_server.query(f"DROP ROLE {other.name}")


def test_a_backup_that_fails_leaves_no_file_that_looks_like_one(role: Role, tmp_path: Path) -> None:
    gone = Role(role.server, f"{role.name}_gone")
    assert gone.run("backup.sh", tmp_path / "fre.dump").returncode != 0
    assert not (tmp_path / "fre.dump").exists()
