"""``fre-hpo fetch``: a study's files from its store into this home folder, without a start."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from fre_hpo.errors import OtherStorage, UsageError
from fre_hpo.service.read import open_ledger, own_folder
from fre_hpo.service.stores import Store
from fre_hpo.settings import Settings
from fre_hpo.study.fetching import fetch_results
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.shelf import root_of
from fre_hpo.study.store import StoreAddress


@dataclass(frozen=True)
class Fetched:
    """root: of the store.  files: how many were missing here."""

    root: str
    files: int


def fetch(settings: Settings, study: str, named: str | None = None) -> Fetched:
    """Bring what is missing of a study's ended trials, also while it is searched elsewhere.

    named: the store; None is that of the study.  Raises StudyNotFound, UsageError where there is none,
    StoreUnreachable, and OtherStorage where the folder here is another study's.
    """
    ledger = open_ledger(settings, study)
    root = root_of(named) if named else ledger.store
    if root is None:
        problem = (
            f"Study {study!r} keeps no files at a store (--checkpoints): they are in "
            f"{ledger.home or 'no folder yet'}."
        )
        raise UsageError(problem=problem)
    folder = StudyFolder(settings.study_folder(study))
    if folder.identity and not own_folder(folder, ledger):
        raise OtherStorage(folder=folder.path, theirs=folder.identity["storage"])
    store = StoreAddress(root, ledger.charter.id).open()
    runs_here = ledger.home == f"{socket.gethostname()}:{settings.home}"
    files = fetch_results(store, folder, log=not runs_here)
    folder.identify(ledger.charter.id, ledger.shown)
    return Fetched(root, files)


def bring(store: Store | None, settings: Settings, study: str) -> None:
    """For a start that has nothing to train: what is missing here of a study that was trained elsewhere."""
    if store and store.holds:
        fetch(settings, study, store.root)
