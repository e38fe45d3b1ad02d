"""What may be changed through the dashboard: nothing, or a short list."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from fre_hpo.dashboard.exchange import Reply, Request, refused

READ_ONLY = (
    "This dashboard only shows: start it with --allow-changes to write notes, to fail a running trial or to "
    "delete a study."
)
NOT_OFFERED = (
    "This cannot be done here: with --allow-changes the dashboard writes notes, fails running trials and "
    "deletes studies; the rest is the command line's."
)
ONLY_FAIL = "Here a trial can only be failed: its value comes from its training alone."

Kind = Literal["note", "fail", "delete"]
_ALLOWED: tuple[tuple[Kind, str, re.Pattern[str]], ...] = (
    ("note", "PUT", re.compile(r"/api/studies/([0-9]{1,18})/note")),
    ("note", "PUT", re.compile(r"/api/studies/([0-9]{1,18})/[0-9]{1,18}/note")),
    ("fail", "POST", re.compile(r"/api/trials/([0-9]{1,18})/tell")),
    ("delete", "DELETE", re.compile(r"/api/studies/([0-9]{1,18})")),
)


@dataclass(frozen=True)
class Change:
    """number: the study's, or for ``fail`` the trial's, in the storage.  body: as it is handed on, with
    nothing in it that was not looked at."""

    kind: Kind
    number: int
    body: bytes = b""


def wanted(request: Request, *, allowed: bool) -> Change | Reply:
    """The change that a request asks for, or the sentence that refuses it."""
    if not allowed:
        return refused(request, HTTPStatus.FORBIDDEN, READ_ONLY)
    for kind, method, pattern in _ALLOWED:
        match = pattern.fullmatch(request.path)
        if match and request.method == method:
            return _checked(request, kind, int(match[1]))
    return refused(request, HTTPStatus.FORBIDDEN, NOT_OFFERED)


def _checked(request: Request, kind: Kind, number: int) -> Change | Reply:
    if kind == "delete":
        return Change(kind, number)
    content = _json_object(request)
    if content is None:
        return refused(
            request, HTTPStatus.BAD_REQUEST, "Send a JSON object, with its Content-Type."
        )
    if kind == "fail":
        if content.get("state") != "Fail":
            return refused(request, HTTPStatus.FORBIDDEN, ONLY_FAIL)
        return Change(kind, number, _as_body({"state": "Fail"}))
    version, body = content.get("version"), content.get("body")
    if not isinstance(body, str) or not isinstance(version, int) or isinstance(version, bool):
        sentence = "A note is a text `body` with the number `version` that comes next."
        return refused(request, HTTPStatus.BAD_REQUEST, sentence)
    return Change(kind, number, _as_body({"version": version, "body": body}))


def _json_object(request: Request) -> dict[str, Any] | None:
    """The body; a form of another page cannot send JSON's content type."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        content = json.loads(request.body) if kind == "application/json" else None
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _as_body(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()
