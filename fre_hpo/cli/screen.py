"""A terminal as a screen: lines at their places, keys, its size; left as it was found.

Only the lines that changed are written, so that nothing flickers and little goes over the wire.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

from rich.console import Console
from rich.text import Text

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The alternate screen, without cursor, without wrapping at the last column."""
LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
CLEAR = "\x1b[0m\x1b[2J"
ERASE = "\x1b[K"
"""To the end of the line."""
POLL_SECONDS = 0.1
QUIT_KEYS = frozenset(b"qQ\x03\x04")
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Screen:
    """The terminal on stdout while the block is entered.  ``left`` says that somebody wants it to end: by
    q, Ctrl-C, a signal or a terminal that was closed."""

    def __init__(self) -> None:
        self.left = False
        self._output = sys.stdout.fileno()
        self._input = sys.stdin.fileno() if sys.stdin and sys.stdin.isatty() else None
        self._console = Console(highlight=False, legacy_windows=False)
        self._shown: list[str] = []
        self._size = (0, 0)
        self._found: dict[int, Any] = {}
        self._modes: list[Any] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        with suppress(OSError):
            columns, lines = os.get_terminal_size(self._output)
            if columns and lines:
                return columns, lines
        return 80, 24

    def draw(self, lines: Sequence[Text]) -> None:
        """Show these lines from the top, and nothing else."""
        size = self.size
        changes = []
        if size != self._size:
            self._size, self._shown = size, []
            changes.append(CLEAR)
        wanted = [self._coded(line, size[0]) for line in lines[: size[1]]]
        for row in range(max(len(wanted), len(self._shown))):
            new = wanted[row] if row < len(wanted) else ""
            if row >= len(self._shown) or new != self._shown[row]:
                changes.append(f"\x1b[{row + 1};1H\x1b[0m{new or ERASE}")
        self._shown = wanted
        self._write("".join(changes))

    def _coded(self, line: Text, width: int) -> str:
        """With codes for colours, where the terminal has them; what stood behind it is erased, unless it
        is as wide as the screen: its own last character would be."""
        with self._console.capture() as captured:
            self._console.print(line, end="", soft_wrap=True)
        return f"{captured.get()}\x1b[0m{ERASE if line.cell_len < width else ''}"

    def wait(self, seconds: float) -> None:
        """Until so much time has passed, the size changed or somebody wants to leave."""
        end = time.monotonic() + seconds
        while not self.left and self.size == self._size and time.monotonic() < end:
            self._heed_keys(min(POLL_SECONDS, max(end - time.monotonic(), 0.0)))

    def _heed_keys(self, seconds: float) -> None:
        if self._input is None:
            time.sleep(seconds)
            return
        ready, _, _ = select.select([self._input], [], [], seconds)
        if ready:
            keys = os.read(self._input, 64)
            self.left |= not keys or not QUIT_KEYS.isdisjoint(keys)

    def _write(self, text: str) -> None:
        """All of it; a terminal that is gone is left."""
        rest = text.encode(errors="replace")
        try:
            while rest:
                rest = rest[os.write(self._output, rest) :]
        except OSError:
            self.left = True

    # --- entering and leaving -------------------------------------------------------------------

    def __enter__(self) -> Screen:
        sys.stdout.flush()
        for number in _ENDS:
            self._found[number] = signal.signal(number, self._leave)
        self._found[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._suspend)
        self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        for number, handler in self._found.items():
            signal.signal(number, handler)

    def _begin(self) -> None:
        if self._input is not None:
            self._modes = termios.tcgetattr(self._input)
            tty.setcbreak(self._input)
        self._size = (0, 0)
        self._write(ENTER)

    def _end(self) -> None:
        self._write(LEAVE)
        if self._input is not None and self._modes is not None:
            with suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._input, termios.TCSADRAIN, self._modes)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        self.left = True

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its screen back until ``fg``."""
        self._end()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._begin()
