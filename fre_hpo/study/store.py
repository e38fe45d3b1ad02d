"""The checkpoints and results of one study where several machines reach them: what workers write, and what
a coordinator finds that goes on somewhere else (design 2)."""

from __future__ import annotations

import errno
import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from fre_hpo.errors import BadStore, DiskFull, FreHpoError, StoreUnreachable
from fre_hpo.study.shelf import Shelf, open_shelf

T = TypeVar("T")

MARK = "study.json"
"""Says that the study's files are here.  Without it the folder is not mounted, or is another one: an empty
listing would mean that there is no checkpoint, and a file would go to a disk that nobody else sees."""

ANSWER_SECONDS = 20.0
FILE_SECONDS = 300.0
"""How long a store is waited for: to answer at all, to hand over or to take a file of 100 MB."""


@dataclass(frozen=True)
class StoreAddress:
    """root: as ``shelf.root_of`` gives it.  study: the id of the study's charter.  It holds no secret, and
    travels to workers with their jobs."""

    root: str
    study: str

    def open(self) -> CheckpointStore:
        """Raises BadStore where this machine lacks the back end, and StoreUnreachable."""
        return CheckpointStore(self, _opened(self.root))


class CheckpointStore:
    """The files of a study by key, such as ``trials/3/checkpoint-1-40.pt``; everything raises
    StoreUnreachable when it fails, or takes too long."""

    def __init__(self, address: StoreAddress, shelf: Shelf) -> None:
        self.address = address
        self._shelf = shelf

    def is_marked(self) -> bool:
        """Whether it holds this study's files."""
        return self._reach(lambda: self._shelf.exists(self._place(MARK)))

    def mark(self, name: str) -> None:
        """Begin to hold this study's files; name: of the study, for people who look into the store."""
        content = json.dumps({"id": self.address.study, "study": name}).encode()
        self._reach(lambda: self._shelf.write(self._place(MARK), content))

    def keys(self, under: str = "") -> list[str]:
        place = self._place(under).rstrip("/")

        def look() -> list[str]:
            self._refuse_unmarked()
            return self._shelf.keys(place)

        cut = len(self.address.study) + 1
        return [key[cut:] for key in self._reach(look)]

    def read(self, key: str) -> bytes | None:
        """None where it is not there."""

        def fetch() -> bytes | None:
            try:
                return self._shelf.read(self._place(key))
            except FileNotFoundError:
                return None

        return self._reach(fetch, FILE_SECONDS)

    def write(self, key: str, data: bytes) -> None:
        """All of it or nothing."""

        def put() -> None:
            self._refuse_unmarked()
            self._shelf.write(self._place(key), data)

        self._reach(put, FILE_SECONDS)

    def move(self, key: str, to: str) -> None:
        self._reach(lambda: self._shelf.move(self._place(key), self._place(to)), FILE_SECONDS)

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._reach(partial(self._shelf.remove, self._place(key)))

    def clear(self) -> None:
        """Remove all that belongs to the study."""

        def clear() -> None:
            self._refuse_unmarked()
            self._shelf.clear(self.address.study)

        self._reach(clear, FILE_SECONDS)

    def _place(self, key: str) -> str:
        return f"{self.address.study}/{key}"

    def _refuse_unmarked(self) -> None:
        if not self._shelf.exists(self._place(MARK)):
            reason = f"it holds no {self._place(MARK)}: is it mounted, and the same one?"
            raise StoreUnreachable(store=self.address.root, reason=reason)

    def _reach(self, call: Callable[[], T], seconds: float = ANSWER_SECONDS) -> T:
        with _reaching(self.address.root):
            return within(seconds, call)


def check_root(root: str) -> None:
    """Write a small file, read it and remove it.

    Raises BadStore where that can never be done, and StoreUnreachable where it may be another time.
    """
    shelf = _opened(root)
    key, content = f".fre-hpo-{uuid.uuid4().hex}", b"may be removed"

    def trial() -> bool:
        shelf.check()
        shelf.write(key, content)
        try:
            return shelf.read(key) == content
        finally:
            shelf.remove(key)

    with _reaching(root):
        try:
            same = within(ANSWER_SECONDS, trial)
        except FileNotFoundError as error:
            raise BadStore(store=root, reason="there is no such bucket or folder") from error
        except Exception as error:
            if not _is_final(error):
                raise
            raise BadStore(store=root, reason=f"it cannot be written: {_spoken(error)}") from error
    if not same:
        raise BadStore(store=root, reason="it gives back something else than was written")


def _opened(root: str) -> Shelf:
    """Some back ends connect at once."""
    with _reaching(root):
        return within(ANSWER_SECONDS, lambda: open_shelf(root))


def within(seconds: float, call: Callable[[], T]) -> T:
    """What a call returns or raises; TimeoutError when it takes longer, and is left to itself.

    A network file system that hangs cannot be interrupted, and the clients of object stores have time-outs
    of minutes.
    """
    answers: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:
            answers.put((None, error))

    Thread(target=run, name="store", daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]


@contextmanager
def _reaching(root: str) -> Iterator[None]:
    """Every back end has errors of its own; ours pass."""
    try:
        yield
    except DiskFull as error:
        raise StoreUnreachable(store=root, reason="its disk is full") from error
    except FreHpoError:
        raise
    except Exception as error:
        raise StoreUnreachable(store=root, reason=_spoken(error)) from error


def _is_final(error: Exception) -> bool:
    """Whether another try would fail as well."""
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.ENOTDIR):
        return True
    return isinstance(error, PermissionError | NotImplementedError | DiskFull)


def _spoken(error: Exception) -> str:
    """The first line of what an error says."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, DiskFull):
        return "its disk is full"
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
