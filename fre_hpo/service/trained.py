"""Which trained network is meant: a study's winner, a certain trial's, or an exported one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fre_hpo.errors import (
    BadExport,
    FilesElsewhere,
    NoNetwork,
    NothingComplete,
    StudyNotFound,
    UnknownTrial,
)
from fre_hpo.inference.network import CARD
from fre_hpo.service.read import open_ledger, own_folder, whereabouts
from fre_hpo.settings import Settings
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.records import TrialRecord, best_of


@dataclass(frozen=True)
class Trained:
    """A complete trial whose network lies in this home.  path: its best.pt.  remark: what is odd about the
    choice; empty where nothing is."""

    ledger: Ledger
    record: TrialRecord
    path: Path
    remark: str = ""


def trained(settings: Settings, study: str, number: int | None = None) -> Trained:
    """The network of a study's best trial, or of the trial of that number.

    Of few trials the network is kept: where that of the best is not here, it is the best one's that is.
    Raises StudyNotFound, UnknownTrial, NothingComplete, FilesElsewhere and NoNetwork.
    """
    return trained_of(settings, open_ledger(settings, study), number)


def trained_of(settings: Settings, ledger: Ledger, number: int | None = None) -> Trained:
    """The same of a study that is open."""
    study, records = ledger.name, ledger.records()
    if number is not None and number not in {record.number for record in records}:
        hint = f"it has those from 0 to {len(records) - 1}" if records else "it has none yet"
        raise UnknownTrial(study=study, number=number, hint=hint)
    best = best_of(records)
    if best is None:
        raise NothingComplete(study=study)
    folder = StudyFolder(settings.study_folder(study))
    if not own_folder(folder, ledger):
        raise FilesElsewhere(study=study, home=whereabouts(ledger))
    here = [r for r in records if r.complete and folder.trial(r.number).best.exists()]
    chosen = best_of(here if number is None else [r for r in here if r.number == number])
    if chosen is None:
        raise NoNetwork(
            what=f"study {study!r}" if number is None else f"trial {number} of study {study!r}",
            folder=folder.path,
            hint=_hint(here, ledger),
        )
    remark = ""
    if number is None and chosen.number != best.number:
        remark = (
            f"The network of trial {best.number}, the best one, is not in {folder.path}: this is "
            f"trial {chosen.number}."
        )
    return Trained(ledger, chosen, folder.trial(chosen.number).best, remark)


def _hint(here: Sequence[TrialRecord], ledger: Ledger) -> str:
    if not here:
        return f"the files were last in {ledger.home}, so copy best.pt from there or ask there"
    numbers = sorted(record.number for record in here)
    return f"only the best trials' are kept, here those of {', '.join(map(str, numbers))}"


def network_path(settings: Settings, named: str) -> Path:
    """The exported folder, or the best.pt of the study, that somebody named.

    A folder goes before a study of its name only if it holds an exported network.
    """
    folder = Path(named).expanduser()
    if (folder / CARD).is_file():
        return folder
    try:
        return trained(settings, named).path
    except StudyNotFound:
        if folder.is_dir():
            raise BadExport(folder=folder, reason=f"it has no {CARD}") from None
        raise
