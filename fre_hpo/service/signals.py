"""Ctrl-C and SIGTERM: the first asks for an orderly stop, the second ends at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fre_hpo.trial import StopFlag

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals(stop: StopFlag) -> Iterator[None]:
    """Within this block the first signal raises the flag and the second KeyboardInterrupt.

    Entered after Ray was connected, which installs handlers of its own.  Does nothing outside the main
    thread, where Python allows no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.raised:
            raise KeyboardInterrupt
        stop.raise_()

    previous = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
