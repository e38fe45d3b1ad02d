"""What is to be said of the storage."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fre_hpo.errors import BadValue, StorageNotOurs, StorageUnreachable, counted
from fre_hpo.scheduling.doctor.checks import Row
from fre_hpo.scheduling.doctor.clocks import clock_row
from fre_hpo.scheduling.doctor.disks import is_network, look_at_disk
from fre_hpo.settings import masked
from fre_hpo.study.storage_facts import StorageFacts, storage_facts

SLOW_SECONDS = 0.05
"""Of one query; a search does dozens for each trial that it asks for."""
OLDEST_POSTGRESQL = 12


@dataclass(frozen=True)
class Storage:
    """facts: None where the storage was not reached; why: the reason then.  disk: the file system of an
    SQLite file."""

    shown: str
    facts: StorageFacts | None
    why: str = ""
    disk: str = ""


def look_at_storage(url: str) -> Storage:
    shown = masked(url)
    try:
        facts = storage_facts(url)
    except (BadValue, StorageUnreachable, StorageNotOurs) as error:
        return Storage(shown, None, str(error.facts["reason"]))
    disk = look_at_disk(facts.path.parent).kind if facts.path else ""
    return Storage(shown, facts, disk=disk)


def judge_storage(found: Storage) -> list[Row]:
    if found.facts is None:
        return [Row("storage", f"{found.shown}: {found.why}", _way_to(found.shown))]
    facts = found.facts
    rows = [_kind(found, facts)]
    if not facts.exists:
        return rows
    rows += [_tables(facts), _speed(facts)]
    if facts.ahead is not None:
        rows.append(
            clock_row("database clock", facts.ahead, facts.unsure, "this machine or the server")
        )
    return rows


def _way_to(shown: str) -> str:
    """How to find out why a storage is not reached."""
    if shown.startswith("sqlite"):
        return "Name a file that can be read with `--storage sqlite:////FOLDER/fre-hpo.db`."
    host = re.search(r"@([^:/?]+)(?::(\d+))?", shown)
    if host is None:
        return "Write it as `--storage postgresql://USER@HOST/DATABASE`, or sqlite:////FILE."
    port = f" -p {host[2]}" if host[2] else ""
    return (
        f"Type `pg_isready -h {host[1]}{port}` to see whether the server answers; if it does, check user, "
        "password (PGPASSFILE) and pg_hba.conf."
    )


def _kind(found: Storage, facts: StorageFacts) -> Row:
    if facts.path is None:
        return _postgresql(facts)
    value = f"SQLite {facts.server}".strip() + f", {facts.path}"
    if not facts.exists:
        value = f"SQLite, {facts.path}, not there yet"
    if is_network(found.disk):
        hint = (
            "SQLite loses data on a network drive: name a file on a disk of this machine with "
            "`--storage sqlite:////FOLDER/fre-hpo.db`, or use PostgreSQL."
        )
        return Row("storage", f"{value}, on a network drive ({found.disk})", hint)
    return Row("storage", value, missing=not facts.exists)


def _postgresql(facts: StorageFacts) -> Row:
    value = f"PostgreSQL {facts.server}, {facts.shown}"
    if facts.major >= OLDEST_POSTGRESQL:
        return Row("storage", value)
    hint = (
        f"Use a server of PostgreSQL {OLDEST_POSTGRESQL} or newer: `pg_upgrade` moves a database."
    )
    return Row("storage", value, hint)


def _tables(facts: StorageFacts) -> Row:
    check = "its tables"
    if facts.revision is None:
        return _no_tables(facts, check)
    value = f"{counted(facts.studies, 'study').replace('studys', 'studies')}, {facts.revision}"
    if facts.revision == facts.newest:
        return Row(check, value)
    hint = (
        f"They were made by another Optuna: `optuna storage upgrade --storage '{facts.shown}'` renews "
        "older ones (make a backup first); for newer ones install the newer Optuna."
    )
    return Row(check, f"{value}, here {facts.newest}", hint)


def _no_tables(facts: StorageFacts, check: str) -> Row:
    if facts.may_create:
        return Row(check, "none yet, the first start makes them", missing=True)
    hint = (
        "The first start must make the tables: as the owner of the database type "
        f'`GRANT CREATE, USAGE ON SCHEMA public TO "{facts.user}"`.'
    )
    return Row(check, f"none, and {facts.user} may not make them", hint)


def _speed(facts: StorageFacts) -> Row:
    value = f"{facts.seconds * 1000:.1f} ms"
    if facts.seconds <= SLOW_SECONDS:
        return Row("one query", value)
    hint = (
        "Every trial needs dozens of queries: run the coordinator (`fre-hpo start`) nearer to the "
        "database, best on its machine."
    )
    return Row("one query", value, hint)
