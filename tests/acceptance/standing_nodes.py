"""``fre-hpo head`` and ``fre-hpo worker`` as processes of their own, on the loopback."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from acceptance.processes import wait_for
from fre_hpo.scheduling.ports import BLOCK, claim
from postgres import free_port
from searching import command, environment

HOST = "127.0.0.1"
SECONDS = 120
"""Joining takes 3 seconds, and 20 where other tests train."""


def own_environment(home: Path) -> dict[str, str]:
    """Without the token that the tests' other Rays share: these have a file."""
    found = environment(home)
    return {name: value for name, value in found.items() if not name.startswith("RAY_AUTH")}


class Standing:
    """A verb that stands until it is told to end."""

    def __init__(self, home: Path, log: Path, *arguments: str) -> None:
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command(*arguments), env=own_environment(home), stdout=output, stderr=output
            )

    def said(self) -> str:
        return self._log.read_text()

    def wait_to_say(self, words: str, times: int = 1) -> None:
        wait_for(lambda: self.said().count(words) >= times, f"{words!r} in {self._log}", SECONDS)

    def family(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def part(self, name: str) -> psutil.Process:
        """A server of the node: gcs_server, raylet."""
        return next(process for process in self.family() if process.name() == name)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def close(self) -> None:
        """kill -9, after which the whole family has to end by itself."""
        family = self.family()
        self.process.kill()
        self.process.wait()
        _, alive = psutil.wait_procs(family, timeout=30)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        assert not alive, f"they outlived their parent: {alive}"


class Lab:
    """A home with a token, and ports that are this lab's.  address: at which its head stands or will."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.address = f"{HOST}:{free_port()}"
        self._folder = folder
        self._count = 0
        block = claim(range(20000 + os.getpid() % 50 * 200, 32000), HOST)
        self._ports = f"{block.ports.first}-{block.ports.first + 3 * BLOCK - 1}"
        block.close()

    @property
    def token(self) -> Path:
        return self.home / "cluster-token"

    @contextmanager
    def stand(self, *arguments: str) -> Iterator[Standing]:
        self._count += 1
        log = self._folder / f"{arguments[0]}-{self._count}.log"
        standing = Standing(self.home, log, *arguments, "--ports", self._ports, "--gpus", "0")
        try:
            yield standing
        finally:
            standing.close()

    @contextmanager
    def head(self) -> Iterator[Standing]:
        port = self.address.rpartition(":")[2]
        with self.stand("head", "--host", HOST, "--port", port, "--cpus", "0") as head:
            head.wait_to_say("stands at")
            yield head

    @contextmanager
    def worker(self, *arguments: str) -> Iterator[Standing]:
        with self.stand("worker", "--address", self.address, "--cpus", "1", *arguments) as worker:
            worker.wait_to_say("Joined")
            yield worker

    def refusal(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """What a worker says that cannot join."""
        return subprocess.run(
            command("worker", "--ports", self._ports, *arguments),
            env=own_environment(self.home) | variables,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
