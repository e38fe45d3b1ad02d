"""``fre-hpo archive``: a study as one file, for a colleague or another storage.

It may be taken while the search runs.  The rows are read first, in one transaction; then the files, each
as a whole.  A coordinator writes what comes of a trial to its files before it tells the storage, so that
the files are never behind the rows: what they are ahead of them is what a crash leaves, and a start from
the archive goes on from there as after a crash.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from fre_hpo.errors import FilesElsewhere, StudyGone, UsageError, counted
from fre_hpo.results.report.recipe import recipe
from fre_hpo.scheduling.live import ALIVE, Live
from fre_hpo.service.archive_file import (
    CHECKPOINT,
    DATABASE,
    EVENTS,
    READINGS,
    README,
    RECIPE,
    ArchiveWriter,
    refuse_existing,
    writing,
)
from fre_hpo.service.check import live_of
from fre_hpo.service.members import members
from fre_hpo.service.newest import Checkpoints
from fre_hpo.service.read import own_folder, whereabouts
from fre_hpo.settings import Settings
from fre_hpo.study.charter import CHARTER, Charter
from fre_hpo.study.connection import Connection
from fre_hpo.study.copying import StudyRows, read_study, write_study
from fre_hpo.study.creation import study_names, study_parts
from fre_hpo.study.folder import RESULTS, StudyFolder
from fre_hpo.study.ledger import HOME, LIVE, STORE, TARGET, Ledger
from fre_hpo.study.readings import readings_of_data
from fre_hpo.study.records import now

_VERSIONS = ("fre-hpo", "optuna")


@dataclass(frozen=True)
class Archived:
    """What was written.  states: how many trials are in which.  networks: trained ones, of so many trials.
    bytes: of the file.  remarks: what the user should know."""

    file: Path
    states: Mapping[str, int]
    networks: int
    bytes: int
    remarks: tuple[str, ...]


def archive(settings: Settings, study: str, out: Path, *, force: bool = False) -> Archived:
    """Write a study into a file that ``restore`` takes; nothing is written unless all of it is.

    Raises StudyNotFound, FilesElsewhere, FileInTheWay, CannotWrite and DiskFull, and UsageError for a
    comparison, which consists of several studies.
    """
    path = out.expanduser()
    refuse_existing(path, force=force)
    connection = Connection(settings.storage, create=False)
    _refuse_comparison(connection, study)
    ledger = Ledger.open(connection, study)
    folder = StudyFolder(settings.study_folder(study))
    if not own_folder(folder, ledger):
        raise FilesElsewhere(study=study, home=whereabouts(ledger))
    checkpoints = Checkpoints(ledger, folder)
    with writing(path, study, force=force) as writer:
        rows = read_study(connection, study)
        _add_files(writer, folder, rows, checkpoints)
        _add_storage(writer, study, _settled(rows))
        found = readings_of_data(connection, ledger.charter.fingerprint)
        plain = {key: reading.to_plain() for key, reading in found.items()}
        writer.add(READINGS, json.dumps(plain, indent=1).encode())
        _add_texts(writer, study, rows)
        if ledger.gone:
            raise StudyGone(study=study)
    return Archived(
        path,
        rows.states,
        sum(name.endswith("/best.pt") for name in writer.files),
        path.stat().st_size,
        tuple(_remarks(connection, ledger, checkpoints.trouble)),
    )


def _refuse_comparison(connection: Connection, name: str) -> None:
    if name in study_names(connection):
        return
    found = members(connection, name)
    if found.seeds:
        studies = ", ".join(ledger.name for ledger in found.ledgers)
        problem = (
            f"{name} is a comparison of several studies: archive each of them ({studies}); where all are "
            "restored into one storage, they are the comparison again."
        )
        raise UsageError(problem=problem)


def _remarks(connection: Connection, ledger: Ledger, trouble: str | None) -> Iterator[str]:
    live = live_of(ledger)
    if live is not None and live.coordinator_alive():
        yield "The search is running: the archive holds it as it was a moment ago."
    if trouble:
        yield f"Warning: {trouble} Trials whose checkpoints are there begin anew where it is restored."
    parts = study_parts(connection).items()
    of_it = [name for name, part in parts if (part.kind, part.of) == ("confirmation", ledger.name)]
    if of_it:
        yield f"What confirms it is in studies of their own, which are not in it: {', '.join(of_it)}."


# --- what goes into it ----------------------------------------------------------------------------


def _settled(rows: StudyRows) -> StudyRows:
    """As the study is where nobody runs it, and without the places where its files were."""
    live = rows.attribute(LIVE)
    stopped = None if live is None else _stopped(Live.from_plain(live)).to_plain()
    return rows.interrupted().with_attributes({HOME: None, STORE: None, LIVE: stopped})


def _stopped(live: Live) -> Live:
    state = "stopped" if live.state in ALIVE else live.state
    return replace(live, state=state, running=(), message=None, host="", pid=0, born=None)


def _add_files(
    writer: ArchiveWriter, folder: StudyFolder, rows: StudyRows, checkpoints: Checkpoints
) -> None:
    """A trial's checkpoint is read before its curve, which then is as long at least, and before its outcome,
    which is there if the checkpoint is not there any more."""
    unfinished = rows.unfinished()
    for number in (row["number"] for row in rows.trials):
        place, path = f"trials/{number}", folder.trial(number).path
        if number in unfinished and (data := checkpoints.newest(number)):
            writer.add(f"{place}/{CHECKPOINT}", data)
        for name in reversed(RESULTS):  # the outcome first: where it is, all others are
            writer.copy(f"{place}/{name}", path / name, whole_lines=name.endswith(".csv"))
    writer.copy(EVENTS, folder.events, whole_lines=True)


def _add_storage(writer: ArchiveWriter, study: str, rows: StudyRows) -> None:
    """An SQLite file of its own, that any program of Optuna's opens, also where it cannot write."""
    with tempfile.TemporaryDirectory(prefix="fre-hpo-archive-") as folder:
        path = Path(folder) / DATABASE
        storage = Connection(f"sqlite:///{path}", create=True)
        write_study(storage, study, rows)
        storage.engine.dispose()
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        writer.copy(DATABASE, path)


def _add_texts(writer: ArchiveWriter, study: str, rows: StudyRows) -> None:
    charter = Charter.from_plain(rows.attribute(CHARTER))
    wanted = int(rows.attribute(TARGET) or 0)
    text = recipe(f"Study {study}", [(charter.spec, wanted)], charter.spec.seed)
    writer.add(RECIPE, text.encode())
    made_by = {name: version(name) for name in _VERSIONS}
    complete = rows.states["COMPLETE"] + rows.states["PRUNED"]
    words = {
        "study": study,
        "done": f"{complete} of {counted(wanted, 'trial')} complete",
        "day": now()[:10],
        "version": made_by["fre-hpo"],
    }
    writer.add(README, _README.format(**words).encode())
    facts = {"id": charter.id, "created_at": now(), "versions": made_by, "trials": rows.states}
    writer.finish(facts)


_README = """\
{study}: a study of fre-hpo {version}, archived on {day} with {done}.

study.db       trials, parameters, values, curves, settings: optuna-dashboard sqlite:///study.db
               (or VS Code with Optuna's extension: a right click on the file)
trials/NUMBER  curve.csv: every epoch; picture.png; best.pt: the trained network, of the best trials;
               confusion.json; checkpoint.pt, of trials that are not trained to their end yet
recipe.toml    every setting; events.jsonl: who trained what, when; readings.json: who read the
               test split; manifest.json: the SHA-256 of every file
To go on with it, or to use its networks:  fre-hpo archive --restore FILE  (pip install fre-hpo)

The images are not in here. The folder in which they lay is named, and so are the machines that trained.
"""
