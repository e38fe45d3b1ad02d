"""Several hosts on one machine: each with a network, processes, a name and files of its own.

A switch in a network namespace joins them; a host's cable can be pulled at the switch.  A host is a PID
namespace too, so that ending its first process ends all that ever ran there.  Needs root and iproute2.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from acceptance.processes import wait_for
from needs import require_or_skip

NETWORK = "10.77.0"

BOOT = """
mount --make-rprivate /
mount --bind "$1" "$2"
mount -t tmpfs -o size=2g tmpfs /dev/shm
hostname "$3"
echo booted
while true; do sleep 100000 & wait; done
"""
"""Files of its own at a place that is the same on every host, memory of its own, a name; a first process
that collects orphans."""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Host:
    """A machine of the lab.  home: its own files, as the test sees them; on the host they lie at
    ``lab.home``."""

    def __init__(self, lab: Lab, name: str, number: int) -> None:
        self.name = name
        self.address = f"{NETWORK}.{number}"
        self.home = lab.folder / name
        self.namespace = f"{lab.name}-{name}"
        self._lab = lab
        self._port = f"port{number}"
        self._processes: list[subprocess.Popen[str]] = []
        (self.home / "t").mkdir(parents=True)
        self._plug_in()
        self._first = self._boot()

    def _plug_in(self) -> None:
        ip("netns", "add", self.namespace)
        cable = ["type", "veth", "peer", "name", "eth0", "netns", self.namespace]
        ip("-n", self._lab.switch, "link", "add", self._port, *cable)
        ip("-n", self._lab.switch, "link", "set", self._port, "master", "br0", "up")
        ip("-n", self.namespace, "link", "set", "lo", "up")
        ip("-n", self.namespace, "addr", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self.namespace, "link", "set", "eth0", "up")

    def _boot(self) -> subprocess.Popen[str]:
        enter = ["ip", "netns", "exec", self.namespace]
        own = ["unshare", "--pid", "--mount", "--uts", "--fork", "--kill-child=KILL"]
        boot = ["sh", "-ec", BOOT, "boot", str(self.home), str(self._lab.home), self.name]
        first = subprocess.Popen(
            [*enter, *own, "--mount-proc", *boot],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert first.stdout is not None
        assert first.stdout.readline() == "booted\n"
        return first

    # --- commands -------------------------------------------------------------------------------

    def on(self, *command: str) -> list[str]:
        """A command as it is run on this host."""
        return ["nsenter", f"--target={self._inner()}", "--all", "--", *command]

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of ours about Ray: the product's own defaults are tried."""
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "FRE_HPO_"))}
        home = str(self._lab.home)
        own = {"HOME": home, "FRE_HPO_HOME": home, "TMPDIR": f"{home}/t"}
        return {**ours, **own, "OMP_WAIT_POLICY": "PASSIVE", **more}

    def begin(self, *arguments: str, log: str, **environment: str) -> subprocess.Popen[str]:
        """``fre-hpo`` in the background; what it says goes to a file in the host's home."""
        with (self.home / log).open("a") as output:
            return self._start(arguments, output, environment)

    def _start(
        self, arguments: tuple[str, ...], output: IO[str], environment: dict[str, str]
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self.on(sys.executable, "-m", "fre_hpo", *arguments),
            env=self.environment(**environment),
            cwd="/",
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def fre_hpo(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "fre_hpo", *arguments, **environment)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.on(*command),
            env=self.environment(**environment),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def said(self, log: str) -> str:
        path = self.home / log
        return path.read_text() if path.exists() else ""

    def processes(self) -> dict[int, str]:
        """Process id on this machine -> command line, of all that runs on the host."""
        own = Path(f"/proc/{self._inner()}/ns/pid").stat().st_ino
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and (entry / "ns/pid").stat().st_ino == own:
                    text = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(entry.name)] = text
        return found

    def _inner(self) -> int:
        pid = self._first.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def kill(self, text: str) -> None:
        """kill -9 of every process whose command line has this text."""
        pids = [pid for pid, line in self.processes().items() if text in line]
        assert pids, (text, self.processes())
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def terminate(self, text: str) -> None:
        """SIGTERM to the oldest process whose command line has this text, as a service manager would."""
        pids = [pid for pid, line in self.processes().items() if text in line]
        os.kill(min(pids, key=lambda pid: psutil.Process(pid).create_time()), signal.SIGTERM)

    # --- faults ---------------------------------------------------------------------------------

    def cut(self) -> None:
        ip("-n", self._lab.switch, "link", "set", self._port, "down")

    def mend(self) -> None:
        ip("-n", self._lab.switch, "link", "set", self._port, "up")

    def close(self) -> None:
        self._first.kill()
        self._first.communicate()
        for process in self._processes:
            process.kill()
            process.wait()
        with suppress(subprocess.CalledProcessError):
            ip("netns", "del", self.namespace)


class Lab:
    """The switch, and what is plugged into it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lab-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.home = self.folder / "h"  # short, for the names of sockets below it
        self.home.mkdir()
        self.name = self.folder.name
        self.switch = f"{self.name}-sw"
        self.hosts: list[Host] = []
        ip("netns", "add", self.switch)
        ip("-n", self.switch, "link", "add", "br0", "type", "bridge")
        ip("-n", self.switch, "link", "set", "br0", "up")

    def add(self, name: str) -> Host:
        host = Host(self, name, len(self.hosts) + 1)
        self.hosts.append(host)
        return host

    def close(self) -> None:
        for host in reversed(self.hosts):
            host.close()
        with suppress(subprocess.CalledProcessError):
            ip("netns", "del", self.switch)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def lab() -> Iterator[Lab]:
    tools = all(shutil.which(tool) for tool in ("ip", "unshare", "nsenter", "mount"))
    found = os.geteuid() == 0 and tools
    require_or_skip(found, "needs root and iproute2, for network namespaces")
    built = Lab()
    try:
        yield built
    finally:
        built.close()


def seconds_until(found: object, what: str, seconds: float) -> float:
    """How long it took until a function is true."""
    began = time.monotonic()
    assert callable(found)
    wait_for(found, what, seconds)
    return time.monotonic() - began
