"""``fre-hpo archive --restore``: an archive becomes a study of this home and storage, and goes on here.

All is checked before anything is created.  The files are unpacked beside the place where they belong, the
rows are written in one transaction, and just before that is committed the files are moved into their
place: whatever interrupts it, the storage has no study without its files.  A kill between the move and the
commit leaves files without a study; they are marked, and the next restore puts its own in their place.

The study gets an identity of its own.  What came of one archive in two places, or of an archive and of the
study that it was taken from, may go on side by side: nothing that one writes is taken for the other's.
"""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fre_hpo.errors import FreHpoError, UsageError
from fre_hpo.service.archive_file import RECIPE
from fre_hpo.service.archive_reader import ArchiveReader
from fre_hpo.service.check import STUDY_NAME, bad_name, held
from fre_hpo.service.restore_checks import MARK, Content, checked, occupied
from fre_hpo.service.resuming import resume_command
from fre_hpo.settings import Settings
from fre_hpo.study import fault, recipe
from fre_hpo.study.artifacts import SHOWN, artifact_id
from fre_hpo.study.charter import CHARTER, Charter
from fre_hpo.study.connection import Connection
from fre_hpo.study.copying import StudyRows, taken_names, write_study
from fre_hpo.study.folder import StudyFolder, write_atomically
from fre_hpo.study.ledger import HOME, Ledger
from fre_hpo.study.readings import add_readings

UNPACKED = "~restoring"
"""Ends the name of a folder that is being filled, and of no study."""


@dataclass(frozen=True)
class Restored:
    """states: how many trials are in which.  command: what to type to go on.  remarks: what the user should
    know."""

    study: str
    folder: Path
    states: Mapping[str, int]
    command: str
    remarks: tuple[str, ...]


def restore(settings: Settings, file: Path, name: str | None = None) -> Restored:
    """Make a study of an archive, under its own name or another one.

    Raises, before anything is created, BadArchive, BadValue, NameTaken, NoRoom and StorageUnreachable,
    several in one list; then StudyHeld, where a study of that name is just being made; later DiskFull,
    StorageUnreachable, and UsageError for a home that cannot be written; these leave no study behind.
    """
    with ArchiveReader(file.expanduser()) as archive:
        study = archive.study if name is None else name
        if not STUDY_NAME.fullmatch(study):
            raise bad_name(study)
        content = checked(archive, study, settings)
        with held(settings, study):
            ledger = _create(archive, content, study, settings)
            complete = sum(record.counts for record in ledger.records())
            return Restored(
                study,
                settings.study_folder(study),
                content.rows.states,
                resume_command(ledger, complete),
                tuple(_remarks(content.charter)),
            )


def _remarks(charter: Charter) -> Iterator[str]:
    images = charter.data_folder
    if images and not Path(images).is_dir():
        yield f"Its images were in {images}, which is not here: name their folder with --data-dir."


# --- creating -------------------------------------------------------------------------------------


def _create(archive: ArchiveReader, content: Content, study: str, settings: Settings) -> Ledger:
    """The study with its files; nothing of it stays where something fails."""
    connection = Connection(settings.storage, create=True)
    folder = StudyFolder(settings.study_folder(study))
    unpacked = StudyFolder(folder.path.with_name(f"{study}{UNPACKED}"))
    charter = _charter(content.charter, folder)

    def move() -> None:
        if taken := occupied(folder):
            raise taken
        folder.delete()
        unpacked.path.replace(folder.path)
        fault.point("restored-files")

    try:
        unpacked.delete()
        _unpack(archive, charter, unpacked, connection.shown)
        add_readings(connection, content.readings)
        rows = _of_its_own(content, charter, f"{socket.gethostname()}:{settings.home}")
        write_study(connection, study, rows, before_commit=move)
    except OSError as error:
        _take_back(connection, study, folder)
        problem = f"{folder.path} cannot be written ({error.strerror}): name another --home."
        raise UsageError(problem=problem) from error
    except BaseException:
        _take_back(connection, study, folder)
        raise
    finally:
        unpacked.delete()
    fault.point("restored")
    (folder.path / MARK).unlink(missing_ok=True)
    return Ledger.open(connection, study)


def _take_back(connection: Connection, study: str, folder: StudyFolder) -> None:
    """Remove the files of a study that did not arrive; where nobody can tell, they stay, marked."""
    with suppress(FreHpoError):
        if (folder.path / MARK).exists() and study not in taken_names(connection):
            folder.delete()


def _unpack(archive: ArchiveReader, charter: Charter, folder: StudyFolder, storage: str) -> None:
    """The study's files, and its recipe under the name that it had."""
    write_atomically(folder.path / MARK, b"")
    for name in archive.of_folder():
        archive.extract(name, folder.path / name)
        fault.point("restored-file")
    archive.extract(RECIPE, folder.path / _recipe_name(charter))
    folder.identify(charter.id, storage)
    manifest = archive.manifest
    facts = {key: manifest.get(key) for key in ("study", "id", "created_at")}
    folder.log("study_restored", archive=facts)


def _recipe_name(charter: Charter) -> str:
    return f"{Path(charter.recipe).stem}.toml"


def _charter(charter: Charter, folder: StudyFolder) -> Charter:
    """With an identity of its own; a recipe that is not here is the one that is unpacked."""
    try:
        recipe.find(charter.recipe)
        spoken = charter.recipe
    except FreHpoError:
        spoken = str(folder.path / _recipe_name(charter))
    return replace(charter, id=uuid.uuid4().hex, recipe=spoken)


def _of_its_own(content: Content, charter: Charter, home: str) -> StudyRows:
    """The rows under the new identity, from which the ids of the files follow that the dashboard shows."""
    numbers = [row["number"] for row in content.rows.trials]
    ids = {
        artifact_id(content.charter.id, number, name): artifact_id(charter.id, number, name)
        for number in numbers
        for name in SHOWN
    }
    own = {CHARTER: charter.to_plain(), HOME: home}
    return content.rows.with_attributes(own).with_artifacts(ids)
