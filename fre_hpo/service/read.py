"""The verbs that look: list, status, trials, best - and delete.  Reading creates nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from fre_hpo.errors import NothingComplete
from fre_hpo.scheduling.live import Live
from fre_hpo.service.check import held, live_of
from fre_hpo.service.stores import clear_store
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.creation import study_names
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.records import TrialRecord, best_of

_SHOWN = (
    "number",
    "state",
    "value",
    "params",
    "best_epoch",
    "epochs",
    "class_iou",
    "attempts",
    "seed",
    "started_at",
    "finished_at",
    "worker",
    "reason",
)


def open_ledger(settings: Settings, study: str) -> Ledger:
    """A study to read; raises StudyNotFound."""
    return Ledger.open(Connection(settings.storage, create=False), study)


def list_studies(settings: Settings) -> list[dict[str, Any]]:
    """The status of every study in the storage."""
    connection = Connection(settings.storage, create=False)
    return [summary(settings, Ledger.open(connection, n)) for n in study_names(connection)]


def status(settings: Settings, study: str) -> dict[str, Any]:
    return summary(settings, open_ledger(settings, study))


def summary(settings: Settings, ledger: Ledger) -> dict[str, Any]:
    """What ``status -f json`` prints; disk_bytes: what the study takes in this home folder, None
    where its files are not here."""
    live = live_of(ledger)
    alive = live is not None and live.coordinator_alive()
    folder = StudyFolder(settings.study_folder(ledger.name))
    records = _records(ledger, alive=alive)
    best = best_of(records)
    complete = sum(r.counts for r in records)
    return {
        "study": ledger.name,
        "state": _state(live, alive=alive, done=complete >= ledger.wanted),
        "wanted": ledger.wanted,
        "complete": complete,
        "running": sum(r.state == "RUNNING" for r in records),
        "waiting": sum(r.state == "WAITING" for r in records),
        "failed": sum(r.state == "FAIL" for r in records),
        "best": None if best is None else best.point,
        "eta_seconds": live.eta_seconds if live is not None and alive else None,
        "coordinator": {"host": live.host, "pid": live.pid} if live is not None and alive else None,
        "message": live.message if live is not None and alive else None,
        "disk_bytes": folder.size() if own_folder(folder, ledger) else None,
    }


def own_folder(folder: StudyFolder, ledger: Ledger) -> bool:
    """Whether a folder is this study's, and not that of another one of its name."""
    identity = folder.identity
    return identity is not None and identity["id"] == ledger.charter.id


def whereabouts(ledger: Ledger) -> str:
    """Where a study's files are, when they are not here."""
    home = ledger.home or "nowhere yet"
    if ledger.store is None:
        return home
    return f"{home}, and at {ledger.store} (`fre-hpo fetch {ledger.name}` brings them)"


def _state(live: Live | None, *, alive: bool, done: bool) -> str:
    if alive and live is not None:
        return live.state
    if done:
        return "finished"
    return "stopped" if live is not None and live.state == "stopped" else "interrupted"


def trials(settings: Settings, study: str) -> list[dict[str, Any]]:
    """What ``trials -f json`` prints, by number."""
    ledger = open_ledger(settings, study)
    live = live_of(ledger)
    records = _records(ledger, alive=live is not None and live.coordinator_alive())
    return [{name: asdict(record)[name] for name in _SHOWN} for record in records]


def _records(ledger: Ledger, *, alive: bool) -> list[TrialRecord]:
    """The trials as a reader should see them: one that was begun waits while no coordinator runs."""
    return [
        replace(record, state="WAITING") if record.state == "RUNNING" and not alive else record
        for record in ledger.records()
    ]


def observed(settings: Settings, study: str) -> dict[str, Any]:
    """The best trial alone; raises NothingComplete."""
    return _observed(study, open_ledger(settings, study).records())


def _observed(study: str, records: Sequence[TrialRecord]) -> dict[str, Any]:
    found = best_of(records)
    if found is None:
        raise NothingComplete(study=study)
    return found.point


def best(settings: Settings, study: str) -> dict[str, Any]:
    """What ``best -f json`` prints: the best trial, and the point that is recommended, where a smooth
    model of all trials is highest (None where they are too few).  Raises NothingComplete."""
    ledger = open_ledger(settings, study)
    records = ledger.records()
    found = _observed(study, records)
    from fre_hpo.results.recommendation import recommend  # SciPy, only where it is used

    recommended = recommend(records, ledger.spec.parameters)
    return {
        "observed": found,
        "recommended": None if recommended is None else recommended.to_json(),
    }


def delete(settings: Settings, study: str) -> str | None:
    """Remove a study from the storage, its folder from the home, its files from its store; returns what
    could not be removed.  Raises StudyHeld while it runs."""
    connection = Connection(settings.storage, create=False)
    ledger = Ledger.open(connection, study)
    with held(settings, study):
        folder = StudyFolder(settings.study_folder(study))
        ours, root = own_folder(folder, ledger), ledger.store
        ledger.delete()
        if ours:
            folder.delete()
    return clear_store(root, ledger.charter.id) if root else None
