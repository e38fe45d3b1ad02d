"""Copies to the store what would be needed if the coordinator's machine were lost, and removes there what
nobody needs any more.

In a thread of its own: a store may take minutes to answer, and the home folder holds all of it as well.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Condition, Thread
from types import TracebackType

from fre_hpo.errors import StoreUnreachable
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.stamp import Stamp, trial_key, trial_of
from fre_hpo.study.store import CheckpointStore

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
LOG_SECONDS = 300.0
"""The event log is copied so often at most, and at the end: no store can append to a file."""
CLOSING_SECONDS = 60.0
"""How long the end of a search waits for a store from which nothing comes."""
_NETWORK = "best.pt"


@dataclass(frozen=True)
class Standing:
    """ended: the trials that will not be trained any more.  networks: those whose network is kept."""

    ended: frozenset[int]
    networks: frozenset[int]


class Mirror:
    """Brings the store of a study in line with its folder, as long as the block lasts."""

    def __init__(self, folder: StudyFolder, store: CheckpointStore) -> None:
        self._folder = folder
        self._store = store
        self._changed = Condition()
        self._obsolete: set[str] = set()
        self._standing: Standing | None = None
        self._sentences: deque[str] = deque()
        self._closing = self._ended = False
        self._trouble: str | None = None
        self._moved = time.monotonic()
        self._logged = -LOG_SECONDS
        self._thread = Thread(target=self._run, name="mirror", daemon=True)

    def __enter__(self) -> Mirror:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(wait=kind is None or issubclass(kind, Exception))

    # --- what the coordinator asks for ----------------------------------------------------------

    def remove(self, keys: Iterable[str]) -> None:
        with self._changed:
            self._obsolete.update(keys)
            self._changed.notify_all()

    def settle(self, ended: Iterable[int], networks: Iterable[int]) -> None:
        """Keep the results of all trials that ended, the networks of some, the checkpoints of none."""
        with self._changed:
            self._standing = Standing(frozenset(ended), frozenset(networks))
            self._changed.notify_all()

    def news(self) -> Iterator[str]:
        """What there is to say since it was asked last."""
        while self._sentences:
            yield self._sentences.popleft()

    def close(self, *, wait: bool = True) -> None:
        """Copy all that waits, and the event log; gives up when nothing moves any more."""
        with self._changed:
            self._closing = True
            self._moved = self._moved if self._trouble else time.monotonic()
            self._changed.notify_all()
            while wait and not self._ended and self._is_moving():
                self._changed.wait(0.5)
            if not self._ended:
                self._sentences.append(
                    f"Not all results could be copied to {self._store.address.root} "
                    f"({self._trouble or 'it was too slow'}): they are in {self._folder.path}, and the "
                    "next start copies them."
                )

    def _is_moving(self) -> bool:
        return time.monotonic() - self._moved < CLOSING_SECONDS

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        delay = FIRST_DELAY
        while self._wait_for_work():
            try:
                self._work()
                delay = FIRST_DELAY
            except (StoreUnreachable, OSError) as error:
                self._meet(error)
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, delay)
                time.sleep(FIRST_DELAY if self._closing else 0)
                delay = min(2 * delay, LONGEST_DELAY)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _wait_for_work(self) -> bool:
        """False once it is closed and nothing is left to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._obsolete or self._standing or self._closing)
            return bool(self._obsolete or self._standing or not self._is_logged())

    def _is_logged(self) -> bool:
        """Whether the store has the log as it is at the end."""
        return self._logged == float("inf")

    def _work(self) -> None:
        with self._changed:
            obsolete, standing, closing = set(self._obsolete), self._standing, self._closing
        self._store.remove(obsolete)
        if standing:
            self._settle(standing)
        self._copy_log(last=closing)
        with self._changed:
            self._obsolete -= obsolete
            if self._standing is standing:
                self._standing = None
        self._overcome()

    def _settle(self, standing: Standing) -> None:
        there = set(self._store.keys("trials"))
        for number in sorted(standing.ended):
            for path in self._folder.trial(number).results():
                key = f"{trial_key(number)}/{path.name}"
                wanted = path.name != _NETWORK or number in standing.networks
                if wanted and key not in there:
                    self._copy(key)
        self._store.remove(key for key in there if _is_obsolete(key, standing))

    def _copy(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # tidied up meanwhile
            self._store.write(key, (self._folder.path / key).read_bytes())
            self._moved = time.monotonic()

    def _copy_log(self, *, last: bool) -> None:
        if last or time.monotonic() - self._logged >= LOG_SECONDS:
            self._copy(self._folder.events.name)
            self._logged = float("inf") if last else time.monotonic()

    # --- a store out of reach -------------------------------------------------------------------

    def _meet(self, error: StoreUnreachable | OSError) -> None:
        if self._trouble is None:
            self._sentences.append(f"{error}  Until then results are kept in the home folder only.")
        self._trouble = str(error.facts["reason"] if isinstance(error, StoreUnreachable) else error)

    def _overcome(self) -> None:
        self._moved = time.monotonic()
        if self._trouble is not None:
            self._trouble = None
            self._sentences.append("The checkpoint store is there again and holds all results.")


def _is_obsolete(key: str, standing: Standing) -> bool:
    """Of a trial that ended: checkpoints, what a killed worker left of one, a network that is not kept."""
    number, name = trial_of(key), key.rpartition("/")[2]
    if number not in standing.ended:
        return False
    if name == _NETWORK:
        return number not in standing.networks
    return Stamp.of(name) is not None or name.endswith(".part")
