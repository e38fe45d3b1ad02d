"""A study as one file, written: a ZIP of one folder; its manifest names all files with their SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from fre_hpo.errors import CannotWrite, FileInTheWay
from fre_hpo.study.folder import room_for

FORMAT, VERSION = "fre-hpo study archive", 1
MANIFEST = "manifest.json"
README = "README.txt"
DATABASE = "study.db"
READINGS = "readings.json"
RECIPE = "recipe.toml"
EVENTS = "events.jsonl"
CHECKPOINT = "checkpoint.pt"
PIECE = 1 << 20
"""Bytes that are read at a time."""
_COMPRESSED_ALREADY = (".pt", ".npz", ".png")


@contextmanager
def writing(path: Path, study: str, *, force: bool) -> Iterator[ArchiveWriter]:
    """A new archive, in its place once all is in it and on the disk; nothing is left of one that fails.

    Raises FileInTheWay, CannotWrite and DiskFull.
    """
    refuse_existing(path, force=force)
    partial = path.with_name(f"{path.name}.part")
    try:
        with room_for(path):
            with partial.open("wb") as file:
                with zipfile.ZipFile(file, "w") as archive:
                    yield ArchiveWriter(archive, study)
                file.flush()
                os.fsync(file.fileno())
            refuse_existing(path, force=force)
            partial.replace(path)
    except OSError as error:
        raise CannotWrite(path=path, reason=error.strerror or error) from error
    finally:
        partial.unlink(missing_ok=True)


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise FileInTheWay where something is that must not be replaced."""
    if path.is_dir():
        raise FileInTheWay(path=path, what="is a folder", hint="name a file in it")
    if os.path.lexists(path) and not force:
        hint = "name another file, or replace it with --force"
        raise FileInTheWay(path=path, what="stays as it is", hint=hint)


class ArchiveWriter:
    """files: what was added, with its size and SHA-256."""

    def __init__(self, archive: zipfile.ZipFile, study: str) -> None:
        self._archive = archive
        self._study = study
        self.files: dict[str, dict[str, Any]] = {}

    def add(self, name: str, content: bytes) -> None:
        with self._entry(name, len(content)) as entry:
            entry.write(content)
        self._note(name, len(content), hashlib.sha256(content))

    def copy(self, name: str, path: Path, *, whole_lines: bool = False) -> bool:
        """Add a file as it is now, even if it is replaced or grows meanwhile; False where there is none.

        whole_lines: of a log to which somebody may be writing a line.
        """
        try:
            source = path.open("rb")
        except FileNotFoundError:
            return False
        with source:
            size = _whole_lines(source) if whole_lines else os.fstat(source.fileno()).st_size
            digest, left = hashlib.sha256(), size
            with self._entry(name, size) as entry:
                while left and (piece := source.read(min(left, PIECE))):
                    entry.write(piece)
                    digest.update(piece)
                    left -= len(piece)
        self._note(name, size - left, digest)
        return True

    def finish(self, facts: dict[str, Any]) -> None:
        """Write the manifest: the facts about the study, and the files."""
        manifest = {"format": FORMAT, "version": VERSION, "study": self._study, **facts}
        text = json.dumps({**manifest, "files": self.files}, indent=1).encode()
        with self._entry(MANIFEST, len(text)) as entry:
            entry.write(text)

    def _entry(self, name: str, size: int) -> IO[bytes]:
        """size: about that of the file, so that a large one gets the headers that it needs."""
        info = zipfile.ZipInfo(f"{self._study}/{name}", time.localtime()[:6])
        packed = not name.endswith(_COMPRESSED_ALREADY)
        info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        info.external_attr = 0o644 << 16
        info.file_size = size
        return self._archive.open(info, "w")

    def _note(self, name: str, size: int, digest: Any) -> None:
        self.files[name] = {"bytes": size, "sha256": digest.hexdigest()}


def _whole_lines(file: BinaryIO) -> int:
    """How many bytes, from the beginning of a log, are whole lines; the file is at its beginning then."""
    end = file.seek(0, os.SEEK_END)
    whole = 0
    while end and not whole:
        begin = max(end - PIECE, 0)
        file.seek(begin)
        newline = file.read(end - begin).rfind(b"\n")
        whole = begin + newline + 1 if newline >= 0 else 0
        end = begin
    file.seek(0)
    return whole
