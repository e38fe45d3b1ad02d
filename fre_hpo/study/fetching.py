"""Bringing the results of ended trials from the store, as a coordinator elsewhere left them."""

from __future__ import annotations

from collections import defaultdict

from fre_hpo.study.folder import RESULTS, StudyFolder, write_atomically
from fre_hpo.study.stamp import trial_key, trial_of
from fre_hpo.study.store import CheckpointStore


def fetch_results(store: CheckpointStore, folder: StudyFolder, *, log: bool = True) -> int:
    """Bring the results that a folder lacks; returns how many files.

    log: the event log, too, which a coordinator that writes it now must not lose.  A trial whose outcome
    is not here was trained on elsewhere: whatever is here of it is older.
    """
    names: dict[int, set[str]] = defaultdict(set)
    keys = store.keys()
    for key in keys:
        number = trial_of(key)
        if number is not None:
            names[number].add(key.rpartition("/")[2])
    fetched = sum(_fetch_trial(store, folder, n, names[n]) for n in sorted(names))
    if log and folder.events.name in keys:
        folder.add_events(store.read(folder.events.name) or b"")
    return fetched


def _fetch_trial(store: CheckpointStore, folder: StudyFolder, number: int, names: set[str]) -> int:
    """The outcome comes last: it says that all is here."""
    trial, fetched = folder.trial(number), 0
    is_newer = RESULTS[-1] in names and not (trial.path / RESULTS[-1]).exists()
    for name in RESULTS:
        if name in names and (is_newer or not (trial.path / name).exists()):
            content = store.read(f"{trial_key(number)}/{name}")
            if content is not None:
                write_atomically(trial.path / name, content)
                fetched += 1
    return fetched
