"""Our dashboard as its viewers meet it: asked through WSGI, without a server, or over HTTP."""

from __future__ import annotations

import gzip
import http.client
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fre_hpo.dashboard.hosts import known_hosts
from fre_hpo.dashboard.login import Login
from fre_hpo.dashboard.opening import Opening
from fre_hpo.dashboard.site import Site
from fre_hpo.dashboard.studies import Studies

TOKEN = "tests-token-0123456789"


@dataclass(frozen=True)
class Answer:
    """A reply as it arrived; headers by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        packed = self.headers.get("content-encoding") == "gzip"
        return (gzip.decompress(self.body) if packed else self.body).decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def reason(self) -> str:
        return str(self.json["reason"])


class Viewer:
    """Asks a site of a storage, with its token unless headers say otherwise."""

    def __init__(
        self,
        url: str,
        home: Path,
        *,
        allow_changes: bool = False,
        delete: Callable[[str], None] = lambda study: None,
    ) -> None:
        self.said: list[str] = []
        self.complaints: list[str] = []
        self.opening = Opening(url, home / "studies")
        studies = Studies(self.opening, delete, allow_changes=allow_changes)
        login, known = Login(TOKEN, 80), known_hosts("127.0.0.1")
        self._site = Site(known, login, studies, self.said.append, self.complaints.append)

    def ask(
        self, path: str, method: str = "GET", content: Any = None, **headers: str | None
    ) -> Answer:
        """headers: by name with underscores; None leaves out what is sent otherwise."""
        given = {"host": "localhost", "authorization": f"Bearer {TOKEN}", **headers}
        path, _, query = path.partition("?")
        body = b"" if content is None else json.dumps(content).encode()
        environ = {f"HTTP_{n.upper()}": value for n, value in given.items() if value is not None}
        environ |= {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}
        environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
        answer: list[Any] = []
        site_input: Any = io.BytesIO(body)
        parts = self._site(
            {**environ, "wsgi.input": site_input}, lambda status, got: answer.extend((status, got))
        )
        lower = {name.lower(): value for name, value in answer[1]}
        return Answer(int(answer[0][:3]), lower, b"".join(parts))

    def study(self, number: int = 1, after: int = 0) -> Any:
        """What the study's page gets."""
        return self.ask(f"/api/studies/{number}?after={after}").json


def fetch(
    address: str, path: str, method: str = "GET", body: str | None = None, **headers: str
) -> Answer:
    """Over HTTP, of the server behind a printed address; the token only where headers have it."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    try:
        connection.request(
            method, path, body, {name.replace("_", "-"): v for name, v in headers.items()}
        )
        reply = connection.getresponse()
        lower = {name.lower(): value for name, value in reply.getheaders()}
        return Answer(reply.status, lower, reply.read())
    finally:
        connection.close()


def token_of(address: str) -> str:
    """Of the printed address."""
    return parse_qs(urlsplit(address).query)["token"][0]
