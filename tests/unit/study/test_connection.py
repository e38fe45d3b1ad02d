"""Opening a storage: which URLs, and one sentence for everything that can go wrong."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError

from fre_hpo.errors import BadValue, FreHpoError, StorageNotOurs, StorageUnreachable
from fre_hpo.study.connection import Connection, parse_url, reaching, text_of
from fre_hpo.study.creation import study_names
from ledgers import create, search
from postgres import USER, Postgres, free_port

SECRET = "s3cret-word"


def everything_told(error: BaseException | None) -> str:
    """An error's message and those of its causes, as a traceback shows them."""
    told = ""
    while error is not None:
        told += f"{error}\n"
        error = error.__cause__
    return told


# --- URLs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg"]
)
def test_every_name_of_postgresql_means_the_same_driver(scheme: str) -> None:
    url = parse_url(f"{scheme}://fre:{SECRET}@db.lab:5433/hpo?sslmode=require")
    assert text_of(url) == (f"postgresql+psycopg2://fre:{SECRET}@db.lab:5433/hpo?sslmode=require")


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite"])
def test_sqlite(scheme: str) -> None:
    assert text_of(parse_url(f"{scheme}:////var/lib/fre.db")) == "sqlite:////var/lib/fre.db"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fre-hpo.db",
        "sqlite://",
        "sqlite:///:memory:",
        f"mysql://fre:{SECRET}@db.lab/hpo",
        f"mysql://fre:{SECRET}/9@db.lab/hpo",
        f"postgresql://fre:{SECRET}@db.lab:port/hpo",
        f"postgresql://fre:start@{SECRET}@db.lab/hpo",
    ],
)
def test_what_is_no_storage_is_refused_without_the_password(text: str) -> None:
    with pytest.raises(BadValue, match="storage = ") as caught:
        parse_url(text)
    assert SECRET not in everything_told(caught.value)


def test_an_unquoted_at_sign_in_a_password_is_explained() -> None:
    with pytest.raises(BadValue, match="%40"):
        parse_url(f"postgresql://fre:start@{SECRET}@db.lab/hpo")


# --- errors of drivers ---------------------------------------------------------------------------


class Owner:
    url = make_url(f"postgresql://fre:{SECRET}@db.lab/hpo")

    @reaching
    def fail(self, error: Exception) -> None:
        raise error

    @reaching
    def fail_below(self, error: Exception) -> None:
        self.fail(error)


def test_an_error_of_the_connection_becomes_one_sentence() -> None:
    original = OperationalError("SELECT 1", {}, Exception("server closed\nthe connection"))
    with pytest.raises(StorageUnreachable, match=r"\(server closed\)") as caught:
        Owner().fail_below(original)
    assert SECRET not in everything_told(caught.value)


def test_an_error_without_words_has_its_name() -> None:
    with pytest.raises(StorageUnreachable, match=r"\(OperationalError\)"):
        Owner().fail(OperationalError("", {}, Exception("")))


def test_any_other_error_stays_what_it_is() -> None:
    original = IntegrityError("INSERT", {}, Exception("twice"))
    with pytest.raises(IntegrityError) as caught:
        Owner().fail_below(original)
    assert caught.value is original
    assert original.__cause__ is None


# --- SQLite --------------------------------------------------------------------------------------


def test_the_file_and_its_folder_are_created(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "studies.db"
    Connection(f"sqlite:///{path}", create=True)
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_what_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no database at all\n" * 100)
    for create_it in (True, False):
        for path in (tmp_path, text):
            with pytest.raises((StorageNotOurs, StorageUnreachable)) as caught:
                Connection(f"sqlite:///{path}", create=create_it)
            assert str(path) in str(caught.value)
            assert len(str(caught.value).splitlines()) == 1
    assert text.read_text().startswith("no database")
    with pytest.raises(StorageUnreachable):
        Connection(f"sqlite:///{text}/studies.db", create=True)


def test_a_database_of_somebody_else_is_read_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE studies (title TEXT)")
    database.close()
    before = path.read_bytes()
    assert Connection(f"sqlite:///{path}", create=False).storage is None
    assert path.read_bytes() == before


def test_tables_of_another_optuna_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "studies.db"
    Connection(f"sqlite:///{path}", create=True)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = 'v99.0.0.a'")
    database.close()
    for create_it in (True, False):
        with pytest.raises(StorageNotOurs, match="optuna") as caught:
            Connection(f"sqlite:///{path}", create=create_it)
        assert len(str(caught.value).splitlines()) == 1


# --- PostgreSQL ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg"]
)
def test_every_form_of_url_works(postgres_url: str, scheme: str) -> None:
    url = postgres_url.replace("postgresql", scheme, 1)
    search(create(url, "s"), 1)
    assert study_names(Connection(url, create=False)) == ["s"]


@pytest.mark.parametrize("create_it", [True, False])
def test_every_way_not_to_reach_a_server(
    postgres_server: Postgres, postgres_url: str, create_it: bool
) -> None:
    url = make_url(postgres_url)
    wrong = {
        "password authentication failed": url.set(password=SECRET),
        "refused": url.set(port=free_port()),
        "does not exist": url.set(database="nothing-here"),
        "no-such-host.invalid": url.set(host="no-such-host.invalid"),
    }
    for reason, unreachable in wrong.items():
        with pytest.raises(StorageUnreachable, match=reason) as caught:
            Connection(unreachable.render_as_string(hide_password=False), create=create_it)
        assert_one_clean_sentence(caught.value, postgres_server)
    postgres_server.stop()
    with pytest.raises(StorageUnreachable, match="refused") as caught:
        Connection(postgres_url, create=create_it)
    assert_one_clean_sentence(caught.value, postgres_server)


def test_a_database_that_may_not_be_written_is_one_sentence(
    postgres_server: Postgres, postgres_url: str
) -> None:
    database = make_url(postgres_url).database
    postgres_server.query(f'ALTER DATABASE "{database}" SET default_transaction_read_only = on')
    with pytest.raises((StorageNotOurs, StorageUnreachable), match="read-only") as caught:
        Connection(postgres_url, create=True)
    assert_one_clean_sentence(caught.value, postgres_server)


def assert_one_clean_sentence(error: FreHpoError, server: Postgres) -> None:
    assert len(str(error).splitlines()) == 1
    told = everything_told(error)
    assert server.password not in told
    assert SECRET not in told
    assert f"{USER}:***@" in str(error)
