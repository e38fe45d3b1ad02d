"""A storage as the doctor sees it: reached or not, how fast, whose clock, which tables.  Writes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, time
from typing import Any

import optuna
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from fre_hpo.errors import StorageNotOurs
from fre_hpo.settings import masked
from fre_hpo.study.connection import KEEPALIVES, is_sqlite, parse_url, text_of, unreachable

QUERIES = 5
CONNECT_SECONDS = 8
_QUERY_TIMEOUT = "-c statement_timeout=8000"
_MAY_CREATE = (
    "SELECT current_schema() IS NOT NULL AND has_schema_privilege(current_schema(), 'CREATE')"
)


@dataclass(frozen=True)
class StorageFacts:
    """shown: the URL without its password.  path: of an SQLite file, None of a server.  exists: False for
    an SQLite file that is not there yet; nothing else is known then.

    server: the version of PostgreSQL or SQLite; major: its first number.  seconds: one query's, the
    median of a few.  ahead: seconds by which the server's clock is ahead of this machine's, at most
    ``unsure`` off; None of a file.  revision: of Optuna's tables, None where there are none; newest: what
    the installed Optuna writes.  may_create: whether tables can be made.  user: at the server.
    """

    shown: str
    path: Path | None
    exists: bool = True
    server: str = ""
    major: int = 0
    seconds: float = 0.0
    ahead: float | None = None
    unsure: float = 0.0
    revision: str | None = None
    newest: str | None = None
    studies: int = 0
    may_create: bool = True
    user: str = ""


def storage_facts(url_text: str) -> StorageFacts:
    """Raises BadValue, StorageUnreachable, StorageNotOurs."""
    url = parse_url(url_text)
    shown = masked(text_of(url))
    path = Path(url.database or "").absolute() if is_sqlite(url) else None
    if path is not None and not path.exists():
        return StorageFacts(shown, path, exists=False)
    engine = _engine(url, path)
    try:
        with _connect(engine, url, path) as connection:
            return _facts(connection, shown, path)
    except DatabaseError as error:
        raise StorageNotOurs(storage=shown, reason=_reason(error)) from error
    finally:
        engine.dispose()


def _engine(url: URL, path: Path | None) -> Engine:
    """A file is opened only where it is there: its plain URL would create it."""
    if path is not None:
        uri = f"{path.as_uri()}?mode=rw"
        return create_engine(url, creator=lambda: sqlite3.connect(uri, uri=True, timeout=5))
    options: dict[str, Any] = {**KEEPALIVES, "connect_timeout": CONNECT_SECONDS}
    if "options" not in url.query:
        options["options"] = _QUERY_TIMEOUT
    return create_engine(text_of(url), connect_args=options)


def _connect(engine: Engine, url: URL, path: Path | None) -> Connection:
    try:
        return engine.connect()
    except SQLAlchemyError as error:
        if path is not None:
            raise StorageNotOurs(storage=masked(text_of(url)), reason=_reason(error)) from error
        raise unreachable(url, error) from error


def _reason(error: SQLAlchemyError) -> str:
    return masked(str(getattr(error, "orig", None) or error).strip().splitlines()[0])


def _facts(connection: Connection, shown: str, path: Path | None) -> StorageFacts:
    tables = set(inspect(connection).get_table_names())
    revision = studies = None
    if {"alembic_version", "studies"} <= tables:
        revision = _one(connection, "SELECT version_num FROM alembic_version")
        studies = _one(connection, "SELECT count(*) FROM studies")
    seconds = median(_timed(lambda: _one(connection, "SELECT 1")) for _ in range(QUERIES))
    common: dict[str, Any] = {"seconds": seconds, "revision": revision, "studies": studies or 0}
    common["newest"] = _newest_revision() if revision else None
    if path is not None:
        return StorageFacts(shown, path, server=sqlite3.sqlite_version, **common)
    ahead, unsure = _clock(connection)
    return StorageFacts(
        shown,
        None,
        server=str(_one(connection, "SHOW server_version")).split()[0],
        major=int(_one(connection, "SHOW server_version_num")) // 10_000,
        ahead=ahead,
        unsure=unsure,
        may_create=bool(_one(connection, _MAY_CREATE)),
        user=str(_one(connection, "SELECT current_user")),
        **common,
    )


def _one(connection: Connection, query: str) -> Any:
    return connection.execute(text(query)).scalar()


def _timed(function: Callable[[], object]) -> float:
    begin = monotonic()
    function()
    return monotonic() - begin


def _clock(connection: Connection) -> tuple[float, float]:
    """The server's clock against the middle of the quickest of a few queries."""
    measured = []
    for _ in range(QUERIES):
        begin = time()
        theirs = float(_one(connection, "SELECT extract(epoch FROM clock_timestamp())"))
        end = time()
        measured.append(((end - begin) / 2, theirs - (begin + end) / 2))
    unsure, ahead = min(measured)
    return ahead, unsure


def _newest_revision() -> str:
    """What this Optuna would make of an empty database: one in memory, for the answer alone."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return str(optuna.storages.RDBStorage("sqlite:///:memory:").get_head_version())
