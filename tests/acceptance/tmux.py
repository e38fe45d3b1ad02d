"""A terminal emulator, tmux: what somebody sees on it, its size changed, keys pressed."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from acceptance.terminal import UNSET
from needs import require_or_skip
from searching import command, environment

PROMPT = "ready>"


class Tmux:
    """A shell in a window of a tmux server of its own; when the block is left, all of it is gone."""

    def __init__(self, home: Path, columns: int, lines: int, **variables: str) -> None:
        require_or_skip(shutil.which("tmux"), "needs tmux")
        self._socket = f"fre-hpo-{os.getpid()}-{time.monotonic_ns()}"
        env = {
            k: v for k, v in environment(home).items() if k not in {*UNSET, "LC_ALL", "LC_CTYPE"}
        }
        shell = ["env", f"PS1={PROMPT}", "sh"]
        size = ["-x", str(columns), "-y", str(lines)]
        self._run(
            *("-f", "/dev/null", "new-session", "-d", *size, *shell),
            env={**env, "LANG": "C.UTF-8", **variables},
        )

    def _run(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        """UTF-8 as the terminal in front of it has it, whatever a program in it believes."""
        result = subprocess.run(
            ["tmux", "-u", "-L", self._socket, *arguments],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        return result.stdout

    def __enter__(self) -> Tmux:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run("kill-server")

    def type(self, *arguments: str, after: str = "") -> None:
        """Call the command line in it, and press Enter."""
        self._run("send-keys", "-l", " ".join([*command(*arguments), after]))
        self.press("Enter")

    def press(self, key: str) -> None:
        self._run("send-keys", key)

    def resize(self, columns: int, lines: int) -> None:
        self._run("resize-window", "-x", str(columns), "-y", str(lines))

    @property
    def lines(self) -> list[str]:
        """What is seen."""
        return self._run("capture-pane", "-p").rstrip("\n").split("\n")

    @property
    def coloured(self) -> str:
        """The same, with the codes of its colours."""
        return self._run("capture-pane", "-e", "-p")

    @property
    def on_alternate_screen(self) -> bool:
        return self._ask("alternate_on") == "1"

    @property
    def scrolled(self) -> int:
        """Lines that went out at the top."""
        return int(self._ask("history_size"))

    @property
    def cursor_is_shown(self) -> bool:
        return self._ask("cursor_flag") == "1"

    @property
    def pid(self) -> int:
        """The shell's."""
        return int(self._ask("pane_pid"))

    def _ask(self, what: str) -> str:
        return self._run("display-message", "-p", f"#{{{what}}}").strip()

    def wait_for(self, found: Callable[[list[str]], object], seconds: float = 60) -> list[str]:
        """What is seen, once it is as wanted."""
        end = time.monotonic() + seconds
        while True:
            lines = self.lines
            if found(lines):
                return lines
            assert time.monotonic() < end, "\n".join(lines)
            time.sleep(0.05)
