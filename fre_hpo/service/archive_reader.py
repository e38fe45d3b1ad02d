"""A study as one file, read: it may be damaged, or made by somebody who means ill.

Only files that a study has are taken from it, to the places where a study has them, and only when each of
them is what the manifest says.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fre_hpo.errors import BadArchive, FreHpoError, counted
from fre_hpo.service.archive_file import (
    CHECKPOINT,
    DATABASE,
    EVENTS,
    FORMAT,
    MANIFEST,
    PIECE,
    READINGS,
    README,
    RECIPE,
    VERSION,
)
from fre_hpo.study.folder import RESULTS, room_for

_NEEDED = (README, DATABASE, READINGS, RECIPE)
_WHOLE = "|".join(map(re.escape, (*_NEEDED, EVENTS)))
_OF_TRIAL = "|".join(map(re.escape, (*RESULTS, CHECKPOINT)))
_KNOWN = re.compile(rf"{_WHOLE}|trials/[0-9]{{1,9}}/(?:{_OF_TRIAL})")
_OF_FOLDER = re.compile(rf"{EVENTS}|trials/.*")
_LONGEST_MANIFEST = 1 << 26
_TOLD = 3
"""So many files with the same problem are named."""
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)
"""What reading a ZIP raises that is damaged, packed otherwise or encrypted."""
_AGAIN = "have it sent once more, or archive the study again"
_NAME_ONE = "name a file that `fre-hpo archive` wrote"


class ArchiveReader:
    """An archive whose manifest could be read; raises BadArchive where that cannot be.

    files: those that the manifest names, with size and SHA-256; trust them once ``problems`` finds none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise self.bad("there is no such file", _NAME_ONE) from None
        except _DAMAGE as error:
            raise self.bad("it is not a ZIP file, or not the whole of one", _NAME_ONE) from error
        try:
            self._folder, self.manifest = self._read_manifest()
            self.study: str = self.manifest["study"]
            self.files: dict[str, dict[str, Any]] = self.manifest["files"]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ArchiveReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._archive.close()

    def bad(self, reason: str, hint: str = _AGAIN) -> BadArchive:
        return BadArchive(path=self.path, reason=reason, hint=hint)

    # --- the manifest ---------------------------------------------------------------------------

    def _read_manifest(self) -> tuple[str, dict[str, Any]]:
        """The folder inside the ZIP, with its slash, and the manifest that lies in it."""
        pattern = re.compile(rf"(?:[^/]+/)?{re.escape(MANIFEST)}")
        found = [entry for entry in self._archive.infolist() if pattern.fullmatch(entry.filename)]
        if len(found) != 1 or found[0].file_size > _LONGEST_MANIFEST:
            raise self.bad("it holds no study", _NAME_ONE)
        try:
            manifest = json.loads(self._archive.read(found[0]))
            newer = manifest["format"] == FORMAT and manifest["version"] > VERSION
            whole = _is_manifest(manifest)
        except (*_DAMAGE, ValueError, KeyError, TypeError) as error:
            raise self.bad(f"its {MANIFEST} is damaged") from error
        if newer:
            author = manifest.get("versions", {}).get("fre-hpo", "a newer version")
            raise self.bad(f"it was written by fre-hpo {author}, in a newer form", "update fre-hpo")
        if not whole:
            raise self.bad(f"its {MANIFEST} is not one of fre-hpo", _NAME_ONE)
        return found[0].filename.removesuffix(MANIFEST), manifest

    # --- what is inside -------------------------------------------------------------------------

    def problems(self) -> list[FreHpoError]:
        """All that is wrong with the files; reads every one of them."""
        inside = Counter(entry for entry in self._archive.namelist() if not entry.endswith("/"))
        named = {self._folder + name: name for name in (*_NEEDED, *self.files)}
        ours = {*named, self._folder + MANIFEST}
        strange = {entry for entry, count in inside.items() if entry not in ours or count > 1}
        strange |= {name for name in self.files if not _KNOWN.fullmatch(name)}
        missing = [name for entry, name in named.items() if entry not in inside]
        damaged = [n for e, n in named.items() if e in inside and not self._is_intact(n)]
        kinds = {"damaged": damaged, "missing": missing, "no file of a study": sorted(strange)}
        return [
            self.bad(f"{_told(names)} {'is' if len(names) == 1 else 'are'} {kind}")
            for kind, names in kinds.items()
            if names
        ]

    def _is_intact(self, name: str) -> bool:
        digest = hashlib.sha256()
        facts = self.files.get(name, {})
        try:
            if self.size(name) != facts.get("bytes"):
                return False
            with self._archive.open(self._folder + name) as entry:
                while piece := entry.read(PIECE):
                    digest.update(piece)
        except _DAMAGE:
            return False
        return digest.hexdigest() == facts.get("sha256")

    def size(self, name: str) -> int:
        """Bytes that a file takes once it is unpacked."""
        return self._archive.getinfo(self._folder + name).file_size

    def of_folder(self) -> list[str]:
        """The files that lie in a study's folder."""
        return [name for name in self.files if _OF_FOLDER.fullmatch(name)]

    def read(self, name: str) -> bytes:
        return self._archive.read(self._folder + name)

    def extract(self, name: str, path: Path) -> None:
        """Write a file; it is on the disk when this returns.  Raises DiskFull."""
        with room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._archive.open(self._folder + name) as entry, path.open("wb") as file:
                while piece := entry.read(PIECE):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())


def _is_manifest(manifest: Any) -> bool:
    """Whether it has the parts that are relied on."""
    return (
        manifest["format"] == FORMAT
        and isinstance(manifest["study"], str)
        and isinstance(manifest["files"], dict)
        and all(isinstance(facts, dict) for facts in manifest["files"].values())
    )


def _told(names: Sequence[str]) -> str:
    """A few names, and how many more there are."""
    more = len(names) - _TOLD
    told = ", ".join(names[:_TOLD])
    return f"{told} and {counted(more, 'more file')}" if more > 0 else told
