"""Messages about a search to whoever asked for them with ``--notify``: what they say, and their outbox.

Loads nothing heavy, because a supervisor sends, too.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from fre_hpo.service.webhook import NotDelivered, Receiver, send

PAUSES = (1.0, 4.0, 16.0, 60.0, 240.0)
"""Seconds between the tries to send a message; after the last one it is given up."""
LAST_SECONDS = 15.0
"""So long a search that is over waits for its last message to be sent."""

HEADLINES = {
    "finished": "{study} is finished",
    "stopped": "{study} was stopped, and the same command goes on from here",
    "out_of_time": "{study} has used up its hours",
    "failing": "{study} was ended because its trials keep failing",
    "needs_help": "{study} needs help",
    "recovered": "{study} goes on: its trouble is over",
    "crashed": "{study} has ended with an error and needs to be started again",
}
"""The events there are, and how each is told."""


@dataclass(frozen=True)
class Standing:
    """How far a search is.  best: number, value and params of its best trial."""

    complete: int | None = None
    wanted: int | None = None
    failed: int | None = None
    best: Mapping[str, Any] | None = None

    @property
    def words(self) -> str:
        """12 of 50 trials are complete, 2 failed; the best is trial 7 with mIoU 0.8123 (B=3, X=1.5)."""
        if self.complete is None:
            return ""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.complete} of {self.wanted} trials are complete{failed}{self._best_words}."

    @property
    def _best_words(self) -> str:
        if self.best is None:
            return ""
        params = ", ".join(f"{k}={_short(v)}" for k, v in self.best["params"].items())
        words = f"trial {self.best['number']} with mIoU {self.best['value']:.4f}"
        return f"; the best is {words}{f' ({params})' if params else ''}"


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def compose(
    event: str, study: str, standing: Standing, detail: str | None = None
) -> dict[str, Any]:
    """A message as it is sent.  detail: a sentence about what happened."""
    host = socket.gethostname()
    headline = f"{HEADLINES[event].format(study=study)} ({host})"
    text = f"{headline}: {detail} {standing.words}" if detail else f"{headline}. {standing.words}"
    return {
        "text": text.strip(),
        "event": event,
        "study": study,
        **vars(standing),
        "message": detail,
        "host": host,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": version("fre-hpo"),
    }


@dataclass
class _Letter:
    """A message that waits.  due: when it is tried next.  problem: of the last try."""

    message: dict[str, Any]
    due: float
    tries: int = 0
    problem: str = "there was no time for it"


@dataclass(frozen=True)
class Delivery:
    """What became of a message.  problem: None when it arrived."""

    event: str
    receiver: str
    problem: str | None = None

    @property
    def sentence(self) -> str:
        what = f"The message {self.event!r}"
        if self.problem is None:
            return f"{what} was sent to {self.receiver}."
        return f"{what} could not be sent to {self.receiver}: {self.problem}."


@dataclass
class _Box:
    """What the outbox and its thread share."""

    waiting: dict[str, _Letter] = field(default_factory=dict)
    in_flight: str | None = None
    closing: bool = False
    deliveries: list[Delivery] = field(default_factory=list)


class Outbox:
    """Sends messages one after the other from a thread of its own; a newer one takes the place of one of
    its kind that was not sent yet.  pauses: seconds between tries."""

    def __init__(
        self,
        receiver: Receiver,
        pauses: tuple[float, ...] = PAUSES,
        post: Callable[[Receiver, dict[str, Any]], None] = send,
    ) -> None:
        self._receiver = receiver
        self._pauses = pauses
        self._post = post
        self._box = _Box()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def put(self, message: dict[str, Any], after: float = 0.0) -> None:
        """Have a message sent, some seconds later unless it is withdrawn until then."""
        with self._changed:
            self._box.waiting[message["event"]] = _Letter(message, time.monotonic() + after)
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="notify", daemon=True)
            self._thread.start()

    def withdraw(self, event: str) -> bool:
        """Drop a message of this kind; whether there was one of which nothing was sent yet."""
        with self._changed:
            there = self._box.waiting.pop(event, None) is not None
            return there and self._box.in_flight != event

    def deliveries(self) -> list[Delivery]:
        """What became of messages since this was asked last."""
        with self._changed:
            told, self._box.deliveries = self._box.deliveries, []
        return told

    def close(self, seconds: float = LAST_SECONDS) -> None:
        """Send what waits, now, and wait so long for it; what is still there then is given up."""
        with self._changed:
            self._box.closing = True
            for letter in self._box.waiting.values():
                letter.due, letter.tries = min(letter.due, time.monotonic()), 0
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(seconds)
        with self._changed:
            for event, letter in self._box.waiting.items():
                self._tell(event, letter.problem)
            self._box.waiting.clear()
            self._changed.notify()

    # --- the thread -----------------------------------------------------------------------------

    def _work(self) -> None:
        while letter := self._next():
            self._try(letter)

    def _next(self) -> _Letter | None:
        """Wait for the next message that is due; None when the box is closed and empty."""
        with self._changed:
            while True:
                if not self._box.waiting and self._box.closing:
                    return None
                letter = min(self._box.waiting.values(), key=lambda each: each.due, default=None)
                if letter and letter.due <= time.monotonic():
                    self._box.in_flight = letter.message["event"]
                    return letter
                self._changed.wait(letter.due - time.monotonic() if letter else None)

    def _try(self, letter: _Letter) -> None:
        failure: NotDelivered | None = None
        try:
            self._post(self._receiver, letter.message)
        except NotDelivered as error:
            failure = error
        with self._changed:
            self._box.in_flight = None
            self._note(letter, failure)

    def _note(self, letter: _Letter, failure: NotDelivered | None) -> None:
        """A letter that was withdrawn or replaced meanwhile is not tried again."""
        event = letter.message["event"]
        if self._box.waiting.get(event) is not letter:
            return
        if failure and failure.again and letter.tries < len(self._pauses):
            letter.due = time.monotonic() + self._pauses[letter.tries]
            letter.tries, letter.problem = letter.tries + 1, str(failure)
        else:
            del self._box.waiting[event]
            self._tell(event, None if failure is None else str(failure))

    def _tell(self, event: str, problem: str | None) -> None:
        self._box.deliveries.append(Delivery(event, str(self._receiver), problem))
