"""Who looked at a locked test split, and when.

A test split is fresh once.  So every reading is recorded in the storage under the split's fingerprint,
before anything is computed from it: in a place of its own, which no search and no ``delete`` touches, and
in which a new study on the same pictures finds the readings of the old ones.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from fre_hpo.study.charter import CHARTER
from fre_hpo.study.connection import Connection, reaching
from fre_hpo.study.part import Part
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
    book = _book(connection)
    reading = Reading(fingerprint, study, networks, now())
    key = f"{reading.time}/{uuid.uuid4().hex[:8]}"
    book.set_user_attr(key, reading.to_plain())
    return tuple(r for k, r in _entries(book) if r.fingerprint == fingerprint and k < key)


@reaching
def readings(connection: Connection, fingerprint: str) -> tuple[Reading, ...]:
    """All readings of a test split in this storage, the first one first."""
    return tuple(r for _, r in _all(connection) if r.fingerprint == fingerprint)


@reaching
def readings_of_data(connection: Connection, data: str) -> dict[str, Reading]:
    """The readings, by the key under which each is recorded, that may be of the test split of some data (the
    fingerprint in a charter): all but those of splits that only studies of other data are known to have
    read.  What a study that is deleted has read may be any data's."""
    entries, known = _all(connection), dict(_data_of_readers(connection))
    read_by: dict[str, set[str]] = {}
    for _, reading in entries:
        found = {known[reading.study]} if reading.study in known else set()
        read_by[reading.fingerprint] = read_by.get(reading.fingerprint, set()) | found
    ours = {split for split, readers in read_by.items() if not readers or data in readers}
    return {key: reading for key, reading in entries if reading.fingerprint in ours}


def _data_of_readers(connection: Connection) -> Iterator[tuple[str, str]]:
    """The names under which studies of ours record their readings, with the fingerprint of their data."""
    assert connection.storage is not None
    for study in connection.storage.get_all_studies():
        charter = study.user_attrs.get(CHARTER)
        if charter:
            part = Part.from_plain(charter.get("part"))
            yield study.study_name, charter["fingerprint"]
            if part is not None:
                yield part.of, charter["fingerprint"]


@reaching
def add_readings(connection: Connection, entries: Mapping[str, Reading]) -> None:
    """Record what another storage has on record; what is here already stays as it is."""
    if not entries:
        return
    book = _book(connection)
    for key in entries.keys() - book.user_attrs.keys():
        book.set_user_attr(key, entries[key].to_plain())


def _book(connection: Connection) -> optuna.Study:
    assert connection.storage is not None
    return optuna.create_study(
        study_name=STUDY, storage=connection.storage, direction="maximize", load_if_exists=True
    )


def _all(connection: Connection) -> list[tuple[str, Reading]]:
    if connection.storage is None:
        return []
    if STUDY not in {study.study_name for study in connection.storage.get_all_studies()}:
        return []
    return _entries(optuna.load_study(study_name=STUDY, storage=connection.storage))


def _entries(book: optuna.Study) -> list[tuple[str, Reading]]:
    return [(key, Reading(**plain)) for key, plain in sorted(book.user_attrs.items())]
