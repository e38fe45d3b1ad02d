"""The supervisor with coordinators of a few lines: what each of their ends leads to."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fre_hpo.errors import CoordinatorLost
from fre_hpo.service.supervisor import Said, Supervisor, Unsaid

COORDINATOR = """
import json, os, signal, socket, sys, time
from pathlib import Path

line = socket.socket(fileno=int(os.environ["FRE_HPO_LIFELINE"]))
folder = Path(sys.argv[1])
restarts = int(os.environ.get("FRE_HPO_RESTARTS", "0"))
signals = []

def note(number, frame):
    signals.append(number)

def send(message):
    line.send((message + "\\n").encode())

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def listen():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])

def wait(what, seconds=20):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.01)

with (folder / "started").open("a") as file:
    file.write(json.dumps([restarts, os.environ.get("FRE_HPO_FAULT")]) + "\\n")
"""
"""Its folder is where it writes that it was started."""


class Watched:
    """A supervisor, and what it told."""

    def __init__(
        self, folder: Path, program: str, delay: float = 0.0, handed_down: str = ""
    ) -> None:
        self.folder = folder
        self.handed_down = handed_down
        self.said: list[str] = []
        self.began = 0
        self.unsaid: list[Unsaid] = []
        command = [sys.executable, "-c", COORDINATOR + program, str(folder)]
        self._supervisor = Supervisor(
            command, self.said.append, self._begin, delay, ended=self.unsaid.append
        )

    def _begin(self, study: str) -> str:
        self.began += 1
        return self.handed_down and f"{self.handed_down} {study}"

    def run(self) -> int:
        return self._supervisor.run()

    @property
    def started(self) -> list[Any]:
        """Of every coordinator: how many were before it, and the fault point that it found."""
        file = self.folder / "started"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def meanwhile(when: Callable[[], object], do: Callable[[], object]) -> None:
    """Do something from another thread as soon as something is there."""

    def wait_and_do() -> None:
        end = time.monotonic() + 20
        while not when() and time.monotonic() < end:
            time.sleep(0.01)
        do()

    threading.Thread(target=wait_and_do, daemon=True).start()


def send_here(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)
        time.sleep(0.2)


def test_a_line_for_the_user_is_handed_to_the_coordinator(tmp_path: Path) -> None:
    program = (
        "send('began cells')\n(folder / 'told').write_bytes(line.recv(100))\nsend('verdict 0')"
    )
    watched = Watched(tmp_path, program, handed_down="seen at")
    assert watched.run() == 0
    assert (tmp_path / "told").read_text() == "seen at cells\n"


@pytest.mark.parametrize("code", [0, 3, 75, 130])
def test_a_verdict_is_the_exit_code_whatever_the_process_returns(code: int, tmp_path: Path) -> None:
    watched = Watched(tmp_path, f"send('began s'); send('verdict {code}'); die()")
    assert watched.run() == code
    assert watched.said == []
    assert watched.started == [[0, None]]
    assert watched.began == 1


@pytest.mark.parametrize(
    ("end", "reason"), [("die()", "killed by signal 9"), ("sys.exit(1)", "exit code 1")]
)
def test_without_a_verdict_it_is_started_again(end: str, reason: str, tmp_path: Path) -> None:
    program = f"send('began s')\nif restarts == 0: {end}\nsend('verdict 6')"
    watched = Watched(tmp_path, program)
    assert watched.run() == 6
    (sentence,) = watched.said
    assert sentence == (
        f"The coordinator ended unexpectedly ({reason}); it is started again, 1 of 5."
    )
    assert watched.started == [[0, None], [1, None]]
    assert watched.began == 1


def test_a_fault_is_for_the_first_coordinator_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRE_HPO_FAULT", "asked")
    monkeypatch.setenv("FRE_HPO_RESTARTS", "7")
    watched = Watched(tmp_path, "restarts < 2 and die()\nsend('verdict 0')")
    assert watched.run() == 0
    assert watched.started == [[0, "asked"], [1, None], [2, None]]


def test_after_five_restarts_in_vain_it_gives_up_and_says_what_to_do(tmp_path: Path) -> None:
    watched = Watched(tmp_path, "send('began cells'); send('done 7'); die()")
    with pytest.raises(CoordinatorLost) as raised:
        watched.run()
    assert [n for n, _ in watched.started] == [0, 1, 2, 3, 4, 5]
    assert [sentence.rpartition(", ")[2] for sentence in watched.said] == [
        f"{n} of 5." for n in range(1, 6)
    ]
    assert raised.value.exit_code == 1
    for words in ("6 times", "killed by signal 9", "`fre-hpo logs cells`"):
        assert words in str(raised.value)
    assert watched.began == 1


def test_progress_begins_the_count_anew(tmp_path: Path) -> None:
    """Only what goes beyond all that was done: repeating what a crash has undone is none."""
    done = {0: 3, 1: 2, 2: 3, 3: 4, 4: 1, 5: 9}
    program = f"send('began s'); send('done %s' % {done}.get(restarts, 9))\n"
    watched = Watched(tmp_path, program + "restarts < 9 and die()\nsend('verdict 0')")
    assert watched.run() == 0
    counts = [int(sentence.rpartition(", ")[2].split()[0]) for sentence in watched.said]
    assert counts == [1, 2, 3, 1, 2, 1, 2, 3, 4]


def test_restarts_wait_longer_and_longer(tmp_path: Path) -> None:
    watched = Watched(tmp_path, "restarts < 3 and die()\nsend('verdict 0')", delay=0.2)
    began = time.monotonic()
    assert watched.run() == 0
    assert time.monotonic() - began > 0.2 + 0.4 + 0.8


# --- signals ------------------------------------------------------------------------------------


def test_every_signal_is_handed_on_and_the_coordinator_decides(tmp_path: Path) -> None:
    program = "listen()\nsend('began s')\nwait(lambda: len(signals) == 3)\n"
    program += "send('verdict %d' % (75 if signals == [2, 15, 1] else 1))"
    watched = Watched(tmp_path, program)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    meanwhile(lambda: watched.began, lambda: send_here(*numbers))
    assert watched.run() == 75
    assert watched.said == []


def test_a_signal_that_comes_before_the_coordinator_listens_waits_for_it(tmp_path: Path) -> None:
    program = (
        "time.sleep(1)\nlisten()\nwait(lambda: signals)\nsend('verdict %d' % (70 + signals[0]))"
    )
    watched = Watched(tmp_path, program)
    meanwhile(lambda: watched.started, lambda: send_here(signal.SIGTERM))
    assert watched.run() == 85


@pytest.mark.parametrize(
    ("number", "began", "code"),
    [
        (signal.SIGINT, False, 130),
        (signal.SIGTERM, False, 75),
        (signal.SIGHUP, False, 75),
        (signal.SIGINT, True, 75),
    ],
)
def test_after_a_stop_nothing_is_started_again(
    number: int, began: bool, code: int, tmp_path: Path
) -> None:
    program = f"listen()\n{began} and send('began s')\nwait(lambda: signals)\ndie()"
    watched = Watched(tmp_path, program)
    meanwhile(lambda: watched.started, lambda: send_here(number))
    assert watched.run() == code
    assert len(watched.started) == 1
    (sentence,) = watched.said
    assert sentence.endswith("; the same command goes on from here.")


def test_a_stop_while_it_waits_to_restart_ends_it_at_once(tmp_path: Path) -> None:
    watched = Watched(tmp_path, "send('began s'); die()", delay=60)
    meanwhile(lambda: watched.said, lambda: send_here(signal.SIGINT))
    assert watched.run() == 75
    assert len(watched.started) == 1


def test_the_handlers_of_before_are_back_afterwards(tmp_path: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGCONT)
    before = [signal.getsignal(n) for n in numbers]
    assert Watched(tmp_path, "send('verdict 0')").run() == 0
    assert [signal.getsignal(n) for n in numbers] == before
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(numbers)


# --- what no coordinator can tell any more ------------------------------------------------------

STANDING = {"complete": 2, "wanted": 9, "failed": 1, "best": None}
BEGAN = f"send('began cells'); send('standing ' + json.dumps({STANDING!r}))\n"


def test_a_search_that_is_given_up_is_told_with_how_far_it_was(tmp_path: Path) -> None:
    watched = Watched(tmp_path, f"if restarts == 1:\n    {BEGAN}die()")
    with pytest.raises(CoordinatorLost) as raised:
        watched.run()
    assert watched.unsaid == [Unsaid("crashed", "cells", str(raised.value), STANDING)]


def test_a_coordinator_that_is_refused_after_a_crash_is_told(tmp_path: Path) -> None:
    refused = "send('refused The data is another.'); send('verdict 2')"
    watched = Watched(tmp_path, f"if restarts == 0:\n    {BEGAN}    die()\n{refused}")
    assert watched.run() == 2
    assert watched.unsaid == [Unsaid("crashed", "cells", "The data is another.", STANDING)]


@pytest.mark.parametrize(
    "program",
    [
        "send('refused No such key.'); send('verdict 2')",
        "send('began cells'); send('verdict 6')",
        "restarts or send('began cells') or die()\nsend('verdict 0')",
    ],
    ids=["refused at once", "told by the coordinator", "nothing was left to do"],
)
def test_what_needs_no_telling_is_not_told(program: str, tmp_path: Path) -> None:
    watched = Watched(tmp_path, program)
    watched.run()
    assert watched.unsaid == []


def test_a_stop_of_which_the_coordinator_could_not_tell(tmp_path: Path) -> None:
    watched = Watched(tmp_path, f"{BEGAN}listen(); wait(lambda: signals); die()")
    meanwhile(lambda: watched.began, lambda: send_here(signal.SIGTERM))
    assert watched.run() == 75
    (unsaid,) = watched.unsaid
    assert (unsaid.event, unsaid.study) == ("stopped", "cells")


def test_messages_may_come_in_pieces() -> None:
    said = Said()
    for part in (b"beg", b"an cells\ndo", b"ne 5\ndone 4\nver", b"dict 7", b"5\nverd"):
        said.hear(part)
    assert (said.began, said.study, said.done, said.verdict) == (True, "cells", 5, 75)
