"""The state machine of a search: every transition, and what holds whatever happens."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fre_hpo.scheduling.state import (
    ALIKE_FAILURES,
    DIVERGED_IN_A_ROW,
    Ask,
    Dispatch,
    End,
    Outcome,
    Search,
    Wait,
)

SEARCH = Search(wanted=5, slots=2, retries=1)


def begun(search: Search, *numbers: int) -> Search:
    """The search with these trials in flight for the first time."""
    for number in numbers:
        search = search.queue(number, 0).dispatched(number, 1)
    return search


# --- deciding ------------------------------------------------------------------------------------


def test_an_empty_search_asks() -> None:
    assert SEARCH.decide() == Ask()


def test_what_is_queued_goes_first_in_order() -> None:
    search = SEARCH.queue(3, 2).queue(4, 0)
    assert search.decide() == Dispatch(3, 3)
    assert search.dispatched(3, 3).decide() == Dispatch(4, 1)


def test_no_more_than_there_are_slots() -> None:
    assert begun(SEARCH, 0).decide() == Ask()
    assert begun(SEARCH, 0, 1).decide() == Wait()
    assert begun(SEARCH, 0, 1).queue(2, 0).decide() == Wait()


def test_no_more_than_is_wanted() -> None:
    search = dataclasses.replace(begun(SEARCH, 0), complete=4)
    assert search.decide() == Wait()
    assert search.queue(1, 0).decide() == Wait()
    assert search.completed(0).decide() == End(Outcome.COMPLETE)


def test_a_complete_search_ends_and_leaves_orphans_alone() -> None:
    search = dataclasses.replace(SEARCH, complete=7)
    assert search.decide() == End(Outcome.COMPLETE)
    assert search.queue(3, 1).decide() == End(Outcome.COMPLETE)
    assert Search(wanted=0, slots=1, retries=0).decide() == End(Outcome.COMPLETE)


@pytest.mark.parametrize("outcome", [Outcome.STOPPED, Outcome.OUT_OF_TIME, Outcome.FAILING])
def test_a_halt_begins_nothing_and_waits_for_what_runs(outcome: Outcome) -> None:
    search = begun(SEARCH, 0).queue(1, 0).halt(outcome)
    assert search.decide() == Wait()
    assert search.put_back(0).decide() == End(outcome)


def test_the_first_reason_to_halt_counts() -> None:
    assert SEARCH.halt(Outcome.OUT_OF_TIME).halt(Outcome.STOPPED).decide() == End(
        Outcome.OUT_OF_TIME
    )


def test_a_search_that_completes_while_it_halts_is_complete() -> None:
    search = dataclasses.replace(begun(SEARCH, 0), complete=4).halt(Outcome.STOPPED)
    assert search.completed(0).decide() == End(Outcome.COMPLETE)


# --- what happened -------------------------------------------------------------------------------


def test_only_the_attempt_in_flight_may_deliver() -> None:
    search = begun(SEARCH, 0)
    assert search.is_current(0, 1)
    assert not search.is_current(0, 2)
    assert not search.is_current(1, 1)
    again = search.lost(0).dispatched(0, 2)
    assert not again.is_current(0, 1)
    assert again.is_current(0, 2)
    assert not again.completed(0).is_current(0, 2)


def test_a_lost_trial_waits_at_the_front_for_its_next_attempt() -> None:
    search = begun(SEARCH, 0, 1).queue(2, 0).lost(1)
    assert search.queued == (1, 2)
    assert dict(search.running) == {0: 1}
    assert search.decide() == Dispatch(1, 2)


def test_retries_are_counted_per_trial_and_per_run() -> None:
    search = SEARCH.queue(0, 6).dispatched(0, 7)
    assert search.may_retry(0)
    search = search.lost(0).dispatched(0, 8)
    assert not search.may_retry(0)
    assert search.may_retry(1)
    assert not Search(wanted=1, slots=1, retries=0).may_retry(0)


def test_a_completed_trial_counts_and_frees_its_slot() -> None:
    search = begun(SEARCH, 0, 1).completed(1)
    assert (search.complete, dict(search.running)) == (1, {0: 1})
    assert search.decide() == Ask()


def test_a_failed_trial_does_not_count_and_another_is_asked() -> None:
    search = begun(SEARCH, 0).failed(0, "RuntimeError: out of memory")
    assert (search.complete, dict(search.running), search.queued) == (0, {}, ())
    assert search.decide() == Ask()


def test_a_trial_that_was_put_back_is_not_begun_again() -> None:
    search = begun(SEARCH, 0).halt(Outcome.STOPPED).put_back(0)
    assert (dict(search.running), search.queued, search.complete) == ({}, (), 0)


def test_a_paused_search_begins_nothing_and_stays() -> None:
    paused = begun(SEARCH, 0).queue(1, 0).pause(True)
    assert paused.decide() == Wait()
    assert paused.completed(0).decide() == Wait()
    assert paused.pause(False).decide() == Dispatch(1, 1)
    assert paused.halt(Outcome.STOPPED).completed(0).decide() == End(Outcome.STOPPED)
    assert dataclasses.replace(paused.completed(0), complete=5).decide() == End(Outcome.COMPLETE)


def test_without_the_storage_nothing_begins_and_nothing_ends() -> None:
    for search in (SEARCH, SEARCH.queue(0, 1), dataclasses.replace(SEARCH, complete=5)):
        for found in (search, search.halt(Outcome.STOPPED)):
            gone = found.storage(writable=False)
            assert gone.decide() == Wait()
            assert gone.storage(writable=True).decide() == found.decide() != Wait()


def test_slots_that_go_leave_alone_what_runs() -> None:
    search = begun(SEARCH, 0, 1)
    fewer = search.with_slots(1)
    assert dict(fewer.running) == {0: 1, 1: 1}
    assert fewer.completed(0).decide() == Wait()
    assert fewer.completed(0).completed(1).decide() == Ask()
    assert search.with_slots(0).completed(0).completed(1).decide() == Wait()
    assert search.with_slots(3).decide() == Ask()


def test_out_of_memory_is_trained_alone_once() -> None:
    search = begun(SEARCH, 0, 1)
    assert search.may_retry_alone(0)
    search = search.out_of_memory(0)
    assert search.decide() == Wait()
    search = search.completed(1)
    assert search.decide() == Dispatch(0, 2, alone=True)
    search = search.dispatched(0, 2)
    assert search.decide() == Wait()
    assert not search.may_retry_alone(0)
    assert search.may_retry(0)
    assert search.lost(0).decide() == Dispatch(0, 3, alone=True)
    assert search.completed(0).decide() == Ask()


def test_a_trial_ended_elsewhere_makes_room_for_another() -> None:
    search = begun(SEARCH, 0).queue(1, 0)
    assert search.knows(0)
    assert search.knows(1)
    without = search.discarded(0).discarded(1)
    assert not without.knows(0)
    assert not without.knows(1)
    assert (without.complete, without.decide()) == (0, Ask())
    assert search.completed(1).queued == ()
    assert search.completed(1).complete == 1


def test_trials_that_fail_alike_end_the_search() -> None:
    search = SEARCH
    for number in range(ALIKE_FAILURES):
        assert search.halting is None
        search = begun(search, number).completed(number) if number == 1 else search
        search = begun(search, 10 + number).failed(10 + number, "OSError: disk full")
    assert search.decide() == End(Outcome.FAILING)


def test_trials_that_fail_differently_do_not() -> None:
    search = SEARCH
    for number in range(3 * ALIKE_FAILURES):
        search = begun(search, number).failed(number, f"error {number}")
    assert search.decide() == Ask()


def test_failing_while_stopping_is_a_stop() -> None:
    search = begun(SEARCH, 0, 1, 2).halt(Outcome.STOPPED)
    for number in range(3):
        search = search.failed(number, "the same")
    assert search.decide() == End(Outcome.STOPPED)


def test_divergence_is_forgiven_by_every_trial_that_completes() -> None:
    search = dataclasses.replace(SEARCH, wanted=100)
    for number in range(DIVERGED_IN_A_ROW - 1):
        search = begun(search, number).failed(number, "NonFiniteLoss", diverged=True)
    search = begun(search, 100).completed(100)
    for number in range(DIVERGED_IN_A_ROW - 1):
        search = begun(search, number).failed(number, "NonFiniteLoss", diverged=True)
    assert search.decide() == Ask()
    search = begun(search, 200).failed(200, "NonFiniteLoss", diverged=True)
    assert search.decide() == End(Outcome.FAILING)


def test_a_state_is_never_changed_in_place() -> None:
    search = begun(SEARCH, 0)
    before = (search, dict(search.running), dict(search.attempts))
    search.lost(0)
    search.completed(0)
    search.failed(0, "x")
    assert (search, dict(search.running), dict(search.attempts)) == before
    with pytest.raises(TypeError):
        search.running[3] = 1  # type: ignore[index]


# --- whatever happens ----------------------------------------------------------------------------

EVENTS = (
    "completed",
    "failed alike",
    "failed",
    "diverged",
    "lost",
    "out of memory",
    "stopped",
    "halt",
    "told complete",
    "told failed",
    "pause",
    "resume",
    "storage gone",
    "storage back",
    "slots",
)
ENDS = ("completed", "failed alike", "failed", "diverged")
MOST_STEPS = 2000


class Run:
    """Follows the decisions of a search as the coordinator does, and checks them."""

    def __init__(self, search: Search, orphans: dict[int, int]) -> None:
        self.search = search
        self.at_start = search.complete
        self.next_number = len(orphans)
        self.attempts = dict(orphans)
        self.lost_times: dict[int, int] = {}
        self.out_of_memory_times: dict[int, int] = {}
        self.alone: int | None = None
        self.elsewhere = 0
        self.ended: set[int] = set()
        for number, attempts in orphans.items():
            self.search = self.search.queue(number, attempts)

    # --- what the search decides ----------------------------------------------------------------

    def dispatch(self, number: int, attempt: int, *, alone: bool) -> None:
        assert self.may_begin()
        assert number not in self.search.running
        assert number not in self.ended
        assert attempt == self.attempts[number] + 1
        assert alone is (number in self.out_of_memory_times)
        assert not (alone and self.search.running)
        self.alone = number if alone else None
        self.attempts[number] = attempt
        self.search = self.search.dispatched(number, attempt)
        assert len(self.search.running) <= self.search.slots

    def ask(self) -> None:
        assert self.may_begin()
        assert not self.search.queued
        self.attempts[self.next_number] = 0
        self.search = self.search.queue(self.next_number, 0)
        self.next_number += 1

    def may_begin(self) -> bool:
        search = self.search
        return search.writable and not search.paused and search.halting is None

    # --- what happens ---------------------------------------------------------------------------

    def happen(self, event: str, number: int | None, slots: int) -> None:
        """``number``: a trial in flight, None if there is none."""
        match event:
            case "halt":
                self.search = self.search.halt(Outcome.STOPPED)
            case "pause" | "resume":
                self.search = self.search.pause(event == "pause")
            case "storage gone" | "storage back":
                self.search = self.search.storage(writable=event == "storage back")
            case "slots":
                self.search = self.search.with_slots(slots)
            case "told complete" | "told failed" if self.search.writable:
                self.tell(event == "told complete", number)
            case _ if number is not None and self.search.writable:
                self.report(event, number)

    def tell(self, complete: bool, number: int | None) -> None:
        """Somebody else ends a trial in the queue, else one in flight."""
        chosen = self.search.queued[0] if self.search.queued else number
        if chosen is not None:
            self.ended.add(chosen)
            self.elsewhere += complete and chosen in self.search.queued
            end = self.search.completed if complete else self.search.discarded
            self.search = end(chosen)

    def report(self, event: str, number: int) -> None:
        match event:
            case "lost":
                self.lose(number)
            case "out of memory":
                self.run_out_of_memory(number)
            case "stopped" if self.search.halting:
                self.ended.add(number)
                self.search = self.search.put_back(number)
            case _ if event in ENDS:
                self.ended.add(number)
                self.search = self.finish(event, number)

    def finish(self, event: str, number: int) -> Search:
        if event == "completed":
            return self.search.completed(number)
        kind = f"error {number}" if event == "failed" else event
        return self.search.failed(number, kind, diverged=event == "diverged")

    def lose(self, number: int) -> None:
        self.lost_times[number] = self.lost_times.get(number, 0) + 1
        assert self.lost_times[number] <= self.search.retries + 1
        if self.search.may_retry(number):
            self.search = self.search.lost(number)
        else:
            self.ended.add(number)
            self.search = self.search.failed(number, f"WorkerLost {number}")

    def run_out_of_memory(self, number: int) -> None:
        times = self.out_of_memory_times[number] = self.out_of_memory_times.get(number, 0) + 1
        assert times <= 2
        if self.search.may_retry_alone(number):
            self.search = self.search.out_of_memory(number)
        else:
            assert times == 2
            self.ended.add(number)
            self.search = self.search.failed(number, f"OutOfMemory {number}")

    # --- what holds -----------------------------------------------------------------------------

    def check(self) -> None:
        search = self.search
        most = max(search.wanted, self.at_start) + self.elsewhere
        assert search.complete + len(search.running) <= most
        assert len(set(search.queued)) == len(search.queued)
        assert set(search.queued).isdisjoint(search.running)
        assert self.ended.isdisjoint({*search.queued, *search.running})
        if self.alone in search.running:
            assert list(search.running) == [self.alone]

    def relieve(self) -> None:
        """Nobody keeps the search from going on any more."""
        self.search = self.search.pause(False).storage(writable=True).with_slots(2)


@settings(max_examples=200, deadline=None)
@given(
    wanted=st.integers(0, 8),
    complete=st.integers(0, 9),
    slots=st.integers(0, 4),
    retries=st.integers(0, 2),
    orphans=st.lists(st.integers(0, 3), max_size=4),
    happenings=st.lists(
        st.tuples(st.sampled_from(EVENTS), st.integers(0, 9), st.integers(0, 4)), max_size=60
    ),
)
def test_every_search_keeps_its_promises_and_ends(
    wanted: int,
    complete: int,
    slots: int,
    retries: int,
    orphans: list[int],
    happenings: list[tuple[str, int, int]],
) -> None:
    """``EVENTS`` happen in any order to any trial; when they are used up, all goes well."""
    run = Run(Search(wanted, slots, retries, complete), dict(enumerate(orphans)))
    waiting = list(happenings)
    for _ in range(MOST_STEPS):
        decision = run.search.decide()
        if isinstance(decision, End):
            break
        match decision:
            case Ask():
                run.ask()
            case Dispatch(number, attempt, alone):
                run.dispatch(number, attempt, alone=alone)
            case Wait() if not waiting:
                run.relieve()
                assert run.search.running or run.search.decide() != Wait(), "waits for ever"
        if waiting:
            event, which, some = waiting.pop(0)
            running = sorted(run.search.running)
            run.happen(event, running[which % len(running)] if running else None, some)
        elif run.search.running:
            run.happen("completed", min(run.search.running), 0)
        run.check()
    else:
        pytest.fail("the search never ends")
    assert run.search.writable
    assert not run.search.running
    assert (decision.outcome is Outcome.COMPLETE) == (run.search.complete >= wanted)
