"""What watching costs: our dashboard beside plain optuna-dashboard on the same database; a table, no test.

    PYTHONPATH=tests python tests/benchmarks/dashboard.py

Writes a study as the service does (200 points a trial, notes, pictures, figures), once to SQLite and once
to PostgreSQL where its programs are found, and asks both dashboards in turns.
"""

from __future__ import annotations

import argparse
import http.client
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np

from fre_hpo import data
from fre_hpo.data import phantom
from fre_hpo.service.publishing import StudyPage
from fre_hpo.study.connection import Connection
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Asked, Ledger, is_curve_point
from fre_hpo.study.spec import TrainingSpec
from ledgers import CLASSES, make_charter, make_spec
from postgres import Postgres, find_binaries, free_port

STUDY = "bench"
VIEWERS = 8
PAUSE_SECONDS = 2.6
"""Both dashboards keep what they have read for up to two seconds."""


@dataclass
class Server:
    """A dashboard that runs; token: none for the plain one."""

    name: str
    port: int
    token: str = ""

    def get(self, path: str, encoding: str = "identity") -> int:
        """Ask on a connection of its own; the bytes that came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"Accept-Encoding": encoding, "Authorization": f"Bearer {self.token}"}
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
        if reply.status != 200:
            raise SystemExit(f"{self.name}: {path} answered {reply.status}: {body[:200]!r}")
        return len(body)


@dataclass
class Row:
    """One measurement: seconds of every round, by server."""

    label: str
    target: str
    work: Callable[[Server], float]
    unit: str = "s"
    found: dict[str, list[float]] = field(default_factory=dict)


def main() -> None:
    """Write, serve, ask in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare("SQLite", f"sqlite:///{folder}/studies.db", Path(folder) / "sqlite", options)
        binaries = find_binaries()
        if binaries is None:
            print("PostgreSQL: its programs were not found")
            return
        server = Postgres(binaries)
        try:
            server.start()
            url = server.create_database("bench")
            compare("PostgreSQL", url, Path(folder) / "postgresql", options)
        finally:
            server.close()


def compare(label: str, url: str, home: Path, options: argparse.Namespace) -> None:
    began = time.perf_counter()
    write(url, home, options.trials, options.epochs)
    written = time.perf_counter() - began
    print(
        f"\n{label}: {options.trials} trials of {options.epochs} epochs and 2 running, "
        f"written in {written:.0f} s; medians of {options.rounds} rounds"
    )
    print(f"{'':44}{'ours':>10}{'plain':>10}{'ratio':>8}   target")
    with ours(url, home) as one, plain(url) as other:
        for row in rows(options.trials):
            for _ in range(options.rounds):
                for server in (one, other):
                    time.sleep(PAUSE_SECONDS)
                    row.found.setdefault(server.name, []).append(row.work(server))
            report(row)
    print(f"load of the machine meanwhile: {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores")


def report(row: Row) -> None:
    mine, theirs = (statistics.median(row.found[name]) for name in ("ours", "plain"))
    shown = [f"{value:.3f} {row.unit}" for value in (mine, theirs)]
    print(f"{row.label:44}{shown[0]:>10}{shown[1]:>10}{theirs / mine:>7.1f}x   {row.target}")


def rows(trials: int) -> Iterator[Row]:
    full, poll = "/api/studies/1?after=0", f"/api/studies/1?after={trials}"
    yield Row("full reply, size", "< 0.6 MB", lambda s: s.get(full) / 1e6, "MB")
    yield Row("full reply, size with gzip", "", lambda s: s.get(full, "gzip") / 1e6, "MB")
    yield Row("full reply", "< 0.6 s", lambda s: timed(lambda: s.get(full)))
    yield Row("incremental poll", "< 0.1 s", lambda s: timed(lambda: s.get(poll)))
    yield Row("eight polls at once, the slowest", "< 1 s", lambda s: at_once(s, poll))
    yield Row("eight full replies at once, the slowest", "", lambda s: at_once(s, full))
    yield Row("the list of studies", "", lambda s: timed(lambda: s.get("/api/studies")))


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def at_once(server: Server, path: str) -> float:
    """Seconds of the slowest of eight viewers."""
    taken: list[float] = []
    threads = [
        threading.Thread(target=lambda: taken.append(timed(lambda: server.get(path, "gzip"))))
        for _ in range(VIEWERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == VIEWERS
    return max(taken)


# --- the servers ----------------------------------------------------------------------------------


@contextmanager
def ours(url: str, home: Path) -> Iterator[Server]:
    command = [sys.executable, "-m", "fre_hpo", "dashboard", "--port", "0", "--home", str(home)]
    environment = {**os.environ, "FRE_HPO_STORAGE": url}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = urlsplit(process.stdout.readline().strip())
        yield Server("ours", address.port or 0, parse_qs(address.query)["token"][0])
        process.terminate()


@contextmanager
def plain(url: str) -> Iterator[Server]:
    """optuna-dashboard's own command, as its manual says."""
    port = free_port()
    driver = url.replace("postgresql://", "postgresql+psycopg2://")
    command = [Path(sys.executable).with_name("optuna-dashboard"), driver, "--port", str(port)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen([*command, "--host", "127.0.0.1"], stdout=quiet, stderr=quiet) as process:
        server = Server("plain", port)
        _wait(server)
        yield server
        process.terminate()


def _wait(server: Server) -> None:
    for _ in range(300):
        try:
            server.get("/api/meta")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"{server.name} does not answer")


# --- the study ------------------------------------------------------------------------------------


def write(url: str, home: Path, trials: int, epochs: int) -> None:
    """A search as the coordinator leaves it: the trials that are wanted, and two that run."""
    spec = make_spec(training=TrainingSpec(epochs=epochs))
    ledger = Ledger.create(Connection(url, create=True), STUDY, make_charter(spec))
    ledger.want(trials + 2)
    folder = StudyFolder(home / "studies" / STUDY)
    folder.identify(ledger.charter.id, ledger.shown)
    page = StudyPage(ledger, folder, _dataset())
    for _ in range(trials):
        asked = _begin(ledger, epochs, epochs)
        _files(folder, asked, epochs)
        _complete(ledger, page, asked, epochs)
    for _ in range(2):
        _begin(ledger, epochs // 2, epochs)
    page.study_changed("running")


def _begin(ledger: Ledger, until: int, epochs: int) -> Asked:
    asked = ledger.ask()
    ledger.begin_attempt(asked.number, 1)
    ledger.set_worker(asked.number, "gpu-node-3.lab:1:4711")
    for epoch in range(1, until + 1):
        if is_curve_point(epoch, epochs):
            ledger.report(asked.number, epoch, _miou(asked, epoch))
    return asked


def _complete(ledger: Ledger, page: StudyPage, asked: Asked, epochs: int) -> None:
    miou = _miou(asked, epochs)
    classes: dict[str, float | None] = dict.fromkeys(CLASSES, miou)
    record = replace(
        ledger.record(asked.number),
        state="COMPLETE",
        value=miou,
        best_epoch=epochs,
        epochs=epochs,
        class_iou=classes,
    )
    page.trial_ends(record)
    ledger.complete(asked.number, miou, epochs, epochs, classes)


def _miou(asked: Asked, epoch: int) -> float:
    """A curve with as many digits as a real one."""
    top = 0.6 + 0.3 / (1 + abs(math.log(asked.parameters["B"] / 8)))
    return top * (1 - math.exp(-epoch / 300)) + 0.01 * math.sin(epoch * 0.7 + asked.number)


def _files(folder: StudyFolder, asked: Asked, epochs: int) -> None:
    trial = folder.trial(asked.number)
    table = [(epoch, _miou(asked, epoch)) for epoch in range(1, epochs + 1)]
    trial.write_curve(("epoch", "miou"), table)
    labels = _dataset().validation.labels
    trial.save_predictions({index: np.roll(labels[index], 1, 0) for index in (0, 1)})


@cache
def _dataset() -> data.Dataset:
    return data.load("phantom", None, phantom.Options())


if __name__ == "__main__":
    main()
