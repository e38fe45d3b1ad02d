"""Which ports a node listens on: a block of a hundred, so that a firewall can be told.

Ray would take them at random.  Several nodes of one machine take one block each.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

from fre_hpo.errors import BadValue, NoPorts

HEAD = 6379
"""Where the head's GCS listens, unless told otherwise: Ray's own default."""
BLOCK = 100
DEFAULT = "6380-6979"


@dataclass(frozen=True)
class Ports:
    """The block that begins at ``first``.  Its last port is taken by nobody: who holds it has the block."""

    first: int

    @property
    def node_manager(self) -> int:
        """The raylet: leases, health checks."""
        return self.first

    @property
    def object_manager(self) -> int:
        """Data sets and checkpoints on their way."""
        return self.first + 1

    @property
    def environment_agent(self) -> int:
        return self.first + 2

    @property
    def workers(self) -> tuple[int, int]:
        """One for each process that trains, and for a coordinator."""
        return self.first + 3, self.first + BLOCK - 2

    @property
    def claim(self) -> int:
        return self.first + BLOCK - 1

    def __str__(self) -> str:
        return f"{self.first}-{self.claim}"


class Claim:
    """A block of ports for as long as this object is open, against other nodes that are starting."""

    def __init__(self, ports: Ports, line: socket.socket) -> None:
        self.ports = ports
        self._line = line

    def close(self) -> None:
        self._line.close()


def read_range(text: str) -> range:
    """``FIRST-LAST``; raises BadValue."""
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text.strip())
    first, last = map(int, match.groups()) if match else (0, 0)
    if not 1024 <= first <= last <= 65535:
        reason = f"it is FIRST-LAST, from 1024 to 65535, {DEFAULT} for example"
        raise BadValue(key="--ports", value=text, reason=reason)
    if last - first + 1 < BLOCK:
        reason = f"a node needs {BLOCK} ports in a row"
        raise BadValue(key="--ports", value=text, reason=reason)
    return range(first, last + 1)


def claim(within: range, host: str, without: int | None = None) -> Claim:
    """The first block that is free; raises NoPorts.

    without: a port of the range that is another's, the head's for example.
    """
    for first in range(within.start, within.stop - BLOCK + 1, BLOCK):
        ports = Ports(first)
        line = None if without in range(first, first + BLOCK) else _bound(host, ports.claim)
        if line is None:
            continue
        if all(is_free(host, port) for port in range(first, ports.claim)):
            return Claim(ports, line)
        line.close()
    raise NoPorts(first=within.start, last=within.stop - 1, host=host)


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there: on that address, or on all of them."""
    for address in (host, "::" if ":" in host else "0.0.0.0"):
        with socket.socket(_family(host)) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                line.bind((address, port))
            except OSError:
                return False
    return True


def _bound(host: str, port: int) -> socket.socket | None:
    """A socket that keeps others from the port, and listens to nobody."""
    line = socket.socket(_family(host))
    try:
        line.bind((host, port))
    except OSError:
        line.close()
        return None
    return line


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
