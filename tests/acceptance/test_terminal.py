"""What a terminal shows while a search runs."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import termios
from contextlib import closing, suppress
from io import FileIO
from pathlib import Path

import pytest

from acceptance.processes import start_flags
from searching import command, environment

COLOUR = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")
"""A code that sets a colour; bold and dim are none."""


def on_a_terminal(*arguments: str, home: Path, **variables: str) -> tuple[int, str]:
    """Exit code and everything that a terminal of 80 x 24 received."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    variables = {"TERM": "xterm-256color", **variables}
    unset = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"}
    env = {k: v for k, v in environment(home).items() if k not in unset}
    process = subprocess.Popen(
        command(*arguments), env={**env, **variables}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    received = bytearray()
    with closing(FileIO(ours)) as screen, suppress(OSError):  # EIO: the other end was closed
        while part := screen.read(65536):
            received += part
    return process.wait(), received.decode()


def test_a_bar_the_running_trials_and_a_line_for_each_that_ended(home: Path) -> None:
    flags = start_flags("--trials", "2", longer=True)
    code, screen = on_a_terminal(*flags, home=home, NO_COLOR="1")
    assert code == 0, screen
    assert "━" in screen
    assert "/2 trials  1 running" in screen
    assert re.search(r"  trial 1  B=\d+, X=[\d.]+  epoch \d+/16  best mIoU 0\.\d{4}", screen)
    assert " left" in screen
    assert not COLOUR.search(screen)
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", screen)
    ended = [line for line in plain.splitlines() if re.match(r"trial \d .*mIoU", line)]
    assert len(ended) == 2
    assert all(len(line) <= 80 for line in ended)


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}], ids=["colour", "no colour"])
def test_an_error_is_red_unless_no_color_is_set(variables: dict[str, str], home: Path) -> None:
    code, screen = on_a_terminal("status", "nothing", home=home, **variables)
    assert code == 4
    assert "Error:" in screen
    assert bool(COLOUR.search(screen)) is not bool(variables)
