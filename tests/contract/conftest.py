"""Storages of both kinds, for contracts that hold on each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fre_hpo.study.connection import Connection, text_of
from postgres import Postgres

BACKENDS = ["sqlite", "postgresql"]


@pytest.fixture(scope="module", params=BACKENDS)
def prepared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    """A storage with its tables, which take longer to make than a test needs."""
    if request.param == "sqlite":
        folder = tmp_path_factory.mktemp("storage")
        yield Connection(f"sqlite:///{folder / 'studies.db'}", create=True)
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    yield Connection(server.create_database("ledger"), create=True)
    server.drop_database("ledger")


@pytest.fixture
def url(prepared: Connection) -> Iterator[str]:
    """A storage without studies."""
    yield text_of(prepared.url)
    assert prepared.storage is not None
    for study in prepared.storage.get_all_studies():
        prepared.storage.delete_study(study._study_id)
