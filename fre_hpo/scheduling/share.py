"""What one search gets of a cluster that others search on, too."""

from __future__ import annotations

import time
import uuid

from fre_hpo.scheduling.fairness import TURN_SECONDS, Claim, fair_slots


class Share:
    """slots: trials at once; None while the search is alone."""

    def __init__(self) -> None:
        self.search = uuid.uuid4().hex
        self.slots: int | None = None
        self._since = time.time()
        self._others: frozenset[str] = frozenset()
        self._served = 0.0
        self._asked = time.monotonic()

    def claim(self, device: str, room: int, demand: int, running: int) -> Claim:
        """What the others are told.  To be called every second or so."""
        now = time.monotonic()
        self._served += running * (now - self._asked)
        self._asked = now
        turns = int(self._served / TURN_SECONDS)
        return Claim(self.search, self._since, device, room, demand, turns)

    def of(self, claim: Claim, others: tuple[Claim, ...], news: list[str]) -> int:
        """Trials at once.  Turns are counted from when the last search came or went."""
        rivals = [other for other in others if other.device == claim.device]
        names = frozenset(rival.search for rival in rivals)
        if names != self._others:
            self._others, self._served = names, 0.0
            news.append(_sharing(len(names)))
        if not rivals:
            self.slots = None
            return claim.room
        self.slots = fair_slots([claim, *rivals])[self.search]
        return self.slots


def _sharing(others: int) -> str:
    if not others:
        return "No other search is on the cluster any more."
    searches = "Another search" if others == 1 else f"{others} other searches"
    return f"{searches} on this cluster: it is shared equally."
