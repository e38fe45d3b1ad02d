"""The dashboard as a WSGI application: rules first, then optuna-dashboard, then what browsers are told."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from fre_hpo.dashboard.exchange import Reply, Request, plain, refused
from fre_hpo.dashboard.hosts import Hosts
from fre_hpo.dashboard.login import PARAMETER, Login
from fre_hpo.dashboard.studies import Studies
from fre_hpo.errors import FreHpoError, NoStudyYet

HEALTH = "/healthz"
WAITING_SECONDS = 3
"""Until a page that shows that there is nothing to show asks again."""
_SECRET = re.compile(rf"({PARAMETER}=)[^&]*")


class Site:
    """say: gets one line for each request, None for silence; complain: gets what is unexpected."""

    def __init__(
        self,
        hosts: Hosts,
        login: Login,
        studies: Studies,
        say: Callable[[str], None] | None = None,
        complain: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._hosts = hosts
        self._login = login
        self._studies = studies
        self._say = say
        self._complain = complain

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        began = time.monotonic()
        request = Request.from_environ(environ)
        reply = guarded(request, self.answer(request))
        headers, body = reply.for_(request)
        start_response(reply.line, list(headers))
        if self._say is not None:
            taken = time.monotonic() - began
            self._say(
                f"{environ.get('REMOTE_ADDR', '-')} {_shown(request)} {reply.status} "
                f"{len(body)} bytes {taken:.3f} s"
            )
        return [body]

    def answer(self, request: Request) -> Reply:
        """Every rule, in this order; whoever asks for nothing but the server's health needs no token."""
        try:
            if request.path == HEALTH:
                return self._health(request)
            return (
                self._hosts.check(request)
                or self._login.check(request)
                or self._studies.answer(request)
            )
        except FreHpoError as error:
            refresh = WAITING_SECONDS if isinstance(error, NoStudyYet) else 10
            return refused(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error), refresh)
        except Exception as error:
            self._complain(f"{_shown(request)}: {type(error).__name__}: {error}")
            sentence = "Something unexpected happened; the dashboard's terminal says what."
            return refused(request, HTTPStatus.INTERNAL_SERVER_ERROR, sentence)

    def _health(self, request: Request) -> Reply:
        if not request.reads:
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, "no\n")
        if self._studies.healthy():
            return plain(HTTPStatus.OK, "ok\n")
        return plain(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable\n")


def guarded(request: Request, reply: Reply) -> Reply:
    """The reply with what a browser may do with it: guess no type, frame nothing, tell nobody where it
    came from, keep nothing of the API."""
    reply = reply.without("Access-Control-Allow-Origin", "Server", "Date").with_headers(
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    )
    policy = reply.header("Content-Security-Policy")
    if policy is not None:
        reply = reply.with_headers(("Content-Security-Policy", f"{policy};frame-ancestors 'none'"))
    if request.path.startswith(("/static/", "/artifacts/", "/favicon.ico")) and reply.status < 400:
        return reply.with_headers(("Cache-Control", "private, no-cache"))  # asks, by its ETag
    return reply.with_headers(("Cache-Control", "no-store"))


def _shown(request: Request) -> str:
    """The request as it may be logged: without the token, in printable characters."""
    query = _SECRET.sub(r"\1***", request.query)
    if PARAMETER in parse_qs(request.query) and query == request.query:  # written %74oken
        query = "***"
    target = f"{request.path}?{query}" if query else request.path
    return f"{request.method} {target.encode('unicode_escape').decode()}"
