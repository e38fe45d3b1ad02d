"""The database behind a study: an embedded SQLite file or a PostgreSQL server, by URL."""

from __future__ import annotations

import functools
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import optuna
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DBAPIError,
    InterfaceError,
    OperationalError,
)

from fre_hpo.errors import (
    BadValue,
    DiskFull,
    FreHpoError,
    StorageNotOurs,
    StorageUnreachable,
)
from fre_hpo.settings import masked
from fre_hpo.study.lean import LeanReading

SQLITE_BUSY_SECONDS = 60
KEEPALIVES = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}
_TRANSACTION_TIMEOUT = "-c idle_in_transaction_session_timeout=15000"
"""A coordinator that is halted in the middle of a write would otherwise block the next one."""
_ROOM = 1 << 20
"""A disk with fewer bytes free than this is full, when SQLite complains of its files."""

P = ParamSpec("P")
T = TypeVar("T")


def parse_url(text: str) -> URL:
    """The URL with its driver named; a bare ``postgresql://`` would otherwise mean another one in
    SQLAlchemy 2.1 (design 3.7)."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        reason = "write sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        raise BadValue(key="storage", value=masked(text), reason=reason) from None
    if "@" in (url.host or ""):
        reason = "an @ inside the password is written %40"
        raise BadValue(key="storage", value=f"{url.drivername}://...", reason=reason)
    backend = url.drivername.split("+")[0]
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg2")
    if backend == "sqlite" and url.database not in (None, "", ":memory:"):
        return url.set(drivername="sqlite")
    reason = "supported are sqlite:///FILE and postgresql://USER@HOST/DATABASE"
    raise BadValue(key="storage", value=masked(text_of(url)), reason=reason)


def is_sqlite(url: URL) -> bool:
    return url.drivername == "sqlite"


def text_of(url: URL) -> str:
    """The URL with its password, for a driver; never to be shown."""
    return url.render_as_string(hide_password=False)


def reaching(function: Callable[P, T]) -> Callable[P, T]:
    """Turn a driver's connection errors into a sentence of ours; the first argument has ``url``."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except (DBAPIError, optuna.exceptions.StorageInternalError) as error:
            cause = _connection_error(error)
            if cause is None:
                raise
            owner: Any = args[0]
            raise _trouble(owner.url, cause) from error

    return wrapped


def _trouble(url: URL, cause: BaseException) -> FreHpoError:
    code = getattr(getattr(cause, "orig", None), "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        folder = Path(url.database or "").absolute().parent
        if code == sqlite3.SQLITE_FULL or shutil.disk_usage(folder).free < _ROOM:
            return DiskFull(path=url.database)
    return unreachable(url, cause)


def unreachable(url: URL, cause: BaseException) -> StorageUnreachable:
    return StorageUnreachable(storage=masked(text_of(url)), reason=_first_line(cause))


def _connection_error(error: BaseException) -> BaseException | None:
    """The error about the connection that an error came from, if there is one."""
    cause: BaseException | None = error
    while cause is not None and not _is_connection_error(cause):
        cause = cause.__cause__
    return cause


def _is_connection_error(error: BaseException) -> bool:
    """``connection_invalidated``: psycopg2 tells some broken connections as plain errors."""
    broken = isinstance(error, DBAPIError) and error.connection_invalidated
    return broken or isinstance(error, OperationalError | InterfaceError)


def _first_line(error: BaseException) -> str:
    """What a driver's error says, without the statement that SQLAlchemy adds."""
    text = str(getattr(error, "orig", None) or error).strip()
    return masked(text.splitlines()[0]) if text else type(error).__name__


class Connection:
    """An opened Optuna storage.  ``create`` makes the tables (and the SQLite file) if there are
    none; without it nothing is written, and ``storage`` is None where there is nothing to read.
    pool_size: connections to a server that stay open, for a process with that many threads at work.

    Raises BadValue, StorageUnreachable and StorageNotOurs.
    """

    def __init__(self, url_text: str, *, create: bool, pool_size: int = 1) -> None:
        self.url = parse_url(url_text)
        self.shown = masked(text_of(self.url))
        self._pool_size = pool_size
        self._database = self._open(create)
        self.storage: optuna.storages.BaseStorage | None = None
        if self._database is not None:
            self.storage = optuna.storages.get_storage(self._database)
            self._lean = LeanReading(self._database)

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine under the storage, which must be there."""
        assert self._database is not None
        return self._database.engine

    def without_running_curves(self) -> AbstractContextManager[None]:
        """A block that reads trials without the points of those that run; there must be a storage."""
        return self._lean.on()

    @reaching
    def _open(self, create: bool) -> optuna.storages.RDBStorage | None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        if is_sqlite(self.url) and not self._sqlite_file(create):
            return None
        try:
            return _storage(self.url, create, self._pool_size)
        except (DatabaseError, RuntimeError) as error:  # RuntimeError: another Optuna's tables
            if _connection_error(error):
                raise
            raise StorageNotOurs(storage=self.shown, reason=_first_line(error)) from error

    def _sqlite_file(self, create: bool) -> bool:
        """Prepare the file for one writer and many readers; tell whether there is one."""
        path = Path(self.url.database or "")
        if not create:
            return path.exists()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(path, timeout=SQLITE_BUSY_SECONDS)
            try:
                database.execute("PRAGMA journal_mode=WAL")
            finally:
                database.close()
        except sqlite3.DatabaseError as error:
            raise StorageNotOurs(storage=self.shown, reason=error) from error
        except OSError as error:
            raise StorageUnreachable(storage=self.shown, reason=error.strerror) from error
        return True


def _storage(url: URL, create: bool, pool_size: int) -> optuna.storages.RDBStorage | None:
    if not create and not _has_tables(url):
        return None
    return optuna.storages.RDBStorage(
        text_of(url), engine_kwargs=_engine_options(url, pool_size), skip_table_creation=not create
    )


def _has_tables(url: URL) -> bool:
    """Whether Optuna's tables are complete; opening fewer would write the missing."""
    engine = create_engine(text_of(url), **_engine_options(url))
    try:
        return {"studies", "version_info", "alembic_version"} <= set(
            inspect(engine).get_table_names()
        )
    finally:
        engine.dispose()


def _engine_options(url: URL, pool_size: int = 1) -> dict[str, Any]:
    if is_sqlite(url):
        return {"connect_args": {"timeout": SQLITE_BUSY_SECONDS}}
    return {
        "pool_pre_ping": True,
        "pool_size": pool_size,
        "max_overflow": 2,
        "connect_args": {**KEEPALIVES, **_options(url)},
    }


def _options(url: URL) -> dict[str, str]:
    """Ours, unless the URL names options of its own, which would replace them."""
    return {} if "options" in url.query else {"options": _TRANSACTION_TIMEOUT}
