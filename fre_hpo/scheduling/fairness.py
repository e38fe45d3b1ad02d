"""How searches on one cluster share it: each as much as the others, none waits for another's end.

Max-min fairness over fractions of the cluster, as a pure function that every coordinator computes for
itself from the same claims: nobody is in charge.  What cannot be divided goes round: the search that had
the least so far gets it, for a turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

TURN_SECONDS = 300.0
"""Slot-seconds of a turn.  A trial that makes room loses some seconds, its checkpoint's way and the start of
another process: about 2 % of a turn."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Claim:
    """What one search wants of a cluster.

    search: names its coordinator's run.  since: when it came, Unix time.  device: "cpu" and "cuda" are not
    shared with one another.  room: trials that it could train at once if it were alone.  demand: trials
    that it wants to train now, 0 while it is paused and nothing runs.  turns: how many it had since the
    last search came or went.
    """

    search: str
    since: float
    device: str
    room: int
    demand: int
    turns: int = 0

    @property
    def wish(self) -> float:
        """The fraction of the cluster that it has a use for."""
        return min(self.demand / self.room, 1.0) if self.room else 0.0

    def fraction(self, slots: int) -> float:
        return slots / self.room if self.room else 0.0


def fair_slots(claims: Iterable[Claim]) -> dict[str, int]:
    """search -> trials at once, for claims on the same device.  Every search that wants a slot gets one in
    its turn, and no slot stays empty while somebody wants it."""
    waiting = sorted(claims, key=lambda claim: claim.wish)
    slots: dict[str, int] = {}
    left = 1.0
    for position, claim in enumerate(waiting):
        fraction = min(claim.wish, left / (len(waiting) - position))
        slots[claim.search] = int(fraction * claim.room + _ROUNDING)
        left -= fraction
    return _deal_rest(slots, waiting)


def _deal_rest(slots: dict[str, int], claims: list[Claim]) -> dict[str, int]:
    """Whole slots out of what rounding left over."""
    used = sum(claim.fraction(slots[claim.search]) for claim in claims)
    in_turn = sorted(claims, key=lambda claim: (claim.turns, claim.since, claim.search))
    while True:
        fit = [
            claim
            for claim in in_turn
            if slots[claim.search] < min(claim.demand, claim.room)
            and used + claim.fraction(1) <= 1 + _ROUNDING
        ]
        if not fit:
            return slots
        first = min(fit, key=lambda claim: claim.fraction(slots[claim.search]))
        slots[first.search] += 1
        used += first.fraction(1)
