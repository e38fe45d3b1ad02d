"""Writing files so that a reader or a crash never meets half a one.

Whatever is replaced is written beside it, flushed to the disk and renamed.  A disk that is full raises
DiskFull and leaves what was there; every write may then be called again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from fre_hpo.errors import DiskFull


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Raise DiskFull, which names the file, for the system's errors that mean it."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(path=path) from error
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file as a whole."""
    with room_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside(path, content) as partial:
            partial.replace(path)


@contextmanager
def beside(path: Path, content: bytes) -> Iterator[Path]:
    """The content on the disk, under a name from which it only has to be renamed."""
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def append_whole(path: Path, line: bytes) -> None:
    """Append a line, all of it or nothing; what a crash cut short before stays a line of its own."""
    with room_for(path), path.open("ab+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        torn = size > 0 and not _ends_with_newline(file)
        whole = b"\n" + line if torn else line
        try:
            written = file.write(whole)
            if written != len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(size)
            raise


def _ends_with_newline(file: BinaryIO | FileIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
