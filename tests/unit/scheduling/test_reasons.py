"""Why a node ended, in a few words, from what Ray 2.60 wrote."""

from __future__ import annotations

import pytest

from fre_hpo.scheduling.reasons import LOST_SIGHT, reason

KILLED = """\
2026-11-23 15:33:30 ERR scripts.py:1307 -- \x1b[31mSome Ray subprocesses exited unexpectedly:\x1b[39m
2026-11-23 15:33:30 ERR scripts.py:87 -- \x1b[31m\x1b[1mraylet\x1b[22m\x1b[0m\x1b[2m [exit code=-9]\x1b[22m
"""
CUT_OFF = """\
2026-11-23 16:02:29,909 ERR scripts.py:87 -- \x1b[1mraylet\x1b[22m\x1b[2m [exit code=1]\x1b[22m\x1b[0m
[2026-11-23 16:02:29,737 C 21121 21121] (raylet) node_manager.cc:519: GCS consider this node to be dead.
"""
ANEW = """\
2026-11-23 15:33:30,437 ERR scripts.py:87 -- raylet [exit code=1]
[2026-11-23 15:33:30,066 C 22738 22738] (raylet) node_manager.cc:524: GCS returned an authentication error.
"""
WRONG = """\
Traceback (most recent call last):
  File "scripts.py", line 923, in start
    ray_params = ray._private.parameter.RayParams(
ValueError: ray_client_server_port must be an integer between 1024 and 65535.
"""


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (KILLED, "its raylet was killed"),
        (KILLED.replace("-9", "1"), "its raylet ended with 1"),
        (CUT_OFF, LOST_SIGHT),
        (ANEW, "the head was started anew"),
        (WRONG, "ray_client_server_port must be an integer between 1024 and 65535"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("Ray runtime started.", None),
        ("", None),
    ],
)
def test_the_log_tells_the_reason(log: str, words: str | None) -> None:
    assert reason(log) == words


def test_a_long_error_is_cut() -> None:
    found = reason("ray.exceptions.RaySystemError: " + "very " * 100)
    assert found is not None
    assert len(found) <= 200
