"""A file's bytes, read piece by piece, and never beyond the file's end."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fre_hpo.data.pictures.error import Flaw, damaged


class Content:
    """An open file of known size."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file = file
        self.size = size

    def at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; the file is damaged when it does not hold them all."""
        if offset + length > self.size:
            raise damaged(f"it is cut short: {self.size} of {offset + length} bytes are there")
        self.file.seek(offset)
        found = self.file.read(length)
        if len(found) < length:
            raise damaged("it became shorter while it was read")
        return found

    def start(self, length: int) -> bytes:
        """The first bytes, fewer than `length` when the file is shorter."""
        return self.at(0, min(length, self.size))

    def whole(self) -> bytes:
        """All bytes."""
        return self.at(0, self.size)


@contextmanager
def opened(path: Path) -> Iterator[Content]:
    """Open a file for reading; a folder, a pipe or an empty file is a flaw."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise Flaw("is a folder", "name the picture in it")
    if not stat.S_ISREG(status.st_mode):
        raise Flaw("is no ordinary file", "put the picture itself there")
    if status.st_size == 0:
        raise Flaw("is empty (0 bytes)", "put an intact file there")
    with path.open("rb") as file:
        yield Content(file, status.st_size)
