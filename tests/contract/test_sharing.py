"""Two searches on one Ray: each learns of the other, takes its share, and gives back what is beyond."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from fre_hpo.scheduling import neighbours
from fre_hpo.scheduling.fairness import TURN_SECONDS, Claim
from fre_hpo.scheduling.neighbours import Neighbours
from fre_hpo.scheduling.placement import Machine, Wanted
from fre_hpo.scheduling.ray_executor import RayExecutor
from fre_hpo.scheduling.share import Share
from fre_hpo.trial import Epoch
from trials import drawn_data, small_job, small_spec

LONG = small_spec(settings={"training.epochs": 5000, "training.checkpoint_seconds": 0.0})


@pytest.fixture
def search(local_ray: None) -> Iterator[Callable[[], RayExecutor]]:
    """Begins searches on a Ray of two CPUs."""
    begun: list[RayExecutor] = []

    def begin() -> RayExecutor:
        wanted = Wanted("cpu", elastic=True)
        placement = wanted.on(Machine(2, 0))
        begun.append(RayExecutor(drawn_data(LONG), placement, wanted, shared=True))
        return begun[-1]

    yield begin
    for executor in begun:
        executor.close()


def wait_for_slots(slots: int, executor: RayExecutor, *others: RayExecutor) -> None:
    end = time.monotonic() + 20
    while executor.capacity(9) != slots:
        assert time.monotonic() < end, (executor.capacity(9), slots)
        for other in others:
            other.capacity(9)
        time.sleep(0.1)


def test_a_second_search_gets_its_share_and_gives_it_back(
    search: Callable[[], RayExecutor],
) -> None:
    first = search()
    assert first.capacity(9) == 2
    for number in (0, 1):
        first.submit(small_job(LONG, number=number))
    wait_for_epochs(first, {0, 1})
    second = search()
    wait_for_slots(1, first, second)
    wait_for_slots(1, second, first)
    assert first.displaced() == {1}
    assert second.displaced() == frozenset()
    assert first.news() == ["Another search on this cluster: it is shared equally."]
    second.close()
    wait_for_slots(2, first)
    assert first.displaced() == frozenset()
    assert first.news() == ["No other search is on the cluster any more."]


def wait_for_epochs(executor: RayExecutor, numbers: set[int]) -> None:
    seen: set[int] = set()
    end = time.monotonic() + 60
    while seen != numbers:
        assert time.monotonic() < end
        seen |= {a.number for a in executor.poll(0.2) if isinstance(a.content, Epoch)}


def test_a_search_that_died_claims_nothing_for_long(
    local_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, dead = (Claim(name, 0.0, "cpu", 2, 9) for name in ("mine", "dead"))
    us = Neighbours("mine")
    assert us.exchange(mine) == ()
    Neighbours("dead").exchange(dead)
    assert us.exchange(mine) == (dead,)
    monkeypatch.setattr(neighbours, "GONE_SECONDS", 0.2)
    time.sleep(0.3)
    assert us.exchange(mine) == ()
    assert Neighbours("new").exchange(Claim("new", 1.0, "cpu", 2, 9)) == (mine,)
    us.leave()


def test_turns_are_counted_from_the_last_change_of_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    share = Share()
    news: list[str] = []
    now = 5 * TURN_SECONDS
    claim = share.claim("cpu", 1, 9, running=1)
    assert claim.turns == 5
    rival = Claim("rival", 0.0, "cpu", 1, 9)
    assert share.of(claim, (rival,), news) == 0  # it came first, and has all its turns before it
    claim = share.claim("cpu", 1, 9, running=1)
    assert claim.turns == 0
    now += TURN_SECONDS
    claim = share.claim("cpu", 1, 9, running=1)
    assert claim.turns == 1
    assert share.of(claim, (rival,), news) == 0
    assert share.of(claim, (Claim("rival", 0.0, "cpu", 1, 9, turns=2),), news) == 1
    assert share.of(claim, (Claim("rival", 0.0, "cuda", 1, 9),), news) == 1
