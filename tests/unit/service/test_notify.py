"""Messages: what they say, and an outbox that delivers them late, once, or not at all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from fre_hpo.service.notify import HEADLINES, Outbox, Standing, compose
from fre_hpo.service.webhook import NotDelivered, Receiver
from receiving import SECRET, Behaviour, Mailbox

BEST = {"number": 7, "value": 0.81234, "params": {"B": 162, "X": 632.456}}
STANDING = Standing(complete=12, wanted=50, failed=2, best=BEST)


def test_a_message_has_every_key_and_a_sentence() -> None:
    message = compose("needs_help", "mouse-fre", STANDING, "The disk is full.")
    assert json.loads(json.dumps(message)) == message
    assert list(message) == [
        *("text", "event", "study", "complete", "wanted", "failed", "best"),
        *("message", "host", "time", "version"),
    ]
    assert message["text"] == (
        f"mouse-fre needs help ({message['host']}): The disk is full. 12 of 50 trials are complete, "
        "2 failed; the best is trial 7 with mIoU 0.8123 (B=162, X=632.5)."
    )
    sent = datetime.fromisoformat(message["time"])
    assert sent.tzinfo == UTC
    assert abs((datetime.now(UTC) - sent).total_seconds()) < 60


@pytest.mark.parametrize("event", HEADLINES)
def test_every_event_is_told_of_a_study_of_which_nothing_is_known(event: str) -> None:
    message = compose(event, "mouse-fre", Standing())
    assert message["text"].startswith("mouse-fre ")
    assert message["text"].endswith(".")
    assert message["best"] is message["complete"] is message["message"] is None


class Post:
    """Stands for the network: fails as often as it is told to, or waits."""

    def __init__(self, *failures: NotDelivered, wait: float = 0.0) -> None:
        self.failures = list(failures)
        self.sent: list[Any] = []
        self.tried: list[Any] = []
        self.wait = threading.Event() if wait else None

    def __call__(self, receiver: Receiver, message: dict[str, Any]) -> None:
        self.tried.append(message)
        if self.wait:
            self.wait.wait(20)
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(message)


def down() -> NotDelivered:
    return NotDelivered("nobody listens", again=True)


def message(event: str, number: int = 0) -> dict[str, Any]:
    return {"event": event, "number": number}


@pytest.fixture
def outbox() -> Iterator[Callable[..., Outbox]]:
    made: list[Outbox] = []

    def make(post: Post, pauses: tuple[float, ...] = (0.01, 0.01)) -> Outbox:
        made.append(Outbox(Receiver(f"https://chat.lab/{SECRET}"), pauses, post))
        return made[-1]

    yield make
    for box in made:
        box.close(0)


def wait_until(found: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not found():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_failure_is_tried_again_and_told_to_nobody(outbox: Callable[..., Outbox]) -> None:
    post = Post(down(), down())
    box = outbox(post)
    box.put(message("finished"))
    box.close(10)
    assert len(post.tried) == 3
    (delivery,) = box.deliveries()
    assert delivery.problem is None
    assert delivery.sentence == "The message 'finished' was sent to https://chat.lab."
    assert box.deliveries() == []


def test_after_the_last_try_it_is_given_up_and_said_once(outbox: Callable[..., Outbox]) -> None:
    post = Post(*(down() for _ in range(9)))
    box = outbox(post)
    box.put(message("needs_help"))
    wait_until(lambda: len(post.tried) == 3)
    wait_until(lambda: box._box.deliveries)
    (delivery,) = box.deliveries()
    assert delivery.problem == "nobody listens"
    assert delivery.sentence.endswith("could not be sent to https://chat.lab: nobody listens.")
    assert SECRET not in repr(delivery)


def test_what_no_other_try_can_change_is_not_tried_again(outbox: Callable[..., Outbox]) -> None:
    post = Post(NotDelivered("it answered 404", again=False))
    box = outbox(post)
    box.put(message("finished"))
    box.close(10)
    assert len(post.tried) == 1
    assert [d.problem for d in box.deliveries()] == ["it answered 404"]


def test_a_newer_message_replaces_an_unsent_one_of_its_kind(
    outbox: Callable[..., Outbox],
) -> None:
    post = Post()
    box = outbox(post)
    box.put(message("needs_help", 1), after=60)
    box.put(message("recovered", 2), after=60)
    box.put(message("needs_help", 3), after=60)
    box.close(10)
    assert sorted(m["number"] for m in post.sent) == [2, 3]


def test_a_message_that_is_withdrawn_in_time_is_not_sent(outbox: Callable[..., Outbox]) -> None:
    post = Post()
    box = outbox(post)
    box.put(message("needs_help"), after=60)
    assert box.withdraw("needs_help")
    assert not box.withdraw("needs_help")
    box.close(10)
    assert post.tried == []
    assert box.deliveries() == []


def test_one_that_is_on_its_way_cannot_be_withdrawn_but_is_not_tried_again(
    outbox: Callable[..., Outbox],
) -> None:
    post = Post(down(), wait=1)
    assert post.wait is not None
    box = outbox(post)
    box.put(message("needs_help"))
    wait_until(lambda: post.tried)
    assert not box.withdraw("needs_help")
    post.wait.set()
    box.close(10)
    assert len(post.tried) == 1


def test_nobody_waits_for_a_receiver_that_hangs(outbox: Callable[..., Outbox]) -> None:
    post = Post(wait=1)
    assert post.wait is not None
    box = outbox(post)
    began = time.monotonic()
    for number in range(1000):
        box.put(message("needs_help", number))
    box.put(message("finished"))
    assert time.monotonic() - began < 1
    box.close(0.2)
    assert time.monotonic() - began < 3
    assert {d.event for d in box.deliveries()} == {"needs_help", "finished"}
    assert len(post.tried) == 1
    post.wait.set()


def test_at_the_end_what_waits_for_its_next_try_is_tried_at_once(
    outbox: Callable[..., Outbox],
) -> None:
    post = Post(down())
    box = outbox(post, pauses=(600.0,))
    box.put(message("needs_help"))
    wait_until(lambda: post.tried)
    box.close(10)
    assert [m["event"] for m in post.sent] == ["needs_help"]


def test_one_try_at_a_time_over_a_real_network() -> None:
    with Mailbox(Behaviour([500, 503, 200], hang=0.05)) as mailbox:
        box = Outbox(Receiver(mailbox.url), (0.01, 0.01, 0.01))
        for event in ("needs_help", "recovered", "finished"):
            box.put(message(event))
        box.close(10)
        assert mailbox.most_at_once == 1
        assert set(mailbox.events) == {"needs_help", "recovered", "finished"}
        assert len(mailbox.requests) == 5
    assert all(d.problem is None for d in box.deliveries())
