"""The storage: what is seen of an SQLite file without touching it, and the verdicts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from fre_hpo.scheduling.doctor import storage
from fre_hpo.scheduling.doctor.disks import Disk
from fre_hpo.scheduling.doctor.storage import Storage, judge_storage, look_at_storage
from fre_hpo.study.connection import Connection
from fre_hpo.study.storage_facts import StorageFacts

URL = "postgresql+psycopg2://fre:***@db.lab:5433/fre"
SERVER = StorageFacts(
    URL,
    None,
    server="17.2",
    major=17,
    seconds=0.001,
    ahead=0.01,
    revision="v5",
    newest="v5",
    studies=2,
)
GOOD = Storage(URL, SERVER)


def checks(found: Storage) -> dict[str, tuple[str, str]]:
    return {row.check: (row.value, row.verdict) for row in judge_storage(found)}


def hint(found: Storage) -> str:
    (problem,) = [row for row in judge_storage(found) if not row.ok]
    return problem.hint


# --- SQLite -------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "no" / "fre-hpo.db"
    found = look_at_storage(f"sqlite:///{path}")
    assert checks(found) == {"storage": (f"SQLite, {path}, not there yet", "-")}
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_ours_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a b%#.db"
    url = f"sqlite:///{path}"
    opened = Connection(url, create=True)
    optuna.create_study(storage=opened.storage, study_name="one")
    opened.engine.dispose()
    before = path.read_bytes()

    found = checks(look_at_storage(url))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert found.pop("one query")[1] == "OK"
    assert found == {
        "storage": (f"SQLite {sqlite3.sqlite_version}, {path}", "OK"),
        "its tables": ("1 study, v3.2.0.a", "OK"),
    }


def test_a_file_without_tables_and_one_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (x)")
    found = checks(look_at_storage(f"sqlite:///{path}"))
    assert found["its tables"] == ("none yet, the first start makes them", "-")
    path.write_text("no database at all, but long enough to be looked at\n" * 40)
    found = look_at_storage(f"sqlite:///{path}")
    assert checks(found) == {
        "storage": (f"sqlite:///{path}: file is not a database", "problem"),
    }
    assert "`--storage sqlite:////" in hint(found)


@pytest.mark.parametrize("exists", [False, True])
def test_sqlite_on_a_network_drive_is_a_problem(
    tmp_path: Path, exists: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fre-hpo.db"
    if exists:
        sqlite3.connect(path).close()
        path.touch()
    disk = Disk(tmp_path, 1, 1, "nfs4", writable=True)
    monkeypatch.setattr(storage, "look_at_disk", lambda folder: disk)
    found = look_at_storage(f"sqlite:///{path}")
    assert "on a network drive (nfs4)" in checks(found)["storage"][0]
    assert "PostgreSQL" in hint(found)


# --- PostgreSQL ---------------------------------------------------------------------------------


def test_a_server_in_order() -> None:
    assert checks(GOOD) == {
        "storage": (f"PostgreSQL 17.2, {URL}", "OK"),
        "its tables": ("2 studies, v5", "OK"),
        "one query": ("1.0 ms", "OK"),
        "database clock": ("0.010 s ahead of this machine's", "OK"),
    }


@pytest.mark.parametrize(
    ("changes", "check", "typed"),
    [
        ({"major": 11}, "storage", "`pg_upgrade`"),
        ({"revision": "v4"}, "its tables", "`optuna storage upgrade --storage"),
        ({"revision": None, "may_create": False, "user": "anna"}, "its tables", 'TO "anna"`'),
        ({"seconds": 0.2}, "one query", "`fre-hpo start`"),
        ({"ahead": -9.0}, "database clock", "`sudo timedatectl set-ntp true`"),
    ],
)
def test_what_a_server_lacks_is_a_problem(
    changes: dict[str, object], check: str, typed: str
) -> None:
    found = Storage(URL, replace(SERVER, **changes))  # type: ignore[arg-type]
    assert typed in hint(found)
    assert checks(found)[check][1] == "problem"


def test_tables_may_still_be_made() -> None:
    found = Storage(URL, replace(SERVER, revision=None))
    assert checks(found)["its tables"] == ("none yet, the first start makes them", "-")


def test_a_server_out_of_reach_and_no_password_in_what_is_said() -> None:
    found = look_at_storage("postgresql://fre:hush-hush@127.0.0.1:1/fre")
    value, verdict = checks(found)["storage"]
    assert verdict == "problem"
    assert "127.0.0.1" in value
    assert "hush" not in value + hint(found)
    assert "`pg_isready -h 127.0.0.1 -p 1`" in hint(found)


def test_a_url_that_is_none_is_a_problem() -> None:
    found = look_at_storage("mysql://anna:hush@db/fre")
    assert "supported are" in checks(found)["storage"][0]
    assert "hush" not in str(checks(found))
    assert "`pg_isready" in hint(found) or "`--storage postgresql" in hint(found)
