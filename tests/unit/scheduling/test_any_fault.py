"""Whatever goes wrong, and in whatever order: nothing is lost, nothing counts twice, nobody writes
without the lock."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinating import EPOCHS, Content, FastClock, Scripted, begin, epochs_of, train
from fre_hpo.errors import DiskFull, LockLost, StorageUnreachable
from fre_hpo.scheduling.coordinator import Coordinator, Plan
from fre_hpo.scheduling.executor import Arrival, Lost, OutOfMemory, Raised
from fre_hpo.scheduling.observer import Silent
from fre_hpo.scheduling.state import Outcome
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.order import Order, Wish
from fre_hpo.trial import Job, StopFlag
from imagined import (
    FAULTS,
    GENTLE,
    Attaching,
    Faults,
    Faulty,
    FaultyFolder,
    ImaginedLedger,
    Killed,
    Lock,
    Storage,
)

MISHAPS = ("lost", "out of memory", "raised", "diverged")
EVENTS = (
    "pause",
    "stop",
    "order stop",
    "order stop now",
    "no slots",
    "more slots",
    "rival",
    "told FAIL",
    "told COMPLETE",
    "told PRUNED",
)
MOST_POLLS = 3000
PATIENCE = 30.0


class World(Scripted):
    """A study with all that happens to it; it also trains, for every coordinator after another."""

    def __init__(
        self,
        folder: Path,
        wanted: int,
        faults: dict[int, str],
        events: dict[int, str],
        mishaps: dict[tuple[int, int], str],
        outage: float,
    ) -> None:
        super().__init__(self._play)
        self.clock = FastClock()
        self.storage = Storage()
        self.folder = StudyFolder(folder)
        self.faults = Faults(self.clock, dict(faults), outage)
        self.wanted = wanted
        self.events = dict(events)
        self.mishaps = dict(mishaps)
        self.stop_flag = StopFlag()
        self.polls = 0
        self.owner = 0
        self.later: dict[int, Callable[[], None]] = {}

    # --- what workers do ------------------------------------------------------------------------

    def _play(self, job: Job) -> Iterator[Content]:
        match self.mishaps.get((job.number, job.attempt)):
            case "lost":
                started = begin(job)
                yield started
                yield from epochs_of(job, started.epoch + 1, min(started.epoch + 1, EPOCHS))
                yield Lost("the worker died")
            case "out of memory":
                yield begin(job)
                yield OutOfMemory("CUDA out of memory")
            case "raised":
                yield begin(job)
                yield Raised("ValueError", f"wrong in {job.number}", "Traceback ...")
            case "diverged":
                yield begin(job)
                yield Raised("NonFiniteLoss", "the loss was nan", "...", diverged_in=1)
            case _:
                yield from train(job)

    # --- what others do -------------------------------------------------------------------------

    def poll(self, timeout: float) -> list[Arrival]:
        self.polls += 1
        assert self.polls < MOST_POLLS, "the search never ends"
        self.later.pop(self.polls, lambda: None)()
        event = self.events.pop(self.polls, None)
        if event:
            self._happen(event)
        return super().poll(timeout)

    def _happen(self, event: str) -> None:
        match event.split(" "):
            case ["pause"]:
                self.storage.order = Order(Wish.PAUSE)
                self.later[self.polls + 4] = self._run_on
            case ["stop"]:
                self.stop_flag.raise_()
            case ["order", *wish]:
                self.storage.order = Order(Wish(" ".join(wish)))
            case ["no", "slots"]:
                self.slots = 0
                self.later[self.polls + 4] = self._give_slots
            case ["more", "slots"]:
                self.slots += 1
            case ["rival"]:
                self._be_taken_over()
            case ["told", state]:
                self._tell(state)

    def _run_on(self) -> None:
        if self.storage.order.wish is Wish.PAUSE:
            self.storage.order = Order(Wish.RUN)

    def _give_slots(self) -> None:
        self.slots = 2

    def _be_taken_over(self) -> None:
        """The process is halted for longer than its lock lasts."""
        self.clock.sleep(15)
        self.storage.holder = -1
        self.storage.generation += 1

    def _tell(self, state: str) -> None:
        begun = [r for r in self.storage.rows if r.state in ("RUNNING", "WAITING") and r.seed == 0]
        if begun and self.storage.number_of("COMPLETE") < self.wanted:
            self.storage.tell(begun[0].number, state)

    # --- coordinators ---------------------------------------------------------------------------

    def start(self) -> Outcome | None:
        """One start of the search, ten seconds after the one before; None when it ended by a fault."""
        self.owner += 1
        self.clock.sleep(10)
        self.stop_flag = StopFlag()
        self.storage.order = Order(Wish.RUN)
        self.storage.holder = None
        self._give_slots()
        lock = Lock(self.storage, self.faults, self.owner)
        assert lock.acquire()
        ledger = ImaginedLedger(self.storage, self.faults, EPOCHS)
        try:
            return self._coordinator(ledger, lock).run()
        except LockLost:
            assert self.storage.generation > ledger.generation
        except (Killed, StorageUnreachable, DiskFull):
            pass
        finally:
            self.close()
        return None

    def _coordinator(self, ledger: ImaginedLedger, lock: Lock) -> Coordinator:
        faulty: Any = Faulty(ledger, self.faults)
        return Coordinator(
            faulty,
            FaultyFolder(self.folder, self.faults, self._only_the_holder),  # type: ignore[arg-type]
            self,
            Faulty(lock, self.faults),  # type: ignore[arg-type]
            Plan(self.wanted, None, 2, PATIENCE),
            self.stop_flag,
            Silent(),
            Attaching(faulty),
            self.clock,
        )

    def _only_the_holder(self) -> None:
        assert self.storage.holder == self.owner, "a write without the lock"

    # --- what holds -----------------------------------------------------------------------------

    def check(self) -> None:
        rows = self.storage.rows
        counted = [r for r in rows if r.state in ("COMPLETE", "PRUNED")]
        assert len(counted) == self.wanted
        assert {r.state for r in rows} <= {"COMPLETE", "PRUNED", "FAIL"}
        epochs = list(range(1, EPOCHS + 1))
        for row in counted:
            if row.told_by_us:
                assert row.files == {"picture.png"}
                assert sorted(row.points) == epochs
                curve = self.folder.trial(row.number).read_curve()
                assert [int(line["epoch"]) for line in curve] == epochs
        attempts = [(job.number, job.attempt) for job in self.jobs]
        assert len(set(attempts)) == len(attempts), "an attempt was begun twice"
        for job in self.jobs:
            assert job.parameters == rows[job.number].params


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Nothing waits for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def survive(world: World, enqueued: int = 0) -> None:
    """Start the search until it is complete, as its supervisor and its user do."""
    first = ImaginedLedger(world.storage, world.faults, EPOCHS)
    for number in range(enqueued):
        first.enqueue({"B": 60 + number})
    for _ in range(100):
        if world.start() is Outcome.COMPLETE:
            break
    else:
        pytest.fail("the search never completes")
    world.check()
    assert [row.params["B"] for row in world.storage.rows[:enqueued]] == [
        60 + number for number in range(enqueued)
    ]


SHORT, LONG = 3.0, 60.0


@settings(max_examples=100, deadline=None)
@given(
    wanted=st.integers(1, 4),
    enqueued=st.integers(0, 1),
    faults=st.dictionaries(st.integers(1, 150), st.sampled_from(FAULTS), max_size=6),
    events=st.dictionaries(st.integers(1, 30), st.sampled_from(EVENTS), max_size=4),
    mishaps=st.dictionaries(
        st.tuples(st.integers(0, 4), st.integers(1, 3)), st.sampled_from(MISHAPS), max_size=4
    ),
    outage=st.sampled_from([SHORT, LONG]),
)
def test_nothing_is_ever_lost(
    wanted: int,
    enqueued: int,
    faults: dict[int, str],
    events: dict[int, str],
    mishaps: dict[tuple[int, int], str],
    outage: float,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        survive(World(Path(folder), wanted, faults, events, mishaps, outage), enqueued)


@pytest.mark.parametrize("fault", [*GENTLE, "killed after"])
def test_any_single_call_may_fail(tmp_path: Path, fault: str) -> None:
    """One after the other: every call that a search makes."""
    unbroken = World(tmp_path / "unbroken", 2, {}, {}, {}, SHORT)
    survive(unbroken)
    calls = len(unbroken.faults.calls)
    assert calls > 60
    for number in range(2, calls + 1):  # the first, before the loop, ends a start
        world = World(tmp_path / f"{number}", 2, {number: fault}, {}, {}, SHORT)
        survive(world)
        if not fault.startswith("killed"):
            assert world.owner == 1, "the search went on by itself"
            assert len(world.jobs) == 2, "nothing was trained twice"
            assert len(world.storage.rows) == 2, "no row extra"
