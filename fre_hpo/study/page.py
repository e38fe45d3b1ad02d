"""What optuna-dashboard shows of a study besides its trials: figures, notes, files; under its keys.

The dashboard itself stores a figure or a note in pieces of 2 kB, each in a transaction of its own, and a
reader may meet old and new ones together.  Our databases hold any text, so each is written as one piece.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from optuna.storages import BaseStorage

from fre_hpo.study.artifacts import SHOWN

Attributes = dict[str, Any]

_NOTE = re.compile(r"dashboard:(?:\d+:)?note_(?:ver|str:\d+)")
_ARTIFACT_PATH = re.compile(r"/artifacts/(\d+)/(\d+)/")


def save_figure(storage: BaseStorage, study_id: int, name: str, figure: str) -> None:
    """A plotly figure as JSON; a name that exists is replaced."""
    _save_if_changed(storage, study_id, f"dashboard:plot_data:{name}:0", figure)


def save_note(storage: BaseStorage, study_id: int, trial_id: int | None, body: str) -> None:
    """The Markdown of a trial, or of the study.  The version, for which a page looks, comes last."""
    key = _note_key(trial_id)
    attributes = storage.get_study_system_attrs(study_id)
    if note(attributes, trial_id) == body:
        return
    rest = [name for name in attributes if name.startswith(f"{key}_str:") and attributes[name]]
    for name in (name for name in rest if name != f"{key}_str:0"):  # of somebody's longer text
        storage.set_study_system_attr(study_id, name, "")
    storage.set_study_system_attr(study_id, f"{key}_str:0", body)
    version = int(attributes.get(f"{key}_ver", 0)) + 1
    storage.set_study_system_attr(study_id, f"{key}_ver", version)


def note(attributes: Attributes, trial_id: int | None) -> str:
    """The Markdown as it stands in a study's system attributes, the dashboard's own included."""
    prefix = f"{_note_key(trial_id)}_str:"
    pieces = {int(k[len(prefix) :]): v for k, v in attributes.items() if k.startswith(prefix)}
    return "".join(pieces[index] for index in sorted(pieces))


def with_ids(
    attributes: Attributes, study: tuple[int, int], trials: Mapping[int, int]
) -> Attributes:
    """A study's system attributes in another storage: notes stand under the ids of trials and show files by
    addresses in which ids stand.  study: the id there and here; trials: id there -> id here."""

    def address(found: re.Match[str]) -> str:
        known = int(found[1]) == study[0] and int(found[2]) in trials
        return artifact_folder(study[1], trials[int(found[2])]) if known else found[0]

    moved = {key: value for key, value in attributes.items() if not _NOTE.fullmatch(key)}
    for trial in (None, *trials):
        old, new = _note_key(trial), _note_key(None if trial is None else trials[trial])
        if body := note(attributes, trial):
            moved[f"{new}_str:0"] = _ARTIFACT_PATH.sub(address, body)
        if f"{old}_ver" in attributes:
            moved[f"{new}_ver"] = attributes[f"{old}_ver"]
    return moved


def attach(storage: BaseStorage, trial_id: int, artifact: str, name: str) -> None:
    """Show a file of a trial's folder; the trial must not be told yet, unless the file is there."""
    key = f"artifacts:{artifact}"
    if key in storage.get_trial(trial_id).system_attrs:
        return
    meta = {"artifact_id": artifact, "filename": name, "mimetype": SHOWN[name], "encoding": None}
    storage.set_trial_system_attr(trial_id, key, json.dumps(meta))


def artifact_path(study_id: int, trial_id: int, artifact: str) -> str:
    """Where the dashboard serves a trial's file."""
    return f"{artifact_folder(study_id, trial_id)}{artifact}"


def artifact_folder(study_id: int, trial_id: int) -> str:
    return f"/artifacts/{study_id}/{trial_id}/"


def _note_key(trial_id: int | None) -> str:
    return "dashboard:note" if trial_id is None else f"dashboard:{trial_id}:note"


def _save_if_changed(storage: BaseStorage, study_id: int, key: str, value: str) -> None:
    if storage.get_study_system_attrs(study_id).get(key) != value:
        storage.set_study_system_attr(study_id, key, value)
