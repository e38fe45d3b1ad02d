"""Training runs ahead of its reports: it goes on while somebody sends or writes what it reported."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

ROOM = 8
"""Reports that may wait; then training waits, too.  An epoch's report is small, a checkpoint is not, but
minutes lie between two of them."""


class Ahead(Generic[T]):
    """The items of an iterator, computed in a thread of its own; what is raised there is raised here."""

    def __init__(self, items: Iterator[T], room: int = ROOM) -> None:
        self._items = items
        self._room = room
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="training", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        """The items; may be left at any time, and then waits until the item in work is done.

        An interrupt does not wait for it: the thread ends by itself, or with the process.
        """
        try:
            while (item := self._take()) is not None:
                yield item
        except GeneratorExit:
            self._close()
            self._thread.join()
            raise
        finally:
            self._close()

    def _take(self) -> T | None:
        """The next item; None behind the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            if self._waiting:
                self._changed.notify_all()
                return self._waiting.popleft()
        if self._error is not None:
            raise self._error
        return None

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except BaseException as error:
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _put(self, item: T) -> bool:
        """Hand an item over; False when nobody takes any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < self._room or self._closed)
            self._waiting.append(item)
            self._changed.notify_all()
            return not self._closed
