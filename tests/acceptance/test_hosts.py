"""A lab of several hosts: a search on all of them, cables pulled, hosts added, drained and restarted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from acceptance.hosts import Host, Lab, lab, seconds_until
from acceptance.processes import events, files_with, wait_for
from needs import require_or_skip
from postgres import PASSWORD, Postgres, find_binaries
from searching import TINY, as_flags

pytestmark = pytest.mark.slow

CONTINUES_SECONDS = 15
"""After a link was cut, a trial trains elsewhere."""
EPOCHS = 400
STUDY = "phantom-fre"


class Cluster:
    """Head and coordinator on one host, PostgreSQL on another, workers on the rest."""

    def __init__(self, built: Lab, server: Postgres) -> None:
        self.lab = built
        self.server = server
        self.storage = f"@{built.home}/storage"
        self.workers: dict[str, subprocess.Popen[str]] = {}
        self.head = built.add("head")
        self.address = f"{self.head.address}:6379"
        (self.head.home / "storage").write_text(server.url)
        self.start_head()

    def start_head(self) -> None:
        """A head supervises itself: where its Ray is killed, it starts another."""
        self.head.begin("head", "--host", self.head.address, "--cpus", "1", log="head.log")
        wait_for(lambda: self.address in self.head.said("head.log"), "the head", 60)

    def add_worker(self, name: str) -> Host:
        worker = self.lab.add(name)
        shutil.copy(self.head.home / "cluster-token", worker.home)
        flags = ("--address", self.address, "--cpus", "1", "--wait", "60")
        self.workers[name] = worker.begin("worker", *flags, log="worker.log")
        return worker

    def search(self, trials: int, *more: str, epochs: int = EPOCHS) -> subprocess.Popen[str]:
        sizes = {**TINY, "training.epochs": epochs, "training.checkpoint_seconds": 1}
        flags = ["--trials", str(trials), "--ray-address", self.address, *as_flags(sizes), *more]
        return self.head.begin(
            "start", "--dataset", "phantom", *flags, log="search.log", FRE_HPO_STORAGE=self.storage
        )

    # --- what happened --------------------------------------------------------------------------

    def events(self, event: str, **facts: Any) -> list[dict[str, Any]]:
        wanted = {"event": event, **facts}.items()
        return [e for e in events(self.head.home, STUDY) if wanted <= e.items()]

    def newest_epoch(self, host: Host) -> dict[str, Any] | None:
        """The newest epoch that was trained on a host."""
        mine = [e for e in self.events("epoch") if e["worker"].partition(":")[0] == host.name]
        return mine[-1] if mine else None

    def wait_for_epoch(self, host: Host, after: dict[str, Any] | None = None) -> dict[str, Any]:
        """An epoch that is trained there from now on."""
        since = after or self.newest_epoch(host)
        wait_for(lambda: self.newest_epoch(host) != since, f"an epoch on {host.name}", 90)
        found = self.newest_epoch(host)
        assert found
        return found

    def assert_complete(self, search: subprocess.Popen[str], trials: int) -> None:
        """As many rows as were wanted, every epoch of each trained once by what counts."""
        assert search.wait(240) == 0, self.head.said("search.log")
        result = self.head.fre_hpo("trials", STUDY, "-f", "json", FRE_HPO_STORAGE=self.storage)
        rows = json.loads(result.stdout)
        assert [(row["number"], row["state"]) for row in rows] == [
            (number, "COMPLETE") for number in range(trials)
        ]
        for number in range(trials):
            curve = self.head.home / f"studies/{STUDY}/trials/{number}/curve.csv"
            assert len(curve.read_text().splitlines()) == rows[number]["epochs"] + 1


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    binaries = find_binaries()
    require_or_skip(binaries, "needs PostgreSQL: set FRE_HPO_TEST_POSTGRES_BIN or install it")
    assert binaries is not None
    with lab() as built:
        database = built.add("database")
        server = Postgres(binaries, host=database.address, namespace=database.namespace)
        try:
            server.start()
            yield Cluster(built, server)
        finally:
            server.close()


def test_a_cut_link_moves_trials_and_a_worker_that_is_drained_loses_nothing(
    cluster: Cluster,
) -> None:
    one = cluster.add_worker("one")
    wait_for_join(one)
    search = cluster.search(2, epochs=100_000)
    cluster.wait_for_epoch(cluster.head)
    trial = cluster.wait_for_epoch(one)["trial"]
    two = cluster.add_worker("two")
    wait_for_join(two)
    wait_for(lambda: cluster.events("checkpoint", trial=trial), "its checkpoint", 60)

    one.cut()
    patience = promised(CONTINUES_SECONDS)
    seconds = seconds_until(lambda: cluster.newest_epoch(two), "the trial elsewhere", 90)
    assert seconds < patience
    (again,) = cluster.events("trial_started", trial=trial, attempt=2)
    saved = [e["epoch"] for e in cluster.events("checkpoint", trial=trial, attempt=1)]
    assert again["epoch"] == saved[-1]
    accepted = cluster.events("epoch", trial=trial, attempt=1)
    one.mend()
    wait_for_join(one, times=2)

    draining = cluster.workers["two"]
    two.terminate("fre_hpo worker")
    assert draining.wait(60) == 0, two.said("worker.log")
    cluster.wait_for_epoch(one)
    (moved,) = cluster.events("trial_moved", trial=trial)
    (started,) = cluster.events("trial_started", trial=trial, attempt=3)
    assert started["epoch"] == moved["epoch"]
    assert cluster.events("epoch", trial=trial, attempt=1) == accepted
    assert len(cluster.events("trial_lost")) == 1
    cluster.head.terminate("fre_hpo start")
    assert search.wait(60) == 75, cluster.head.said("search.log")


def test_whatever_is_restarted_the_count_is_exact(cluster: Cluster) -> None:
    worker = cluster.add_worker("one")
    wait_for_join(worker)
    search = cluster.search(4, epochs=150)
    cluster.wait_for_epoch(worker)

    cluster.server.restart("immediate")
    cluster.wait_for_epoch(worker)

    cluster.head.kill("gcs_server")
    wait_for_join(worker, times=2)
    cluster.wait_for_epoch(worker)

    cluster.head.kill("fre_hpo start")
    search.wait(30)
    again = cluster.search(4, epochs=150)
    cluster.assert_complete(again, 4)


def test_nobody_joins_or_submits_without_the_token(cluster: Cluster) -> None:
    stranger = cluster.lab.add("stranger")
    join = ("worker", "--address", cluster.address, "--cpus", "1")
    without = stranger.fre_hpo(*join)
    assert without.returncode == 2
    assert "cluster-token" in without.stderr
    wrong = stranger.home / "cluster-token"
    wrong.write_text("0" * 64)
    wrong.chmod(0o600)
    submit = ("start", "--dataset", "phantom", "--ray-address", cluster.address)
    for refused in (stranger.fre_hpo(*join), stranger.fre_hpo(*submit)):
        assert refused.returncode == 5, refused.stderr
        assert "token" in refused.stderr
    assert not (stranger.home / "studies").exists()


def test_only_the_ports_of_the_guide_are_open_and_no_secret_is_seen(cluster: Cluster) -> None:
    one = cluster.add_worker("one")
    wait_for_join(one)
    search = cluster.search(1, epochs=100_000)
    wait_for(lambda: cluster.events("epoch"), "an epoch", 90)
    token = (cluster.head.home / "cluster-token").read_text().strip()
    stranger = cluster.lab.add("stranger")
    for host in (cluster.head, one):
        assert open_ports(host, seen_from=stranger) <= set(range(6379, 6480))
        seen = "\n".join(host.processes().values())
        files = [path for path in files_with(host.home, token) if path.name != "cluster-token"]
        assert token not in seen
        assert PASSWORD not in seen
        assert files == []
        assert [p.name for p in files_with(host.home, PASSWORD)] in ([], ["storage"])
    assert oct((cluster.head.home / "cluster-token").stat().st_mode)[-3:] == "600"
    cluster.head.terminate("fre_hpo start")
    assert search.wait(60) == 75


SCAN = """
import json, socket, sys
def is_open(port):
    with socket.socket() as s:
        s.settimeout(0.3)
        return s.connect_ex((sys.argv[1], port)) == 0
print(json.dumps([port for port in range(1, 65536) if is_open(port)]))
"""


def open_ports(host: Host, seen_from: Host) -> set[int]:
    """The TCP ports of a host that take connections from another one."""
    result = seen_from.run(sys.executable, "-c", SCAN, host.address)
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout))


def wait_for_join(worker: Host, times: int = 1) -> None:
    def joined() -> bool:
        return worker.said("worker.log").count("Joined") >= times

    wait_for(joined, f"{worker.name} to join ({worker.said('worker.log')})", 90)


def promised(seconds: float) -> float:
    """What is promised for a machine that is free; where processes wait for cores, all takes longer."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
