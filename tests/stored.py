"""Stores to be tried: a folder, a file system and an object store behind URLs that only tests know."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from fre_hpo.study import remote_shelf
from fre_hpo.study.store import CheckpointStore, StoreAddress

STUDY_ID = "5" * 32
KINDS = ("folder", "files", "objects")


class LabFiles(LocalFileSystem):  # type: ignore[misc]
    """A server's disk, ``labfiles:///path``, that fsspec reaches as any other."""

    protocol = "labfiles"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(path).removeprefix("labfiles://").rstrip("/")


class LabObjects(MemoryFileSystem):  # type: ignore[misc]
    """An object store, ``labobjects://bucket/prefix``."""

    protocol = "labobjects"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + str(path).removeprefix("labobjects://").strip("/")


def store_root(kind: str, folder: Path, patch: pytest.MonkeyPatch) -> str:
    """An empty store of a kind, as ``--checkpoints`` names it."""
    for system in (LabFiles, LabObjects):
        fsspec.register_implementation(system.protocol, system, clobber=True)
    patch.setattr(remote_shelf, "_OBJECT_STORES", {LabObjects.protocol})
    place = folder / "store"
    if kind == "objects":
        return f"labobjects://bucket/{uuid.uuid4().hex}"
    place.mkdir()
    return str(place) if kind == "folder" else f"labfiles://{place}"


def opened(root: str, study_id: str = STUDY_ID) -> CheckpointStore:
    """The store of a study whose files may be there."""
    store = StoreAddress(root, study_id).open()
    store.mark("cells")
    return store


def results(store: CheckpointStore, number: int) -> set[str]:
    """The names of what a store holds of a trial."""
    return {key.rpartition("/")[2] for key in store.keys(f"trials/{number}")}


@contextmanager
def unmounted(folder: Path) -> Iterator[None]:
    """The folder is empty, as the place of a mount is without it; whatever is written there is lost."""
    aside = folder.with_name(f"{folder.name}.mounted")
    folder.rename(aside)
    folder.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(folder)
        aside.rename(folder)


def plain(trial: Any) -> dict[str, bytes]:
    """The files of a trial's folder."""
    return {path.name: path.read_bytes() for path in trial.path.iterdir()}
