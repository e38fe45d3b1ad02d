"""Who looked at a locked test split, and when.

A test split is fresh once.  So every reading is recorded in the storage under the split's fingerprint,
before anything is computed from it: in a place of its own, which no search and no ``delete`` touches, and
in which a new study on the same pictures finds the readings of the old ones.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import optuna

from fre_hpo.study.connection import Connection, reaching
from fre_hpo.study.records import now

STUDY = "fre-hpo: readings of test splits"
"""An Optuna study without trials and without a charter, under a name that no study of ours can have:
``study_names`` passes it over, and so does all that lists studies by it."""


@dataclass(frozen=True)
class Reading:
    """fingerprint: of the test split.  study: the study that was tested, or the comparison.  networks: how
    many were measured.  time: ISO 8601, UTC."""

    fingerprint: str
    study: str
    networks: int
    time: str

    def to_plain(self) -> dict[str, Any]:
        return dict(vars(self))


@reaching
def record_reading(
    connection: Connection, fingerprint: str, study: str, networks: int
) -> tuple[Reading, ...]:
    """Record that a test split is about to be read; returns the earlier readings of it."""
    assert connection.storage is not None
    book = optuna.create_study(
        study_name=STUDY, storage=connection.storage, direction="maximize", load_if_exists=True
    )
    reading = Reading(fingerprint, study, networks, now())
    key = f"{reading.time}/{uuid.uuid4().hex[:8]}"
    book.set_user_attr(key, reading.to_plain())
    return tuple(r for k, r in _entries(book) if r.fingerprint == fingerprint and k < key)


@reaching
def readings(connection: Connection, fingerprint: str) -> tuple[Reading, ...]:
    """All readings of a test split in this storage, the first one first."""
    if connection.storage is None:
        return ()
    if STUDY not in {study.study_name for study in connection.storage.get_all_studies()}:
        return ()
    book = optuna.load_study(study_name=STUDY, storage=connection.storage)
    return tuple(r for _, r in _entries(book) if r.fingerprint == fingerprint)


def _entries(book: optuna.Study) -> list[tuple[str, Reading]]:
    return [(key, Reading(**plain)) for key, plain in sorted(book.user_attrs.items())]
