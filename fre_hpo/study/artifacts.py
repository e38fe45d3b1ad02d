"""Files of trials that the dashboard shows, by the ids under which the storage names them.

An id follows from the study and the file's place in its folder: a write that is repeated gives the same
one, and nothing has to be kept of which id means which file.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from optuna.artifacts.exceptions import ArtifactNotFound

from fre_hpo.study.folder import StudyFolder

SHOWN = {"picture.png": "image/png", "curve.csv": "text/csv"}
"""File of a trial's folder -> its media type."""
_NAMESPACE = uuid.UUID("7f0c6c0e-6d5b-4c9e-9a0b-0b9d2f6a4e55")


def artifact_id(study_id: str, number: int, name: str) -> str:
    """Of a trial's file; study_id: the charter's."""
    return str(uuid.uuid5(_NAMESPACE, f"{study_id}/{number}/{name}"))


class StudyArtifacts:
    """The files of all studies of a home folder, to be read (Optuna's ArtifactStore)."""

    def __init__(self, studies: Path) -> None:
        self._studies = studies
        self._known: dict[str, Path] = {}

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Raises ArtifactNotFound, also when the study's folder lies on another machine."""
        if artifact_id not in self._known:
            self._known = dict(self._find())
        try:
            return self._known[artifact_id].open("rb")
        except (KeyError, OSError):
            raise ArtifactNotFound(artifact_id) from None

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        raise PermissionError("only a search adds files to its trials")

    def remove(self, artifact_id: str) -> None:
        raise PermissionError("files of trials go with their study")

    def _find(self) -> Iterator[tuple[str, Path]]:
        for path in self._studies.glob("*/trials/*/*"):
            if path.name in SHOWN and path.parent.name.isdecimal():
                identity = StudyFolder(path.parents[2]).identity
                if identity is not None:
                    yield artifact_id(identity["id"], int(path.parent.name), path.name), path
