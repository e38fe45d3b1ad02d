"""The studies that a comparison is made of, as the storage holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fre_hpo import methods
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.creation import study_names, study_parts
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.part import Kind, Part


def search_study(name: str, method: str) -> str:
    """The study in which a comparison looks for a method's parameters: of a comparison that has the
    recipe's name, that of a plain ``start``."""
    return f"{name}-{method}"


def seeds_study(name: str, method: str) -> str:
    return f"{name}-{method}-seeds"


class Storage:
    """The storage of the studies: opened once, as soon as there is one; before that nothing is in it."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.storage
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection:
        if self._connection is None or self._connection.storage is None:
            self._connection = Connection(self._url, create=False)
        return self._connection


@dataclass(frozen=True)
class Members:
    """Those that there are.  searches: by method; seeds: by role, with what each is for."""

    searches: Mapping[str, Ledger]
    seeds: Mapping[str, tuple[Ledger, Part]]

    @property
    def ledgers(self) -> list[Ledger]:
        return [*self.searches.values(), *(ledger for ledger, _ in self.seeds.values())]

    @property
    def overrides(self) -> dict[str, Any]:
        """What the first of them were started with."""
        found: dict[str, Any] = {}
        for ledger in self.searches.values():
            found |= qualified(ledger.charter.overrides, ledger.spec.method)
        for _, part in self.seeds.values():
            found |= part.overrides
        return found

    @property
    def roles(self) -> tuple[str, ...]:
        """All that were to be compared, begun or not."""
        return tuple({role: None for _, part in self.seeds.values() for role in part.roles})

    @property
    def data_folder(self) -> str | None:
        folders = (ledger.charter.data_folder for ledger in self.ledgers)
        return next((folder for folder in folders if folder), None)


def seeds_of(connection: Connection, kind: Kind, name: str) -> dict[str, tuple[Ledger, Part]]:
    """The studies of seeds of a comparison or of a confirmation, by role."""
    return {
        part.role: (Ledger.open(connection, study), part)
        for study, part in study_parts(connection).items()
        if (part.kind, part.of) == (kind, name)
    }


def members(connection: Connection, name: str) -> Members:
    """All studies of a comparison."""
    there = study_names(connection)
    searches = {
        method: Ledger.open(connection, search_study(name, method))
        for method in methods.METHODS
        if search_study(name, method) in there
    }
    return Members(searches, seeds_of(connection, "comparison", name))


def qualified(overrides: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Overrides in which the bare name of a parameter has become its full key, that of the first of these
    methods which has it: a comparison has several that know a B."""
    full = {
        parameter.name: f"methods.{name}.{parameter.name}"
        for name in reversed(names)
        for parameter in methods.get(name).parameters
    }
    return {full.get(key, key): value for key, value in overrides.items()}
