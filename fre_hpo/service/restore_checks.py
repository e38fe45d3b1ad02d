"""What is checked of an archive, and of the place where it is to be restored, before anything is created."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fre_hpo.errors import FreHpoError, NameTaken, NoRoom, UsageError, together
from fre_hpo.service.archive_file import DATABASE, READINGS
from fre_hpo.service.archive_reader import ArchiveReader
from fre_hpo.service.read import own_folder
from fre_hpo.settings import Settings
from fre_hpo.study.charter import CHARTER, Charter
from fre_hpo.study.connection import Connection, is_sqlite, parse_url
from fre_hpo.study.copying import StudyRows, read_study, taken_names
from fre_hpo.study.creation import study_names, study_parts
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.part import Part
from fre_hpo.study.readings import Reading

MARK = ".restoring"
"""A file in a study's folder whose study may not have arrived in the storage."""


@dataclass(frozen=True)
class Content:
    """What an archive holds besides the files of the study's folder."""

    rows: StudyRows
    charter: Charter
    readings: Mapping[str, Reading]


def checked(archive: ArchiveReader, study: str, settings: Settings) -> Content:
    """What the archive holds; raises with all that stands in the way of restoring it."""
    problems = archive.problems() or list(_lack_of_room(archive, settings))
    content = None
    if not problems:
        try:
            content = _content(archive)
        except FreHpoError as error:
            problems.append(error)
    try:
        problems += _in_the_way(settings, study, content)
    except FreHpoError as error:
        problems.append(error)
    if problems or content is None:
        raise together(problems)
    return content


def _content(archive: ArchiveReader) -> Content:
    """Raises BadArchive where a file is not what its name says."""
    with tempfile.TemporaryDirectory(prefix="fre-hpo-restore-") as folder:
        path = Path(folder) / DATABASE
        archive.extract(DATABASE, path)
        try:
            return _parsed(path, archive.study, archive.read(READINGS))
        except (FreHpoError, LookupError, TypeError, ValueError, AttributeError) as error:
            written = archive.manifest.get("versions", {}).items()
            versions = " and ".join(f"{name} {version}" for name, version in written)
            reason = f"its study cannot be read here; {versions} wrote it"
            raise archive.bad(reason, "restore it with those versions") from error


def _parsed(database: Path, study: str, readings: bytes) -> Content:
    connection = Connection(f"sqlite:///{database}", create=False)
    if study not in study_names(connection):
        raise LookupError(study)
    rows = read_study(connection, study)
    charter = Charter.from_plain(rows.attribute(CHARTER))
    found = {key: Reading(**plain) for key, plain in json.loads(readings).items()}
    connection.engine.dispose()
    return Content(rows, charter, found)


# --- the place ------------------------------------------------------------------------------------


def _in_the_way(settings: Settings, study: str, content: Content | None) -> Iterator[FreHpoError]:
    """A study that has the name already, in the storage or else in the home; one that is the same part."""
    connection = Connection(settings.storage, create=False)
    folder = StudyFolder(settings.study_folder(study))
    if study in taken_names(connection):
        yield NameTaken(where=f"The storage {connection.shown}", study=study)
        _unmark(connection, folder, study)
    elif taken := occupied(folder):
        yield taken
    if content is not None and content.charter.part is not None:
        yield from _same_part(connection, content.charter.part)


def occupied(folder: StudyFolder) -> NameTaken | None:
    """An error where files are, unless a restore left them that was killed before its study arrived."""
    if not os.path.lexists(folder.path) or (folder.path / MARK).exists():
        return None
    return NameTaken(where=f"The folder {folder.path.parent}", study=folder.path.name)


def _unmark(connection: Connection, folder: StudyFolder, study: str) -> None:
    """A restore that was killed just after its commit was complete."""
    mark, ours = folder.path / MARK, study in study_names(connection)
    if mark.exists() and ours and own_folder(folder, Ledger.open(connection, study)):
        mark.unlink()


def _same_part(connection: Connection, part: Part) -> Iterator[FreHpoError]:
    """A whole finds its parts by what they are, whatever their names: it cannot have one twice."""
    for name, other in study_parts(connection).items():
        if (other.kind, other.of, other.role) == (part.kind, part.of, part.role):
            yield UsageError(
                problem=f"It is {part.role} of the {part.kind} {part.of}, which study {name!r} in "
                f"{connection.shown} is already: restore it into another --storage."
            )


def _lack_of_room(archive: ArchiveReader, settings: Settings) -> Iterator[FreHpoError]:
    """Disks that cannot hold what would be written to them."""
    rows, url = archive.size(DATABASE), parse_url(settings.storage)
    needs = [(settings.home, sum(map(archive.size, archive.of_folder())))]
    needs += [(Path(tempfile.gettempdir()), rows)]
    needs += [(Path(url.database or "").parent, rows)] if is_sqlite(url) else []
    needed: dict[int, int] = {}
    for folder, size in needs:
        there = _existing(folder)
        disk = there.stat().st_dev
        needed[disk] = needed.get(disk, 0) + size
        free = shutil.disk_usage(there).free
        if needed[disk] > free:
            yield NoRoom(folder=folder, needed=_megabytes(needed[disk]), free=_megabytes(free))


def _existing(folder: Path) -> Path:
    """The folder, or what there is of its way."""
    return next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
