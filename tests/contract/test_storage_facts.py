"""A real PostgreSQL as the doctor sees it."""

from __future__ import annotations

import optuna
import psycopg2
import pytest
from sqlalchemy import make_url

from fre_hpo.errors import StorageUnreachable
from fre_hpo.study.connection import Connection
from fre_hpo.study.storage_facts import storage_facts
from postgres import PASSWORD


def tables(url: str) -> int:
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        found = cursor.fetchone()
    connection.close()
    return int(found[0]) if found else 0


def test_an_empty_database_stays_empty(postgres_url: str) -> None:
    facts = storage_facts(postgres_url)
    assert (facts.revision, facts.studies, facts.may_create) == (None, 0, True)
    assert facts.major >= 12
    assert facts.server.startswith(str(facts.major))
    assert facts.ahead is not None
    assert abs(facts.ahead) <= facts.unsure + 0.01
    assert 0 < facts.seconds < 1
    assert PASSWORD not in repr(facts)
    assert tables(postgres_url) == 0


def test_the_tables_of_a_study_are_told(postgres_url: str) -> None:
    opened = Connection(postgres_url, create=True)
    optuna.create_study(storage=opened.storage, study_name="one")
    facts = storage_facts(postgres_url)
    assert facts.studies == 1
    assert facts.revision == facts.newest
    assert facts.revision
    opened.engine.dispose()


def test_a_role_that_may_create_nothing_is_noticed(postgres_url: str) -> None:
    connection = psycopg2.connect(postgres_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        cursor.execute("CREATE ROLE reader LOGIN PASSWORD 'reader-41x7'")
    reader = make_url(postgres_url).set(username="reader", password="reader-41x7")
    try:
        facts = storage_facts(reader.render_as_string(hide_password=False))
        assert not facts.may_create
        assert facts.user == "reader"
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP ROLE reader")
        connection.close()


def test_a_refused_password_is_told_without_it(postgres_url: str) -> None:
    url = make_url(postgres_url).set(password="wrong-41x7")
    with pytest.raises(StorageUnreachable) as raised:
        storage_facts(url.render_as_string(hide_password=False))
    assert "password" in str(raised.value)
    assert "41x7" not in str(raised.value)
