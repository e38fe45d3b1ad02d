"""Ray clusters of one machine: each node started as a user starts it, and killed part by part."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from acceptance.processes import wait_for
from postgres import free_port

STARTED = "Ray runtime started"


class Node:
    """A ``ray start --block`` in a process group of its own; all Rays share the tests' token."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until the node has joined its cluster."""
        wait_for(lambda: STARTED in self._log.read_text(), f"a Ray node ({self._log})")

    def part(self, name: str) -> psutil.Process:
        """A server of the node: gcs_server, raylet."""
        return next(p for p in self._family() if p.name() == name)

    def trains(self, pid: int) -> bool:
        """Whether a worker process is this node's."""
        return pid in [p.pid for p in self._family()]

    def kill(self, *names: str) -> None:
        """kill -9 of some of its servers."""
        for part in [self.part(name) for name in names]:
            part.send_signal(signal.SIGKILL)

    def close(self) -> None:
        family = self._family()
        self._process.kill()
        self._process.wait()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _family(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self._process.pid).children(recursive=True)
        return []


class Cluster:
    """A head and what joined it."""

    def __init__(self, folder: Path, cpus: int) -> None:
        self._folder = folder
        self._cpus = cpus
        self._nodes: list[Node] = []
        self._port = free_port()
        self.address = f"127.0.0.1:{self._port}"
        self.start_head()

    def start_head(self) -> None:
        """The first, or another one in the place of a head that is closed."""
        self.head = self._begin(
            "--head",
            f"--port={self._port}",
            "--node-ip-address=127.0.0.1",
            f"--temp-dir={self._folder}",
            "--include-dashboard=false",
            cpus=self._cpus,
        )
        self.head.wait()

    def join(self) -> Node:
        """Add a node of one CPU, in the background."""
        return self._begin(f"--address={self.address}", cpus=1)

    def _begin(self, *arguments: str, cpus: int) -> Node:
        log = self._folder / f"node-{len(self._nodes)}.log"
        sizes = [f"--num-cpus={cpus}", "--num-gpus=0", "--object-store-memory=150000000"]
        node = Node(log, *arguments, *sizes)
        self._nodes.append(node)
        return node

    def close(self) -> None:
        for node in reversed(self._nodes):
            node.close()


@contextmanager
def cluster(cpus: int = 1) -> Iterator[Cluster]:
    """A cluster whose head has some CPUs; every process of it has ended when the block is left."""
    folder = Path(tempfile.mkdtemp(prefix="fre-ray-", dir="/tmp"))  # socket paths: 107 bytes
    started = Cluster(folder, cpus)
    try:
        yield started
    finally:
        started.close()
        shutil.rmtree(folder, ignore_errors=True)
