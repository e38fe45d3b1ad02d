"""A terminal of 80 x 24: what a command wrote on it, keys pressed, its window closed."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from searching import command, environment

UNSET = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"}
ON_IT = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes the terminal that it was given the one that controls the command: its keys are signals then."""
CTRL_C = b"\x03"
HIDES, SHOWS = "\x1b[?25l", "\x1b[?25h"
"""What hides the cursor, and what shows it."""


class Terminal:
    """A command on a terminal of its own; when the block is left, the command is dead."""

    def __init__(self, *arguments: str, home: Path, **variables: str) -> None:
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.set_blocking(self._ours, False)
        env = {k: v for k, v in environment(home).items() if k not in UNSET}
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_IT, *command(*arguments)],
            env={**env, "TERM": "xterm-256color", **variables},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._received = bytearray()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        self.close()

    @property
    def screen(self) -> str:
        """All that was written so far."""
        try:
            while part := os.read(self._ours, 65536):
                self._received += part
        except OSError:  # nothing more now, or nobody is on it any more
            pass
        return self._received.decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        """What was written, without colours and movements of the cursor."""
        return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", self.screen).splitlines()

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def wait_for(self, found: Callable[[], object], seconds: float = 60) -> None:
        """Wait, and read meanwhile, as a terminal does."""
        end = time.monotonic() + seconds
        while not found():
            assert time.monotonic() < end, self.screen
            assert self.screen is not None
            time.sleep(0.02)

    def end(self, seconds: float = 60) -> int:
        """The exit code, once there is one."""
        self.wait_for(lambda: self.process.poll() is not None, seconds)
        return self.process.wait()

    def close(self) -> None:
        """Close the window; the command goes on, or not."""
        if self._ours >= 0:
            assert self.screen is not None
            os.close(self._ours)
            self._ours = -1
