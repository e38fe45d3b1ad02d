"""One node of Ray, as the child of this process: started, watched, and ended with all that came of it.

``ray start`` of a release is used as it is.  Around it stand a keeper (``keeper``), so that nothing outlives
this process, and a folder of its own that only this user may enter: Ray's is open to everybody.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from fre_hpo.errors import NodeFailed, counted
from fre_hpo.scheduling import address as addresses
from fre_hpo.scheduling import cluster_token, joining, keeper, ray_settings
from fre_hpo.scheduling.family import command, descendants, is_alive
from fre_hpo.scheduling.gcs import VERSION_LABEL
from fre_hpo.scheduling.ports import DEFAULT, HEAD, Claim, Ports, claim, read_range
from fre_hpo.scheduling.reasons import reason
from fre_hpo.scheduling.start_hook import HOST_VARIABLE

START_SECONDS = 120
"""Starting takes 2 seconds, on a machine that trains on all its CPUs some 20."""
LOOK_SECONDS = 0.2
SAY_SECONDS = 3
"""``ray start`` looks after its servers every second, and writes what became of one."""
END_SECONDS = 25
"""A keeper ends its family within 16."""
_STARTED = "Ray runtime started"
_LONGEST_BASE = 20
"""Characters: the name of a socket has at most 107, and Ray's part of it takes 70."""
_VITAL = ("raylet", "gcs_server")
_AGENTS = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent")


@dataclass(frozen=True)
class Plan:
    """What a node is to be.

    address: of the head that it joins, as numbers; None for a head.  port: on which a head listens.
    host: this machine's address.  store: bytes of memory for objects, None for Ray's choice.  token: the
    file; None where the environment tells Ray.
    """

    host: str
    ports: Ports
    cpus: int
    gpus: int
    token: Path | None
    address: str | None = None
    port: int = HEAD
    store: int | None = None

    def __str__(self) -> str:
        """ "8 CPUs and 1 GPU (ports 6380-6479)"."""
        return f"{counted(self.cpus, 'CPU')} and {counted(self.gpus, 'GPU')} (ports {self.ports})"

    def command(self, folder: Path) -> list[str]:
        """The call of ``ray start``: no secret is in it."""
        role = (
            [f"--address={self.address}"]
            if self.address
            else ["--head", f"--port={self.port}", "--include-dashboard=false", "--no-monitor"]
        )
        size = [f"--object-store-memory={self.store}"] if self.store else []
        first, last = self.ports.workers
        return [
            *(sys.executable, "-P", "-m", "ray.scripts.scripts", "start", "--block"),
            *role,
            *size,
            f"--node-ip-address={self.host}",
            f"--temp-dir={folder}",
            f"--node-manager-port={self.ports.node_manager}",
            f"--object-manager-port={self.ports.object_manager}",
            f"--runtime-env-agent-port={self.ports.environment_agent}",
            f"--min-worker-port={first}",
            f"--max-worker-port={last}",
            f"--num-cpus={self.cpus}",
            f"--num-gpus={self.gpus}",
            f"--labels={VERSION_LABEL}={version('fre-hpo')}",
            "--include-log-monitor=false",
            "--disable-usage-stats",
        ]


@dataclass(frozen=True)
class Asked:
    """What was asked for of a node, before it is known how this machine reaches the head."""

    cpus: int
    gpus: int
    token: Path | None
    host: str | None = None
    port_range: str = DEFAULT
    store: int | None = None

    def join(self, address: str) -> RayNode:
        """Start a node of the cluster at HOST:PORT.  Raises ClusterUnreachable, NoPorts."""
        there = addresses.numeric(address)
        return self._start(self.host or addresses.of_this_machine(there), there, HEAD)

    def head(self, port: int) -> RayNode:
        """Start the head of a new cluster.  Raises NoPorts."""
        return self._start(self.host or addresses.of_this_machine(), None, port)

    def _start(self, host: str, address: str | None, port: int) -> RayNode:
        block = claim(read_range(self.port_range), host, without=None if address else port)
        plan = Plan(host, block.ports, self.cpus, self.gpus, self.token, address, port, self.store)
        return RayNode(plan, block)


class RayNode:
    """A node that is starting from the moment on that this object is made.

    block: its ports, which are free again when the node is closed.  folder: where its Ray has sockets and
    logs and lets everybody in; the one around it does not.
    """

    def __init__(self, plan: Plan, block: Claim) -> None:
        self.plan = plan
        self._block = block
        self._outer = _new_folder()
        self.folder = self._outer / "r"
        self.id = ""
        self._log = self._outer / "node.log"
        self._vital: dict[int, str] = {}
        environ = ray_settings.of_node(plan.token) | {HOST_VARIABLE: plan.host}
        with self._log.open("wb") as log:
            self._keeper = subprocess.Popen(
                keeper.call(self._outer, plan.command(self.folder)),
                stdin=subprocess.PIPE,
                bufsize=0,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environ,
                start_new_session=True,
            )

    def wait(self, cancelled: Callable[[], bool] = lambda: False) -> bool:
        """Until the node is part of its cluster; False if that was cancelled.  Raises NodeFailed."""
        deadline = time.monotonic() + START_SECONDS
        while not cancelled():
            if _STARTED in self._read_log():
                self._recognise()
                return True
            if self._keeper.poll() is not None:
                raise self._failed(self.why())
            if time.monotonic() > deadline:
                raise self._failed(f"it was not there after {START_SECONDS} s")
            time.sleep(LOOK_SECONDS)
        return False

    def _failed(self, why: str) -> NodeFailed:
        return NodeFailed(reason=why, hint="`fre-hpo doctor` looks for what may be wrong here")

    def _recognise(self) -> None:
        """Find the servers that the node cannot do without, and its id."""
        for pid in descendants(self._keeper.pid):
            words = command(pid)
            name = Path(words[0]).name if words else ""
            if name in _VITAL:
                self._vital[pid] = name
            if name == "raylet":
                self.id = next(w.partition("=")[2] for w in words if w.startswith("--node_id="))

    def is_over(self) -> bool:
        """Whether the node has ended, or one of its servers has: ``ray start`` itself would stay."""
        return self._keeper.poll() is not None or not all(map(is_alive, self._vital))

    def why(self) -> str:
        """What ended it, in a few words."""
        with suppress(subprocess.TimeoutExpired):
            self._keeper.wait(SAY_SECONDS)
        gone = [name for pid, name in self._vital.items() if not is_alive(pid)]
        self._end()
        found = reason(self._read_log())
        return found or (f"its {gone[0]} ended" if gone else "it ended without saying why")

    def trials(self) -> int:
        """How many processes train here now.  One that is at work has the name of its method as title."""
        titles = [" ".join(command(pid)) for pid in descendants(self._keeper.pid)]
        busy = [t for t in titles if t.startswith("ray::") and "." in t]
        return len([title for title in busy if not title.startswith(_AGENTS)])

    def close(self) -> None:
        """End the node with all its processes, and remove its folder."""
        self._end()
        self._block.close()
        shutil.rmtree(self._outer, ignore_errors=True)

    def _end(self) -> None:
        if self._keeper.stdin and not self._keeper.stdin.closed:
            with suppress(OSError):
                self._keeper.stdin.write(keeper.ORDERLY)
            self._keeper.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._keeper.wait(END_SECONDS)

    def _read_log(self) -> str:
        with suppress(OSError):
            return self._log.read_text(encoding="utf-8", errors="replace")
        return ""


def _new_folder() -> Path:
    base = tempfile.gettempdir()
    return Path(
        tempfile.mkdtemp(prefix="fre-hpo-", dir=base if len(base) <= _LONGEST_BASE else "/tmp")
    )


@contextmanager
def joined_node(
    address: str,
    cpus: int = 0,
    gpus: int = 0,
    token_file: Path | None = None,
    host: str | None = None,
    port_range: str = DEFAULT,
) -> Iterator[RayNode]:
    """This machine is a node of the cluster within the block: a driver has to be on one.

    token_file: as ``cluster_token.find`` names it; None where the environment tells Ray.  Raises
    ClusterUnreachable, TokenRefused, OtherVersions, NodeFailed, and what is wrong with the token's file.
    """
    cluster_token.check(token_file, address)
    environ = dict(os.environ)
    ray_settings.prepare(token_file, environ)
    joining.check(address, environ)
    asked = Asked(cpus=cpus, gpus=gpus, token=token_file, host=host, port_range=port_range)
    node = asked.join(address)
    try:
        node.wait()
        yield node
    finally:
        node.close()
