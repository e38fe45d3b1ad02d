"""Places for files that several machines reach: a folder that they share, or whatever fsspec can reach."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from fre_hpo.errors import BadStore
from fre_hpo.settings import has_password, masked
from fre_hpo.study.whole import write_atomically

_LOCAL = ("file", "local")


class Shelf(Protocol):
    """Files by key, such as ``STUDY/trials/3/best.pt``.  Raises what its back end raises, and
    FileNotFoundError for a key that is not there."""

    def check(self) -> None:
        """Raise BadStore where nothing can be written, whoever tries."""

    def keys(self, under: str) -> list[str]:
        """All keys that begin with ``under`` and a slash; what is being written ends in ``.part``."""

    def exists(self, key: str) -> bool: ...

    def read(self, key: str) -> bytes: ...

    def write(self, key: str, data: bytes) -> None:
        """All of it or nothing; replaces what is there."""

    def move(self, key: str, to: str) -> None: ...

    def remove(self, key: str) -> None:
        """Nothing happens where it is not there."""

    def clear(self, under: str) -> None:
        """Remove all keys that begin with ``under`` and a slash."""


def root_of(text: str) -> str:
    """The URL, or the absolute path of a folder, that ``--checkpoints`` means.

    Raises BadStore for a URL with a password: it would be stored with the study and shown.
    """
    scheme, found, rest = text.partition("://")
    if not found:
        return str(Path(text).expanduser().absolute())
    if has_password(text) or "?" in text:
        raise BadStore(store=masked(text.partition("?")[0]), reason=_NO_SECRETS)
    if scheme not in _LOCAL:
        return text.rstrip("/")
    if not rest.startswith("/"):
        raise BadStore(store=text, reason="write three slashes: file:///path")
    return str(Path(rest))


_NO_SECRETS = (
    "a URL must hold no password, key or parameter, for it is stored with the study; credentials come from "
    "the environment of each machine, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)


def open_shelf(root: str) -> Shelf:
    """What ``root_of`` names.  Raises BadStore where its back end is unknown or not installed."""
    if "://" not in root:
        return FolderShelf(Path(root))
    from fre_hpo.study.remote_shelf import RemoteShelf  # fsspec, only where it is used

    return RemoteShelf(root)


class FolderShelf:
    """A folder that all machines have mounted under the same path."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def check(self) -> None:
        if not self._root.is_dir():
            reason = (
                "there is no such folder: create it, or mount it, on every machine of the search"
            )
            raise BadStore(store=self._root, reason=reason)

    def keys(self, under: str) -> list[str]:
        found = (path for path in (self._root / under).rglob("*") if path.is_file())
        return sorted(path.relative_to(self._root).as_posix() for path in found)

    def exists(self, key: str) -> bool:
        return (self._root / key).exists()

    def read(self, key: str) -> bytes:
        return (self._root / key).read_bytes()

    def write(self, key: str, data: bytes) -> None:
        write_atomically(self._root / key, data)

    def move(self, key: str, to: str) -> None:
        (self._root / key).replace(self._root / to)

    def remove(self, key: str) -> None:
        (self._root / key).unlink(missing_ok=True)

    def clear(self, under: str) -> None:
        if (self._root / under).exists():
            shutil.rmtree(self._root / under)
