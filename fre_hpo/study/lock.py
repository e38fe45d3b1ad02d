"""Who may coordinate a study: one process at a time (design 3.7).

On PostgreSQL a session advisory lock on a connection of its own, which the server releases about
11 s after a holder was silently cut off; beside a SQLite file a file lock, which the system
releases when the holder dies.  Either way the holder's host and process can be read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import filelock
import psycopg2
from sqlalchemy.engine import URL

from fre_hpo.errors import LockLost
from fre_hpo.study.connection import KEEPALIVES, is_sqlite, unreachable

_SERVER_SETTINGS = (
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 "
    "-c tcp_user_timeout=10000"
)
_THIS_LOCK = (
    "locktype = 'advisory' AND ((classid::bigint << 32) | objid::bigint) = %s "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock."""

    host: str
    pid: int

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"

    @classmethod
    def here(cls) -> Holder:
        return cls(socket.gethostname(), os.getpid())

    @classmethod
    def unknown(cls) -> Holder:
        return cls("an unknown host", 0)

    @classmethod
    def parse(cls, text: str | None) -> Holder | None:
        host, _, pid = (text or "").strip().rpartition(":")
        return cls(host, int(pid)) if host and pid.isdigit() else None


class CoordinatorLock(Protocol):
    """acquire: False when somebody else holds it; it may be tried again at any time.  check: raises
    LockLost when it is not ours any more, and StorageUnreachable when nobody can tell.  holder: who
    holds it now, None when nobody does."""

    def acquire(self) -> bool: ...

    def check(self) -> None: ...

    def release(self) -> None: ...

    def holder(self) -> Holder | None: ...


def coordinator_lock(url: URL, study: str) -> CoordinatorLock:
    return FileLock(url, study) if is_sqlite(url) else AdvisoryLock(url, study)


class FileLock:
    """A lock file beside the database, one for each study; the holder writes its name into it.

    Where no database came of it, nothing stays: no lock file, and no folder made for it.
    """

    def __init__(self, url: URL, study: str) -> None:
        self._url = url
        self._database = Path(url.database or "").absolute()
        self._path = self._database.with_name(f"{self._database.name}.{study}.lock")
        self._lock = filelock.FileLock(self._path)
        self._made: list[Path] = []

    def acquire(self) -> bool:
        try:
            self._make_folders()
            self._lock.acquire(blocking=False)
        except filelock.Timeout:
            return False
        except OSError as error:
            raise unreachable(self._url, error) from error
        self._write(str(Holder.here()))
        return True

    def _make_folders(self) -> None:
        self._made += [p for p in self._path.parents if not p.exists() and p not in self._made]
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def check(self) -> None:
        """The system keeps a file lock as long as this process lives."""

    def release(self) -> None:
        if self._lock.is_locked:
            self._write("")
            if not self._database.exists():
                self._path.unlink(missing_ok=True)
        self._lock.release(force=True)
        for folder in self._made:
            with contextlib.suppress(OSError):  # in use by now
                folder.rmdir()

    def holder(self) -> Holder | None:
        if not self._path.exists():
            return None
        if not self._lock.is_locked and self.acquire():
            self.release()
            return None
        return Holder.parse(self._path.read_text(encoding="utf-8")) or Holder.unknown()

    def _write(self, text: str) -> None:
        """The name is for people only: a disk that is full does not stand in the way."""
        with contextlib.suppress(OSError):
            self._path.write_text(text, encoding="utf-8")


class AdvisoryLock:
    """PostgreSQL's ``pg_try_advisory_lock`` on a number made from the study's name."""

    def __init__(self, url: URL, study: str) -> None:
        self._url = url
        self._study = study
        digest = hashlib.sha256(f"fre-hpo/{study}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        self._connection: psycopg2.extensions.connection | None = None

    def acquire(self) -> bool:
        self.release()
        try:
            self._connection = self._connect()
            if self._ask("SELECT pg_try_advisory_lock(%s)"):
                return True
        except psycopg2.Error as error:
            self.release()
            raise unreachable(self._url, error) from error
        self.release()
        return False

    def holder(self) -> Holder | None:
        """Unknown where the server hides another role's connections."""
        query = (
            "SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid) "
            f"WHERE {_THIS_LOCK} AND granted"
        )
        connection = None
        try:
            connection = self._connect()
            with connection.cursor() as cursor:
                cursor.execute(query, (self._key,))
                row = cursor.fetchone()
        except psycopg2.Error as error:
            raise unreachable(self._url, error) from error
        finally:
            if connection is not None:
                connection.close()
        return (Holder.parse(row[0]) or Holder.unknown()) if row else None

    def _connect(self) -> psycopg2.extensions.connection:
        connection = psycopg2.connect(**self._connect_arguments())
        connection.autocommit = True
        return connection

    def _connect_arguments(self) -> dict[str, Any]:
        _, arguments = self._url.get_dialect()().create_connect_args(self._url)
        options = f"{arguments.get('options', '')} {_SERVER_SETTINGS}".strip()
        name = f"{socket.gethostname()[:50]}:{os.getpid()}"  # the server keeps 63 characters
        return {**KEEPALIVES, **arguments, "options": options, "application_name": name}

    def check(self) -> None:
        if self._connection is None:
            raise LockLost(study=self._study)
        held = f"SELECT count(*) FROM pg_locks WHERE {_THIS_LOCK} AND pid = pg_backend_pid()"
        try:
            still_ours = bool(self._ask(held))
        except psycopg2.Error as error:
            raise unreachable(self._url, error) from error
        if not still_ours:
            raise LockLost(study=self._study)

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, query: str) -> object:
        assert self._connection is not None
        with self._connection.cursor() as cursor:
            cursor.execute(query, (self._key,))
            row = cursor.fetchone()
        return row[0] if row else None
