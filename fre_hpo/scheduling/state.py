"""What to do next in a search: a pure state machine without Ray, storage or clock.

The coordinator tells it what happened and carries out what it decides.  Invariants: complete + in
flight never exceeds what is wanted; a trial has one attempt at a time; only its current attempt may
deliver.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import TypeVar

Key = TypeVar("Key", int, str)

ALIKE_FAILURES = 3
"""So many trials that fail by the same error end the search: the next would fail too."""

DIVERGED_IN_A_ROW = 10
"""So many trials that diverge without one completing in between end the search."""


class Outcome(Enum):
    """How a coordinator's run ended."""

    COMPLETE = "complete"
    STOPPED = "stopped"
    OUT_OF_TIME = "out of time"
    FAILING = "failing"


@dataclass(frozen=True)
class Ask:
    """Have the sampler propose a new trial."""


@dataclass(frozen=True)
class Dispatch:
    """Hand a queued trial to the executor, as this attempt; ``alone``: with its device to itself."""

    number: int
    attempt: int
    alone: bool = False


@dataclass(frozen=True)
class Wait:
    """Nothing to begin: wait for reports."""


@dataclass(frozen=True)
class End:
    outcome: Outcome


Decision = Ask | Dispatch | Wait | End


def _empty() -> Mapping[int, int]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Search:
    """The state of a search.

    queued: trials with parameters that wait for a slot, in order.  running: number -> attempt in
    flight.  attempts: number -> attempts begun so far.  losses: number -> workers lost in this run.
    alone: trials that ran out of memory, to be trained while nothing else is.  halting: begin nothing
    more and end with that outcome once nothing runs, or as complete if all that was wanted is there by
    then.  paused: begin nothing more, and stay.  writable: False while the storage is gone: what
    cannot be written down is not begun, and nothing ends.
    """

    wanted: int
    slots: int
    retries: int
    complete: int = 0
    queued: tuple[int, ...] = ()
    running: Mapping[int, int] = field(default_factory=_empty)
    attempts: Mapping[int, int] = field(default_factory=_empty)
    losses: Mapping[int, int] = field(default_factory=_empty)
    failures: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    diverged: int = 0
    alone: frozenset[int] = frozenset()
    halting: Outcome | None = None
    paused: bool = False
    writable: bool = True

    # --- deciding -------------------------------------------------------------------------------

    def decide(self) -> Decision:
        if not self.writable:
            return Wait()
        outcome = Outcome.COMPLETE if self.complete >= self.wanted else self.halting
        if outcome:
            return Wait() if self.running else End(outcome)
        if self.paused or self._full() or self._in_flight_suffice():
            return Wait()
        return self._next_in_queue() if self.queued else Ask()

    def _next_in_queue(self) -> Decision:
        number = self.queued[0]
        attempt = self.attempts.get(number, 0) + 1
        if number not in self.alone:
            return Dispatch(number, attempt)
        return Wait() if self.running else Dispatch(number, attempt, alone=True)

    def _full(self) -> bool:
        return len(self.running) >= self.slots or not self.alone.isdisjoint(self.running)

    def _in_flight_suffice(self) -> bool:
        return self.complete + len(self.running) >= self.wanted

    @property
    def demand(self) -> int:
        """How many trials there is a use for at once, those included that run."""
        begins_more = not (self.paused or self.halting)
        return max(self.wanted - self.complete, 0) if begins_more else len(self.running)

    def is_current(self, number: int, attempt: int) -> bool:
        """Whether this attempt may deliver; a superseded one's reports are dropped."""
        return self.running.get(number) == attempt

    def may_retry(self, number: int) -> bool:
        """Whether a trial whose worker was lost now is to go on, or has been lost too often."""
        return self.losses.get(number, 0) < self.retries

    def may_retry_alone(self, number: int) -> bool:
        """Whether a trial that ran out of memory now has not been trained alone yet."""
        return number not in self.alone

    def knows(self, number: int) -> bool:
        return number in self.running or number in self.queued

    # --- what happened --------------------------------------------------------------------------

    def queue(self, number: int, attempts: int) -> Search:
        """A trial has its parameters: newly asked, or left by an earlier coordinator."""
        return replace(
            self, queued=(*self.queued, number), attempts=_with(self.attempts, number, attempts)
        )

    def dispatched(self, number: int, attempt: int) -> Search:
        return replace(
            self,
            queued=tuple(n for n in self.queued if n != number),
            running=_with(self.running, number, attempt),
            attempts=_with(self.attempts, number, attempt),
        )

    def lost(self, number: int) -> Search:
        """A worker is gone: its trial waits at the front for another."""
        losses = _with(self.losses, number, self.losses.get(number, 0) + 1)
        return replace(self.moved(number), losses=losses)

    def moved(self, number: int) -> Search:
        """A trial made room with its checkpoint: it goes on as soon as there is a slot."""
        return replace(self, running=_without(self.running, number), queued=(number, *self.queued))

    def out_of_memory(self, number: int) -> Search:
        """A trial goes on once more, while nothing else is trained."""
        return replace(self.moved(number), alone=self.alone | {number})

    def put_back(self, number: int) -> Search:
        """A trial was stopped on request; it goes on in a later run."""
        return replace(self, running=_without(self.running, number))

    def completed(self, number: int) -> Search:
        return replace(self.discarded(number), complete=self.complete + 1, diverged=0)

    def discarded(self, number: int) -> Search:
        """Somebody else ended a trial that ran or waited; one more will be asked for in its place."""
        return replace(
            self,
            running=_without(self.running, number),
            queued=tuple(n for n in self.queued if n != number),
        )

    def failed(self, number: int, kind: str, *, diverged: bool = False) -> Search:
        """A trial ended without a value; one more will be asked for in its place."""
        ended = self.discarded(number)
        if diverged:
            ended = replace(ended, diverged=self.diverged + 1)
            hopeless = ended.diverged >= DIVERGED_IN_A_ROW
        else:
            alike = self.failures.get(kind, 0) + 1
            ended = replace(ended, failures=_with(self.failures, kind, alike))
            hopeless = alike >= ALIKE_FAILURES
        return ended.halt(Outcome.FAILING) if hopeless else ended

    def with_complete(self, complete: int) -> Search:
        """So many trials were complete before."""
        return replace(self, complete=complete)

    def with_slots(self, slots: int) -> Search:
        """So many trials can be trained at once now; what runs already is left alone."""
        return replace(self, slots=slots)

    def pause(self, paused: bool) -> Search:
        return replace(self, paused=paused)

    def storage(self, *, writable: bool) -> Search:
        """The storage is gone, or there again."""
        return replace(self, writable=writable)

    def halt(self, outcome: Outcome) -> Search:
        """Begin nothing more; the first reason to halt is the one that counts."""
        return replace(self, halting=self.halting or outcome)


def _with(mapping: Mapping[Key, int], key: Key, value: int) -> Mapping[Key, int]:
    return MappingProxyType({**mapping, key: value})


def _without(mapping: Mapping[int, int], key: int) -> Mapping[int, int]:
    return MappingProxyType({k: v for k, v in mapping.items() if k != key})
