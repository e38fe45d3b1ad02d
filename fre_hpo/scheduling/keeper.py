"""Keeps a family of processes: starts one, and when it is over ends every process that came of it.

Run as ``python -m`` this module by whoever starts a Ray node.  Ray's own processes do not all end with the
one that started them, least of all after a kill -9: some go on for minutes, with their ports and memory.
The keeper loads nothing, holds nothing, and ends the family when

- its command has ended,
- the process that started it has ended, however: then the pipe on its stdin is closed, and the family's
  folder is of no use to anybody any more,
- it is told to, by ORDERLY on its stdin or SIGTERM.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from fre_hpo.scheduling.family import descendants

ORDERLY = b"end\n"
LOOK_SECONDS = 0.2
END_SECONDS = 6.0
"""So long the command has to end its family itself, after SIGTERM: a raylet that does tells its cluster."""
KILL_SECONDS = 10.0
_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36


def call(folder: Path, command: list[str]) -> list[str]:
    """The call of a keeper; folder: the family's."""
    return [sys.executable, "-P", "-m", __name__, str(folder), *command]


def main(folder: str, command: list[str]) -> int:
    """Returns the command's exit code, as a shell tells it."""
    _control(_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, _stop)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_end_with_keeper)
    alone = False
    with suppress(KeyboardInterrupt):
        alone = not _wait(process)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _end(process)
    if alone:
        shutil.rmtree(folder, ignore_errors=True)
    code = process.returncode
    return 128 - code if code < 0 else code


def _stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _end_with_keeper() -> None:
    """In the command's process: should the keeper itself be killed, the command does not outlive it."""
    _control(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _control(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _wait(process: subprocess.Popen[bytes]) -> bool:
    """Until the command has ended, or is to be; False if nobody is there any more who wants it."""
    while process.returncode is None:
        readable, _, _ = select.select([sys.stdin], [], [], LOOK_SECONDS)
        if readable:
            return bool(os.read(sys.stdin.fileno(), len(ORDERLY)))
        _reap(process)
    return True


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Collect all of the family that have ended, orphans too."""
    with suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == process.pid:
                process.poll()
            else:
                os.waitpid(ended.si_pid, 0)


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM for the command, and SIGKILL for all that are left."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    deadline = time.monotonic() + KILL_SECONDS
    while (family := descendants(os.getpid())) and time.monotonic() < deadline:
        for member in family:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        time.sleep(0.02)
        _reap(process)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
