"""SIGTERM and Ctrl-C for what stands until it is told to end."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

LOOK_SECONDS = 0.25


@dataclass
class Signals:
    """How often this process was told to end, by SIGTERM or Ctrl-C."""

    count: int = 0

    @contextmanager
    def listening(self) -> Iterator[Signals]:
        numbers = (signal.SIGTERM, signal.SIGINT)
        previous = {number: signal.signal(number, self._hear) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.count += 1

    def sleep(self, seconds: float, most: int = 0) -> bool:
        """Sleep, unless there are more signals than ``most``; whether it slept to the end."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.count > most:
                return False
            time.sleep(min(left, LOOK_SECONDS))
        return self.count <= most
