"""Under which names the dashboard answers: against pages that make a browser call it by another name."""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from fre_hpo.dashboard.exchange import Reply, Request, refused

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADER = re.compile(r"(\[[^\[\]/@\s]+\]|[^\[\]:/@\s]+)(:\d*)?")
_ADDRESS_OF_INTERFACE = 0x8915  # SIOCGIFADDR of Linux
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses of documentation (RFC 5737, RFC 3849): asked only which way would lead there."""


@dataclass(frozen=True)
class Hosts:
    """own: the names of this server; named: those that --allow-host added, a proxy's for example."""

    own: frozenset[str]
    named: frozenset[str] = frozenset()

    def check(self, request: Request) -> Reply | None:
        """None where the request was meant for us."""
        given = request.headers.get("host", "")
        if hostname(given) not in self.own | self.named:
            sentence = (
                f"This dashboard does not answer to the name {given[:100]!r}: start it with --allow-host "
                "NAME if this is its name."
            )
            return refused(request, HTTPStatus.MISDIRECTED_REQUEST, sentence)
        if not request.reads and not self._from_here(request):
            return refused(
                request, HTTPStatus.FORBIDDEN, "Other pages may not change anything here."
            )
        return None

    def _from_here(self, request: Request) -> bool:
        """Whether our own page asks, or a program; a proxy may change the port that a browser sees."""
        origin = request.headers.get("origin")
        if origin is None:
            return request.headers.get("sec-fetch-site", "none") in ("same-origin", "none")
        try:
            place = urlsplit(origin).netloc
        except ValueError:
            return False
        same = place.lower() == request.headers.get("host", "").lower()
        return bool(place) and (same or hostname(place) in self.named)


def hostname(header: str) -> str | None:
    """The name in a Host header: without port, in lower case, an address in its usual form."""
    match = _HEADER.fullmatch(header)
    if match is None:
        return None
    name = match[1].lower().removeprefix("[").removesuffix("]").removesuffix(".")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def known_hosts(bound: str, more: Iterable[str] = ()) -> Hosts:
    """bound: the name or address of --host."""
    return Hosts(_names(_own(bound)), _names(more))


def _own(bound: str) -> set[str]:
    if is_loopback(bound):
        return {bound, *LOOPBACK}
    names = {bound, socket.gethostname(), socket.getfqdn()}
    if is_everywhere(bound):
        return names | LOOPBACK | addresses()
    return names | set(_resolved(bound))


def _names(given: Iterable[str]) -> frozenset[str]:
    """In the form in which headers are compared; an address of version 6 may lack its brackets."""
    bare = (f"[{name}]" if name.count(":") > 1 and name[0] != "[" else name for name in given)
    return frozenset(name for name in map(hostname, bare) if name)


def is_everywhere(bound: str) -> bool:
    """Whether it stands for all addresses of the machine."""
    return bound in ("", "0.0.0.0", "::")


def is_loopback(bound: str) -> bool:
    """Whether only this machine reaches it."""
    with suppress(ValueError):
        return ipaddress.ip_address(bound).is_loopback
    return bound.lower().removesuffix(".") == "localhost"


def addresses() -> set[str]:
    """This machine's, as far as the system tells."""
    found = set(_of_interfaces()) | set(_resolved(socket.gethostname()))
    return found | {way for way in map(_way_out, _ELSEWHERE) if way}


def shown_name(bound: str) -> str:
    """How other machines call this one, for the printed address."""
    if not is_everywhere(bound):
        return f"[{bound}]" if ":" in bound else bound
    name = socket.getfqdn()
    if "." in name and not name.endswith(".local") and _reachable(name):
        return name
    return _way_out(socket.AF_INET) or socket.gethostname()


def _reachable(name: str) -> bool:
    found = list(_resolved(name))
    return bool(found) and not any(is_loopback(address) for address in found)


def _resolved(name: str) -> Iterator[str]:
    with suppress(OSError, UnicodeError):
        for *_, address in socket.getaddrinfo(name, None):
            yield str(address[0]).partition("%")[0]


def _way_out(family: int) -> str | None:
    """The address that packets to other networks would bear; none is sent."""
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((_ELSEWHERE[socket.AddressFamily(family)], 9))
        return str(probe.getsockname()[0])
    return None


def _of_interfaces() -> Iterator[str]:
    """Of version 4, where the system is Linux."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with suppress(OSError):
                asked = struct.pack("256s", name.encode()[:15])
                answer = fcntl.ioctl(probe.fileno(), _ADDRESS_OF_INTERFACE, asked)
                yield socket.inet_ntoa(answer[20:24])
