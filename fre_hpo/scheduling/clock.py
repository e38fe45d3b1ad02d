"""Time as the coordinator sees it; tests give it a clock of their own."""

import time


class Clock:
    """Seconds that only go forward, also while the process is halted."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
