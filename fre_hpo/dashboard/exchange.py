"""A request and a reply as plain values: what every rule of the dashboard reads and gives."""

from __future__ import annotations

import gzip
import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

GZIP_LEVEL = 5
GZIP_FROM = 1024
"""Bytes from which packing pays."""
_PACKED = ("text/", "application/json", "application/javascript")

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Request:
    """path and query as they came, the path percent-decoded; headers by lower-case name."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def from_environ(cls, environ: Mapping[str, Any]) -> Request:
        """Of a WSGI server, which hands texts over as Latin-1."""
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
            for name, value in environ.items()
            if name.startswith("HTTP_") or name == "CONTENT_TYPE"
        }
        path = str(environ.get("PATH_INFO", "")).encode("latin-1").decode("utf-8", "replace")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        query = str(environ.get("QUERY_STRING", ""))
        return cls(str(environ["REQUEST_METHOD"]).upper(), path or "/", query, headers, body)

    @property
    def reads(self) -> bool:
        return self.method in ("GET", "HEAD", "OPTIONS")

    @property
    def of_api(self) -> bool:
        """Whether a program asks, and not a person's browser for a page."""
        return self.path.startswith("/api/")

    def parameter(self, name: str) -> str | None:
        """The first value of a name in the query."""
        pairs = parse_qsl(self.query, keep_blank_values=True)
        return next((value for key, value in pairs if key == name), None)

    def takes_gzip(self) -> bool:
        for offer in self.headers.get("accept-encoding", "").split(","):
            coding, _, quality = offer.partition(";")
            if coding.strip().lower() == "gzip":
                return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
        return False


@dataclass(frozen=True)
class Reply:
    """A whole reply, its body not packed."""

    status: int
    headers: Headers = ()
    body: bytes = b""

    @property
    def line(self) -> str:
        """The status as WSGI wants it."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def with_headers(self, *more: tuple[str, str]) -> Reply:
        """These instead of what had their names."""
        names = {name.lower() for name, _ in more}
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in names)
        return replace(self, headers=kept + more)

    def without(self, *names: str) -> Reply:
        dropped = {name.lower() for name in names}
        return replace(self, headers=tuple(h for h in self.headers if h[0].lower() not in dropped))

    @property
    def packable(self) -> bool:
        kind = self.header("Content-Type") or ""
        return kind.startswith(_PACKED) and self.header("Content-Encoding") is None

    @cached_property
    def packed(self) -> bytes:
        """The body with gzip; done once, also for a reply that many ask for."""
        return gzip.compress(self.body, GZIP_LEVEL, mtime=0)

    def for_(self, request: Request) -> tuple[Headers, bytes]:
        """Headers and body as this request may have them: packed or not, none for HEAD."""
        headers, body = self.headers, self.body
        if self.packable:
            headers += (("Vary", "Accept-Encoding"),)
            if len(body) > GZIP_FROM and request.takes_gzip():
                headers, body = (*headers, ("Content-Encoding", "gzip")), self.packed
        if self.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            headers += (("Content-Length", str(len(body))),)
        return headers, b"" if request.method == "HEAD" else body


def as_json(status: int, content: Any) -> Reply:
    body = json.dumps(content, separators=(",", ":")).encode()
    return Reply(status, (("Content-Type", "application/json"),), body)


def plain(status: int, text: str) -> Reply:
    return Reply(status, (("Content-Type", "text/plain; charset=utf-8"),), text.encode())


def elsewhere(location: str, *headers: tuple[str, str]) -> Reply:
    """Asks the browser to go there; location: a path of this server."""
    return Reply(HTTPStatus.SEE_OTHER, (("Location", location), *headers))


def refused(request: Request, status: int, sentence: str, refresh: int | None = None) -> Reply:
    """A sentence: as JSON for the API, as a small page for a browser; refresh: seconds after which the
    page asks again by itself."""
    if request.of_api:
        return as_json(status, {"reason": sentence})
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh is not None else ""
    page = _PAGE.format(again=again, sentence=_marked(sentence))
    headers = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", "default-src 'none';style-src 'unsafe-inline'"),
    )
    return Reply(status, headers, page.encode())


def _marked(sentence: str) -> str:
    """As HTML, with what stands between backquotes as code."""
    return "".join(_parts(html.escape(sentence)))


def _parts(text: str) -> Iterator[str]:
    for index, part in enumerate(text.split("`")):
        yield f"<code>{part}</code>" if index % 2 else part


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>fre-hpo</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{again}
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:20vh auto;padding:0 1em;
color:#222;background:#fff}}code{{background:#eee;padding:.1em .3em;border-radius:3px}}</style>
</head><body><p>{sentence}</p></body></html>
"""
