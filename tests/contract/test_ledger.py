"""The ledger's contract, the same on an SQLite file and on a PostgreSQL server."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial
from sqlalchemy import event

from fre_hpo.errors import (
    DifferentStudy,
    DiskFull,
    StorageNotOurs,
    StorageUnreachable,
    StudyNotFound,
)
from fre_hpo.study.connection import Connection, text_of
from fre_hpo.study.creation import study_names
from fre_hpo.study.ledger import Ledger, is_curve_point, training_seed
from fre_hpo.study.space import Fixed
from fre_hpo.study.spec import SamplerSpec, TrainingSpec
from ledgers import (
    CLASSES,
    MAPS,
    create,
    make_charter,
    make_spec,
    objective,
    reopen,
    search,
    tell,
)
from postgres import Postgres

TESTS = Path(__file__).resolve().parents[1]


BACKENDS = ["sqlite", "postgresql"]


@pytest.fixture(params=BACKENDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A storage without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'studies.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


class Crash(Exception):
    """The coordinator dies."""


def read_rows(ledger: Ledger) -> list[FrozenTrial]:
    """The rows of a study as Optuna's cache has them, which reads those that run anew each time."""
    storage: Any = ledger._storage
    return list(storage._studies[ledger._study_id].trials.values())


@contextmanager
def crash_at(storage: Any, write: str, count: int = 1) -> Iterator[None]:
    """Within this block the ``count``-th write of a kind dies before it is done."""
    original = getattr(storage, write)
    calls = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            raise Crash
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, write, dying)
        try:
            yield
        except Crash:
            return
    pytest.fail(f"{write} was not called {count} times")


# The writes of an ask, in order: the row, TPE's own record, our record of the draw, B, X, the seed.
STAGES = {
    "row": ("set_trial_system_attr", 1, 0),
    "row, TPE's record": ("set_trial_user_attr", 1, 0),
    "row, draw": ("set_trial_param", 1, 0),
    "row, draw, B": ("set_trial_param", 2, 1),
    "row, draw, B, X": ("set_trial_user_attr", 2, 2),
}


class TestLedger:
    # --- studies --------------------------------------------------------------------------------

    def test_a_study_is_created_found_and_deleted(self, url: str) -> None:
        ledger = create(url, "first")
        create(url, "second")
        again = reopen(url, "first")
        assert again.charter == ledger.charter == make_charter()
        assert study_names(Connection(url, create=False)) == ["first", "second"]
        again.delete()
        assert study_names(Connection(url, create=False)) == ["second"]
        assert not Ledger.exists(Connection(url, create=False), "first")
        assert Ledger.exists(Connection(url, create=False), "second")

    def test_a_missing_study_is_reported_with_the_nearest_names(self, url: str) -> None:
        with pytest.raises(StudyNotFound, match="it holds no study yet"):
            reopen(url, "mouse-fre")
        create(url, "mouse-fre")
        with pytest.raises(StudyNotFound, match="did you mean mouse-fre"):
            reopen(url, "mouse-fer")

    def test_another_spec_is_refused_with_the_difference(self, url: str) -> None:
        charter = create(url, "s").charter
        charter.refuse_other_spec("s", make_spec())
        with pytest.raises(DifferentStudy, match=r"seed is 0 there and 7 here"):
            reopen(url, "s").charter.refuse_other_spec("s", make_spec(seed=7))

    def test_nothing_is_created_by_reading(self, empty_url: str, tmp_path: Path) -> None:
        connection = Connection(empty_url, create=False)
        assert connection.storage is None
        assert study_names(connection) == []
        assert not Ledger.exists(connection, "s")
        assert list(tmp_path.iterdir()) == []
        assert Connection(empty_url, create=False).storage is None

    def test_wanted_and_live_are_seen_by_others(self, url: str) -> None:
        ledger = create(url, "s")
        assert (ledger.wanted, ledger.live) == (0, None)
        reader = reopen(url, "s")
        ledger.want(50)
        ledger.set_live({"state": "running", "running": [{"number": 0, "miou": None}]})
        assert reader.wanted == 50
        assert reader.live == {"state": "running", "running": [{"number": 0, "miou": None}]}

    def test_a_study_with_plain_optunas_trials_is_refused_and_untouched(self, url: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        Connection(url, create=True)
        stored = plain_storage(url)
        theirs = optuna.create_study(study_name="theirs", storage=stored, direction="maximize")
        theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
        other = optuna.create_study(study_name="other", storage=stored, direction="minimize")
        noted = optuna.create_study(study_name="noted", storage=stored, direction="maximize")
        noted.set_user_attr("owner", "somebody")
        before = [facts(study) for study in (theirs, other, noted)]
        for name in ("theirs", "other", "noted"):
            with pytest.raises(StorageNotOurs, match=f"'{name}' was not made by fre-hpo"):
                create(url, name)
            with pytest.raises(StudyNotFound):
                reopen(url, name)
        fresh = plain_storage(url)
        names = ("theirs", "other", "noted")
        after = [facts(optuna.load_study(study_name=n, storage=fresh)) for n in names]
        assert after == before
        assert study_names(Connection(url, create=False)) == []

    @pytest.mark.parametrize("write", ["set_study_system_attr", "set_study_user_attr"])
    def test_a_creation_cut_short_is_completed(self, url: str, write: str) -> None:
        connection = Connection(url, create=True)
        with crash_at(connection.storage, write):
            Ledger.create(connection, "s", make_charter())
        assert not Ledger.exists(Connection(url, create=False), "s")
        assert search(create(url, "s"), 1)[0].number == 0
        study = optuna.load_study(study_name="s", storage=plain_storage(url))
        assert study.direction is optuna.study.StudyDirection.MAXIMIZE
        assert study.metric_names == ["mIoU"]

    def test_a_study_that_exists_is_not_created_again(self, url: str) -> None:
        ledger = create(url, "s")
        with pytest.raises(StorageNotOurs):
            create(url, "s", make_spec(seed=9))
        assert reopen(url, "s").charter == ledger.charter

    # --- asking ---------------------------------------------------------------------------------

    def test_parameters_lie_within_the_space_and_in_the_storage(self, url: str) -> None:
        ledger = create(url, "s")
        asked = search(ledger, 4)
        assert [a.number for a in asked] == list(range(4))
        assert [r.params for r in reopen(url, "s").records()] == [a.parameters for a in asked]
        for one in asked:
            assert list(one.parameters) == ["B", "X"]
            assert isinstance(one.parameters["B"], int)
            assert 1 <= one.parameters["B"] <= MAPS
            assert 1.0 <= one.parameters["X"] <= 1000.0

    def test_fixed_parameters_are_among_the_params(self, url: str) -> None:
        spec = make_spec()
        ledger = create(url, "s", make_spec(parameters={**spec.parameters, "X": Fixed(632.0)}))
        asked = search(ledger, 4)
        assert {a.parameters["X"] for a in asked} == {632.0}
        assert len({a.parameters["B"] for a in asked}) > 1
        assert [r.params for r in ledger.records()] == [a.parameters for a in asked]

    def test_a_method_without_parameters_asks_all_the_same(self, url: str) -> None:
        ledger = create(url, "s", make_spec("baseline", seed=5))
        asked = [ledger.ask() for _ in range(3)]
        assert [a.parameters for a in asked] == [{}, {}, {}]
        assert [a.seed for a in asked] == [5, 6, 7]
        assert reopen(url, "s").ask_again(2) == asked[2]

    @pytest.mark.parametrize(
        ("seeds", "expected"), [("common", [11, 11, 11]), ("per-trial", [11, 12, 13])]
    )
    def test_training_seeds(self, url: str, seeds: Any, expected: list[int]) -> None:
        spec = make_spec(seed=11, training=TrainingSpec(seeds=seeds))
        ledger = create(url, "s", spec)
        assert [ledger.ask().seed for _ in range(3)] == expected
        assert [r.seed for r in ledger.records()] == expected
        assert [training_seed(spec, n) for n in range(3)] == expected

    def test_an_interrupted_search_asks_what_an_unbroken_one_does(self, url: str) -> None:
        unbroken = search(create(url, "unbroken"), 4)
        create(url, "interrupted")
        for number in range(4):
            if number == 2:
                search_in_a_process_of_its_own(url, "interrupted")
            else:
                search(reopen(url, "interrupted"), 1)
        records = reopen(url, "interrupted").records()
        assert [r.params for r in records] == [a.parameters for a in unbroken]

    def test_a_half_asked_trial_is_finished_with_its_own_draw(self, url: str) -> None:
        connection = Connection(url, create=True)
        unbroken = Ledger.create(connection, "unbroken", make_charter())
        search(unbroken, 2)
        expected, following = unbroken.ask(), unbroken.ask()
        for stage, (write, count, _) in STAGES.items():
            cut = Ledger.create(connection, stage, make_charter())
            search(cut, 2)
            with crash_at(cut._storage, write, count):
                cut.ask()
        later = Connection(url, create=False)
        for stage, (_, _, params_stored) in STAGES.items():
            again = Ledger.open(later, stage)
            row = again.records()[2]
            assert (row.state, len(row.params)) == ("RUNNING", params_stored), stage
            assert again.ask_again(2) == expected, stage
            assert again.ask() == following, stage
            assert again.ask_again(2) == expected, stage
            assert again.records()[2].params == expected.parameters, stage

    def test_a_row_is_finished_by_whoever_has_not_read_it(self, url: str) -> None:
        connection = Connection(url, create=True)
        expected = Ledger.create(connection, "unbroken", make_charter()).ask()
        cut = Ledger.create(connection, "cut", make_charter())
        with crash_at(cut._storage, "set_trial_param"):
            cut.ask()
        assert reopen(url, "cut").ask_again(0) == expected

    def test_no_two_trials_share_a_point_with_several_in_flight(self, url: str) -> None:
        ledger = create(url, "s")
        flying = [ledger.ask() for _ in range(4)]
        for _ in range(8):
            tell(ledger, flying.pop(0))
            flying.append(ledger.ask())
        points = [(r.params["B"], r.params["X"]) for r in ledger.records()]
        assert len(points) == len(set(points)) == 12

    # --- enqueueing -----------------------------------------------------------------------------

    def test_enqueued_points_come_first_and_only_once(self, url: str) -> None:
        ledger = create(url, "s")
        for point in ({"B": 16, "X": 632.0}, {"B": 8}, {"B": 16, "X": 632.0}, {"B": 8}):
            ledger.enqueue(point)
        assert [r.state for r in ledger.records()] == ["WAITING", "WAITING"]
        first, second, third = search(reopen(url, "s"), 3)
        assert first.parameters == {"B": 16, "X": 632.0}
        assert second.parameters["B"] == 8
        assert 1 <= second.parameters["X"] <= 1000
        assert third.number == 2
        ledger.enqueue(third.parameters)
        ledger.enqueue({"B": 16, "X": 632.0})
        assert len(ledger.records()) == 3

    def test_a_half_asked_enqueued_trial_keeps_its_point(self, url: str) -> None:
        connection = Connection(url, create=True)
        unbroken = Ledger.create(connection, "unbroken", make_charter())
        cut = Ledger.create(connection, "cut", make_charter())
        for ledger in (unbroken, cut):
            ledger.enqueue({"B": 8})
        expected = unbroken.ask()
        with crash_at(cut._storage, "set_trial_param"):
            cut.ask()
        assert expected.parameters["B"] == 8
        assert reopen(url, "cut").ask_again(0) == expected

    # --- reporting and telling ------------------------------------------------------------------

    def test_a_long_curve_is_thinned_and_points_can_be_overwritten(self, url: str) -> None:
        ledger = create(url, "s", make_spec(training=TrainingSpec(epochs=300)))
        number = ledger.ask().number
        for epoch in (*range(1, 40), *range(260, 301)):
            ledger.report(number, epoch, epoch / 1000)
        ledger.report(number, 300, 0.9)
        study = optuna.load_study(study_name="s", storage=plain_storage(url))
        points = study.trials[0].intermediate_values
        assert list(points) == [1, *range(2, 40, 2), *range(260, 301, 2)]
        assert (points[1], points[300]) == (0.001, 0.9)

    def test_what_belongs_to_a_complete_trial_is_stored(self, url: str) -> None:
        ledger = create(url, "s")
        asked = ledger.ask()
        ledger.begin_attempt(asked.number, 1)
        ledger.set_worker(asked.number, "node-1:4711")
        class_iou = {"background": 0.9, "membrane": 0.25, "nucleus": None}
        ledger.complete(asked.number, 0.575, best_epoch=31, epochs=40, class_iou=class_iou)
        (record,) = reopen(url, "s").records()
        assert (record.state, record.complete, record.counts) == ("COMPLETE", True, True)
        assert (record.value, record.best_epoch, record.epochs) == (0.575, 31, 40)
        assert record.class_iou == class_iou
        assert (record.attempts, record.worker) == (1, "node-1:4711")
        assert record.seed == asked.seed

    def test_a_trial_counts_only_with_all_that_belongs_to_it(self, url: str) -> None:
        ledger = create(url, "s")
        for last_write in range(1, 5):
            asked = ledger.ask()
            with crash_at(ledger._storage, "set_trial_user_attr", last_write):
                tell(ledger, asked)
        again = reopen(url, "s")
        assert [r.state for r in again.records()] == ["RUNNING"] * 4
        for number in range(4):
            tell(again, again.ask_again(number))
        for record in again.records():
            assert (record.state, record.best_epoch, record.epochs) == ("COMPLETE", 7, 40)
            assert record.class_iou == dict.fromkeys(CLASSES, 0.5)

    def test_a_failed_trial_never_counts(self, url: str) -> None:
        ledger = create(url, "s")
        asked = ledger.ask()
        ledger.report(asked.number, 1, 0.9)
        ledger.fail(asked.number, 12, "the training diverged")
        ledger.fail(ledger.ask().number, None, "its worker was lost 4 times")
        first, second = reopen(url, "s").records()
        assert (first.state, first.value, first.epochs) == ("FAIL", None, 12)
        assert first.reason == "the training diverged"
        assert (second.state, second.epochs) == ("FAIL", None)
        assert not any(r.counts or r.complete for r in (first, second))

    def test_states_are_those_of_the_records(self, url: str) -> None:
        other, ledger = create(url, "other"), create(url, "s")
        assert ledger.states() == {}
        other.ask()
        running, told, failed, waiting = (ledger.ask() for _ in range(4))
        tell(ledger, told)
        ledger.fail(failed.number, None, "it diverged")
        ledger.put_back(waiting.number)
        ledger.enqueue({"B": 5, "X": 20.0})
        assert ledger.states() == {r.number: r.state for r in ledger.records()}
        assert ledger.states()[running.number] == "RUNNING"
        assert list(ledger.states().values()).count("WAITING") == 2

    def test_curves_of_trials_that_run_are_read_only_when_they_are_asked_for(
        self, url: str
    ) -> None:
        ledger = create(url, "s", make_spec(training=TrainingSpec(epochs=9)))
        told, running = ledger.ask(), ledger.ask()
        whole = dict.fromkeys(range(1, 10), 0.5)
        for asked in (told, running):
            ledger.report_missing(asked.number, whole)
        ledger.records()
        ledger.ask()
        assert [len(t.intermediate_values) for t in read_rows(ledger)] == [0, 0, 0]
        assert ledger.curves() == {0: whole, 1: whole, 2: {}}
        tell(ledger, told)
        ledger.records()
        assert [len(t.intermediate_values) for t in read_rows(ledger)] == [9, 0, 0]
        assert ledger.curves() == reopen(url, "s").curves() == {0: whole, 1: whole, 2: {}}

    def test_attempts_are_counted_and_the_first_one_began_the_trial(self, url: str) -> None:
        ledger = create(url, "s")
        number = ledger.ask().number
        assert ledger.records()[0].attempts == 0
        ledger.begin_attempt(number, 1)
        started = ledger.records()[0].started_at
        time.sleep(0.01)
        again = reopen(url, "s")
        again.begin_attempt(number, 2)
        assert again.ask_again(number).attempts == 2
        assert again.records()[0].started_at == started

    def test_times_are_utc_wherever_they_are_read(
        self, url: str, monkeypatch: pytest.MonkeyPatch, timezone_restored: None
    ) -> None:
        ledger = create(url, "s")
        before = datetime.now(UTC)
        complete, failed = ledger.ask(), ledger.ask()
        for asked in (complete, failed):
            ledger.begin_attempt(asked.number, 1)
        tell(ledger, complete)
        ledger.fail(failed.number, 3, "diverged")
        after = datetime.now(UTC)
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        for record in reopen(url, "s").records():
            assert record.started_at is not None
            assert record.finished_at is not None
            started = datetime.fromisoformat(record.started_at)
            finished = datetime.fromisoformat(record.finished_at)
            assert started.utcoffset() == finished.utcoffset() == timedelta(0)
            millisecond = timedelta(milliseconds=1)
            assert before - millisecond <= started <= finished <= after


@pytest.fixture
def timezone_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    monkeypatch.undo()
    time.tzset()


def plain_storage(url: str) -> optuna.storages.BaseStorage:
    """The storage as a user of plain Optuna opens it."""
    return optuna.storages.RDBStorage(url.replace("postgresql://", "postgresql+psycopg2://"))


def facts(study: optuna.Study) -> tuple[Any, ...]:
    return study.directions, study.user_attrs, study.metric_names, study.get_trials()


def search_in_a_process_of_its_own(url: str, name: str) -> None:
    command = "import sys, ledgers; ledgers.search(ledgers.reopen(*sys.argv[1:]), 1)"
    process = [sys.executable, "-c", command, url, name]
    subprocess.run(process, check=True, env={"PYTHONPATH": f"{TESTS.parent}:{TESTS}"})


# --- both at once, or one alone ------------------------------------------------------------------


@pytest.mark.parametrize("multivariate", [True, False])
def test_both_storages_propose_the_same_trials(
    tmp_path: Path, postgres_url: str, multivariate: bool
) -> None:
    sampler = SamplerSpec(startup_trials=2, multivariate=multivariate, constant_liar=multivariate)
    spec = make_spec(seed=42, sampler=sampler)
    lists = []
    for url in (f"sqlite:///{tmp_path / 'studies.db'}", postgres_url):
        ledger = create(url, "s", spec)
        flying = [ledger.ask(), ledger.ask()]
        for _ in range(5):
            tell(ledger, flying.pop(0))
            flying.append(ledger.ask())
        lists.append([(r.params["B"], r.params["X"], r.value) for r in ledger.records()])
    assert lists[0] == lists[1]
    assert len(lists[0]) == 7


def test_reading_leaves_a_database_without_tables(
    postgres_server: Postgres, postgres_url: str
) -> None:
    database = postgres_url.rpartition("/")[2]
    Ledger.exists(Connection(postgres_url, create=False), "s")
    tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
    assert postgres_server.query(tables, database) == [(0,)]
    Connection(postgres_url, create=True)
    assert postgres_server.query(tables, database) != [(0,)]


def test_an_outage_is_told_and_survived(postgres_server: Postgres, postgres_url: str) -> None:
    ledger = create(postgres_url, "s")
    first = ledger.ask()
    postgres_server.stop("immediate")
    for action in (
        ledger.ask,
        ledger.records,
        lambda: ledger.want(3),
        lambda: ledger.wanted,
        lambda: tell(ledger, first),
        lambda: reopen(postgres_url, "s"),
        lambda: create(postgres_url, "t"),
    ):
        with pytest.raises(StorageUnreachable) as caught:
            action()
        assert postgres_server.password not in str(caught.value)
    postgres_server.start()
    tell(ledger, first)
    assert ledger.records()[0].value == objective(first.parameters)
    assert ledger.ask().number == 1


def test_a_full_disk_under_sqlite_is_told_and_survived(tmp_path: Path) -> None:
    """SQLite refuses to grow the file, as it does on a disk without space."""
    ledger = create(f"sqlite:///{tmp_path / 'studies.db'}", "s")
    first = ledger.ask()
    before = reopen(text_of(ledger.url), "s").records()
    limit_pages(ledger, 1)
    for _ in range(2):
        with pytest.raises(DiskFull, match=r"studies\.db cannot be written"):
            ledger.set_home("." * 100_000)
    assert reopen(text_of(ledger.url), "s").records() == before
    assert ledger.home is None
    limit_pages(ledger, 1_000_000)
    tell(ledger, first)
    assert ledger.records()[0].value == objective(first.parameters)


def limit_pages(ledger: Ledger, pages: int) -> None:
    """SQLite takes the present size where that is more; the limit holds for one connection."""
    engine = ledger._connection.engine
    event.listen(
        engine,
        "checkout",
        lambda connection, *_: connection.execute(f"PRAGMA max_page_count={pages}").close(),
    )


@pytest.mark.parametrize("epochs", [1, 2, 3, 40, 199, 200, 201, 398, 399, 1999, 2000, 10**6])
def test_at_most_200_points_with_the_first_and_the_last(epochs: int) -> None:
    points = [epoch for epoch in range(1, epochs + 1) if is_curve_point(epoch, epochs)]
    assert points[0] == 1
    assert points[-1] == epochs
    assert min(epochs, 100) <= len(points) <= 200
