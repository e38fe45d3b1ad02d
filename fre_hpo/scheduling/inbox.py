"""What arrived from the workers and is not written down yet."""

from __future__ import annotations

from collections import deque

from fre_hpo.scheduling.executor import Arrival
from fre_hpo.trial import Checkpoint

MEMORY = 1 << 30
"""Bytes of checkpoints that wait, at most, besides the newest of each trial.  In their order they keep an
outage that ends in a crash from costing more than an epoch."""


class Inbox:
    """Arrivals in their order.  Where checkpoints take too much memory, those go that a newer one of
    their attempt makes worthless."""

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        self._arrivals: deque[Arrival] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._arrivals)

    @property
    def first(self) -> Arrival:
        return self._arrivals[0]

    def add(self, arrival: Arrival) -> None:
        self._arrivals.append(arrival)
        self._size += _size(arrival)
        if self._size > self._memory:
            self._drop_older()

    def drop_first(self) -> None:
        self._size -= _size(self._arrivals.popleft())

    def _drop_older(self) -> None:
        newest = {_attempt(a): a for a in self._arrivals if _size(a)}
        kept = [a for a in self._arrivals if not _size(a) or newest[_attempt(a)] is a]
        self._arrivals = deque(kept)
        self._size = sum(map(_size, kept))


def _attempt(arrival: Arrival) -> tuple[int, int]:
    return arrival.number, arrival.attempt


def _size(arrival: Arrival) -> int:
    content = arrival.content
    return len(content.data) if isinstance(content, Checkpoint) else 0
