"""A keeper ends all that came of its command, however it and its parent come to their ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from fre_hpo.scheduling import keeper
from fre_hpo.scheduling.family import command, descendants, is_alive

SLEEPER = "import time; time.sleep(600)"
FAMILY = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}])
orphan = subprocess.Popen(
    [sys.executable, "-c",
     "import subprocess, sys;"
     "subprocess.Popen([sys.executable, '-c', {SLEEPER!r}], start_new_session=True)"]
)
orphan.wait()
print("ready", flush=True)
"""


class Kept:
    """A keeper of a command with a child, and of an orphan that went into a session of its own."""

    def __init__(self, folder: Path, ending: str) -> None:
        self.process = subprocess.Popen(
            keeper.call(folder, [sys.executable, "-c", FAMILY + ending]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == b"ready\n"
        self.family = descendants(self.process.pid)

    def close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def ended(self) -> bool:
        """Whether all of the family end now."""
        end = time.monotonic() + 20
        while any(map(is_alive, self.family)) and time.monotonic() < end:
            time.sleep(0.02)
        return not any(map(is_alive, self.family))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "family"
    path.mkdir()
    return path


@pytest.fixture
def kept(folder: Path) -> Iterator[Kept]:
    found = Kept(folder, "time.sleep(600)")
    family = list(found.family)
    yield found
    found.process.kill()
    for pid in family:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()
    found.close()


def test_the_family_is_known_even_after_a_session_of_its_own(kept: Kept) -> None:
    assert len(kept.family) == 3
    assert all(SLEEPER in command(pid)[-1] for pid in kept.family[1:])


def test_told_to_end_it_ends_the_family_and_leaves_the_folder(kept: Kept, folder: Path) -> None:
    assert kept.process.stdin
    kept.process.stdin.write(keeper.ORDERLY)
    kept.process.stdin.close()
    assert kept.ended()
    assert kept.process.wait(20) == 128 + signal.SIGTERM
    assert folder.exists()


def test_sigterm_ends_the_family(kept: Kept, folder: Path) -> None:
    kept.process.terminate()
    assert kept.ended()
    assert kept.process.wait(20) == 128 + signal.SIGTERM
    assert folder.exists()


def test_when_its_parent_is_gone_it_removes_the_folder_too(kept: Kept, folder: Path) -> None:
    assert kept.process.stdin
    kept.process.stdin.close()
    assert kept.ended()
    kept.process.wait(20)
    assert not folder.exists()


def test_a_killed_keeper_takes_its_command_along(kept: Kept) -> None:
    kept.process.kill()
    kept.process.wait()
    kept.family = kept.family[:1]
    assert kept.ended()


def test_when_the_command_ends_so_do_its_orphans(folder: Path) -> None:
    found = Kept(folder, "sys.exit(7)")
    assert found.process.wait(20) == 7
    assert found.ended()
    found.close()


IMPATIENT = "import sys; from fre_hpo.scheduling import keeper; keeper.END_SECONDS = 0.2; "


def test_a_command_that_ignores_sigterm_is_killed(folder: Path) -> None:
    """In a process of its own: a keeper ends all that came of its process."""
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('ready', flush=True); time.sleep(600)"
    )
    keep = f"sys.exit(keeper.main({str(folder)!r}, [sys.executable, '-c', {stubborn!r}]))"
    found = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT + keep],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert found.stdout
    assert found.stdin
    assert found.stdout.readline() == b"ready\n"
    family = descendants(found.pid)
    found.stdin.write(keeper.ORDERLY)
    found.communicate(timeout=20)
    assert found.returncode == 128 + signal.SIGKILL
    assert not any(map(is_alive, family))
