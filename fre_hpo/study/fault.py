"""Fault points, for the tests that prove what a crash at the worst moment leaves behind.

``FRE_HPO_FAULT=asked`` kills the coordinator the first time that it comes by that point, as a loss of
power would; ``asked:3`` the third time; ``asked:3:halt`` halts it there until somebody continues it, as a
machine that is suspended.  Nobody sets it outside the tests.
"""

import os
import signal
from collections import Counter

VARIABLE = "FRE_HPO_FAULT"
_passed: Counter[str] = Counter()


def point(name: str) -> None:
    """Die or halt here if the environment asks for it."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    place, count, what = [*wanted.split(":"), "", ""][:3]
    _passed[name] += 1
    if place == name and _passed[name] == int(count or 1):
        os.kill(os.getpid(), signal.SIGSTOP if what == "halt" else signal.SIGKILL)
