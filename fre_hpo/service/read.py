"""The verbs that look: list, status, trials, best - and delete.  Reading creates nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fre_hpo.errors import NothingComplete, StudyHeld
from fre_hpo.scheduling.live import Live
from fre_hpo.service.check import live_of
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger, study_names
from fre_hpo.study.lock import coordinator_lock
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
    return [summary(Ledger.open(connection, name)) for name in study_names(connection)]


def status(settings: Settings, study: str) -> dict[str, Any]:
    return summary(open_ledger(settings, study))


def summary(ledger: Ledger) -> dict[str, Any]:
    """What ``status -f json`` prints.  A trial that was begun waits while no coordinator runs."""
    records = ledger.records()
    live = live_of(ledger)
    alive = live is not None and live.coordinator_alive()
    best = best_of(records)
    begun = sum(r.state == "RUNNING" for r in records)
    complete = sum(r.counts for r in records)
    return {
        "study": ledger.name,
        "state": _state(live, alive=alive, done=complete >= ledger.wanted),
        "wanted": ledger.wanted,
        "complete": complete,
        "running": begun if alive else 0,
        "waiting": sum(r.state == "WAITING" for r in records) + (0 if alive else begun),
        "failed": sum(r.state == "FAIL" for r in records),
        "best": None if best is None else _point(best),
        "eta_seconds": live.eta_seconds if live is not None and alive else None,
        "coordinator": {"host": live.host, "pid": live.pid} if live is not None and alive else None,
    }


def _state(live: Live | None, *, alive: bool, done: bool) -> str:
    if alive:
        return "running"
    if done:
        return "finished"
    return "stopped" if live is not None and live.state == "stopped" else "interrupted"


def _point(trial: TrialRecord) -> dict[str, Any]:
    return {"number": trial.number, "value": trial.value, "params": trial.params}


def trials(settings: Settings, study: str) -> list[dict[str, Any]]:
    """What ``trials -f json`` prints, by number.  A trial that was begun waits while no coordinator
    runs."""
    ledger = open_ledger(settings, study)
    live = live_of(ledger)
    alive = live is not None and live.coordinator_alive()
    found = [{name: asdict(record)[name] for name in _SHOWN} for record in ledger.records()]
    for trial in found:
        if trial["state"] == "RUNNING" and not alive:
            trial["state"] = "WAITING"
    return found


def best(settings: Settings, study: str) -> dict[str, Any]:
    """What ``best -f json`` prints; raises NothingComplete."""
    found = best_of(open_ledger(settings, study).records())
    if found is None:
        raise NothingComplete(study=study)
    return {"observed": _point(found), "recommended": None}


def delete(settings: Settings, study: str) -> None:
    """Remove a study from the storage and its folder from the home; raises StudyHeld while it runs."""
    ledger = open_ledger(settings, study)
    lock = coordinator_lock(ledger.url, study)
    if not lock.acquire():
        live = ledger.live or {}
        raise StudyHeld(study=study, host=live.get("host", "a host"), pid=live.get("pid", "?"))
    try:
        ledger.delete()
        StudyFolder(settings.study_folder(study)).delete()
    finally:
        lock.release()
