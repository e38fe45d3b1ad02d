"""A short form of ``chaos.py``, which has the long one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from acceptance.chaos import Chaos, Plan
from postgres import Postgres

SHORT = Plan(
    trials=8,
    epochs=12,
    parallel=2,
    coordinator_kills=2,
    worker_kills=2,
    server_crashes=1,
    seconds=240,
)


@pytest.mark.slow
def test_a_search_killed_at_random_ends_exact(
    home: Path, postgres_server: Postgres, postgres_url: str
) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    chaos = Chaos(SHORT, random.Random(1), postgres_server, home, postgres_url)
    try:
        chaos.run()
        chaos.check()
    finally:
        chaos.end()
    assert chaos.done == {"coordinator": 2, "worker": 2, "server": 1}
