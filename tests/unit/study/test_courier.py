"""Checkpoints on their way to the store: never waited for for long, never lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from fre_hpo.errors import BadStore, FreHpoError, StoreUnreachable
from fre_hpo.study import courier as courier_module
from fre_hpo.study.courier import Courier, Delivered, Outcome, Undelivered
from fre_hpo.study.store import StoreAddress

ADDRESS = StoreAddress("/lab", "5" * 32)
GONE = StoreUnreachable(store="/lab", reason="stale file handle")


class Store:
    """Takes what is written, or does what is asked of it instead."""

    def __init__(self, *instead: Callable[[], None]) -> None:
        self.instead = list(instead)
        self.written: list[str] = []
        self.tries = 0

    def write(self, key: str, data: bytes) -> None:
        self.tries += 1
        if self.instead:
            self.instead.pop(0)()
        self.written.append(key)


def fails(error: FreHpoError = GONE) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_module, "SHORTEST", 1.5)
    monkeypatch.setattr(courier_module, "WAIT_SECONDS", 1.0)
    monkeypatch.setattr(courier_module, "FIRST_DELAY", 0.02)


def courier(store: Any, interval: float = 0.0) -> Courier:
    return Courier(ADDRESS, 3, 2, interval, open_store=lambda address: store)


def waited(courier: Courier) -> list[Outcome]:
    """What comes of the checkpoint on its way, as later reports would find it."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if found := courier.news():
            return found
        time.sleep(0.005)
    raise AssertionError("nothing came of it")


def test_a_checkpoint_gets_the_name_of_its_attempt_and_epoch() -> None:
    store = Store()
    assert courier(store).take(40, b"state") == [Delivered(40, "trials/3/checkpoint-2-40.pt")]
    assert store.written == ["trials/3/checkpoint-2-40.pt"]


def test_a_store_that_stumbles_is_tried_again() -> None:
    store = Store(fails(), fails())
    assert courier(store).take(1, b"state") == [Delivered(1, "trials/3/checkpoint-2-1.pt")]
    assert store.tries == 3


def test_after_half_of_the_interval_the_bytes_are_given_back() -> None:
    store = Store(*[fails()] * 100)
    found = courier(store)
    outcomes = found.take(1, b"state") or waited(found)
    assert [(o.epoch, o.data, o.reason) for o in outcomes if isinstance(o, Undelivered)] == [
        (1, b"state", "stale file handle")
    ]
    assert 2 < store.tries < 10


def test_of_a_store_that_failed_nothing_is_waited_for_until_it_is_back() -> None:
    store = Store(*[fails()] * 100)
    found = courier(store)
    assert found.take(1, b"1") or waited(found)
    tries = store.tries
    for epoch in (2, 3):
        began = time.monotonic()
        early = found.take(epoch, b"1")
        assert time.monotonic() - began < 0.9
        assert isinstance((early or waited(found))[0], Undelivered)
    assert store.tries == tries + 2, "each of them was tried once"
    store.instead.clear()
    assert isinstance((found.take(4, b"4") or waited(found))[0], Delivered)
    assert store.written == ["trials/3/checkpoint-2-4.pt"]


def test_training_goes_on_while_a_slow_store_writes() -> None:
    slow = threading.Event()
    found = courier(Store(lambda: bool(slow.wait(30)) and None), interval=60.0)
    began = time.monotonic()
    assert found.take(1, b"state") == []
    assert time.monotonic() - began < 5
    assert found.news() == []
    slow.set()
    assert waited(found) == [Delivered(1, "trials/3/checkpoint-2-1.pt")]


def test_the_next_checkpoint_goes_another_way_while_the_store_hangs() -> None:
    hanging = threading.Event()
    store = Store(lambda: bool(hanging.wait(30)) and None)
    found = courier(store)
    assert found.take(1, b"1") == []
    (second,) = found.take(2, b"2")
    assert isinstance(second, Undelivered)
    assert (second.epoch, second.data) == (2, b"2")
    assert "still being written" in second.reason
    hanging.set()
    time.sleep(0.2)
    assert found.news() == [], "nobody asks for the first one any more"
    assert isinstance((found.take(3, b"3") or waited(found))[0], Delivered)


def test_the_last_checkpoint_is_there_or_given_back() -> None:
    hanging = threading.Event()
    found = courier(Store(lambda: bool(hanging.wait(30)) and None), interval=60.0)
    assert found.take(5, b"5") == []
    (outcome,) = found.last()
    assert isinstance(outcome, Undelivered)
    assert (outcome.epoch, outcome.data, outcome.reason) == (5, b"5", "the store does not answer")
    assert found.last() == []
    hanging.set()
    good = courier(Store())
    assert len(good.take(5, b"5")) == 1
    assert good.last() == []


def test_a_worker_without_the_back_end_sends_its_bytes() -> None:
    def cannot_open(address: StoreAddress) -> Any:
        raise BadStore(store=address.root, reason="its back end is not installed")

    found = Courier(ADDRESS, 3, 2, 0.0, open_store=cannot_open)
    (outcome,) = found.take(1, b"state") or waited(found)
    assert isinstance(outcome, Undelivered)
    assert outcome.reason == "its back end is not installed"
