"""The right to write a study: its lock, confirmed lately, and the generation behind it (design 3.7)."""

from fre_hpo.errors import LockLost, StorageUnreachable
from fre_hpo.scheduling.clock import Clock
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.lock import CoordinatorLock

CONFIRM_SECONDS = 2.0
"""A process that was halted for longer looks again before it writes."""


class Custody:
    """Of the coordinator that holds ``lock`` and took over the study in ``ledger``."""

    def __init__(self, ledger: Ledger, lock: CoordinatorLock, clock: Clock) -> None:
        self._ledger = ledger
        self._lock = lock
        self._clock = clock
        self._confirmed = clock.now()

    def assure(self) -> None:
        """Make sure that we may write now; raises LockLost, or StorageUnreachable when nobody can
        tell."""
        if self._clock.now() - self._confirmed >= CONFIRM_SECONDS:
            self._lock.check()
            self._confirmed = self._clock.now()

    def regain(self) -> None:
        """Lock the study again after the storage was out of reach; raises as ``assure``.

        The server may hold the lock of our own lost connection for some seconds more.
        """
        held = self._lock.acquire()
        if not self._ledger.in_charge:
            self._lock.release()
            raise LockLost(study=self._ledger.name)
        if not held:
            reason = "it still keeps the lock of the connection that was lost"
            raise StorageUnreachable(storage=self._ledger.shown, reason=reason)
        self._confirmed = self._clock.now()
