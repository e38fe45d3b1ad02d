"""Addresses: of a cluster's head, and of this machine as the cluster's others reach it."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress

from fre_hpo.errors import BadValue, ClusterUnreachable

LOOPBACK = "127.0.0.1"
PROBE_SECONDS = 10
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How an HTTP/2 client begins: the preface and an empty SETTINGS frame (RFC 9113, section 3.4)."""
_SETTINGS = 4
"""The type of the frame that an HTTP/2 server, and so Ray's gRPC, answers with first."""
_ELSEWHERE = "192.0.2.1"
"""An address that is nobody's (RFC 5737): asked how it would be reached, the system names the address of
this machine in its network.  Nothing is sent."""
_GET_ADDRESS = 0x8915
_LONGEST_NAME = 15


def split(address: str) -> tuple[str, int]:
    """Host and port of a cluster's head; raises ClusterUnreachable for what is no HOST:PORT."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536 or "/" in host:
        raise ClusterUnreachable(address=address, reason="an address is HOST:PORT")
    return host.strip("[]"), int(port)


def join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def numeric(address: str) -> str:
    """The address with the number of its host, as the head's own name may mean another machine to Ray.
    Raises ClusterUnreachable where nobody knows the name."""
    host, port = split(address)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise _unreachable(address, error) from error
    return join(str(found[0][4][0]), port)


def probe(address: str, environ: Mapping[str, str] = os.environ) -> None:
    """Make sure that something at HOST:PORT speaks Ray's protocol, for Ray itself would wait there for
    more than ten minutes.  With Ray's TLS only the connection is tried.  Raises ClusterUnreachable."""
    try:
        with socket.create_connection(split(address), PROBE_SECONDS) as connection:
            if environ.get("RAY_USE_TLS", "0") in ("0", ""):
                connection.sendall(_GREETING)
                answer = connection.recv(9)
                if len(answer) < 4 or answer[3] != _SETTINGS:
                    raise ClusterUnreachable(address=address, reason="no Ray answers there")
    except OSError as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str, error: OSError) -> ClusterUnreachable:
    return ClusterUnreachable(address=address, reason=error.strerror or str(error))


def of_this_machine(towards: str | None = None) -> str:
    """This machine's address as the head at ``towards`` reaches it, or as its network does; loopback where
    it has none."""
    host, port = split(towards) if towards else (_ELSEWHERE, 9)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as line:
        try:
            line.connect((host, port))
        except OSError:
            return next(_of_interfaces(), LOOPBACK)
        return str(line.getsockname()[0])


def _of_interfaces() -> Iterator[str]:
    """The IPv4 addresses of a machine whose network leads nowhere else (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        for _, name in socket.if_nameindex():
            request = name.encode()[:_LONGEST_NAME].ljust(256, b"\0")
            with suppress(OSError):
                answer = fcntl.ioctl(line, _GET_ADDRESS, request)
                address = socket.inet_ntoa(answer[20:24])
                if not address.startswith("127."):
                    yield address


def check_host(host: str) -> str:
    """An address of this machine that was asked for with --host; raises BadValue."""
    try:
        ipaddress.ip_address(host)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as line:
            line.bind((host, 0))
    except (ValueError, OSError) as error:
        reason = "it is no address of this machine, such as 10.0.0.1"
        raise BadValue(key="--host", value=host, reason=reason) from error
    if host in ("0.0.0.0", "::"):
        reason = "the others need one address of this machine, such as 10.0.0.1"
        raise BadValue(key="--host", value=host, reason=reason)
    return host
