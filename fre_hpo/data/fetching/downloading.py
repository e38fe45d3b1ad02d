"""A file from a web server, in as many attempts as the link needs.

What has arrived stays in a ``.part`` file; the next attempt asks for the rest of the same version of the
file (Range with If-Range, RFC 9110), and begins anew where the server cannot tell or has another one.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import BinaryIO
from urllib import request
from urllib.error import HTTPError, URLError

from fre_hpo.errors import FetchFailed

SECONDS = 30
"""So long a server may be silent."""
LARGEST = 2**31
"""Bytes that a download may have: no server fills the disk."""
_PIECE = 2**18

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and with all that are expected where the server says so."""


@dataclass(frozen=True)
class Version:
    """Which file a part is of.  validator: the server's ETag or date, "" where it gives none that
    identifies every byte."""

    url: str
    validator: str

    @classmethod
    def of(cls, url: str, answer: HTTPResponse) -> Version:
        tag = answer.headers.get("ETag", "")
        strong = tag if tag.startswith('"') else ""
        return cls(url, strong or answer.headers.get("Last-Modified", ""))


def download(url: str, part: Path, progress: Progress) -> None:
    """Complete ``part``; raises FetchFailed, in one sentence, for whatever hinders it."""
    with _alone(part, url) as file:
        try:
            answer = _ask(url, file, part)
            if answer is not None:
                with answer:
                    _receive(answer, file, url, progress)
        except HTTPError as error:
            error.close()
            words = str(error.reason).partition("\n")[0]
            reason = f"the server answered {error.code} {words}"
            raise FetchFailed(source=url, reason=reason, hint=_OTHERWISE) from None
        except (OSError, HTTPException, ValueError) as error:
            raise _broken_off(url, error, file, part) from None


_OTHERWISE = "fetch it in another way and name the zip or its unpacked folder with --from"


@contextmanager
def _alone(part: Path, url: str) -> Iterator[BinaryIO]:
    """The part, which no other process writes to meanwhile, at its end; an empty one does not stay."""
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reason = f"another fetch is writing {part}"
            raise FetchFailed(source=url, reason=reason, hint="wait until it has ended") from None
        try:
            yield file
        finally:
            if not file.tell():
                forget(part)


def _ask(url: str, file: BinaryIO, part: Path) -> HTTPResponse | None:
    """The server's answer: what is missing of the part, or all of it, for which the part is emptied.
    None where nothing is missing."""
    known = _noted(part)
    begun = file.tell() if known and known.url == url and known.validator else 0
    headers = {"User-Agent": "fre-hpo", "Accept-Encoding": "identity"}
    if begun and known:
        headers |= {"Range": f"bytes={begun}-", "If-Range": known.validator}
    try:
        answer: HTTPResponse = _opener().open(request.Request(url, headers=headers), None, SECONDS)
    except HTTPError as error:
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{begun}":
            error.close()
            return None
        if error.code == 416:
            _empty(file)  # the next attempt begins anew
        raise
    if answer.status != 206:
        _empty(file)
    elif _first_byte(answer) != begun:
        _empty(file)
        answer.close()
        raise ConnectionError("the server sent another part than was asked for")
    _note(part, Version.of(url, answer))
    return answer


def _opener() -> request.OpenerDirector:
    """http and https alone, also where a server redirects to something else."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPRedirectHandler,
        request.HTTPErrorProcessor,
        request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _empty(file: BinaryIO) -> None:
    file.truncate(0)
    file.seek(0)


def _first_byte(answer: HTTPResponse) -> int | None:
    """Where the part begins that is sent: Content-Range is "bytes 100-199/200"."""
    unit, _, span = answer.headers.get("Content-Range", "").partition(" ")
    first = span.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdecimal() else None


def _total(answer: HTTPResponse, begun: int) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return begun + int(length) if length.isdecimal() else None


def _receive(answer: HTTPResponse, file: BinaryIO, url: str, progress: Progress) -> None:
    total = _total(answer, file.tell())
    progress(file.tell(), total)
    while piece := answer.read1(_PIECE):  # all that has arrived, also before a cut
        if file.tell() + len(piece) > LARGEST:
            _empty(file)
            reason = f"it has more than {LARGEST // 2**30} GiB"
            raise FetchFailed(source=url, reason=reason, hint="check the address")
        file.write(piece)
        progress(file.tell(), total)
    if total is not None and file.tell() < total:
        raise ConnectionError(f"the connection was cut at {file.tell():,} of {total:,} bytes")


def _broken_off(url: str, error: Exception, file: BinaryIO, part: Path) -> FetchFailed:
    """Says whether the same command goes on, and why it did not get further."""
    cause = error.reason if isinstance(error, URLError) else error
    text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    if isinstance(error, IncompleteRead):
        text = f"the connection was cut at {file.tell():,} bytes"
    known = _noted(part)
    if file.tell() and known and known.validator:
        hint = "the same command goes on from there"
    elif file.tell():
        hint = "the same command begins anew, because this server cannot continue a file"
    else:
        hint = f"check the network and the address, or {_OTHERWISE}"
    return FetchFailed(source=url, reason=text, hint=hint)


# --- which file a part is of --------------------------------------------------------------------


def _note_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _note(part: Path, version: Version) -> None:
    _note_of(part).write_text(json.dumps(asdict(version)), encoding="utf-8")


def _noted(part: Path) -> Version | None:
    try:
        return Version(**json.loads(_note_of(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def forget(part: Path) -> None:
    """Remove a part that is of no more use."""
    part.unlink(missing_ok=True)
    _note_of(part).unlink(missing_ok=True)
