"""The parent of a coordinator: restarts it after a crash, hands signals on, gives the exit code.

It loads nothing heavy and holds nothing, so that it stays when memory runs out and when Ray ends its
driver.  A coordinator says up its line (``lifeline``) that its search began, how much is done, and its
verdict, which is the exit code that it means.  One that ends without a verdict crashed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from fre_hpo.errors import EXIT_INTERRUPTED, EXIT_STOPPED, CoordinatorLost
from fre_hpo.service.lifeline import HELD_SIGNALS, LINE_VARIABLE, RESTARTS_VARIABLE
from fre_hpo.study.fault import VARIABLE as FAULT_VARIABLE

RESTARTS = 5
"""So often a coordinator is restarted without having got any further in between."""
FIRST_DELAY = 1.0
"""Seconds before the first restart; each further one without progress waits twice as long."""
_TIDY_TERMINAL = "\r\x1b[2K\x1b[?25h"
"""Clears the line that a killed coordinator was drawing, and shows the cursor that it had hidden."""


@dataclass
class Said:
    """What a coordinator said up its line.  done: the most epochs that were.  refused: why its search
    did not begin."""

    began: bool = False
    study: str = ""
    done: int = 0
    standing: dict[str, Any] | None = None
    refused: str = ""
    verdict: int | None = None
    _rest: bytes = field(default=b"", repr=False)

    def hear(self, part: bytes) -> None:
        """Take in what came; a message that is not whole yet waits for its rest."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        for line in lines:
            word, _, value = line.decode().partition(" ")
            match word:
                case "began":
                    self.began, self.study = True, value
                case "done":
                    self.done = max(self.done, int(value))
                case "standing":
                    self.standing = json.loads(value)
                case "refused":
                    self.refused = value
                case "verdict":
                    self.verdict = int(value)


@dataclass(frozen=True)
class Unsaid:
    """The end of a search of which no coordinator can tell any more.  event: crashed or stopped.
    standing: how far it was, as ``Lifeline.stands`` tells it."""

    event: str
    study: str
    sentence: str
    standing: dict[str, Any]


class Supervisor:
    """command: starts a coordinator.  say: tells a sentence to the user.  began: called once with the
    study's name, when the search runs; a line that it returns goes to the coordinator, which alone draws
    on the terminal then.  ended: called when it ended and its coordinator cannot tell."""

    def __init__(
        self,
        command: Sequence[str],
        say: Callable[[str], None],
        began: Callable[[str], str] = lambda study: "",
        first_delay: float = FIRST_DELAY,
        ended: Callable[[Unsaid], None] = lambda unsaid: None,
    ) -> None:
        self._command = list(command)
        self._tell = say
        self._announce = began
        self._first_delay = first_delay
        self._ended = ended
        self._coordinator: subprocess.Popen[bytes] | None = None
        self._stops: list[int] = []
        self._study = ""
        self._standing: dict[str, Any] = {}
        self._done = 0
        self._restarts = self._in_vain = 0

    def run(self) -> int:
        """The exit code of the search, through all crashes; raises CoordinatorLost after too many."""
        with self._handling_signals():
            while True:
                said = self._attend()
                if said.verdict is not None:
                    if said.verdict and not said.began:
                        self._tell_end(said.refused)
                    return said.verdict
                _tidy_terminal()
                reason = self._reason()
                if self._stops:
                    return self._stopped(
                        f"The coordinator ended before it could say how ({reason})"
                    )
                self._count(said, reason)
                self._say(
                    f"The coordinator ended unexpectedly ({reason}); it is started again, "
                    f"{self._in_vain} of {RESTARTS}."
                )
                self._wait(self._first_delay * 2 ** (self._in_vain - 1))
                if self._stops:
                    return self._stopped("The search was ended before it was started again")

    # --- one coordinator ------------------------------------------------------------------------

    def _attend(self) -> Said:
        """Start a coordinator and listen until it has ended."""
        said = Said()
        with self._launch() as line:
            while part := line.recv(4096):
                said.hear(part)
                self._standing = said.standing or self._standing
                if said.began and not self._study:
                    self._study = said.study
                    self._hand_down(line, self._announce(said.study))
        assert self._coordinator is not None
        self._coordinator.wait()
        return said

    def _hand_down(self, line: socket.socket, words: str) -> None:
        if words:
            with suppress(OSError):  # it has just ended
                line.send(f"{words}\n".encode(), socket.MSG_DONTWAIT)

    def _launch(self) -> socket.socket:
        """Start a coordinator, in a session of its own, so that the terminal's signals come through here
        alone.  Returns our end of its line, which ends when it does."""
        ours, theirs = socket.socketpair()
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)  # inherited, see HELD_SIGNALS
        try:
            with theirs:
                self._coordinator = subprocess.Popen(
                    self._command,
                    env=self._environment(theirs),
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
        return ours

    def _environment(self, line: socket.socket) -> dict[str, str]:
        environment = {**os.environ, LINE_VARIABLE: str(line.fileno())}
        environment.pop(RESTARTS_VARIABLE, None)
        if self._restarts:
            environment[RESTARTS_VARIABLE] = str(self._restarts)
            environment.pop(FAULT_VARIABLE, None)
        return environment

    def _reason(self) -> str:
        assert self._coordinator is not None
        code = self._coordinator.returncode
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    # --- crashes --------------------------------------------------------------------------------

    def _count(self, said: Said, reason: str) -> None:
        """Progress is what goes beyond all that any coordinator had done: one that only repeats what a
        crash has undone gets no further."""
        if said.done > self._done:
            self._done, self._in_vain = said.done, 0
        if self._in_vain == RESTARTS:
            name = self._study
            hint = f"`fre-hpo logs {name}` shows what came before" if name else "--debug shows more"
            lost = CoordinatorLost(reason=reason, times=self._in_vain + 1, hint=hint)
            self._tell_end(str(lost))
            raise lost
        self._restarts += 1
        self._in_vain += 1

    def _wait(self, seconds: float) -> None:
        """Sleep, but not through a signal."""
        end = time.monotonic() + seconds
        while not self._stops and time.monotonic() < end:
            time.sleep(0.05)

    def _stopped(self, what: str) -> int:
        self._say(f"{what}; the same command goes on from here.")
        self._tell_end(f"{what}.")
        began = bool(self._study)
        return EXIT_INTERRUPTED if self._stops[-1] == signal.SIGINT and not began else EXIT_STOPPED

    def _tell_end(self, sentence: str) -> None:
        """Of a search that had begun; one that was refused at once has nobody waiting for it."""
        if self._study:
            event = "stopped" if self._stops else "crashed"
            self._ended(Unsaid(event, self._study, sentence, self._standing))

    def _say(self, sentence: str) -> None:
        with suppress(OSError):  # nobody reads any more
            self._tell(sentence)

    # --- signals --------------------------------------------------------------------------------

    @contextmanager
    def _handling_signals(self) -> Iterator[None]:
        """One that was ignored from the start stays so: SIGHUP under nohup and with --detach."""
        handlers = {
            signal.SIGINT: self._hand_on,
            signal.SIGTERM: self._hand_on,
            signal.SIGHUP: self._hand_on,
            signal.SIGTSTP: self._suspend,
            signal.SIGCONT: self._resume,
        }
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            del handlers[signal.SIGHUP]
        previous = {number: signal.signal(number, handlers[number]) for number in handlers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _hand_on(self, number: int, frame: FrameType | None) -> None:
        self._stops.append(number)
        self._send(number)

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        self._send(signal.SIGSTOP)
        _tidy_terminal()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _resume(self, number: int, frame: FrameType | None) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: int) -> None:
        if self._coordinator is not None:
            self._coordinator.send_signal(number)


def _tidy_terminal() -> None:
    with suppress(OSError):
        if sys.stderr.isatty():
            sys.stderr.write(_TIDY_TERMINAL)
            sys.stderr.flush()
