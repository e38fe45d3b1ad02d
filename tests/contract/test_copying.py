"""A study's rows from one storage in another: the same, all at once, whichever kinds the two are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from optuna_dashboard._note import (
    SYSTEM_ATTR_MAX_LENGTH,
    get_note_from_system_attrs,
    save_note,
)
from sqlalchemy import event

from contract.conftest import BACKENDS
from fre_hpo.errors import NameTaken, StudyNotFound
from fre_hpo.study.connection import Connection, text_of
from fre_hpo.study.copying import StudyRows, read_study, taken_names, write_study
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.measurement import Measurement, SourceMatrices
from ledgers import create, make_charter, reopen, search, tell
from postgres import Postgres

INFINITE = {3: float("inf"), 4: float("-inf"), 5: float("nan")}


@pytest.fixture(scope="module", params=BACKENDS)
def prepared_target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    """A storage of either kind with its tables."""
    if request.param == "sqlite":
        yield Connection(f"sqlite:///{tmp_path_factory.mktemp('target') / 'a.db'}", create=True)
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    connection = Connection(server.create_database("target"), create=True)
    yield connection
    connection.engine.dispose()
    server.drop_database("target")


@pytest.fixture
def target(prepared_target: Connection) -> Iterator[Connection]:
    """A storage in which another study is already."""
    search(Ledger.create(prepared_target, "first", make_charter()), 2)
    yield prepared_target
    assert prepared_target.storage is not None
    for study in prepared_target.storage.get_all_studies():
        prepared_target.storage.delete_study(study._study_id)


@pytest.fixture
def ledger(url: str) -> Ledger:
    """A study with a trial of every kind, beside another one."""
    search(create(url, "other"), 3)
    ledger = create(url, "cells")
    search(ledger, 3)
    stored = optuna.load_study(study_name="cells", storage=Connection(url, create=False).storage)
    pruned = ledger.ask()
    stored.tell(pruned.number, state=TrialState.PRUNED)
    ledger.fail(ledger.ask().number, 2, "the training diverged: ✗")
    running = ledger.ask()
    ledger.begin_attempt(running.number, 1)
    for epoch, miou in {1: 0.1 + 0.2, 2: 1e-300, **INFINITE}.items():
        ledger._storage.set_trial_intermediate_value(ledger._id(running.number), epoch, miou)
    ledger.enqueue({"B": 3})
    ledger.want(9)
    return ledger


def in_storage(connection: Connection, name: str) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=connection.storage)


def facts(study: optuna.Study) -> tuple[Any, ...]:
    return study.directions, study.user_attrs, study.metric_names


def row(trial: FrozenTrial) -> dict[str, Any]:
    """All of a trial but its id; NaN is equal to NaN here."""
    kept = {name: value for name, value in vars(trial).items() if name != "_trial_id"}
    points = {step: repr(value) for step, value in trial.intermediate_values.items()}
    return {**kept, "intermediate_values": points, "order": list(trial.params)}


def system_attributes(ledger: Ledger) -> dict[str, Any]:
    return ledger._storage.get_study_system_attrs(ledger._study_id)


def copy(source: str, target: Connection, name: str = "cells") -> None:
    rows = read_study(Connection(source, create=False), "cells")
    write_study(target, name, rows)


class TestBetweenStorages:
    def test_nothing_of_a_study_changes(self, ledger: Ledger, url: str, target: Connection) -> None:
        copy(url, target)
        there = in_storage(Connection(url, create=False), "cells")
        here = in_storage(Connection(text_of(target.url), create=False), "cells")
        assert facts(here) == facts(there)
        assert [row(t) for t in here.trials] == [row(t) for t in there.trials]
        assert [t.number for t in here.trials] == list(range(7))
        states = [t.state.name for t in here.trials]
        assert states == ["COMPLETE"] * 3 + ["PRUNED", "FAIL", "RUNNING", "WAITING"]

    def test_a_copy_goes_on_as_the_study_does(
        self, ledger: Ledger, url: str, target: Connection
    ) -> None:
        copy(url, target, "copied")
        copied = reopen(text_of(target.url), "copied")
        assert copied.ask_again(5) == ledger.ask_again(5)
        for _ in range(3):
            asked = ledger.ask()
            assert copied.ask() == asked
            tell(ledger, asked)
            tell(copied, asked)
        assert [r.number for r in copied.records()] == list(range(9))

    def test_notes_and_the_files_they_show_follow_the_trials(
        self, ledger: Ledger, url: str, target: Connection
    ) -> None:
        ledger.publish_note(f"the best: ![]({ledger.artifact_path(2, 'picture.png')})")
        ledger.publish_trial_note(2, f"see /artifacts/77/88/x and {ledger.artifact_path(2, 'a')}")
        theirs = in_storage(Connection(url, create=False), "cells").trials[1]
        before = "x" * (SYSTEM_ATTR_MAX_LENGTH - 14)  # the dashboard cuts the address in two
        address = ledger.artifact_path(1, "picture.png")
        save_note(optuna.trial.Trial(ledger._study, theirs._trial_id), f"{before}{address} yes")
        pieces = [v for k, v in system_attributes(ledger).items() if f":{theirs._trial_id}:" in k]
        assert address not in "|".join(map(str, pieces))
        measured = Measurement(SourceMatrices(("a",), [[[1]]]), SourceMatrices((), []), "f", "t")
        ledger.keep_measurement(2, measured)
        ledger.publish_note(f"the best: ![]({ledger.artifact_path(2, 'picture.png')})")
        copy(url, target)
        copied = reopen(text_of(target.url), "cells")
        trials = in_storage(target, "cells").trials
        system = system_attributes(copied)
        assert copied.note() == f"the best: ![]({copied.artifact_path(2, 'picture.png')})"
        body = get_note_from_system_attrs(system, trials[2]._trial_id)["body"]
        assert body == f"see /artifacts/77/88/x and {copied.artifact_path(2, 'a')}"
        body = get_note_from_system_attrs(system, trials[1]._trial_id)["body"]
        assert body == f"{before}{copied.artifact_path(1, 'picture.png')} yes"
        assert copied.measurements() == {2: measured}

    def test_a_name_that_is_taken_is_refused(
        self, ledger: Ledger, url: str, target: Connection
    ) -> None:
        before = [row(t) for t in in_storage(target, "first").trials]
        with pytest.raises(NameTaken, match="'first' already"):
            copy(url, target, "first")
        assert [row(t) for t in in_storage(target, "first").trials] == before
        assert taken_names(target) == {"first"}

    def test_a_failure_before_the_commit_leaves_nothing(
        self, ledger: Ledger, url: str, target: Connection
    ) -> None:
        rows = read_study(Connection(url, create=False), "cells")

        def fail() -> None:
            raise RuntimeError("the disk")

        with pytest.raises(RuntimeError, match="the disk"):
            write_study(target, "cells", rows, before_commit=fail)
        assert taken_names(target) == {"first"}
        with target.engine.connect() as storage:
            count = storage.exec_driver_sql("SELECT count(*) FROM trials").scalar()
        assert count == 2
        write_study(target, "cells", rows)
        assert len(in_storage(target, "cells").trials) == 7

    def test_what_was_running_waits_after_an_interruption(
        self, ledger: Ledger, url: str, target: Connection
    ) -> None:
        rows = read_study(Connection(url, create=False), "cells")
        assert rows.unfinished() == {5, 6}
        write_study(target, "cells", rows.interrupted())
        states = [t.state.name for t in in_storage(target, "cells").trials]
        assert states[5:] == ["WAITING", "WAITING"]
        assert reopen(text_of(target.url), "cells").ask_again(5) == ledger.ask_again(5)

    def test_a_long_study_needs_few_messages(
        self, ledger: Ledger, url: str, target: Connection
    ) -> None:
        """Optuna's own copy sends three for every point of a curve: minutes, for 50 trials of 200."""
        rows = long_study(read_study(Connection(url, create=False), "cells"))
        said: list[str] = []
        event.listen(target.engine, "before_cursor_execute", lambda *args: said.append(args[2]))
        write_study(target, "long", rows)
        assert len(said) < 30
        trials = in_storage(target, "long").trials
        assert len(trials) == 50
        assert all(len(trial.intermediate_values) == 200 for trial in trials)


def long_study(rows: StudyRows) -> StudyRows:
    """50 trials of 200 points."""
    trials = tuple({**rows.trials[0], "trial_id": n + 1, "number": n} for n in range(50))
    finite = rows.tables["trial_intermediate_values"][0]
    points = tuple(
        {**finite, "trial_id": n + 1, "step": step, "intermediate_value": step / 201}
        for n in range(50)
        for step in range(1, 201)
    )
    none: dict[str, tuple[Any, ...]] = {
        name: () for name in rows.tables if name.startswith("trial_")
    }
    tables = {**rows.tables, **none, "trial_intermediate_values": points}
    return StudyRows(rows.study_id, trials, tables)


def test_all_rows_are_of_one_moment(ledger: Ledger, url: str) -> None:
    """What is committed between two queries is in none of them."""
    reader, writer = Connection(url, create=False), reopen(url, "cells")

    def write(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "FROM trial_user_attributes" in statement:
            writer.set_worker(5, "late")
            writer.want(77)

    def read() -> tuple[bool, int]:
        rows = read_study(reader, "cells")
        attributes = rows.tables["trial_user_attributes"]
        return '"late"' in {r["value_json"] for r in attributes}, rows.attribute("target")

    event.listen(reader.engine, "before_cursor_execute", write)
    assert read() == (False, 9)
    event.remove(reader.engine, "before_cursor_execute", write)
    assert read() == (True, 77)


def test_a_study_that_is_not_there_is_told(ledger: Ledger, url: str) -> None:
    with pytest.raises(StudyNotFound, match="did you mean cells"):
        read_study(Connection(url, create=False), "cell")


def test_attributes_can_be_replaced_and_left_out(ledger: Ledger, url: str) -> None:
    rows = read_study(Connection(url, create=False), "cells")
    changed = rows.with_attributes({"target": 12, "charter": None, "new": {"a": [1]}})
    assert [changed.attribute(k) for k in ("target", "charter", "new")] == [12, None, {"a": [1]}]
    assert rows.attribute("target") == 9
