"""A holder of the lock whose packets vanish, in network namespaces of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from needs import require_or_skip
from postgres import Postgres, find_binaries

SERVER, CLIENT = "10.79.0.1", "10.79.0.2"

HOLD = """
import sys, time
from fre_hpo.study.connection import parse_url
from fre_hpo.study.lock import coordinator_lock
lock = coordinator_lock(parse_url(sys.argv[1]), "cells")
print(lock.acquire(), flush=True)
time.sleep(300)
"""

TAKE = """
import sys, time
from fre_hpo.study.connection import parse_url
from fre_hpo.study.lock import coordinator_lock
lock = coordinator_lock(parse_url(sys.argv[1]), "cells")
began = time.monotonic()
assert lock.holder() is not None
while not lock.acquire():
    assert time.monotonic() - began < 60
    time.sleep(0.2)
print(time.monotonic() - began)
"""


@dataclass(frozen=True)
class Hosts:
    """Two hosts and the cable between them."""

    server: str
    client: str

    def on(self, host: str, *arguments: str) -> list[str]:
        return ["ip", "netns", "exec", host, *arguments]

    def cut(self) -> None:
        ip("-n", self.client, "link", "set", "eth0", "down")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    found = os.geteuid() == 0 and shutil.which("ip") is not None
    require_or_skip(found, "needs root and iproute2, for network namespaces")
    names = Hosts(f"fre{os.getpid()}s", f"fre{os.getpid()}c")
    try:
        for name in (names.server, names.client):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        cable = ["type", "veth", "peer", "name", "eth0", "netns", names.client]
        ip("-n", names.server, "link", "add", "eth0", *cable)
        for name, address in ((names.server, SERVER), (names.client, CLIENT)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield names
    finally:
        for name in (names.server, names.client):
            with suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)


@pytest.mark.slow
def test_a_holder_that_was_cut_off_keeps_the_lock_for_seconds_only(
    hosts: Hosts, tmp_path: Path
) -> None:
    binaries = find_binaries()
    require_or_skip(binaries, "needs PostgreSQL: set FRE_HPO_TEST_POSTGRES_BIN or install it")
    assert binaries is not None
    server = Postgres(binaries, host=SERVER, namespace=hosts.server)
    holder = None
    try:
        server.start()
        python = (sys.executable, "-c")
        holder = subprocess.Popen(
            hosts.on(hosts.client, *python, HOLD, server.url), stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        hosts.cut()
        cut = time.monotonic()
        taken = subprocess.run(
            hosts.on(hosts.server, *python, TAKE, server.url),
            capture_output=True,
            text=True,
            check=False,
        )
        assert taken.returncode == 0, taken.stderr
        assert time.monotonic() - cut < 30
        assert float(taken.stdout) > 1  # it was held, and not free from the start
    finally:
        if holder is not None:
            holder.kill()
            holder.communicate()
        server.close()
