"""Who may come in: whoever has the token, once in an address, then in a cookie, or in a header."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import quote, unquote_plus

from fre_hpo.dashboard.exchange import Reply, Request, elsewhere, refused
from fre_hpo.dashboard.token import same

PARAMETER = "token"
COOKIE_SECONDS = 30 * 24 * 3600
_NEEDED = (
    "This dashboard needs its token: open the whole address that `fre-hpo dashboard` printed when it was "
    "started."
)
_OTHER = (
    "This is not the token of this dashboard, which may have been started anew: open the address that "
    "`fre-hpo dashboard` printed last."
)


class Login:
    """port: part of the cookie's name, because browsers send the cookies of one port to all."""

    def __init__(self, token: str, port: int) -> None:
        self._token = token
        self._cookie = f"fre-hpo-{port}"

    def check(self, request: Request) -> Reply | None:
        """None where the request may pass; a token in the address becomes a cookie."""
        given = request.parameter(PARAMETER) if request.reads else None
        if given is not None:
            return self._welcome(request) if same(given, self._token) else _deny(request, _OTHER)
        if any(same(secret, self._token) for secret in self._secrets(request)):
            return None
        return _deny(request, _NEEDED)

    def _welcome(self, request: Request) -> Reply:
        """To the same address without the token, which so stays in no history and no bookmark."""
        cookie = (
            f"{self._cookie}={self._token}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; "
            "SameSite=Strict"
        )
        return elsewhere(_without_token(request), ("Set-Cookie", cookie))

    def _secrets(self, request: Request) -> Iterator[str]:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            yield secret.strip()
        for pair in request.headers.get("cookie", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self._cookie:
                yield value


def _without_token(request: Request) -> str:
    """A path of this server whatever was asked for: never ``//host``, nor a line's end."""
    path = "/" + quote(request.path.lstrip("/"), safe="/:@!$&'()*+,;=~-._")
    pairs = [p for p in request.query.split("&") if unquote_plus(p.partition("=")[0]) != PARAMETER]
    query = quote("&".join(filter(None, pairs)), safe="/:@!$&'()*+,;=~-._?%")
    return f"{path}?{query}" if query else path


def _deny(request: Request, sentence: str) -> Reply:
    """A browser that follows another site's link keeps our cookie to itself (SameSite=Strict); asked
    again from our own page it sends it."""
    fetch = request.headers.get("sec-fetch-site"), request.headers.get("sec-fetch-mode")
    refresh = 0 if fetch == ("cross-site", "navigate") and request.method == "GET" else None
    reply = refused(request, HTTPStatus.UNAUTHORIZED, sentence, refresh)
    return reply.with_headers(("WWW-Authenticate", 'Bearer realm="fre-hpo"'))
