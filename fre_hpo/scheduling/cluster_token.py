"""The token of a cluster: one file, the same on every machine, readable by its owner alone.

Who has it may run programs on every machine of the cluster, so it is asked for by default.  Ray gets the
file's name through the environment; the token itself is on no command line and in no log.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from fre_hpo.errors import NoToken, UnsafeToken
from fre_hpo.scheduling.ray_settings import is_told

VARIABLE = "FRE_HPO_TOKEN_FILE"
NAME = "cluster-token"
_WELL_FORMED = re.compile(r"[!-~]{16,1024}")


def find(given: Path | None, home: Path, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file that holds the token: the given one, else that of the environment, else the home's; None
    where Ray's own variables tell the token, or that there is none.  It need not exist."""
    if given is not None:
        return given.expanduser().absolute()
    if is_told(environ):
        return None
    named = environ.get(VARIABLE)
    return Path(named).expanduser().absolute() if named else home / NAME


def check(path: Path | None, address: str | None = None) -> Path | None:
    """Make sure that the file holds a token that nobody else can read.  Raises NoToken, UnsafeToken.

    address: of the cluster, so that the hint names the machine to copy it from.
    """
    if path is None:
        return None
    try:
        with path.open(encoding="ascii") as file:
            _refuse_shared(path, os.fstat(file.fileno()))
            token = file.read(2048).strip()
    except FileNotFoundError:
        raise NoToken(path=path, hint=_copy_hint(path, address)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UnsafeToken(path=path, reason=reason, hint=_copy_hint(path, address)) from error
    if not _WELL_FORMED.fullmatch(token):
        reason = "it is empty" if not token else "it is not one word of 16 characters or more"
        raise UnsafeToken(path=path, reason=reason, hint=_copy_hint(path, address))
    return path


def create(path: Path | None) -> bool:
    """Write a new token where there is none yet, for its owner alone; whether it did.

    Raises UnsafeToken where nothing can be written.
    """
    if path is None:
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        if path.is_file():
            return False
        hint = "name another place with --token-file"
        raise UnsafeToken(path=path, reason=error.strerror, hint=hint) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{secrets.token_hex(32)}\n")
    return True


def _refuse_shared(path: Path, status: os.stat_result) -> None:
    """Others may do nothing with it.  Its group may read it where it is somebody else's file, which is how
    Kubernetes and systemd hand a secret to a process that is not root's."""
    ours = status.st_uid == os.geteuid()
    forbidden = stat.S_IRWXO | stat.S_IWGRP | (stat.S_IRGRP if ours else 0)
    if status.st_mode & forbidden:
        raise UnsafeToken(
            path=path, reason="others may read or change it", hint=f"type `chmod 600 {path}`"
        )


def _copy_hint(path: Path, address: str | None) -> str:
    host = address.rpartition(":")[0] if address else ""
    if not host:
        return "`fre-hpo head` writes it; copy it from the machine where that runs"
    return f"copy the file from the machine of the head, `scp {host}:.local/share/fre-hpo/{NAME} {path}`"
