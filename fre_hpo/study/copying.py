"""All rows of one study, read from a storage at one moment and written into another in one transaction.

Optuna's ``copy_study`` is not used: it commits the study, each attribute and each trial by itself, so that
a crash leaves half a study; it reads a study that is being written at several moments; it asks for every
point of every curve whether it is there already; and the notes of trials, which are kept under the number
that a storage gives to a trial, would speak of other trials afterwards.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from optuna.storages._rdb.models import BaseModel
from optuna.trial import TrialState
from sqlalchemy import Select, Table, insert, select
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

from fre_hpo.errors import NameTaken, StudyNotFound
from fre_hpo.study import page
from fre_hpo.study.connection import Connection, reaching
from fre_hpo.study.creation import instead_of

Row = dict[str, Any]

_TABLES: Mapping[str, Table] = BaseModel.metadata.tables
_STUDIES, _TRIALS = _TABLES["studies"], _TABLES["trials"]
_OF_STUDY = ("study_directions", "study_user_attributes", "study_system_attributes")
_OF_TRIAL = (
    "trial_params",
    "trial_values",
    "trial_intermediate_values",
    "trial_user_attributes",
    "trial_system_attributes",
)
"""Heartbeats are left out: they say who lives now, and not what a study is."""

_ARTIFACT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class StudyRows:
    """A study as tables hold it.  study_id: in the storage that it was read from.  trials: the rows of the
    table of trials, by number.  tables: the rows of all others that belong to the study or to a trial."""

    study_id: int
    trials: tuple[Row, ...]
    tables: Mapping[str, tuple[Row, ...]]

    @property
    def states(self) -> Counter[str]:
        """How many trials are in each state, by Optuna's names."""
        return Counter(row["state"].name for row in self.trials)

    def unfinished(self) -> set[int]:
        """The numbers of the trials that are still to be trained to their end."""
        return {row["number"] for row in self.trials if not row["state"].is_finished()}

    def attribute(self, key: str) -> Any:
        """An attribute of the study, None where it has none of that name."""
        rows = self.tables["study_user_attributes"]
        return next((json.loads(row["value_json"]) for row in rows if row["key"] == key), None)

    def with_attributes(self, changes: Mapping[str, Any]) -> StudyRows:
        """With other attributes of the study; one that becomes None is left out."""
        table = "study_user_attributes"
        kept = (row for row in self.tables[table] if row["key"] not in changes)
        new = {key: value for key, value in changes.items() if value is not None}
        return replace(self, tables={**self.tables, table: (*kept, *_attribute_rows(new))})

    def interrupted(self) -> StudyRows:
        """As an interruption leaves it: what was running waits."""
        trials = (
            {**row, "state": TrialState.WAITING} if row["state"] is TrialState.RUNNING else row
            for row in self.trials
        )
        return replace(self, trials=tuple(trials))

    def with_artifacts(self, ids: Mapping[str, str]) -> StudyRows:
        """With other ids of the files that the dashboard shows, wherever they stand: old id -> new id."""

        def renamed(text: str) -> str:
            return _ARTIFACT.sub(lambda found: ids.get(found[0], found[0]), text)

        tables = dict(self.tables)
        for table in ("study_system_attributes", "trial_system_attributes"):
            tables[table] = tuple(
                {**row, "key": renamed(row["key"]), "value_json": renamed(row["value_json"])}
                for row in tables[table]
            )
        return replace(self, tables=tables)

    def with_notes_moved(self, study_id: int, trial_ids: Mapping[int, int]) -> StudyRows:
        """With the notes that belong to the ids of another storage: old id -> new id."""
        table = "study_system_attributes"
        there = {row["key"]: json.loads(row["value_json"]) for row in self.tables[table]}
        moved = page.with_ids(there, (self.study_id, study_id), trial_ids)
        return replace(self, tables={**self.tables, table: _attribute_rows(moved)})


def _attribute_rows(attributes: Mapping[str, Any]) -> tuple[Row, ...]:
    return tuple({"key": key, "value_json": json.dumps(v)} for key, v in attributes.items())


@reaching
def taken_names(connection: Connection) -> set[str]:
    """The names of all studies in a storage, those that others made included."""
    if connection.storage is None:
        return set()
    return {study.study_name for study in connection.storage.get_all_studies()}


@reaching
def read_study(connection: Connection, name: str) -> StudyRows:
    """All rows of a study as they are at one moment, also while it is being written; raises
    StudyNotFound."""
    with _one_moment(connection.engine) as storage:
        study_id = storage.scalar(select(_STUDIES.c.study_id).where(_STUDIES.c.study_name == name))
        if study_id is None:
            hint = instead_of(connection, name)
            raise StudyNotFound(study=name, storage=connection.shown, hint=hint)
        trials = select(_TRIALS).where(_TRIALS.c.study_id == study_id).order_by(_TRIALS.c.number)
        tables = {
            table: _rows(storage, _query(table, study_id)) for table in (*_OF_STUDY, *_OF_TRIAL)
        }
        return StudyRows(study_id, _rows(storage, trials), tables)


@contextmanager
def _one_moment(engine: Engine) -> Iterator[Transaction]:
    """A transaction in which every query sees the same rows, whatever is committed meanwhile."""
    with engine.connect() as storage:
        if engine.dialect.name == "sqlite":
            storage.exec_driver_sql("BEGIN")  # Python's module would begin one only to write
        else:
            storage.execution_options(isolation_level="REPEATABLE READ")
        yield storage


def _query(name: str, study_id: int) -> Select[Any]:
    """The rows of a study in a table, in the order in which they were made."""
    table = _TABLES[name]
    query = select(table).order_by(*table.primary_key)
    if name in _OF_STUDY:
        return query.where(table.c.study_id == study_id)
    return query.join(_TRIALS).where(_TRIALS.c.study_id == study_id)


def _rows(storage: Transaction, query: Select[Any]) -> tuple[Row, ...]:
    return tuple(dict(row) for row in storage.execute(query).mappings())


@reaching
def write_study(
    connection: Connection,
    name: str,
    rows: StudyRows,
    before_commit: Callable[[], None] = lambda: None,
) -> None:
    """A new study of these rows: there as a whole or not at all.

    before_commit: what is to be done once nothing but the commit is missing; what it raises takes
    everything back.  Raises NameTaken.
    """
    with connection.engine.begin() as storage:
        try:
            made = storage.execute(insert(_STUDIES).values(study_name=name))
        except IntegrityError:
            raise NameTaken(where=f"The storage {connection.shown}", study=name) from None
        assert made.inserted_primary_key is not None
        study_id = made.inserted_primary_key[0]
        trial_ids = _write_trials(storage, study_id, rows.trials)
        rows = rows.with_notes_moved(study_id, trial_ids)
        for table in _OF_STUDY:
            _write(storage, table, [{**row, "study_id": study_id} for row in rows.tables[table]])
        for table in _OF_TRIAL:
            moved = [{**row, "trial_id": trial_ids[row["trial_id"]]} for row in rows.tables[table]]
            _write(storage, table, moved)
        before_commit()


def _write_trials(storage: Transaction, study_id: int, trials: tuple[Row, ...]) -> dict[int, int]:
    """Returns the id of each trial here, by its id there; as Optuna counts, they rise with the numbers."""
    _write(storage, "trials", [{**row, "study_id": study_id} for row in trials])
    numbers = select(_TRIALS.c.number, _TRIALS.c.trial_id).where(_TRIALS.c.study_id == study_id)
    by_number = {row.number: row.trial_id for row in storage.execute(numbers)}
    return {row["trial_id"]: by_number[row["number"]] for row in trials}


def _write(storage: Transaction, name: str, rows: list[Row]) -> None:
    """Many rows with few messages to a server; the storage numbers them anew."""
    table = _TABLES[name]
    own = {column.name for column in table.primary_key}
    if rows:
        storage.execute(
            insert(table), [{key: row[key] for key in row if key not in own} for row in rows]
        )
