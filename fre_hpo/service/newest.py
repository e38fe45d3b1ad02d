"""The checkpoints from which the unfinished trials of a study go on, for somebody who only looks: nothing
is set aside or removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fre_hpo.errors import BadStore, StoreUnreachable
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.stamp import Stamp, trial_key
from fre_hpo.study.store import CheckpointStore, StoreAddress


class Checkpoints:
    """Of a study whose folder is here; those that workers write lie in its store, if it has one.

    trouble: why the store could not be read, if it could not.
    """

    def __init__(self, ledger: Ledger, folder: StudyFolder) -> None:
        self._folder = folder
        self._address = StoreAddress(ledger.store, ledger.charter.id) if ledger.store else None
        self._store: CheckpointStore | None = None
        self.trouble: str | None = None

    def newest(self, number: int) -> bytes | None:
        """The newest one that is intact."""
        for data in self._newest_first(number):
            from fre_hpo.training.checkpoint import is_intact  # torch, only where it is used

            if data is not None and is_intact(data):
                return data
        return None

    def _newest_first(self, number: int) -> Iterator[bytes | None]:
        """Those without a stamp are of a time without a store."""
        trial = self._folder.trial(number)
        stored = self._stored(number)
        for stamp in sorted(trial.stamps() | stored, reverse=True):
            yield _content(trial.path / stamp.name) or self._read(stamp.key(number))
        for path in trial.checkpoints():
            yield _content(path)

    # --- the store ------------------------------------------------------------------------------

    def _stored(self, number: int) -> set[Stamp]:
        if self._address is None or self.trouble:
            return set()
        try:
            self._store = self._store or self._address.open()
            keys = self._store.keys(trial_key(number))
        except (BadStore, StoreUnreachable) as error:
            self.trouble = str(error)
            return set()
        return {stamp for stamp in map(Stamp.of, keys) if stamp}

    def _read(self, key: str) -> bytes | None:
        if self._store is None:
            return None
        try:
            return self._store.read(key)
        except StoreUnreachable as error:
            self.trouble = str(error)
            return None


def _content(path: Path) -> bytes | None:
    """None for a file that was replaced or dropped meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
