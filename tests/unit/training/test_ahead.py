"""Training that runs ahead of its reports: order, errors, room, and that nothing goes on unseen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fre_hpo.training.ahead import Ahead


def until(found: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not found():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


class Counter:
    """Counts up, and knows how far it came and where."""

    def __init__(self, last: int, error: BaseException | None = None) -> None:
        self.last = last
        self.error = error
        self.done = 0
        self.threads: set[int] = set()

    def __iter__(self) -> Iterator[int]:
        while self.done < self.last:
            self.threads.add(threading.get_ident())
            self.done += 1
            yield self.done
        if self.error:
            raise self.error


def test_items_come_in_their_order_from_another_thread() -> None:
    counter = Counter(100)
    assert list(Ahead(iter(counter))) == list(range(1, 101))
    assert len(counter.threads) == 1
    assert threading.get_ident() not in counter.threads


def test_it_goes_on_while_nobody_takes_but_not_for_ever() -> None:
    counter = Counter(100)
    ahead = Ahead(iter(counter), room=3)
    until(lambda: counter.done == 4)  # three wait, the fourth is in hand
    time.sleep(0.05)
    assert counter.done == 4
    assert list(ahead) == list(range(1, 101))


def test_an_error_comes_behind_what_was_done_before_it() -> None:
    ahead = iter(Ahead(iter(Counter(2, ValueError("diverged")))))
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(ValueError, match="diverged"):
        next(ahead)


def test_who_leaves_waits_for_the_item_in_work_and_for_no_more() -> None:
    released, counter = threading.Event(), Counter(100)

    def slow() -> Iterator[int]:
        for item in counter:
            if item == 2:
                released.wait(10)
            yield item

    ahead = iter(Ahead(slow()))
    assert next(ahead) == 1
    until(lambda: counter.done == 2)
    threading.Timer(0.05, released.set).start()
    ahead.close()  # type: ignore[attr-defined]
    assert released.is_set()
    time.sleep(0.05)
    assert counter.done == 2


def test_an_interrupt_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second Ctrl-C ends a search in the middle of an epoch."""
    released = threading.Event()

    def endless() -> Iterator[int]:
        released.wait(10)
        yield 1

    def interrupted(found: object) -> bool:
        raise KeyboardInterrupt

    ahead = Ahead(endless())
    monkeypatch.setattr(ahead._changed, "wait_for", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(iter(ahead))
    assert ahead._thread.is_alive()
    monkeypatch.undo()
    released.set()
    ahead._thread.join(10)
    assert not ahead._thread.is_alive()
