"""The event log of a study, as ``fre-hpo logs`` shows it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fre_hpo.errors import FilesElsewhere
from fre_hpo.service.read import open_ledger, own_folder, whereabouts
from fre_hpo.settings import Settings
from fre_hpo.study.folder import StudyFolder

POLL_SECONDS = 0.5
FREQUENT = ("epoch", "checkpoint")
"""Events that come with every epoch."""


def log_file(settings: Settings, study: str) -> Path:
    """The event log; raises StudyNotFound, and FilesElsewhere where the study's files are not here."""
    ledger = open_ledger(settings, study)
    folder = StudyFolder(settings.study_folder(study))
    if not own_folder(folder, ledger) or not folder.events.exists():
        raise FilesElsewhere(study=study, home=whereabouts(ledger))
    return folder.events


def read_events(
    log: Path, *, trial: int | None, frequent: bool
) -> tuple[list[dict[str, Any]], int]:
    """What was logged so far, of one trial or of all, and the place where the next line begins.

    frequent: with the events of every epoch.
    """
    text = log.read_bytes()
    end = text.rfind(b"\n") + 1
    return [e for e in _events(text[:end]) if _is_wanted(e, trial, frequent)], end


def follow(log: Path, start: int, *, trial: int | None, frequent: bool) -> Iterator[dict[str, Any]]:
    """What is logged from that place on, for ever."""
    with log.open("rb") as file:
        file.seek(start)
        rest = b""
        while True:
            text = rest + file.read()
            whole, newline, rest = text.rpartition(b"\n")
            yield from (e for e in _events(whole + newline) if _is_wanted(e, trial, frequent))
            time.sleep(POLL_SECONDS)


def _is_wanted(event: dict[str, Any], trial: int | None, frequent: bool) -> bool:
    if trial is not None and event.get("trial") != trial:
        return False
    return frequent or event["event"] not in FREQUENT


def _events(text: bytes) -> Iterator[dict[str, Any]]:
    """The whole lines; one that a crash cut short is left out."""
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "event" in event:
            yield event
