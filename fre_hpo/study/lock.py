"""Who may coordinate a study: one process at a time (design 3.7).

On PostgreSQL a session advisory lock on a connection of its own, which the server releases about
11 s after a holder was silently cut off; beside a SQLite file a file lock, which the system
releases when the holder dies.
"""

from __future__ import annotations

import hashlib
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


class CoordinatorLock(Protocol):
    """acquire: False when somebody else holds it.  check: raises LockLost when it is not ours any
    more; ``acquire`` may then be tried again."""

    def acquire(self) -> bool: ...

    def check(self) -> None: ...

    def release(self) -> None: ...


def coordinator_lock(url: URL, study: str) -> CoordinatorLock:
    return FileLock(url, study) if is_sqlite(url) else AdvisoryLock(url, study)


class FileLock:
    """A lock file beside the database, one for each study."""

    def __init__(self, url: URL, study: str) -> None:
        self._lock = filelock.FileLock(Path(f"{url.database}.{study}.lock"))

    def acquire(self) -> bool:
        try:
            self._lock.acquire(blocking=False)
        except filelock.Timeout:
            return False
        return True

    def check(self) -> None:
        """The system keeps a file lock as long as this process lives."""

    def release(self) -> None:
        self._lock.release(force=True)


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
            self._connection = psycopg2.connect(**self._connect_arguments())
            self._connection.autocommit = True
            if self._ask("SELECT pg_try_advisory_lock(%s)"):
                return True
        except psycopg2.OperationalError as error:
            self.release()
            raise unreachable(self._url, error) from error
        self.release()
        return False

    def _connect_arguments(self) -> dict[str, Any]:
        _, arguments = self._url.get_dialect()().create_connect_args(self._url)
        options = f"{arguments.get('options', '')} {_SERVER_SETTINGS}".strip()
        return {**KEEPALIVES, **arguments, "options": options}

    def check(self) -> None:
        held = (
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() "
            "AND ((classid::bigint << 32) | objid::bigint) = %s"
        )
        try:
            still_ours = self._connection is not None and bool(self._ask(held))
        except psycopg2.Error as error:
            raise LockLost(study=self._study) from error
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
