"""Fault points, for the tests that prove what a crash at the worst moment leaves behind.

``FRE_HPO_FAULT=asked`` kills the coordinator the first time that it comes by that point, as a loss of
power would; ``asked:3`` the third time.  Nobody sets it outside the tests.
"""

import os
import signal
from collections import Counter

VARIABLE = "FRE_HPO_FAULT"
_passed: Counter[str] = Counter()


def point(name: str) -> None:
    """Die here if the environment asks for it."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    place, _, count = wanted.partition(":")
    _passed[name] += 1
    if place == name and _passed[name] == int(count or 1):
        os.kill(os.getpid(), signal.SIGKILL)
