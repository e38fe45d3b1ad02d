"""What keeps a search from going on for a while: a storage or a checkpoint store out of reach, a disk that
is full."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fre_hpo.errors import DiskFull, FreHpoError, StorageUnreachable, StoreUnreachable

FIRST_DELAY, LONGEST_DELAY = 0.5, 5.0
STOPPING_SECONDS = 10.0
"""How long a search that is to stop still waits for the obstacle to go away."""


@dataclass(frozen=True)
class Obstacle:
    """error: what was met last.  since: when it was met first.  delay: seconds until the next try,
    at ``next_try``."""

    error: FreHpoError
    since: float
    next_try: float
    delay: float = FIRST_DELAY

    @classmethod
    def met(cls, error: FreHpoError, now: float) -> Obstacle:
        return cls(error, now, now + FIRST_DELAY)

    def again(self, error: FreHpoError, now: float) -> Obstacle:
        delay = min(self.delay * 2, LONGEST_DELAY)
        return replace(self, error=error, next_try=now + delay, delay=delay)

    def is_hopeless(self, now: float, patience: float) -> bool:
        """Whether to give up: what is out of reach is waited for so many seconds, a full disk for ever."""
        is_waited_for = isinstance(self.error, StorageUnreachable | StoreUnreachable)
        return is_waited_for and now - self.since > patience

    @property
    def event(self) -> str:
        """What the log calls it."""
        if isinstance(self.error, DiskFull):
            return "disk_full"
        return "store_lost" if isinstance(self.error, StoreUnreachable) else "storage_lost"

    def sentence(self, patience: float) -> str:
        if isinstance(self.error, DiskFull):
            return f"{self.error.facts['path']}: the disk is full. {_WAITING} until there is space."
        reason = self.error.facts.get("reason", self.error)
        if isinstance(self.error, StoreUnreachable):
            return f"The checkpoint store cannot be reached ({reason}). {_UNREAD} for up to {patience:g} s."
        return f"The storage cannot be reached ({reason}). {_WAITING} for up to {patience:g} s."

    def end_sentence(self, seconds: int) -> str:
        if isinstance(self.error, StoreUnreachable):
            return f"The checkpoint store is there again, {seconds} s later; the search goes on."
        return f"All that had waited is written, {seconds} s later; nothing was lost."


_UNREAD = "Training goes on, and the trial that is to go on from a checkpoint waits for it"
_WAITING = "Training goes on, nothing new is begun, and what comes of it waits in memory"
