"""optuna-dashboard's application over an opened storage, called like a function."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna_dashboard  # type: ignore[import-untyped]
from sqlalchemy import text
from sqlalchemy.engine import URL

from fre_hpo.dashboard.exchange import Reply
from fre_hpo.dashboard.watched import Notes, WatchedFiles, WatchedStorage
from fre_hpo.study.artifacts import StudyArtifacts
from fre_hpo.study.connection import Connection, is_sqlite, reaching

_PASSED_ON = ("if-none-match", "if-modified-since")
_IDENTITY = text(
    "SELECT s.study_name, a.value_json FROM studies s LEFT JOIN study_user_attributes a "
    "ON a.study_id = s.study_id AND a.key = 'charter' WHERE s.study_id = :study"
)

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Pages:
    """One opened storage with its pages.  Raises what the storage raises.

    file: what ``database_file`` said of it when it was opened.
    """

    def __init__(
        self, connection: Connection, files: StudyArtifacts, file: tuple[int, int] | None
    ) -> None:
        self.url = connection.url
        self._file = file
        self.notes = Notes()
        self._connection = connection
        self._storage = WatchedStorage(connection, self.notes)
        self._files = WatchedFiles(files, self.notes)
        self._identities: dict[int, object] = {}
        self.renew()

    def renew(self) -> None:
        """Forget the trials that optuna-dashboard keeps for some seconds."""
        storage: Any = self._storage
        files: Any = self._files
        self._app: Application = optuna_dashboard.wsgi(storage, artifact_store=files)

    def is_replaced(self) -> bool:
        """Whether the database's file was removed: what is open still shows what nobody else sees."""
        return database_file(self.url) != self._file

    def is_another(self, study: int) -> bool:
        """Whether a study's number means another study by now: SQLite gives that of a deleted one again,
        and what is kept of its trials would then be shown as the new one's."""
        identity = self._identity(study)
        known = self._identities.get(study, identity)
        if identity is not None:
            self._identities[study] = identity
        return known != identity

    @reaching
    def _identity(self, study: int) -> object:
        with self._connection.engine.connect() as connection:
            return connection.execute(_IDENTITY, {"study": study}).one_or_none()

    @reaching
    def answers(self) -> None:
        """Raises StorageUnreachable where the storage does not answer."""
        with self._connection.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def study_name(self, study: int) -> str:
        """Raises KeyError for one that is not there."""
        name: str = self._storage.get_study_name_from_id(study)
        return name

    def study_number(self, name: str) -> int:
        """Raises KeyError for one that is not there."""
        number: int = self._storage.get_study_id_from_name(name)
        return number

    def call(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Reply:
        """Ask the application; body: JSON."""
        answer: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
            answer[:] = status, headers

        environ = _environ(method, path, query, headers or {}, body)
        parts = self._app(environ, start_response)
        try:
            content = b"".join(parts)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        status, given = answer
        return Reply(int(status.split()[0]), tuple(given), content).without("Content-Length")

    def close(self) -> None:
        self._connection.engine.dispose()


def database_file(url: URL) -> tuple[int, int] | None:
    """Which file a SQLite database is, by its device and inode; None where there is none."""
    if not is_sqlite(url):
        return None
    try:
        found = Path(url.database or "").stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _environ(
    method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
) -> dict[str, Any]:
    """Only what it needs to know: no cookie, no token, no foreign header."""
    passed = {f"HTTP_{n.upper().replace('-', '_')}": headers[n] for n in _PASSED_ON if n in headers}
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": quote(query, safe="%=&+/:?@!$'()*,;~-._"),
        "CONTENT_TYPE": "application/json" if body else "",
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "HTTP_ACCEPT_ENCODING": headers.get("accept-encoding", ""),
        **passed,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
