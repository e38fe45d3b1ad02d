"""The storage and the files as optuna-dashboard gets them: what goes wrong in them is noted.

optuna-dashboard answers any error with "internal server error" and a stack trace in its log.  Here the
reason is kept, for the thread that works on the request, so that the reply can be a sentence.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar

from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study._frozen import FrozenStudy
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from fre_hpo.errors import FreHpoError, StorageUnreachable
from fre_hpo.study.artifacts import StudyArtifacts
from fre_hpo.study.connection import Connection, reaching
from fre_hpo.study.readings import STUDY as READINGS

P = ParamSpec("P")
T = TypeVar("T")

_NO_FILE = (
    "This file is not in the home folder of this dashboard: start the dashboard where the search runs, or "
    "with its --home."
)


class Notes(threading.local):
    """What happened in this thread's request.  trouble: status and sentence; file: the one that was
    opened; study: the only one that the request is about."""

    trouble: tuple[int, str] | None = None
    error: Exception | None = None
    file: str | None = None
    study: int | None = None

    @contextmanager
    def of_request(self, study: int | None) -> Iterator[Notes]:
        self.trouble = self.error = self.file = None
        self.study = study
        try:
            yield self
        finally:
            self.study = None


@BaseStorage.register  # optuna-dashboard asks for this kind; all calls but one go through __getattr__
class WatchedStorage:
    """Optuna's storage, to be called like one."""

    def __init__(self, connection: Connection, notes: Notes) -> None:
        assert connection.storage is not None
        self.url = connection.url
        self._storage: BaseStorage = connection.storage
        self._shown = connection.shown
        self._notes = notes

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._storage, name)
        return self._noting(found) if callable(found) else found

    def get_all_studies(self) -> list[FrozenStudy]:
        """Where the request is about one study, that one: optuna-dashboard looks for it among all, and
        would read the notes and figures of every study at each poll.  The record of the test splits'
        readings is no search, and nobody's to delete."""
        if self._notes.study is None:
            studies: list[FrozenStudy] = self._noting(self._storage.get_all_studies)()
            return [study for study in studies if study.study_name != READINGS]
        return self._noting(self._only)(self._notes.study)

    def _only(self, study: int) -> list[FrozenStudy]:
        storage = self._storage
        try:
            return [
                FrozenStudy(
                    study_name=storage.get_study_name_from_id(study),
                    direction=None,
                    directions=storage.get_study_directions(study),
                    user_attrs=storage.get_study_user_attrs(study),
                    system_attrs=storage.get_study_system_attrs(study),
                    study_id=study,
                )
            ]
        except KeyError:
            return []

    def _noting(self, call: Callable[P, T]) -> Callable[P, T]:
        def noted(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return self._reach(call, *args, **kwargs)
            except Exception as error:
                self._notes.error, self._notes.trouble = error, self._trouble(error)
                raise

        return noted

    @reaching
    def _reach(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return call(*args, **kwargs)

    def _trouble(self, error: Exception) -> tuple[int, str] | None:
        match error:
            case FreHpoError():
                return HTTPStatus.SERVICE_UNAVAILABLE, str(error)
            case NoConnectionFree():
                reason = "all connections are in use"
                unreachable = StorageUnreachable(storage=self._shown, reason=reason)
                return HTTPStatus.SERVICE_UNAVAILABLE, str(unreachable)
            case UpdateFinishedTrialError():
                return HTTPStatus.CONFLICT, "This trial has ended already."
            case KeyError():
                return HTTPStatus.NOT_FOUND, "There is no such study or trial (any more)."
        return None


class WatchedFiles:
    """The artifact store; it only reads."""

    def __init__(self, files: StudyArtifacts, notes: Notes) -> None:
        self._files = files
        self._notes = notes

    def open_reader(self, artifact_id: str) -> BinaryIO:
        try:
            reader = self._files.open_reader(artifact_id)
        except ArtifactNotFound as error:
            self._notes.error, self._notes.trouble = error, (HTTPStatus.NOT_FOUND, _NO_FILE)
            raise
        self._notes.file = Path(reader.name).name
        return reader

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        self._files.write(artifact_id, content_body)

    def remove(self, artifact_id: str) -> None:
        self._files.remove(artifact_id)
