"""The address that a search's messages are sent to, and one try to send one.

Such addresses are secrets: whoever knows one can write into a lab's channel.  So only scheme and host
are ever shown.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
    build_opener,
)

from fre_hpo.errors import UsageError
from fre_hpo.settings import read_url

TRY_SECONDS = 10.0
"""A try takes no longer, not even with a receiver that answers a byte at a time."""
_BUSY = (408, 425, 429)
"""Answers after which another try may help, as after those from 500 on."""


@dataclass(frozen=True)
class Receiver:
    """Where messages go; printed, it shows no more than scheme and host."""

    url: str = field(repr=False)

    @classmethod
    def named(cls, given: str | None) -> Receiver | None:
        """The receiver of ``--notify URL|@FILE``; None where none is named.  Raises UsageError, which
        shows nothing of the URL."""
        return cls(_checked(read_url(given, "--notify"))) if given else None

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url)

    def __str__(self) -> str:
        host = self._parts.hostname or ""
        return f"{self._parts.scheme}://{f'[{host}]' if ':' in host else host}"

    @property
    def target(self) -> str:
        """The URL without name and password, which go into a header."""
        return self._parts._replace(netloc=self._parts.netloc.rpartition("@")[2]).geturl()

    @property
    def headers(self) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"fre-hpo/{version('fre-hpo')}",
        }
        if self._parts.username is not None:
            login = f"{unquote(self._parts.username)}:{unquote(self._parts.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        return headers


def _checked(url: str) -> str:
    """Raises UsageError unless it is a URL of HTTP as it goes over the wire."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, half of an IPv6 address
        usable = False
    if not usable or not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        raise UsageError(
            problem="--notify cannot be used: write an address such as https://chat.lab/hooks/KEY, or "
            "@FILE for a file that holds it."
        )
    return url


class NotDelivered(Exception):
    """A try failed.  again: whether another one may succeed."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


def send(receiver: Receiver, message: dict[str, Any], seconds: float = TRY_SECONDS) -> None:
    """POST a message as JSON; raises NotDelivered, which shows nothing of the URL.

    Goes through the proxies that the environment names, and follows no redirect: the address itself is to
    be corrected, before its secret goes to another host.
    """
    request = Request(receiver.target, json.dumps(message).encode(), receiver.headers)
    end = time.monotonic() + seconds
    try:
        _opener(end).open(request, timeout=seconds).close()
    except HTTPError as error:
        error.close()
        again = error.code >= 500 or error.code in _BUSY
        raise NotDelivered(_refusal(error.code), again=again) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = time.monotonic() >= end
        reason = f"no answer within {seconds:g} s" if late else _reason(error)
        raise NotDelivered(reason, again=True) from None


def _refusal(code: int) -> str:
    if 300 <= code < 400:
        return f"it answered {code}, a redirect, which is not followed"
    return f"it answered {code}"


def _reason(error: Exception) -> str:
    """What was wrong, in words that hold nothing of the URL."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, http.client.HTTPException):
        return "it does not answer as a web server does"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause).__name__


# --- the connection -----------------------------------------------------------------------------


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _opener(end: float) -> OpenerDirector:
    """Of urllib's, with connections that are cut at a time: its own timeout begins anew with every
    byte."""

    class Plain(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            _cut_at(end, self.sock)

    class Encrypted(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            _cut_at(end, self.sock)

    class PlainHandler(HTTPHandler):
        def http_open(self, request: Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, request)

    class EncryptedHandler(HTTPSHandler):
        def https_open(self, request: Request) -> http.client.HTTPResponse:
            return self.do_open(Encrypted, request)

    return build_opener(PlainHandler, EncryptedHandler, _NoRedirect)


def _cut_at(end: float, connection: socket.socket) -> None:
    timer = threading.Timer(end - time.monotonic(), _cut, [connection])
    timer.daemon = True
    timer.start()


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):  # it has ended long since
        connection.shutdown(socket.SHUT_RDWR)
