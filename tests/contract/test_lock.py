"""The lock's contract, the same beside an SQLite file and on a PostgreSQL server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from fre_hpo.errors import LockLost, StorageUnreachable
from fre_hpo.study.connection import parse_url
from fre_hpo.study.lock import CoordinatorLock, Holder, coordinator_lock
from postgres import Postgres

REPOSITORY = Path(__file__).resolve().parents[2]

HOLDER = """
import sys
from fre_hpo.study.connection import parse_url
from fre_hpo.study.lock import coordinator_lock
lock = coordinator_lock(parse_url(sys.argv[1]), sys.argv[2])
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'studies.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


def lock_on(url: str, study: str = "mouse-fre") -> CoordinatorLock:
    return coordinator_lock(parse_url(url), study)


@contextmanager
def other_process(
    url: str, study: str = "mouse-fre"
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that tries to hold the lock, with the answer it got."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url, study],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
        process.kill()


class TestLock:
    def test_one_at_a_time(self, url: str) -> None:
        ours, theirs = lock_on(url), lock_on(url)
        assert ours.acquire()
        ours.check()
        assert not theirs.acquire()
        assert not theirs.acquire()
        ours.check()
        ours.release()
        assert theirs.acquire()
        theirs.check()
        assert not ours.acquire()
        theirs.release()

    def test_the_holder_can_be_named(self, url: str) -> None:
        ours, theirs = lock_on(url), lock_on(url)
        assert theirs.holder() is None
        assert ours.acquire()
        assert theirs.holder() == Holder(socket.gethostname(), os.getpid())
        assert lock_on(url, "mouse-dropout").holder() is None
        ours.release()
        assert theirs.holder() is None

    def test_releasing_once_releases(self, url: str) -> None:
        ours, theirs = lock_on(url), lock_on(url)
        ours.release()
        assert ours.acquire()
        assert ours.acquire()
        assert not theirs.acquire()
        ours.release()
        assert theirs.acquire()
        theirs.release()

    def test_studies_do_not_block_one_another(self, url: str) -> None:
        ours, theirs = lock_on(url, "mouse-fre"), lock_on(url, "mouse-dropout")
        assert ours.acquire()
        assert theirs.acquire()
        ours.release()
        theirs.check()
        theirs.release()

    def test_another_process_is_kept_out(self, url: str) -> None:
        ours = lock_on(url)
        assert ours.acquire()
        with other_process(url) as (_, answer):
            assert answer == "False"
        ours.check()
        ours.release()

    def test_a_killed_holder_leaves_it_at_once(self, url: str) -> None:
        ours = lock_on(url)
        with other_process(url) as (holder, answer):
            assert answer == "True"
            assert not ours.acquire()
            holder.kill()
            holder.wait()
            killed = time.monotonic()
            while not ours.acquire():
                assert time.monotonic() - killed < 5
                time.sleep(0.02)
        ours.check()
        ours.release()


def test_a_restart_of_the_server_loses_the_lock(
    postgres_server: Postgres, postgres_url: str
) -> None:
    ours, theirs = lock_on(postgres_url), lock_on(postgres_url)
    assert ours.acquire()
    postgres_server.restart("immediate")
    assert theirs.acquire()
    with pytest.raises(StorageUnreachable):
        ours.check()
    assert not ours.acquire()
    theirs.release()
    assert ours.acquire()
    ours.check()
    ours.release()


def test_a_connection_that_was_cut_loses_the_lock(
    postgres_server: Postgres, postgres_url: str
) -> None:
    ours = lock_on(postgres_url)
    assert ours.acquire()
    postgres_server.query(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
    )
    with pytest.raises(StorageUnreachable):
        ours.check()
    assert ours.acquire()
    ours.check()
    ours.release()


def test_a_lock_that_was_given_up_is_not_ours(postgres_url: str) -> None:
    ours = lock_on(postgres_url)
    assert ours.acquire()
    with ours._connection.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute("SELECT pg_advisory_unlock_all()")
    with pytest.raises(LockLost, match="'mouse-fre' was lost"):
        ours.check()
    ours.release()


def test_what_was_never_held_is_not_ours(postgres_url: str) -> None:
    with pytest.raises(LockLost):
        lock_on(postgres_url).check()


def test_a_stopped_server_is_told(postgres_server: Postgres, postgres_url: str) -> None:
    ours = lock_on(postgres_url)
    postgres_server.stop()
    with pytest.raises(StorageUnreachable) as caught:
        ours.acquire()
    assert postgres_server.password not in str(caught.value)


def test_the_server_gives_up_on_a_silent_holder(postgres_url: str) -> None:
    """Options of the user's own stay, too."""
    given = make_url(postgres_url).update_query_dict({"options": "-c statement_timeout=1234"})
    ours = lock_on(given.render_as_string(hide_password=False))
    assert ours.acquire()
    settings = {
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "10000",
        "statement_timeout": "1234ms",
    }
    with ours._connection.cursor() as cursor:  # type: ignore[attr-defined]
        for name, value in settings.items():
            cursor.execute(f"SHOW {name}")
            assert cursor.fetchone() == (value,), name
    ours.release()
