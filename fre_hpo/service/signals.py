"""Ctrl-C, SIGTERM and a closed terminal: the first asks for an orderly stop, the second ends at once."""

import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from fre_hpo.trial import StopFlag

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ECHO_SECONDS = 0.5
"""A second signal so soon after the first is the same wish once more: what ends a whole group of
processes (systemd, Slurm) reaches the coordinator by itself and through its supervisor."""


@contextmanager
def stop_on_signals(stop: StopFlag) -> Iterator[None]:
    """Within this block the first signal raises the flag and the second KeyboardInterrupt.

    Entered after Ray was connected, which installs handlers of its own.  Does nothing outside the main
    thread, where Python allows no handlers.  A SIGHUP that is ignored stays so (nohup, --detach).
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first = float("inf")

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if number == signal.SIGHUP:
            _leave_terminal()
        if time.monotonic() - first > ECHO_SECONDS:
            raise KeyboardInterrupt
        first = min(first, time.monotonic())
        stop.raise_()

    handled = [n for n in _SIGNALS if n != signal.SIGHUP or not _ignored(n)]
    previous = {number: signal.signal(number, handle) for number in handled}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _ignored(number: int) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


def _leave_terminal() -> None:
    """A closed terminal answers every write with an error: what is printed from here on goes nowhere.
    A file or a pipe is kept."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        with suppress(OSError):  # it was closed from the start
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                os.dup2(nowhere, descriptor)
    os.close(nowhere)
