"""``start --detach``: a supervisor in the background, with its log beside the study's other files."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fre_hpo.errors import EXIT_ERROR

BEGAN_VARIABLE = "FRE_HPO_BEGAN"
"""Names the descriptor of a pipe on which a supervisor in the background says that its search began."""
LOG = "search.log"


@dataclass(frozen=True)
class Background:
    """What became of it.  pid: the supervisor's.  code: None when the search runs, else with which exit
    code it ended before.  said: what it wrote to its log until then.  told: what it has to tell whoever
    started it, and no log."""

    pid: int
    code: int | None
    said: str
    told: str = ""


def detach(command: Sequence[str], folder: Path) -> Background:
    """Start a supervisor that the end of this terminal does not reach; returns when its search has begun
    or it has ended.  folder: the study's."""
    log = folder / LOG
    folder.mkdir(parents=True, exist_ok=True)
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as pipe, log.open("ab") as output:
        before = output.tell()
        process = _start(command, output.fileno(), theirs)
        os.close(theirs)
        try:
            began, told = pipe.read(1), pipe.read().decode()
            code = None if began else process.wait()
        except KeyboardInterrupt:
            process.terminate()
            raise
    said = log.read_bytes()[before:].decode(errors="replace")
    if code is not None:
        _remove_if_alone(log)
    code = EXIT_ERROR if code is not None and code < 0 else code
    return Background(process.pid, code, said, told)


def _start(command: Sequence[str], output: int, pipe: int) -> subprocess.Popen[bytes]:
    """In a session of its own, without a terminal, deaf to SIGHUP."""
    with _ignoring_hangups():
        return subprocess.Popen(
            command,
            env={**os.environ, BEGAN_VARIABLE: str(pipe)},
            pass_fds=[pipe],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


@contextmanager
def _ignoring_hangups() -> Iterator[None]:
    """A signal that is ignored when a process is started stays so in it."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)


def _remove_if_alone(log: Path) -> None:
    """A start that was refused leaves nothing behind."""
    if list(log.parent.iterdir()) == [log]:
        log.unlink()
        log.parent.rmdir()


class Announcement:
    """The background's half: says once that the search began."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        os.set_inheritable(pipe, False)

    @classmethod
    def inherited(cls) -> Announcement | None:
        """None in a process that was not detached."""
        pipe = os.environ.pop(BEGAN_VARIABLE, None)
        return None if pipe is None else cls(int(pipe))

    def make(self, told: str = "") -> None:
        with suppress(OSError):  # nobody waits any more
            os.write(self._pipe, b"!" + told.encode())
        os.close(self._pipe)
