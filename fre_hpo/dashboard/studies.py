"""What is answered to somebody who may ask: pages, the API, files, and the few changes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from http import HTTPStatus

from sqlalchemy.exc import ProgrammingError

from fre_hpo.dashboard.cache import MomentCache
from fre_hpo.dashboard.changes import Change, wanted
from fre_hpo.dashboard.exchange import Reply, Request, as_json, elsewhere, refused
from fre_hpo.dashboard.opening import Opening
from fre_hpo.dashboard.pages import Pages
from fre_hpo.dashboard.shown import polished, with_style
from fre_hpo.errors import FreHpoError, StudyHeld, StudyNotFound

HOME = "/dashboard"
NAMED = "/study/"
"""Before a study's name: leads to its page, also when that gets another number."""
_NUMBER = "[0-9]{1,9}"
_ABOUT = re.compile(rf"/(?:api/studies|csv|artifacts)/({_NUMBER})(?:/.*)?")
_POLLED = re.compile(rf"/api/studies(?:/{_NUMBER})?")
_KNOWN = re.compile(
    rf"""/ | {HOME}(?:/.*)? | {NAMED}[^\0]+ | /static/[^\0]+ | /favicon\.ico | /incompatible-rdb-schema
    | /api/meta | /api/studies | /api/studies/{_NUMBER}(?:/param_importances|/plot/[a-z_]+)?
    | /csv/{_NUMBER} | /artifacts/{_NUMBER}(?:/{_NUMBER})?/[0-9A-Fa-f-]+""",
    re.VERBOSE,
)
"""What optuna-dashboard 0.21 shows.  A later version's further routes are not offered unseen."""
_SLOW = "The storage takes too long to answer; the page asks again."
_STATUS = {StudyHeld: HTTPStatus.CONFLICT, StudyNotFound: HTTPStatus.NOT_FOUND}

Delete = Callable[[str], object]


def study_page(number: int) -> str:
    """The path of a study's page."""
    return f"{HOME}/studies/{number}"


class Studies:
    """delete: removes a study by its name, with its files; raises StudyHeld while it runs."""

    def __init__(self, opening: Opening, delete: Delete, *, allow_changes: bool = False) -> None:
        self._opening = opening
        self._delete = delete
        self._allow_changes = allow_changes
        self._polls: MomentCache[Reply] = MomentCache()
        self._health: MomentCache[bool] = MomentCache()

    def healthy(self) -> bool:
        """Whether the storage answers; asked at most once a second, for anybody may want to know."""
        return bool(self._health.get("", self._storage_answers))

    def _storage_answers(self) -> bool:
        try:
            self._opening.pages().answers()
        except FreHpoError:
            return False
        return True

    def answer(self, request: Request) -> Reply:
        """Raises what the storage raises."""
        try:
            return self._shown(request) if request.reads else self._changed(request)
        except Exception as error:
            if _lacks_tables(error):
                self._opening.reopen(self._opening.pages())
            raise

    def _changed(self, request: Request) -> Reply:
        change = wanted(request, allowed=self._allow_changes)
        return self._change(request, change) if isinstance(change, Change) else change

    def _shown(self, request: Request) -> Reply:
        if request.method == "OPTIONS":
            return Reply(HTTPStatus.NO_CONTENT, (("Allow", "GET, HEAD, OPTIONS"),))
        request = replace(request, path=request.path.rstrip("/") or "/")
        if not _KNOWN.fullmatch(request.path):
            return refused(request, HTTPStatus.NOT_FOUND, "There is nothing at this address.")
        if request.path == "/":
            return elsewhere(HOME)
        if request.path.startswith(NAMED):
            return self._named(request, request.path.removeprefix(NAMED))
        if _POLLED.fullmatch(request.path):
            return self._polled(request)
        return self._asked(request)

    # --- looking --------------------------------------------------------------------------------

    def _named(self, request: Request, name: str) -> Reply:
        try:
            return elsewhere(study_page(self._opening.pages().study_number(name)))
        except KeyError:
            sentence = (
                f"There is no study {name[:100]!r} yet: it is shown here as soon as there is."
            )
            return refused(request, HTTPStatus.NOT_FOUND, sentence, 3)

    def _polled(self, request: Request) -> Reply:
        """What every viewer asks for every few seconds: made once for all who ask at a time."""
        after = request.parameter("after")
        if after is not None and not re.fullmatch("[0-9]{1,9}", after):
            return refused(request, HTTPStatus.BAD_REQUEST, "`after` is a number of trials.")
        query = "" if after is None else f"after={int(after)}"
        reply = self._polls.get((request.path, query), lambda: self._poll(request.path, query))
        return reply or refused(request, HTTPStatus.SERVICE_UNAVAILABLE, _SLOW)

    def _poll(self, path: str, query: str) -> Reply:
        """Packed here, once for all."""
        reply = self._ask(Request("GET", path, query))
        if reply.status != HTTPStatus.OK:
            return reply
        reply = as_json(reply.status, polished(json.loads(reply.body)))
        assert reply.packed
        return reply

    def _asked(self, request: Request) -> Reply:
        reply = self._ask(request)
        if reply.status == HTTPStatus.OK and request.path.startswith("/artifacts/"):
            return _unchanged(request, reply)
        if reply.status == HTTPStatus.OK and request.path.startswith(HOME):
            page = with_style(reply.body, allow_changes=self._allow_changes)
            return replace(reply, body=page)
        return reply

    def _ask(self, request: Request) -> Reply:
        pages = self._opening.pages()
        about = _ABOUT.fullmatch(request.path)
        number = int(about[1]) if about else None
        if number is not None and pages.is_another(number):
            pages = self._opening.reopen(pages)
        with pages.notes.of_request(number) as notes:
            reply = pages.call("GET", request.path, request.query, request.headers)
            if notes.file is not None:
                reply = _as_file(reply, notes.file)
            return _explained(request, reply, pages)

    # --- changing -------------------------------------------------------------------------------

    def _change(self, request: Request, change: Change) -> Reply:
        """What is shown afterwards was read afterwards."""
        pages = self._opening.pages()
        try:
            if change.kind == "delete":
                return self._delete_study(request, pages, change.number)
            with pages.notes.of_request(None):
                reply = pages.call(request.method, request.path, body=change.body)
                return _explained(request, reply, pages)
        finally:
            pages.renew()
            self._polls.forget()

    def _delete_study(self, request: Request, pages: Pages, number: int) -> Reply:
        try:
            if pages.is_another(number):
                raise KeyError(number)
            self._delete(pages.study_name(number))
        except KeyError:
            return refused(request, HTTPStatus.NOT_FOUND, "There is no such study any more.")
        except FreHpoError as error:
            status = _STATUS.get(type(error), HTTPStatus.SERVICE_UNAVAILABLE)
            return refused(request, status, str(error))
        self._opening.reopen(pages)
        return as_json(HTTPStatus.OK, {})


def _lacks_tables(error: BaseException | None) -> bool:
    """Whether somebody emptied the database: opened anew, it says what there is."""
    while error is not None and not isinstance(error, ProgrammingError):
        error = error.__cause__
    return error is not None


def _explained(request: Request, reply: Reply, pages: Pages) -> Reply:
    """The reply, with the reason where it failed.

    A change that went well has an empty body (204), which the page of optuna-dashboard 0.21 takes for a
    failure: it reads every reply as JSON.
    """
    if reply.status == HTTPStatus.NO_CONTENT:
        return as_json(HTTPStatus.OK, {})
    if reply.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return reply
    if pages.notes.trouble is not None:
        return refused(request, *pages.notes.trouble)
    if pages.notes.error is not None:
        raise pages.notes.error
    return refused(request, HTTPStatus.INTERNAL_SERVER_ERROR, "optuna-dashboard could not answer.")


def _as_file(reply: Reply, name: str) -> Reply:
    """Pictures are shown, the rest is saved; neither can act as a page of ours."""
    reply = reply.with_headers(("Content-Security-Policy", "default-src 'none'; sandbox"))
    if (reply.header("Content-Type") or "") in ("image/png", "image/jpeg"):
        return reply.with_headers(("Content-Disposition", "inline"))
    return reply.with_headers(("Content-Disposition", f'attachment; filename="{name}"'))


def _unchanged(request: Request, reply: Reply) -> Reply:
    """The reply, or that the browser has it already."""
    tag = f'"{sha256(reply.body).hexdigest()[:32]}"'
    if tag in request.headers.get("if-none-match", ""):
        return Reply(HTTPStatus.NOT_MODIFIED, (("ETag", tag),))
    return reply.with_headers(("ETag", tag))
