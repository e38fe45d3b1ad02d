"""A dashboard beside a search: a process of its own that ends with the one that started it."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from fre_hpo.service.lifeline import LINE_VARIABLE
from fre_hpo.settings import STORAGE_VARIABLES

READY_SECONDS = 30.0
END_SECONDS = 5.0


class DashboardBeside:
    """As a block it stands around the search.

    command: `python -m fre_hpo dashboard ...`; what it writes to stderr goes where ours goes.  storage:
    its URL, handed over in the environment, where no list of processes shows a password.
    """

    def __init__(self, command: Sequence[str], storage: str) -> None:
        self._line, theirs = socket.socketpair()
        os.register_at_fork(after_in_child=self._line.close)  # no other child may hold the line
        with theirs:
            self._process = subprocess.Popen(
                list(command),
                env={
                    **os.environ,
                    STORAGE_VARIABLES[0]: storage,
                    LINE_VARIABLE: str(theirs.fileno()),
                },
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                start_new_session=True,  # the terminal's Ctrl-C is the search's
            )

    def url(self, seconds: float = READY_SECONDS) -> str | None:
        """Waits for the address, with its token; None where the dashboard ended or took too long."""
        assert self._process.stdout is not None
        end = time.monotonic() + seconds
        said = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not said.endswith(b"\n") and selector.select(max(0.0, end - time.monotonic())):
                part = os.read(self._process.stdout.fileno(), 4096)
                if not part:
                    break
                said += part
        return said.decode().strip() if said.endswith(b"\n") else None

    def close(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._line.close()  # which ends it at once, if it has not ended
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> DashboardBeside:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
