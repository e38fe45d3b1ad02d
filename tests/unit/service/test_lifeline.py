"""The coordinator's half of the line, in processes of its own: it ends them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

PRELUDE = """
import os, signal, sys, time
from dataclasses import replace
from fre_hpo.errors import ClusterLost, LockLost
from fre_hpo.scheduling.live import Live, RunningTrial
from fre_hpo.service.lifeline import Lifeline

line = Lifeline.inherited()
line.study = "cells"
live = Live("running", wanted=4, complete=1, failed=1, slots=1, elapsed=0.0, epochs=10)
"""


@contextmanager
def coordinator(program: str) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """A process with a line, and our end of it."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + program],
            env={**os.environ, "FRE_HPO_LIFELINE": str(theirs.fileno())},
            pass_fds=[theirs.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    ours.settimeout(20)
    try:
        with ours:
            yield process, ours
    finally:
        process.kill()
        process.communicate()


def messages(program: str) -> tuple[list[str], int]:
    """All that it said until its end, and what it returned."""
    with coordinator(program) as (process, line):
        parts = []
        while part := line.recv(4096):
            parts.append(part)
        return b"".join(parts).decode().splitlines(), process.wait(20)


def test_without_a_supervisor_there_is_no_line() -> None:
    from fre_hpo.service.lifeline import Lifeline

    assert Lifeline.inherited() is None


def test_when_the_supervisor_is_gone_it_ends_at_once() -> None:
    with coordinator("line.began()\ntime.sleep(60)") as (process, line):
        assert line.recv(100) == b"began cells\n"
        assert process.poll() is None
        line.close()
        assert process.wait(2) != 0


def test_lines_that_are_handed_down_are_told_whole() -> None:
    program = """
told = []
line.told = told.append
os.write(1, b"ready")
while len(told) < 2:
    time.sleep(0.01)
print(told, flush=True)
"""
    with coordinator(program) as (process, line):
        assert process.stdout is not None
        assert process.stdout.read(5) == b"ready"
        for part in (b"dashboard: ht", b"tp://x\nand", b" more\n"):
            line.send(part)
            time.sleep(0.05)
        assert process.stdout.readline() == b"['dashboard: http://x', 'and more']\n"


def test_what_it_starts_neither_finds_nor_holds_the_line() -> None:
    program = """
import subprocess
code = "import os, time; print('FRE_HPO_LIFELINE' in os.environ, flush=True); time.sleep(20)"
child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, close_fds=False)
copy = os.fork()
if copy == 0:
    time.sleep(20)
    os._exit(0)
print(child.stdout.readline().decode().strip(), child.pid, copy, flush=True)
line.end(0)
"""
    with coordinator(program) as (process, line):
        began = time.monotonic()
        assert line.recv(100) == b"verdict 0\n"
        assert line.recv(100) == b""
        assert time.monotonic() - began < 10
        assert process.stdout is not None
        found, *others = process.stdout.readline().split()
        for pid in others:
            os.kill(int(pid), signal.SIGKILL)
        assert found == b"False"


def test_it_says_what_is_done_at_most_once_a_second() -> None:
    said, code = messages("""
for epoch in range(200):
    line.moved(replace(live, running=(RunningTrial(2, 1, {}, epoch=epoch),)))
time.sleep(1.1)
line.moved(replace(live, running=(RunningTrial(2, 1, {}, 3), RunningTrial(3, 1, {}, 4))))
print("kept until the end")
line.end(6)
""")
    standing = 'standing {"complete": 1, "wanted": 4, "failed": 1, "best": null}'
    assert said == ["began cells", "done 20", standing, "done 27", "verdict 6"]
    assert code == 6


def test_it_says_how_far_the_search_is_whenever_that_changes() -> None:
    said, _ = messages("""
best = {"number": 1, "value": 0.5, "params": {"B": 3}}
line.moved(live)
time.sleep(1.1)
line.moved(replace(live, complete=2, best=best))
line.end(0)
""")
    told = [json.loads(s.removeprefix("standing ")) for s in said if s.startswith("standing ")]
    best = {"number": 1, "value": 0.5, "params": {"B": 3}}
    assert [t["best"] for t in told] == [None, best]
    assert [t["complete"] for t in told] == [1, 2]


@pytest.mark.parametrize(
    ("error", "began", "verdict"),
    [
        ("RuntimeError('cheese')", True, False),
        ("RuntimeError('cheese')", False, True),
        ("ClusterLost(reason='gone')", True, False),
        ("ClusterLost(reason='gone')", False, True),
        ("LockLost(study='cells')", True, True),
        ("KeyboardInterrupt()", True, True),
    ],
)
def test_only_what_may_go_better_another_time_is_a_crash(
    error: str, began: bool, verdict: bool
) -> None:
    said, code = messages(f"""
try:
    with line:
        {began} and line.began()
        raise {error}
except BaseException:
    line.end(5)
""")
    assert code == 5
    refused = [s for s in said if s.startswith("refused ")]
    assert len(refused) == (not began)
    assert [s for s in said if s not in refused] == ["began cells"] * began + [
        "verdict 5"
    ] * verdict


def test_it_says_in_one_line_why_a_search_did_not_begin() -> None:
    said, _ = messages("""
try:
    with line:
        raise RuntimeError("two\\nlines " + "of words " * 1000)
except RuntimeError:
    line.end(1)
""")
    assert said[0].startswith("refused two lines of words ")
    assert len(said[0]) < 2100
    assert said[1:] == ["verdict 1"]


def test_a_stopped_supervisor_does_not_hold_it_up() -> None:
    with coordinator(
        "line._line.settimeout(None)\nfor n in range(9999): line.progressed(n)\nprint(1)"
    ) as (
        process,
        _,
    ):
        output, _ = process.communicate(timeout=20)
        assert output == b"1\n"
