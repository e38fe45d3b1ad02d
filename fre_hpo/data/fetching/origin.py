"""Where a published set may come from on this machine: a folder, or a zip, read as if it were one."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast
from urllib.request import url2pathname

from fre_hpo.errors import DataProblems, FetchFailed

Place = Path | zipfile.Path
"""A folder or a file, on the disk or inside a zip."""
_ENTRIES = 100_000


def local(source: str) -> Path:
    """A path, or file:///path; raises FetchFailed for another scheme or when nothing is there."""
    hint = "name a zip, a folder, or a URL that begins with https://, http:// or file:///"
    if source.lower().startswith(("file:///", "file://localhost/")):
        path = Path(url2pathname(f"/{source.split('/', 3)[3]}"))
    elif "://" in source:
        raise FetchFailed(source=source, reason="such addresses are not read", hint=hint)
    else:
        path = Path(source).expanduser()
    if not path.exists():
        raise FetchFailed(source=source, reason="there is no such file or folder", hint=hint)
    return path


@contextmanager
def opened(path: Path, called: object = None) -> Iterator[Place]:
    """A folder, or the inside of a zip that is safe to read.  called: what people know it as."""
    if path.is_dir():
        yield path
        return
    with _zip(path, called or path) as archive:
        _refuse_unsafe(archive, called or path)
        yield zipfile.Path(archive)


def _zip(path: Path, called: object) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception as error:  # its reader raises nearly anything on damaged files
        hint = "fetch the zip again, or name its unpacked folder"
        reason = f"it is no intact zip: {error}"
        raise FetchFailed(source=called, reason=reason, hint=hint) from error


def _refuse_unsafe(archive: zipfile.ZipFile, called: object) -> None:
    """Names that lead out of the folder, links, passwords, and more entries than any set has."""
    entries = archive.infolist()
    problems = [
        f"{called}: {entry.filename} {reason}: take the zip as published"
        for entry in entries
        if (reason := _unsafe(entry))
    ]
    if len(entries) > _ENTRIES:
        problems.append(f"{called} has {len(entries)} entries: take the zip as published")
    if problems:
        raise DataProblems(problems)


def _unsafe(entry: zipfile.ZipInfo) -> str | None:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        return "leads out of its folder"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a link"
    if entry.flag_bits & 1:
        return "is encrypted"
    return None


def reading(file: Place) -> BinaryIO:
    return cast(BinaryIO, file.open("rb"))
