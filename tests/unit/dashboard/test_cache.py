"""Replies that many ask for at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fre_hpo.dashboard.cache import MOST, MomentCache


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow:
    """Makes numbers when it is let; counts how often it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls = 0
        self.began = threading.Event()
        self.may_end = threading.Event()
        self.error = error

    def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        self.began.set()
        assert self.may_end.wait(10)
        if self.error is not None:
            raise self.error
        return number


def test_a_value_is_kept_for_a_moment() -> None:
    clock, values = Clock(), iter(range(9))
    cache: MomentCache[int] = MomentCache(1.0, clock=clock)
    found = []
    for clock.now in (0.0, 0.9, 1.0, 1.5, 2.0):
        found.append(cache.get("a", lambda: next(values)))
    assert found == [0, 0, 1, 1, 2]
    assert cache.get("b", lambda: next(values)) == 3


def test_many_at_once_cost_one() -> None:
    cache: MomentCache[int] = MomentCache()
    slow = Slow()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(cache.get, "a", slow) for _ in range(8)]
        assert slow.began.wait(10)
        slow.may_end.set()
        assert [answer.result(10) for answer in answers] == [1] * 8
    assert slow.calls == 1


def test_an_error_reaches_all_who_wait_and_is_not_kept() -> None:
    cache: MomentCache[int] = MomentCache()
    slow = Slow(OSError("gone"))
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(cache.get, "a", slow) for _ in range(2)]
        assert slow.began.wait(10)
        slow.may_end.set()
        for answer in answers:
            with pytest.raises(OSError, match="gone"):
                answer.result(10)
    assert cache.get("a", lambda: 7) == 7


def test_nobody_waits_for_ever() -> None:
    cache: MomentCache[int] = MomentCache(wait=0.01)
    slow = Slow()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.get, "a", slow)
        assert slow.began.wait(10)
        assert cache.get("a", slow) is None
        slow.may_end.set()
        assert first.result(10) == 1


def test_after_a_change_nothing_from_before_is_given() -> None:
    """Not even what was being made while the change happened."""
    cache: MomentCache[str] = MomentCache(clock=Clock())
    assert cache.get("a", lambda: "old") == "old"
    began, may_end = threading.Event(), threading.Event()

    def make() -> str:
        began.set()
        assert may_end.wait(10)
        return "made meanwhile"

    with ThreadPoolExecutor(1) as pool:
        meanwhile = pool.submit(cache.get, "b", make)
        assert began.wait(10)
        cache.forget()
        assert cache.get("a", lambda: "new") == "new"
        assert cache.get("b", lambda: "new") == "new"
        may_end.set()
        assert meanwhile.result(10) == "made meanwhile"
    assert cache.get("b", lambda: "newer") == "new"


def test_it_does_not_grow() -> None:
    clock = Clock()
    cache: MomentCache[int] = MomentCache(1.0, clock=clock)
    for clock.now in range(10 * MOST):
        cache.get(clock.now, lambda: 1)
    assert len(cache._flights) <= MOST
