"""The secret in the printed address: from the environment, from a file, or new at each start."""

from __future__ import annotations

import hmac
import os
import re
import secrets
import stat
from pathlib import Path

from fre_hpo.errors import UnusableToken

VARIABLE = "FRE_HPO_DASHBOARD_TOKEN"
_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{16,256}")
_FORM = "write at least 16 letters, digits, - or _"


def choose(file: Path | None, given: str | None) -> str:
    """The token of a file, else the given one (of the environment), else a new one.

    A file that is missing is made, for its owner alone, so that bookmarks survive a restart.  Raises
    UnusableToken.
    """
    if file is not None:
        return _from_file(file)
    if given:
        return _checked(given, VARIABLE)
    return secrets.token_urlsafe()


def same(given: str, token: str) -> bool:
    """Compared in a time that does not tell how much is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())


def _from_file(path: Path) -> str:
    try:
        return _new_file(path)
    except FileExistsError:
        return _checked(_read(path), str(path))
    except OSError as error:
        raise _unusable(path, error) from error


def _new_file(path: Path) -> str:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    token = secrets.token_urlsafe()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{token}\n")
    return token


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                reason, hint = "others may read or change it", f"`chmod 600 {path}`, or remove it"
                raise UnusableToken(source=path, reason=reason, hint=hint)
            return file.read(1024).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> UnusableToken:
    reason = getattr(error, "strerror", None) or "it is no text"
    return UnusableToken(source=path, reason=reason, hint="name another --token-file")


def _checked(token: str, source: str) -> str:
    if not _WELL_FORMED.fullmatch(token):
        reason = "it is empty" if not token else "it is too short or has other characters"
        raise UnusableToken(source=source, reason=reason, hint=_FORM)
    return token
