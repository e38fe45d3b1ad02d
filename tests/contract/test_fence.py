"""The fence's contract: a coordinator that was replaced cannot write, on either storage."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from optuna.trial import TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from fre_hpo.errors import EndedElsewhere, LockLost, StudyGone
from fre_hpo.study.connection import Connection, text_of
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.order import Order, Wish
from ledgers import CLASSES, create, make_charter, reopen, tell
from postgres import Postgres

CLASS_IOU: dict[str, float | None] = dict.fromkeys(CLASSES, 0.5)
WRITES: dict[str, Callable[[Ledger], object]] = {
    "want": lambda ledger: ledger.want(9),
    "set_live": lambda ledger: ledger.set_live({"state": "running"}),
    "set_home": lambda ledger: ledger.set_home("host:/home"),
    "give": lambda ledger: ledger.give(Order.by("us", Wish.PAUSE)),
    "ask": lambda ledger: ledger.ask(),
    "ask_again": lambda ledger: ledger.ask_again(1),
    "enqueue": lambda ledger: ledger.enqueue({"B": 8}),
    "begin_attempt": lambda ledger: ledger.begin_attempt(0, 2),
    "set_worker": lambda ledger: ledger.set_worker(0, "host:1"),
    "report": lambda ledger: ledger.report(0, 1, 0.5),
    "report_missing": lambda ledger: ledger.report_missing(0, {1: 0.5}),
    "put_back": lambda ledger: ledger.put_back(0),
    "complete": lambda ledger: ledger.complete(0, 0.5, 1, 2, CLASS_IOU),
    "fail": lambda ledger: ledger.fail(0, 1, "diverged"),
    "delete": lambda ledger: ledger.delete(),
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def storage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A storage with its tables."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('storage') / 'studies.db'}"
        Connection(url, create=True)
        yield url
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    url = server.create_database("fence")
    Connection(url, create=True)
    yield url
    server.drop_database("fence")


@pytest.fixture
def url(storage: str) -> Iterator[str]:
    """A storage without studies."""
    yield storage
    connection = Connection(storage, create=False)
    assert connection.storage is not None
    for study in connection.storage.get_all_studies():
        connection.storage.delete_study(study._study_id)


def two_trials(url: str) -> Ledger:
    """A coordinator's ledger with one trial that runs and one that waits."""
    ledger = create(url, "s")
    ledger.take_over()
    for _ in range(2):
        ledger.begin_attempt(ledger.ask().number, 1)
    ledger.put_back(1)
    return ledger


def rows(url: str) -> list[tuple[Any, ...]]:
    """All that the storage says of the study, read on a connection of its own."""
    storage = Connection(url, create=False).storage
    assert storage is not None
    (study,) = storage.get_all_studies()
    trials = storage.get_all_trials(study._study_id)
    return [(study.user_attrs, study.system_attrs), *map(repr, trials)]


class TestFence:
    def test_who_is_in_charge_writes(self, url: str) -> None:
        ledger = two_trials(url)
        assert ledger.in_charge
        for name, write in WRITES.items():
            if name not in ("complete", "fail", "delete"):
                write(ledger)
        tell(ledger, ledger.ask_again(0))
        ledger.fail(1, 1, "diverged")
        ledger.delete()

    def test_who_was_replaced_writes_nothing_more(self, url: str) -> None:
        ledger = two_trials(url)
        reopen(url, "s").take_over()
        before = rows(url)
        for name, write in WRITES.items():
            with pytest.raises(LockLost, match="'s' was lost"):
                write(ledger)
            assert rows(url) == before, name

    def test_who_was_replaced_still_reads(self, url: str) -> None:
        ledger = two_trials(url)
        successor = reopen(url, "s")
        successor.take_over()
        successor.want(7)
        successor.give(Order.by("them", Wish.PAUSE))
        assert not ledger.in_charge
        assert successor.in_charge
        assert [r.state for r in ledger.records()] == ["RUNNING", "WAITING"]
        assert ledger.state(1) == "WAITING"
        assert ledger.wanted == 7
        assert ledger.order.wish is Wish.PAUSE
        assert (ledger.live, ledger.home) == (None, None)

    def test_the_successor_goes_on(self, url: str) -> None:
        two_trials(url)
        successor = reopen(url, "s")
        successor.take_over()
        for number in range(2):
            tell(successor, successor.ask_again(number))
        assert [r.state for r in successor.records()] == ["COMPLETE"] * 2

    def test_whoever_did_not_take_over_may_give_orders(self, url: str) -> None:
        ledger = two_trials(url)
        visitor = reopen(url, "s")
        visitor.give(Order.by("them", Wish.STOP))
        assert ledger.order.wish is Wish.STOP
        assert ledger.in_charge

    def test_orders_home_and_identity_come_back_as_they_were(self, url: str) -> None:
        ledger = two_trials(url)
        assert (ledger.order, ledger.home) == (Order(Wish.RUN), None)
        for wish in Wish:
            order = Order.by("somebody@desk", wish)
            reopen(url, "s").give(order)
            assert reopen(url, "s").order == ledger.order == order
        ledger.set_home("desk:/var/lib/fre")
        assert reopen(url, "s").home == "desk:/var/lib/fre"
        assert reopen(url, "s").charter.id == make_charter().id

    def test_a_study_that_was_deleted_is_told_by_every_write(self, url: str) -> None:
        ledger = two_trials(url)
        reopen(url, "s").delete()
        for name, write in WRITES.items():
            if name != "delete":
                with pytest.raises(StudyGone, match="'s' was deleted"):
                    write(ledger)
        for read in (ledger.records, lambda: ledger.order, lambda: ledger.in_charge):
            with pytest.raises(StudyGone):
                read()

    # --- telling ------------------------------------------------------------------------------

    def test_a_trial_may_be_told_the_same_again(self, url: str) -> None:
        """The answer of the first time was lost."""
        ledger = two_trials(url)
        ledger.ask_again(1)
        for _ in range(2):
            ledger.complete(0, 0.575, 1, 2, CLASS_IOU)
            ledger.fail(1, 3, "diverged")
        complete, failed = reopen(url, "s").records()
        assert (complete.state, complete.value) == ("COMPLETE", 0.575)
        assert (failed.state, failed.reason) == ("FAIL", "diverged")

    @pytest.mark.parametrize("state", ["FAIL", "COMPLETE", "PRUNED"])
    def test_a_trial_that_somebody_told_is_not_written(self, url: str, state: str) -> None:
        ledger = two_trials(url)
        value = 0.25 if state == "COMPLETE" else None
        reopen(url, "s")._study.tell(0, value, state=TrialState[state])
        before = rows(url)
        writes = (
            "ask_again(0)",
            "begin_attempt",
            "set_worker",
            "report",
            "report_missing",
            "put_back",
            "complete",
            "fail",
        )
        for name in writes:
            write = WRITES.get(name, lambda ledger: ledger.ask_again(0))
            with pytest.raises(EndedElsewhere) as caught:
                write(ledger)
            assert caught.value.facts == {"number": 0, "state": state}, name
            assert rows(url) == before, name


# --- between look and commit ---------------------------------------------------------------------


def with_options(url: str, options: str) -> str:
    return text_of(make_url(url).update_query_dict({"options": options}))


def test_a_successor_waits_for_a_write_that_has_looked(postgres_url: str) -> None:
    ledger = two_trials(postgres_url)
    looked, commit, order = threading.Event(), threading.Event(), []

    def write() -> None:
        with ledger._connection.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE trials SET number = number WHERE number = 0")
            looked.set()
            assert commit.wait(20)
            order.append("written")

    def succeed() -> None:
        reopen(postgres_url, "s").take_over()
        order.append("taken over")

    writer, successor = threading.Thread(target=write), threading.Thread(target=succeed)
    writer.start()
    assert looked.wait(20)
    successor.start()
    time.sleep(0.5)
    assert order == []
    commit.set()
    writer.join(20)
    successor.join(20)
    assert order == ["written", "taken over"]
    assert not ledger.in_charge


def test_a_write_waits_for_a_successor_that_has_not_committed(
    postgres_server: Postgres, postgres_url: str
) -> None:
    """And then it is refused."""
    ledger = two_trials(postgres_url)
    refused: list[BaseException] = []

    def write() -> None:
        try:
            ledger.report(0, 1, 0.5)
        except LockLost as error:
            refused.append(error)

    with psycopg2.connect(postgres_url) as successor:
        with successor.cursor() as cursor:
            cursor.execute(
                "UPDATE study_user_attributes SET value_json = '2' WHERE key = 'generation'"
            )
        writer = threading.Thread(target=write)
        writer.start()
        writer.join(0.5)
        assert writer.is_alive()
        assert refused == []
    successor.close()
    writer.join(20)
    assert len(refused) == 1
    points = "SELECT count(*) FROM trial_intermediate_values"
    assert postgres_server.query(points, postgres_url.rpartition("/")[2]) == [(0,)]


def test_a_write_that_is_halted_does_not_block_its_successor_for_ever(postgres_url: str) -> None:
    """The server ends the transaction of a process that is halted in its middle."""
    two_trials(postgres_url)
    halted = reopen(with_options(postgres_url, "-c idle_in_transaction_session_timeout=700"), "s")
    halted.take_over()
    with halted._connection.engine.connect() as connection:
        connection.exec_driver_sql("UPDATE trials SET number = number WHERE number = 0")
        begun = time.monotonic()
        reopen(postgres_url, "s").take_over()
        assert 0.3 < time.monotonic() - begun < 10
        with pytest.raises(OperationalError):
            connection.exec_driver_sql("UPDATE trials SET number = number WHERE number = 0")
        connection.invalidate()
    with pytest.raises(LockLost):
        halted.report(0, 1, 0.5)


def test_a_halted_transaction_is_ended_by_default(postgres_url: str) -> None:
    engine = Connection(postgres_url, create=True).engine
    with engine.connect() as connection:
        shown = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()
    assert shown == "15s"


def test_a_study_that_takes_the_number_of_a_deleted_one_is_another(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    ledger = two_trials(url)
    reopen(url, "s").delete()
    charter = dataclasses.replace(make_charter(), id="1" * 32)
    other = Ledger.create(Connection(url, create=True), "other", charter)
    assert other._study_id == ledger._study_id
    other.take_over()
    other.ask()
    before = rows(url)
    with pytest.raises(StudyGone):
        ledger.order  # noqa: B018
    for name, write in WRITES.items():
        with pytest.raises((StudyGone, LockLost)):
            write(ledger)
        assert rows(url) == before, name


def test_two_studies_in_one_database_have_fences_of_their_own(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    one, other = create(url, "one"), create(url, "other")
    one.take_over()
    other.take_over()
    reopen(url, "one").take_over()
    other.want(5)
    with pytest.raises(LockLost, match="'one'"):
        one.want(5)
