"""The checkpoints of a search whose workers write them to a store themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fre_hpo.scheduling.mirror import Mirror
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.stamp import Stamp, trial_key
from fre_hpo.study.store import CheckpointStore, StoreAddress
from fre_hpo.training.checkpoint import is_intact

KEPT = 2
"""The newest checkpoint of a trial, and the one before it."""

Damaged = Callable[[int, str], None]
"""Told of a checkpoint that is damaged: the trial, and where it was set aside."""


def newest_here(folder: StudyFolder, number: int, damaged: Damaged) -> bytes | None:
    """The newest intact checkpoint of a search without a store; a damaged one is set aside."""
    trial = folder.trial(number)
    for path in trial.checkpoints():
        data = path.read_bytes()
        if is_intact(data):
            return data
        damaged(number, str(trial.set_aside(path)))
    return None


class SharedCheckpoints:
    """What may be gone on from: what current attempts reported, and, of trials that an earlier coordinator
    left, what lies in the store and in the home folder.

    A cut-off attempt may go on writing to the store; nobody asked it, and its files are not looked at.
    """

    def __init__(self, folder: StudyFolder, store: CheckpointStore, mirror: Mirror) -> None:
        self._folder = folder
        self._store = store
        self._mirror = mirror
        self._accepted: dict[int, set[Stamp]] = {}
        self._found: dict[int, bytes | None] = {}
        self._sought: tuple[int, Damaged] | None = None

    @property
    def address(self) -> StoreAddress:
        return self._store.address

    def begin(self, number: int) -> None:
        """A trial begins: whatever lies in the store, nothing is to be gone on from."""
        self._accepted[number] = set()

    def newest(self, number: int, damaged: Damaged) -> bytes | None:
        """The newest checkpoint that is intact; a damaged one is set aside.

        Raises StoreUnreachable; then ``look_again``, and call it once more.
        """
        if number not in self._found:
            self._sought = number, damaged
            self.look_again()
        return self._found.pop(number)

    def look_again(self) -> None:
        """Read what could not be read before; raises StoreUnreachable."""
        if self._sought:
            number, damaged = self._sought
            self._found[number] = self._read(number, damaged)
            self._sought = None

    def _read(self, number: int, damaged: Damaged) -> bytes | None:
        """Those of a time without a store are the oldest."""
        for stamp in sorted(self._candidates(number), reverse=True):
            data = self._data(number, stamp)
            if data is not None and is_intact(data):
                return data
            if data is not None:
                damaged(number, self._set_aside(number, stamp))
        return newest_here(self._folder, number, damaged)

    def _candidates(self, number: int) -> set[Stamp]:
        here = self._folder.trial(number).stamps()
        stored = {stamp for stamp in map(Stamp.of, self._store.keys(trial_key(number))) if stamp}
        if number not in self._accepted:
            self._accepted[number] = here | stored
        return here | (stored & self._accepted[number])

    def _data(self, number: int, stamp: Stamp) -> bytes | None:
        path = self._folder.trial(number).path / stamp.name
        return path.read_bytes() if path.exists() else self._store.read(stamp.key(number))

    def _set_aside(self, number: int, stamp: Stamp) -> str:
        path = self._folder.trial(number).path / stamp.name
        if path.exists():
            return str(path.replace(path.with_name(stamp.damaged_name)))
        place = f"{trial_key(number)}/{stamp.damaged_name}"
        self._store.move(stamp.key(number), place)
        return f"{self.address.root}/{self.address.study}/{place}"

    # --- what workers report --------------------------------------------------------------------

    def save(self, number: int, stamp: Stamp, data: bytes) -> None:
        """A checkpoint that came here because its worker cannot reach the store."""
        self._folder.trial(number).save_stamped(stamp, data)
        self.accept(number, stamp)

    def accept(self, number: int, stamp: Stamp) -> None:
        """A checkpoint is where it belongs: of the older ones one stays."""
        accepted = self._accepted.setdefault(number, set()) | {stamp}
        kept = set(sorted(accepted)[-KEPT:])
        self._accepted[number] = kept
        self._folder.trial(number).drop_checkpoints(but=kept)
        self._mirror.remove(old.key(number) for old in accepted - kept)

    # --- what is left of trials -----------------------------------------------------------------

    def settle(self, ended: Iterable[int], networks: Iterable[int]) -> None:
        self._mirror.settle(ended, networks)

    def news(self) -> Iterable[str]:
        return self._mirror.news()
