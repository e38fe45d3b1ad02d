"""What others ask of a running coordinator: pause, go on, stop, stop at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinating import Content, House, Scripted, sealed, train
from fre_hpo.errors import StorageUnreachable
from fre_hpo.scheduling.executor import Arrival
from fre_hpo.scheduling.state import Outcome
from fre_hpo.study.order import Order, Wish
from fre_hpo.trial import Checkpoint, Job, Started


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def when(matches: Callable[[Job, Content], bool], act: Callable[[], None]) -> Any:
    """A script that trains, and does something once just before a report."""
    done = []

    def script(job: Job) -> Iterator[Content]:
        for content in train(job):
            if not done and matches(job, content):
                done.append(job.number)
                act()
            yield content

    return script


def checkpoint_of(number: int, epoch: int) -> Callable[[Job, Content], bool]:
    return lambda job, content: (
        job.number == number and isinstance(content, Checkpoint) and content.epoch == epoch
    )


class Watched(Scripted):
    """Something is looked at or done at every poll."""

    def __init__(self, script: Any, at_poll: Callable[[], None]) -> None:
        super().__init__(script)
        self._at_poll = at_poll

    def poll(self, timeout: float) -> list[Arrival]:
        self._at_poll()
        return super().poll(timeout)


def test_an_order_and_who_gave_it_are_seen_by_others(house: House) -> None:
    assert house.opened().order == Order(Wish.RUN)
    for wish in Wish:
        order = Order.by("somebody@desk", wish)
        house.opened().give(order)
        assert house.ledger.order == order


def test_a_paused_search_begins_nothing_and_goes_on_later(house: House) -> None:
    seen = []

    def look() -> None:
        live = house.ledger.live
        seen.append((live["state"], len(executor.playing), len(executor.jobs)))
        if house.clock.now() > 20:
            house.give(Wish.RUN)

    pause = when(checkpoint_of(0, 1), lambda: house.give(Wish.PAUSE))
    executor = Watched(pause, look)
    assert house.run(executor, wanted=6) is Outcome.COMPLETE
    paused = [(playing, begun) for state, playing, begun in seen if state == "paused"]
    assert paused[0] == (2, 2)
    assert paused[-1] == (0, 2), "what ran was trained to its end, and nothing new was begun"
    assert len(paused) > 15
    assert house.states() == ["COMPLETE"] * 6
    assert len(house.events("study_paused")) == len(house.events("study_resumed")) == 1
    assert house.listener.states == ["running", "paused", "running", "finished"]
    assert any("nothing new is begun" in s for s in house.listener.sentences)


def test_a_paused_search_that_has_all_it_wanted_ends(house: House) -> None:
    pause = when(checkpoint_of(1, 1), lambda: house.give(Wish.PAUSE))
    assert house.run(Scripted(pause), wanted=2) is Outcome.COMPLETE


def test_a_paused_search_can_be_stopped(house: House) -> None:
    def stop_late() -> None:
        if house.clock.now() > 30:
            house.stop.raise_()

    pause = when(checkpoint_of(0, 1), lambda: house.give(Wish.PAUSE))
    assert house.run(Watched(pause, stop_late), wanted=6) is Outcome.STOPPED
    assert house.ledger.live["state"] == "stopped"


@pytest.mark.parametrize("stop", ["order", "signal"])
def test_a_stop_lets_the_epochs_end(house: House, stop: str) -> None:
    how = house.stop.raise_ if stop == "signal" else lambda: house.give(Wish.STOP)
    executor = Scripted(when(checkpoint_of(1, 1), how))
    assert house.run(executor) is Outcome.STOPPED
    assert house.states() == ["WAITING"] * 2
    assert executor.cancelled == []
    assert [e["epoch"] is not None for e in house.events("trial_stopped")] == [True] * 2
    assert house.ledger.live["state"] == "stopped"
    assert house.events("study_finished")[0]["outcome"] == "stopped"
    later = Scripted(train)
    assert house.restarted().run(later) is Outcome.COMPLETE
    assert all(job.checkpoint is not None for job in later.jobs[:2])
    assert house.states() == ["COMPLETE"] * 3


def test_stop_at_once_cancels_and_loses_no_checkpoint(house: House) -> None:
    executor = Scripted(when(checkpoint_of(0, 2), lambda: house.give(Wish.STOP_NOW)))
    assert house.run(executor) is Outcome.STOPPED
    assert sorted(executor.cancelled) == [0, 1]
    assert house.states() == ["WAITING"] * 2
    assert house.events("trial_stopped")[0]["epoch"] is None
    later = Scripted(train)
    assert house.restarted().run(later) is Outcome.COMPLETE
    assert later.jobs[0].checkpoint in (sealed(2), sealed(3))


def test_stop_at_once_hurries_a_stop_whose_epochs_take_long(house: House) -> None:
    def patient(job: Job) -> Iterator[Content]:
        yield Started(0, "host:1", 1, "cpu", "float32")
        house.give(Wish.STOP)
        while True:
            yield Started(0, "host:1", 1, "cpu", "float32")

    def hurry() -> None:
        if house.clock.now() > 30:
            house.give(Wish.STOP_NOW)
        assert house.clock.now() < 60, "it never stops"

    executor = Watched(patient, hurry)
    assert house.run(executor) is Outcome.STOPPED
    assert sorted(executor.cancelled) == [0, 1]
    assert house.states() == ["WAITING"] * 2


def test_stop_at_once_survives_an_outage_in_its_middle(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_back, failures = house.ledger.put_back, [0, 1]

    def unreachable(number: int) -> None:
        if failures:
            failures.pop()
            raise StorageUnreachable(storage="somewhere", reason="gone")
        put_back(number)

    monkeypatch.setattr(house.ledger, "put_back", unreachable)
    executor = Scripted(when(checkpoint_of(0, 1), lambda: house.give(Wish.STOP_NOW)))
    assert house.run(executor) is Outcome.STOPPED
    assert house.states() == ["WAITING"] * 2
    assert executor.playing == {}


def test_stop_at_once_while_somebody_ends_a_trial(house: House) -> None:
    """The other trials are stopped all the same."""

    def act() -> None:
        house.client().tell(0, 0.5)
        house.give(Wish.STOP_NOW)

    executor = Scripted(when(checkpoint_of(0, 1), act))
    assert house.run(executor, wanted=5) is Outcome.STOPPED
    assert house.states() == ["COMPLETE", "WAITING"]
    assert executor.playing == {}


def test_an_order_stands_until_a_start_takes_it_back(house: House) -> None:
    house.give(Wish.STOP)
    assert house.run(Scripted(train)) is Outcome.STOPPED
    assert house.states() == []
    assert house.restarted().run(Scripted(train)) is Outcome.COMPLETE
