"""What waits to be written: in order, and not without bounds."""

from __future__ import annotations

from fre_hpo.scheduling.executor import Arrival
from fre_hpo.scheduling.inbox import Inbox
from fre_hpo.trial import Checkpoint, Stopped


def checkpoint(number: int, epoch: int, attempt: int = 1) -> Arrival:
    return Arrival(number, attempt, Checkpoint(epoch, b"." * 10))


def drain(inbox: Inbox) -> list[Arrival]:
    found = []
    while len(inbox):
        found.append(inbox.first)
        inbox.drop_first()
    return found


def test_all_comes_out_in_its_order() -> None:
    inbox = Inbox(memory=40)
    arrivals = [checkpoint(0, 1), checkpoint(1, 1), Arrival(1, 1, Stopped(1)), checkpoint(0, 2)]
    for arrival in arrivals:
        inbox.add(arrival)
    assert drain(inbox) == arrivals


def test_where_memory_ends_the_newest_of_each_attempt_stay() -> None:
    inbox = Inbox(memory=50)
    arrivals = [checkpoint(n, epoch) for epoch in (1, 2) for n in (0, 1)]
    arrivals += [Arrival(0, 1, Stopped(2)), checkpoint(0, 1, attempt=2), checkpoint(1, 3)]
    for arrival in arrivals:
        inbox.add(arrival)
    assert drain(inbox) == [arrivals[2], arrivals[4], arrivals[5], arrivals[6]]


def test_what_was_taken_out_makes_room() -> None:
    inbox = Inbox(memory=20)
    for epoch in range(1, 20):
        two = [checkpoint(0, epoch), checkpoint(0, epoch)]
        for arrival in two:
            inbox.add(arrival)
        assert drain(inbox) == two
