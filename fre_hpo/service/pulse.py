"""Whether the coordinator of a study that is watched still lives.

It may run on a machine whose clock shows another time: then only a change in what it publishes is a sign
of life.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from fre_hpo.scheduling.live import ALIVE, PUBLISH_SECONDS, STALE_SECONDS, Live

LOOK_SECONDS = 3 * PUBLISH_SECONDS
"""So long a coordinator elsewhere that seems to be silent is looked at, as the clocks may differ."""
LONGEST_DIFFERENCE = 86_400.0
"""Clocks that differ by more than a day are not expected."""
SKEW_SECONDS = 5.0
"""A smaller difference of clocks is not told from the way of what is published."""


class Pulse:
    """What a watcher has seen of a coordinator.  clock: seconds that only go forward; wall: Unix time."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._first = clock()
        self._age = 0.0
        self._beaten = False
        self._last = self._first
        self._live: Live | None = None
        self._skew = 0.0

    def see(self, live: Live | None) -> None:
        """What is published now."""
        if live is None or (self._live is not None and live.time == self._live.time):
            return
        if self._live is None:
            self._age = max(self._wall() - live.time, 0.0)
        else:
            self._beaten = True
            self._skew = self._wall() - live.time
        self._live, self._last = live, self._clock()

    def was_out_of_sight(self) -> None:
        """Nothing could be read for a while: what was silent then may not have been."""
        self._last, self._age = self._clock(), 0.0

    @property
    def silence(self) -> float:
        """Seconds since the last sign of life, as far as is known; never negative."""
        return self._clock() - self._last + (0.0 if self._beaten else self._age)

    @property
    def age(self) -> float:
        """Seconds since what is shown was published."""
        return self._clock() - self._last

    @property
    def skew(self) -> float:
        """What is to be added to the coordinator's times to have them on the clock here."""
        return self._skew if abs(self._skew) > SKEW_SECONDS else 0.0

    @property
    def beats(self) -> bool:
        """Whether the coordinator runs."""
        live = self._live
        if live is None or live.state not in ALIVE:
            return False
        return live.coordinator_alive() if self._is_here(live) else self.silence < STALE_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good: it says so, or has been gone for longer than its supervisor needs
        to start it again."""
        live = self._live
        if live is not None and live.state not in ALIVE:
            return True
        if self.beats or self.silence < STALE_SECONDS:
            return False
        looked = self._clock() - self._first >= LOOK_SECONDS
        return live is None or self._is_here(live) or looked or self._age > LONGEST_DIFFERENCE

    @staticmethod
    def _is_here(live: Live) -> bool:
        return live.host == socket.gethostname()
