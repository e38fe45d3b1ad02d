"""Replies that several viewers ask for at once are made once, and kept for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

KEPT_SECONDS = 1.0
WAIT_SECONDS = 15.0
"""After so long nobody waits for another one's answer any more."""
MOST = 64


class Flight(Generic[T]):
    """A value in the making, or made."""

    def __init__(self) -> None:
        self.value: T | None = None
        self.error: BaseException | None = None
        self.made_at: float | None = None
        self._landed = threading.Event()

    def land(self, at: float) -> None:
        self.made_at = at
        self._landed.set()

    def result(self, seconds: float) -> T | None:
        """Waits; None when it took longer.  Raises what the making raised."""
        self._landed.wait(seconds)
        if self.error is not None:
            raise self.error
        return self.value


class MomentCache(Generic[T]):
    """seconds: how long a value is given again after it was made."""

    def __init__(
        self,
        seconds: float = KEPT_SECONDS,
        wait: float = WAIT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._wait = wait
        self._clock = clock
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Flight[T]] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T | None:
        """The value of a key; whoever comes while it is made waits for it, and for its error.  None
        when that took too long."""
        flight, ours = self._board(key)
        if not ours:
            return flight.result(self._wait)
        try:
            flight.value = make()
        except BaseException as error:
            flight.error = error
            self._drop(key, flight)
            raise
        finally:
            flight.land(self._clock())
        return flight.value

    def forget(self) -> None:
        """What is asked for from now on is made anew, also where it is just being made."""
        with self._lock:
            self._flights.clear()

    def _board(self, key: Hashable) -> tuple[Flight[T], bool]:
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and not self._is_old(flight):
                return flight, False
            if len(self._flights) >= MOST:
                self._flights = {k: f for k, f in self._flights.items() if not self._is_old(f)}
            self._flights[key] = flight = Flight()
            return flight, True

    def _is_old(self, flight: Flight[T]) -> bool:
        return flight.made_at is not None and self._clock() - flight.made_at >= self._seconds

    def _drop(self, key: Hashable, flight: Flight[T]) -> None:
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
