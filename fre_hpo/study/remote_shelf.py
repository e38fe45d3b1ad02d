"""A place for files behind a URL, by way of fsspec: S3, Google Cloud Storage, Azure, SFTP, and others.

Each machine's back end takes its credentials, and the address of its server, from its own environment.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

import fsspec  # type: ignore[import-untyped]

from fre_hpo.errors import BadStore, nearest

_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "oci", "tos"})
"""Whose objects appear as a whole, and which have no folders."""
_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "smb": "smbprotocol",
    "webdav": "webdav4",
    "oss": "ossfs",
    "oci": "ocifs",
    "hdfs": "pyarrow",
}
"""What fsspec needs besides itself."""


class RemoteShelf:
    """Files behind a URL.  On a file system a file is written beside its place and renamed."""

    def __init__(self, root: str) -> None:
        self._url = root
        self._scheme = root.partition("://")[0]
        self._fs = _file_system(root, self._scheme)
        self._root = str(self._fs._strip_protocol(root)).rstrip("/")
        self._renames = self._scheme not in _OBJECT_STORES

    def check(self) -> None:
        """Whether it can be written shows when it is."""

    def keys(self, under: str) -> list[str]:
        self._fs.invalidate_cache()
        found = self._fs.find(self._path(under))
        return sorted(str(path)[len(self._root) + 1 :] for path in found)

    def exists(self, key: str) -> bool:
        self._fs.invalidate_cache()
        return bool(self._fs.exists(self._path(key)))

    def read(self, key: str) -> bytes:
        data: bytes = self._fs.cat_file(self._path(key))
        return data

    def write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        if not self._renames:
            self._fs.pipe_file(path, data)
            return
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        partial = f"{path}.{uuid.uuid4().hex}.part"
        try:
            self._fs.pipe_file(partial, data)
            self._replace(partial, path)
        except Exception:
            with contextlib.suppress(Exception):
                self._fs.rm_file(partial)
            raise

    def _replace(self, path: str, to: str) -> None:
        """Some servers do not rename onto what is there."""
        try:
            self._fs.mv(path, to)
        except FileExistsError:
            self._fs.rm_file(to)
            self._fs.mv(path, to)

    def move(self, key: str, to: str) -> None:
        self._replace(self._path(key), self._path(to))

    def remove(self, key: str) -> None:
        try:
            self._fs.rm_file(self._path(key))
        except FileNotFoundError:
            return

    def clear(self, under: str) -> None:
        self._fs.invalidate_cache()
        if self._fs.exists(self._path(under)):
            self._fs.rm(self._path(under), recursive=True)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"


def _file_system(root: str, scheme: str) -> Any:
    """Raises BadStore with what is to be installed, or which schemes there are."""
    if scheme == "memory":
        raise BadStore(store=root, reason="what is written there ends with the process")
    try:
        fsspec.get_filesystem_class(scheme)
    except ValueError as error:
        reason = f"fsspec knows no {scheme}:// ({nearest(scheme, _SPOKEN)})"
        raise BadStore(store=root, reason=reason) from error
    except ImportError as error:
        package = _PACKAGES.get(scheme)
        what = f"`pip install {package}` on every machine" if package else str(error)
        raise BadStore(store=root, reason=f"its back end is not installed: {what}") from error
    found, _ = fsspec.url_to_fs(root, use_listings_cache=False, skip_instance_cache=True)
    return found


_SPOKEN = ("s3", "gs", "az", "abfs", "sftp", "smb", "webdav", "oss", "oci", "hdfs", "file")
