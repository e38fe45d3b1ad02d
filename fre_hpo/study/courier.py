"""How a worker's checkpoints get to the store: beside the training, which never waits for it for long.

A store that is out of reach is tried for half of the time until the next checkpoint; then the bytes are
given back, to be sent through the coordinator.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Thread

from fre_hpo.errors import FreHpoError
from fre_hpo.study.stamp import Stamp
from fre_hpo.study.store import CheckpointStore, StoreAddress

SHORTEST, LONGEST = 2.0, 30.0
"""Seconds for which a store is tried, however soon or late the next checkpoint follows."""
WAIT_SECONDS = 5.0
"""How long reports wait for a checkpoint, at most; the training itself is ahead of them."""
FIRST_DELAY = 0.25


@dataclass(frozen=True)
class Delivered:
    """A checkpoint lies in the store."""

    epoch: int
    key: str


@dataclass(frozen=True, eq=False)
class Undelivered:
    """A checkpoint does not, and why."""

    epoch: int
    data: bytes = field(repr=False)
    reason: str


Outcome = Delivered | Undelivered


@dataclass(frozen=True, eq=False)
class _Errand:
    """A checkpoint on its way.  recalled: set when nobody waits for it any more."""

    epoch: int
    data: bytes
    until: float
    recalled: Event = field(default_factory=Event)
    outcome: SimpleQueue[Outcome] = field(default_factory=SimpleQueue)


class Courier:
    """Takes the checkpoints of one attempt at a trial to the store, one at a time.

    interval: seconds between two of them.  Of a store that failed last it waits for nothing, and tries
    each checkpoint once.
    """

    def __init__(
        self,
        address: StoreAddress,
        number: int,
        attempt: int,
        interval: float,
        open_store: Callable[[StoreAddress], CheckpointStore] = StoreAddress.open,
    ) -> None:
        self._address = address
        self._number = number
        self._attempt = attempt
        self._patience = min(max(interval / 2, SHORTEST), LONGEST)
        self._open = open_store
        self._store: CheckpointStore | None = None
        self._errand: _Errand | None = None
        self._thread: Thread | None = None
        self._trusted = True

    def take(self, epoch: int, data: bytes) -> list[Outcome]:
        """Set out with a checkpoint; one that is still on its way is worthless now.  Returns what is known
        by then."""
        if self._errand:
            self._errand.recalled.set()
            self._errand = None
            self._trusted = False
        if self._is_busy():
            return [Undelivered(epoch, data, "an earlier checkpoint is still being written")]
        patience = self._patience if self._trusted else 0.0
        self._errand = _Errand(epoch, data, time.monotonic() + patience)
        self._thread = Thread(target=self._run, args=(self._errand,), daemon=True)
        self._thread.start()
        return self.news(min(patience, WAIT_SECONDS))

    def _is_busy(self) -> bool:
        if self._thread:
            self._thread.join(FIRST_DELAY)
        return self._thread is not None and self._thread.is_alive()

    def news(self, seconds: float = 0.0) -> list[Outcome]:
        """What came of the checkpoint on its way, once that is known; waits so long for it."""
        if self._errand is None:
            return []
        try:
            outcome = self._errand.outcome.get(seconds > 0, seconds)
        except Empty:
            return []
        self._errand = None
        self._trusted = isinstance(outcome, Delivered)
        return [outcome]

    def last(self) -> list[Outcome]:
        """The same of the last checkpoint; one that is not there soon is given back."""
        errand = self._errand
        found = self.news(WAIT_SECONDS)
        if errand is None or found:
            return found
        errand.recalled.set()
        self._errand = None
        return [Undelivered(errand.epoch, errand.data, "the store does not answer")]

    def _run(self, errand: _Errand) -> None:
        delay = FIRST_DELAY
        while True:
            try:
                errand.outcome.put(self._deliver(errand))
                return
            except FreHpoError as error:
                reason = str(error.facts.get("reason", error))
            if time.monotonic() + delay > errand.until or errand.recalled.wait(delay):
                errand.outcome.put(Undelivered(errand.epoch, errand.data, reason))
                return
            delay *= 2

    def _deliver(self, errand: _Errand) -> Delivered:
        if self._store is None:
            self._store = self._open(self._address)
        key = Stamp(self._attempt, errand.epoch).key(self._number)
        self._store.write(key, errand.data)
        return Delivered(errand.epoch, key)
