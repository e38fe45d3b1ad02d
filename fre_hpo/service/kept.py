"""What of a study lies in this home folder: the files of its complete trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fre_hpo.errors import FilesElsewhere, NothingComplete, UnknownTrial
from fre_hpo.service.read import open_ledger, own_folder, whereabouts
from fre_hpo.settings import Settings
from fre_hpo.study.folder import StudyFolder, TrialFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.records import TrialRecord, best_of


@dataclass(frozen=True)
class KeptStudy:
    """A study with a complete trial, and its folder here."""

    ledger: Ledger
    records: tuple[TrialRecord, ...]
    folder: StudyFolder

    @classmethod
    def open(cls, settings: Settings, study: str) -> KeptStudy:
        """Raises StudyNotFound, NothingComplete and FilesElsewhere."""
        ledger = open_ledger(settings, study)
        records = tuple(ledger.records())
        if best_of(records) is None:
            raise NothingComplete(study=study)
        folder = StudyFolder(settings.study_folder(study))
        if not own_folder(folder, ledger):
            raise FilesElsewhere(study=study, home=whereabouts(ledger))
        return cls(ledger, records, folder)

    @property
    def name(self) -> str:
        return self.ledger.name

    def files(self, record: TrialRecord) -> TrialFolder:
        return self.folder.trial(record.number)

    def best_with(
        self, has: Callable[[TrialFolder], bool], number: int | None = None
    ) -> TrialRecord | None:
        """The best complete trial whose folder has something, or that of a number if it does; raises
        UnknownTrial."""
        if number is not None and number not in {record.number for record in self.records}:
            hint = f"it has those from 0 to {len(self.records) - 1}"
            raise UnknownTrial(study=self.name, number=number, hint=hint)
        wanted = [r for r in self.records if number in (None, r.number)]
        return best_of([r for r in wanted if r.complete and has(self.files(r))])

    def spoken(self, number: int | None) -> str:
        """What is meant, in a sentence's middle."""
        study = f"study {self.name!r}"
        return study if number is None else f"trial {number} of {study}"
