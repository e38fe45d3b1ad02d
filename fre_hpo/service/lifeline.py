"""The coordinator's end of the line to its supervisor.

A coordinator never outlives its supervisor: when the line is cut, it ends at once.  Up the line go short
messages, from which the supervisor knows what to do when the coordinator is gone (``supervisor``); down
the line come lines to show to the user.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from fre_hpo.errors import EXIT_ERROR, ClusterLost, FreHpoError

if TYPE_CHECKING:
    from fre_hpo.scheduling.live import Live
    from fre_hpo.study.records import TrialRecord

LINE_VARIABLE = "FRE_HPO_LIFELINE"
"""Names the descriptor of the line, in a coordinator's environment."""
RESTARTS_VARIABLE = "FRE_HPO_RESTARTS"
"""How often a supervisor has restarted this coordinator after a crash; not set the first time."""
HELD_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Kept waiting while a coordinator's Python is loaded: none is lost, and none meets it half built."""
REPORT_SECONDS = 1.0
LONGEST_REASON = 2000


def replaces_a_crashed_one() -> bool:
    """Whether a supervisor has started this coordinator in the place of another."""
    return bool(os.environ.get(RESTARTS_VARIABLE))


def is_crash(error: BaseException | None) -> bool:
    """Whether an error that ended a search is one after which a supervisor starts it again."""
    expected = isinstance(error, FreHpoError) and not isinstance(error, ClusterLost)
    return isinstance(error, Exception) and not expected


class Lifeline:
    """The line of a supervised coordinator, which is also an observer of its search.

    As a block it stands around the search: from its beginning on signals are heeded, and it sees with
    which error the search ended.  told: gets each line that the supervisor hands down.
    """

    def __init__(self, line: socket.socket, study: str = "") -> None:
        self.study = study
        self.told: Callable[[str], None] = _pass_over
        self._line = line
        self._began = self._crashed = False
        self._reported = float("-inf")
        self._standing = ""
        os.register_at_fork(after_in_child=line.close)
        threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    @classmethod
    def inherited(cls) -> Lifeline | None:
        """The line that a supervisor left to this process; None where there is none.

        Called first of all: no process that is started from here may find or hold the line.
        """
        descriptor = os.environ.pop(LINE_VARIABLE, None)
        if descriptor is None:
            return None
        line = socket.socket(fileno=int(descriptor))
        line.set_inheritable(False)
        return cls(line)

    def _watch(self) -> None:
        with suppress(OSError):
            rest = b""
            while part := self._line.recv(4096):
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    with suppress(OSError, ValueError):  # nobody reads any more
                        self.told(line.decode())
        os._exit(EXIT_ERROR)

    # --- the messages ---------------------------------------------------------------------------

    def began(self) -> None:
        """The search runs; from here on an unexpected end is a crash."""
        self._began = True
        self._send(f"began {self.study}")

    def progressed(self, done: int) -> None:
        """So many epochs are done, over all trials."""
        self._send(f"done {done}")

    def stands(self, live: Live) -> None:
        """How far the search is, for what a supervisor may have to tell when the coordinator is gone."""
        facts = {name: getattr(live, name) for name in ("complete", "wanted", "failed", "best")}
        standing = json.dumps(facts)
        if standing != self._standing:
            self._standing = standing
            self._send(f"standing {standing}")

    def end(self, code: int) -> NoReturn:
        """End this process, with its exit code as the verdict unless it crashed.

        At once: the libraries' own ends have been known to hang when a cluster is gone.
        """
        if not self._crashed:
            self._send(f"verdict {code}")
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # its reader is gone
                stream.flush()
        os._exit(code)

    def _send(self, message: str) -> None:
        with suppress(
            OSError
        ):  # a supervisor that is gone ends us, a stopped one must not hold us up
            self._line.send(f"{message}\n".encode(), socket.MSG_DONTWAIT)

    # --- around the search ----------------------------------------------------------------------

    def __enter__(self) -> Lifeline:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._crashed = self._began and is_crash(error)
        if error is not None and not self._began:
            self._send(f"refused {' '.join(str(error).split())[:LONGEST_REASON]}")

    # --- the observer ---------------------------------------------------------------------------

    def say(self, sentence: str) -> None:
        pass

    def moved(self, live: Live) -> None:
        if not self._began:
            self.began()
        now = time.monotonic()
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now
            self.progressed(_epochs_done(live))
            self.stands(live)

    def trial_ended(self, trial: TrialRecord, live: Live) -> None:
        pass


def _pass_over(line: str) -> None:
    pass


def _epochs_done(live: Live) -> int:
    """A trial that ended counts with all its epochs, also when it failed: it is not tried again."""
    ended = live.complete + live.failed
    return ended * live.epochs + sum(trial.epoch for trial in live.running)
