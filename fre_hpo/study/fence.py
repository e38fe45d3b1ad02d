"""A fence in the database: a coordinator that lost its lock cannot write (design 3.7).

The lock keeps a second coordinator out; it does not stop the first one, which may have been halted
past the lock's loss and then goes on.  So every coordinator counts the study's generation up before it
begins, and each of its transactions that writes looks first whether that generation still stands.  On
PostgreSQL the look locks the number until the transaction ends: no successor can count it up between
look and commit.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from fre_hpo.errors import LockLost, StudyGone

GENERATION = "generation"
_WRITES = ("INSERT", "UPDATE", "DELETE")
_SEEN = "fre-hpo fence"


class Fence:
    """Set up for one engine, one study and the generation of its coordinator."""

    def __init__(self, engine: Engine, study: str, study_id: int, generation: str) -> None:
        self._study = study
        self._generation = json.dumps(generation)
        lock = " FOR SHARE" if engine.dialect.name == "postgresql" else ""
        self._look = (
            "SELECT value_json FROM study_user_attributes "
            f"WHERE study_id = {study_id:d} AND key = '{GENERATION}'{lock}"
        )
        event.listen(engine, "before_cursor_execute", self._before)

    def _before(
        self, connection: Connection, cursor: Any, statement: str, *rest: Any, **more: Any
    ) -> None:
        """Raise LockLost before a transaction's first write if another coordinator took over."""
        transaction = connection.get_transaction()
        if not statement.startswith(_WRITES) or connection.info.get(_SEEN) is transaction:
            return
        found = connection.exec_driver_sql(self._look).scalar()
        if found is None:
            raise StudyGone(study=self._study)
        if found != self._generation:
            raise LockLost(study=self._study)
        connection.info[_SEEN] = transaction
