"""The storage, opened when there is one, tried again while there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from fre_hpo.dashboard.pages import Pages, database_file
from fre_hpo.errors import FreHpoError, NoStudyYet
from fre_hpo.study.artifacts import StudyArtifacts
from fre_hpo.study.connection import Connection, parse_url

RETRY_SECONDS = 1.0
CONNECTIONS = 4
"""To a database server, kept open; two more at a rush."""


class Opening:
    """url: the storage's, password included.  studies: the folder of the studies' files."""

    def __init__(
        self, url: str, studies: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._files = StudyArtifacts(studies)
        self._clock = clock
        self._lock = threading.Lock()
        self._pages: Pages | None = None
        self._failure: FreHpoError | None = None
        self._tried_at = float("-inf")

    def pages(self) -> Pages:
        """Raises NoStudyYet where there is nothing to show, StorageUnreachable and StorageNotOurs.

        A server that is out of reach is asked once in a while, not by every request at once.
        """
        with self._lock:
            if self._pages is not None and self._pages.is_replaced():
                self._drop()
            if self._pages is None:
                self._pages = self._try()
            return self._pages

    def _try(self) -> Pages:
        if self._failure is None or self._clock() - self._tried_at >= RETRY_SECONDS:
            self._failure = None
            try:
                return self._open()
            except FreHpoError as error:
                self._failure, self._tried_at = error, self._clock()
        raise self._failure

    def _open(self) -> Pages:
        file = database_file(parse_url(self._url))  # first: it may be replaced meanwhile
        connection = Connection(self._url, create=False, pool_size=CONNECTIONS)
        if connection.storage is None:
            raise NoStudyYet(storage=connection.shown)
        return Pages(connection, self._files, file)

    def reopen(self, pages: Pages) -> Pages:
        """Begin anew in place of these pages, with nothing kept of any study."""
        with self._lock:
            if self._pages is pages:
                self._drop()
        return self.pages()

    def _drop(self) -> None:
        assert self._pages is not None
        self._pages.close()
        self._pages = None
