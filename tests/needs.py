"""What a test needs from the machine: skipped where it is missing, except under CI."""

from __future__ import annotations

import os

import pytest


def require_or_skip(condition: object, reason: str) -> None:
    """Skip the test with `reason` unless `condition` holds; under CI=true fail instead.

    A skipped test looks green. A contributor's laptop may lack what a test needs, the machine
    that vouches for the project may not.
    """
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true: not skipped)", pytrace=False)
    pytest.skip(reason)
