"""A study as a watcher sees it: what it costs, when it cannot be seen, why it does not run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fre_hpo.errors import StorageUnreachable, StudyNotFound
from fre_hpo.scheduling.live import Live
from fre_hpo.service.watch import Following, Sight, Watcher
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.order import Order, Wish
from ledgers import create, make_spec

LIVE = Live("running", wanted=4, complete=0, failed=0, slots=2, elapsed=0.0, epochs=100)
STUDY = "cells"


@pytest.fixture
def settings(home: Path) -> Settings:
    home.mkdir()
    return Settings(home, f"sqlite:///{home}/fre-hpo.db")


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    made = create(settings.storage, STUDY, make_spec())
    made.take_over()
    made.want(4)
    yield made
    made._connection.engine.dispose()


def publish(ledger: Ledger, **changes: Any) -> None:
    ledger.set_live(replace(LIVE, time=time.time(), **changes).to_plain())


def complete(ledger: Ledger, miou: float) -> None:
    number = ledger.ask().number
    ledger.complete(number, miou, 1, 3, {})


def fail(ledger: Ledger, reason: str) -> None:
    ledger.fail(ledger.ask().number, 1, reason)


class Counted:
    """How often a ledger's methods were called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.records = 0
        read = Ledger.records

        def counting(ledger: Ledger) -> Any:
            self.records += 1
            return read(ledger)

        monkeypatch.setattr(Ledger, "records", counting)


def test_trials_are_read_only_when_one_has_ended(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(ledger)
    watcher = Watcher(settings, STUDY)
    counted = Counted(monkeypatch)
    for _ in range(10):
        assert watcher.look().complete == 0
    assert counted.records == 1
    complete(ledger, 0.5)
    publish(ledger, complete=1)
    for _ in range(10):
        sight = watcher.look()
        assert (sight.complete, sight.state, sight.over) == (1, "running", False)
    assert counted.records == 2
    assert sight.best is not None
    assert sight.best.value == 0.5


def test_a_study_that_is_not_there_is_said_at_once(settings: Settings, ledger: Ledger) -> None:
    with pytest.raises(StudyNotFound):
        Watcher(settings, "cell")


def test_before_anything_is_published_it_is_starting(settings: Settings, ledger: Ledger) -> None:
    sight = Watcher(settings, STUDY).look()
    assert (sight.state, sight.over, sight.live, sight.wanted) == ("starting", False, None, 4)


def test_a_storage_out_of_reach_keeps_what_was_seen_and_goes_on(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(ledger)
    watcher = Watcher(settings, STUDY)
    before = watcher.look()

    def fail(ledger: Ledger) -> Any:
        raise StorageUnreachable(storage="postgresql://db", reason="connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "live", property(fail))
        first = watcher.look()
        time.sleep(0.05)
        second = watcher.look()
    assert (first.live, first.records) == (before.live, before.records)
    assert second.trouble == "connection refused"
    assert 0.05 <= second.blind < 10
    assert not second.over
    after = watcher.look()
    assert (after.trouble, after.blind, after.state) == (None, 0.0, "running")


def test_a_study_that_is_deleted_ends_it(settings: Settings, ledger: Ledger) -> None:
    publish(ledger)
    watcher = Watcher(settings, STUDY)
    watcher.look()
    ledger.delete()
    sight = watcher.look()
    assert (sight.state, sight.over) == ("deleted", True)
    assert watcher.ending(sight).command is None


def ended(settings: Settings) -> tuple[Sight, str]:
    watcher = Watcher(settings, STUDY)
    sight = watcher.look()
    assert sight.over
    ending = watcher.ending(sight)
    assert ending.command is not None
    assert ending.command.startswith("fre-hpo start --dataset ")
    trials = 14 if sight.state == "finished" else 4
    assert ending.command.endswith(f"--study {STUDY} --trials {trials}")
    return sight, ending.why


def test_why_it_ended(settings: Settings, ledger: Ledger) -> None:
    publish(ledger, state="stopped")
    sight, why = ended(settings)
    assert sight.state == "stopped"
    assert why == "It was stopped by Ctrl-C or a signal, or its hours are used up."
    ledger.give(Order.by("ana@lab", Wish.STOP))
    assert ended(settings)[1] == "It was stopped by ana@lab."
    ledger.give(Order.by("start", Wish.RUN))
    for _ in range(3):
        fail(ledger, "The loss was nan.")
    assert ended(settings)[1] == "Its trials keep failing: The loss was nan."
    for miou in (0.1, 0.4, 0.3, 0.2):
        complete(ledger, miou)
    publish(ledger, state="finished")
    sight, why = ended(settings)
    assert (sight.state, sight.complete, sight.failed) == ("finished", 4, 3)
    assert why == "All 4 trials that were asked for are complete."
    assert sight.best is not None
    assert sight.best.value == 0.4


def test_one_that_nobody_started_again(settings: Settings, ledger: Ledger) -> None:
    long_ago = replace(LIVE, host="elsewhere.lab", pid=7, time=time.time() - 1e6)
    ledger.set_live(long_ago.to_plain())
    sight, why = ended(settings)
    assert sight.state == "interrupted"
    assert why.startswith("Its coordinator, process 7 on elsewhere.lab, ended without a word")


def test_a_storage_that_does_not_answer_holds_nothing_up(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(ledger)
    watcher = Watcher(settings, STUDY)
    first = watcher.look()

    def hang() -> Sight:
        time.sleep(2)
        return first

    monkeypatch.setattr(watcher, "look", hang)
    following = Following(watcher, first, 0.01)
    ages = []
    for _ in range(5):
        ages.append(following.sight.age)
        time.sleep(0.05)
    assert ages == sorted(ages)
    assert ages[-1] >= 0.2


def test_what_nobody_expected_is_raised_where_it_is_seen(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(ledger)
    watcher = Watcher(settings, STUDY)
    first = watcher.look()

    def break_() -> Sight:
        raise RuntimeError("cheese")

    monkeypatch.setattr(watcher, "look", break_)
    following = Following(watcher, first, 0.0)
    with pytest.raises(RuntimeError, match="cheese"):
        see_for(following, 5)


def see_for(following: Following, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert following.sight is not None
        time.sleep(0.01)


def test_the_url_that_it_reads_needs_no_folder(settings: Settings, ledger: Ledger) -> None:
    """From another machine there is only the storage."""
    publish(ledger)
    elsewhere = Settings(settings.home / "nothing", settings.storage)
    assert Watcher(elsewhere, STUDY).look().state == "running"
    assert not elsewhere.home.exists()
    assert Connection(settings.storage, create=False).storage is not None
