"""A storage that is out of reach for a while, and a disk that is full: nothing is lost, and nothing is
written by a coordinator that was replaced meanwhile."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinating import (
    EPOCHS,
    PATIENCE,
    Content,
    House,
    Scripted,
    begin,
    epochs_of,
    result_of,
    row,
    sealed,
    train,
)
from fre_hpo.errors import DiskFull, LockLost, StorageUnreachable
from fre_hpo.scheduling.archive import Archive
from fre_hpo.scheduling.executor import Arrival, Raised
from fre_hpo.scheduling.obstacle import LONGEST_DELAY, STOPPING_SECONDS
from fre_hpo.scheduling.state import Outcome
from fre_hpo.trial import Checkpoint, Epoch, Job
from imagined import Faults, Faulty
from ledgers import CLASSES

WRITES = (
    "ask",
    "begin_attempt",
    "set_worker",
    "report",
    "report_missing",
    "complete",
    "fail",
    "put_back",
    "set_live",
    "ask_again",
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


class Storage:
    """The house's ledger, whose storage can be switched off."""

    def __init__(self, house: House) -> None:
        self.faults = Faults(house.clock, {})
        self.ledger = house.ledger
        house.ledger = Faulty(house.ledger, self.faults)

    def lose(self, seconds: float) -> None:
        self.faults.gone_until = self.faults.clock.now() + seconds

    def lose_at(self, method: str, nth: int, *, answer_only: bool, seconds: float = 20.0) -> None:
        """The n-th call of a method fails, before it or after it was carried out."""
        original, calls = getattr(self.ledger, method), 0

        def failing(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls != nth:
                return original(*args, **kwargs)
            if answer_only:
                original(*args, **kwargs)
            self.lose(seconds)
            raise StorageUnreachable(storage="somewhere", reason="gone")

        setattr(self.ledger, method, failing)


@pytest.fixture
def storage(house: House) -> Storage:
    return Storage(house)


def fail_the_second(job: Job) -> Iterator[Content]:
    if job.number == 1:
        yield begin(job)
        yield Raised("ValueError", "wrong", "...")
    yield from train(job)


def left_by_a_stop(house: House) -> None:
    """Trial 0 with a checkpoint, trial 1 trained to its end and not told."""
    house.stop.raise_()
    for _ in range(2):
        house.ledger.ask()
    archive = Archive(house.folder, CLASSES)
    archive.cut_curve(0, 0)
    archive.append_curve(0, ["1", "0.5", "0.5", "0.5", "0.5", "0.5"])
    archive.save_checkpoint(0, sealed(1))
    parameters = house.ledger.records()[1].params
    archive.keep(1, result_of(Job(1, 1, house.ledger.spec, parameters, 0, "cpu", 1)))
    house.restarted()


# --- a storage out of reach ----------------------------------------------------------------------


@pytest.mark.parametrize("answer_only", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("method", WRITES)
def test_an_outage_at_any_write_loses_and_repeats_nothing(
    house: House, method: str, answer_only: bool
) -> None:
    left_by_a_stop(house)
    storage = Storage(house)
    seconds = 5.0 if method == "put_back" else 20.0
    storage.lose_at(method, 1, answer_only=answer_only, seconds=seconds)
    script = fail_the_second if method == "fail" else train
    executor = Scripted(script)
    wanted = 3
    if method == "put_back":
        house.stop.raise_()
        executor.stopping = {0}
        assert house.run(executor, wanted) is Outcome.STOPPED
        assert set(house.states()) <= {"WAITING", "COMPLETE"}
        house.restarted()
        executor = Scripted(script)
    assert house.run(executor, wanted) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * wanted
    attempts = [(job.number, job.attempt) for job in executor.jobs]
    assert len(set(attempts)) == len(attempts)
    assert 1 not in dict(attempts), "what was trained to its end is not trained again"
    for number in range(wanted):
        assert house.curve(number) == house.points(number) == [1, 2, 3]


@pytest.mark.parametrize("answer_only", [False, True], ids=["before", "after"])
def test_a_failure_is_told_once(house: House, storage: Storage, answer_only: bool) -> None:
    storage.lose_at("fail", 1, answer_only=answer_only)
    assert house.run(Scripted(fail_the_second), wanted=2) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE", "FAIL", "COMPLETE"]
    assert [e["trial"] for e in house.events("trial_finished") if e["state"] == "FAIL"] == [1]
    assert house.opened().live["failed"] == 1


def test_an_outage_that_training_outlasts_is_bridged(house: House, storage: Storage) -> None:
    """All that workers report meanwhile is written afterwards, in order."""
    seen = []

    def lose(job: Job) -> Iterator[Content]:
        for content in train(job):
            if job.number == 1 and isinstance(content, Epoch) and content.row.epoch == 2:
                storage.lose(100)
            yield content

    class Looking(Scripted):
        def poll(self, timeout: float) -> list[Arrival]:
            seen.append((house.listener.states[-1], len(self.jobs)))
            return super().poll(timeout)

    executor = Looking(lose)
    assert house.run(executor, wanted=4) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 4
    assert len(executor.jobs) == 4
    assert {begun for state, begun in seen if state == "paused"} == {2}, "nothing new was begun"
    for number in range(4):
        assert house.curve(number) == house.points(number) == [1, 2, 3]
    in_order = [(e["trial"], e["epoch"]) for e in house.events("epoch") if e["trial"] == 1]
    assert in_order == [(1, 1), (1, 2), (1, 3)]
    (lost,) = house.events("storage_lost")
    assert 100 <= lost["seconds"] <= 100 + LONGEST_DELAY
    first, last = house.listener.sentences[-2:]
    assert "cannot be reached (gone). Training goes on" in first
    assert "nothing was lost" in last
    assert house.opened().live["message"] is None


def test_checkpoints_that_waited_are_written_in_their_order(house: House, storage: Storage) -> None:
    """So that a crash in the middle of it repeats one epoch and not all that waited."""

    def lose(job: Job) -> Iterator[Content]:
        for content in train(job):
            if isinstance(content, Epoch) and content.row.epoch == 1:
                storage.lose(30)
            yield content

    assert house.run(Scripted(lose), wanted=1, slots=1) is Outcome.COMPLETE
    story = [(e["event"], e["epoch"]) for e in house.events("epoch", "checkpoint")]
    assert story == [(event, n) for n in range(1, EPOCHS + 1) for event in ("epoch", "checkpoint")]


def test_patience_that_is_used_up_ends_the_search_resumably(house: House, storage: Storage) -> None:
    def lose(job: Job) -> Iterator[Content]:
        for content in train(job):
            if isinstance(content, Epoch) and content.row.epoch == 2:
                storage.lose(10_000)
            yield content

    with pytest.raises(StorageUnreachable, match="gone"):
        house.run(Scripted(lose))
    assert PATIENCE < house.clock.now() < PATIENCE + 30
    house.restarted()
    later = Scripted(train)
    assert house.run(later) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 3
    assert [job.checkpoint for job in later.jobs[:2]] == [sealed(1), sealed(1)]


def test_outages_that_each_end_in_time_are_all_waited_for(house: House, storage: Storage) -> None:
    def lose(job: Job) -> Iterator[Content]:
        for content in train(job):
            if isinstance(content, Epoch):
                storage.lose(PATIENCE - 10)
            yield content

    assert house.run(Scripted(lose), wanted=2, slots=1) is Outcome.COMPLETE
    assert house.clock.now() > PATIENCE + 30


def test_a_stop_during_an_outage_ends_soon(house: House, storage: Storage) -> None:
    def lose(job: Job) -> Iterator[Content]:
        yield begin(job)
        storage.lose(PATIENCE)
        house.stop.raise_()
        yield from epochs_of(job)
        while True:
            yield Epoch(row(EPOCHS, 0.5), 0.5, 1, 1)

    with pytest.raises(StorageUnreachable):
        house.run(Scripted(lose))
    assert house.clock.now() < STOPPING_SECONDS + LONGEST_DELAY + 2


def test_what_the_lock_cannot_tell_is_an_outage_too(house: House) -> None:
    coordinator = house.coordinator(Scripted(train))
    lock = coordinator._custody._lock
    failures = [1, 1, 1]

    def check() -> None:
        if failures:
            failures.pop()
            raise StorageUnreachable(storage="somewhere", reason="the lock's connection was cut")

    lock.check = check  # type: ignore[method-assign]
    assert coordinator.run() is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 3
    assert len(house.events("storage_lost")) == 3


def test_the_lock_of_our_own_lost_connection_is_waited_for(house: House, storage: Storage) -> None:
    """The server may keep it for some seconds."""

    def lose(job: Job) -> Iterator[Content]:
        for content in train(job):
            if isinstance(content, Epoch) and content.row.epoch == 2 and job.number == 0:
                storage.lose(5)
            yield content

    coordinator = house.coordinator(Scripted(lose))
    lock = coordinator._custody._lock
    acquire, refusals = lock.acquire, [1, 1, 1]
    lock.acquire = lambda: acquire() and not (refusals and refusals.pop())  # type: ignore[method-assign]
    assert coordinator.run() is Outcome.COMPLETE
    assert refusals == []
    assert house.states() == ["COMPLETE"] * 3


@pytest.mark.parametrize("when", ["during an outage", "while it was halted"])
def test_a_coordinator_that_was_replaced_writes_nothing_more(
    house: House, storage: Storage, when: str
) -> None:
    contents: list[Any] = []

    def replaced(job: Job) -> Iterator[Content]:
        for content in train(job):
            if not contents and isinstance(content, Epoch) and content.row.epoch == 2:
                house.taken_over()
                contents.append(house.contents())
                if when == "during an outage":
                    storage.lose(20)
                else:
                    house.clock.sleep(60)
            yield content

    with pytest.raises(LockLost, match="'cells' was lost"):
        house.run(Scripted(replaced))
    assert contents == [house.contents()]


def test_a_trial_told_by_somebody_during_an_outage_is_let_go(
    house: House, storage: Storage
) -> None:
    """Its reports wait in memory, and none of them can be written."""

    def lose(job: Job) -> Iterator[Content]:
        for content in train(job):
            if job.number == 0 and isinstance(content, Epoch) and content.row.epoch == 2:
                storage.lose(20)
                house.client().tell(0, 0.5)
            yield content
            assert house.clock.now() < 300, "it never goes on"

    executor = Scripted(lose)
    assert house.run(executor, wanted=3) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 3
    assert house.opened().records()[0].value == 0.5
    assert len(executor.jobs) == 3


def test_a_row_made_without_an_answer_and_told_by_somebody_counts(
    house: House, storage: Storage
) -> None:
    storage.lose_at("ask", 1, answer_only=True)

    class Telling(Scripted):
        told = False

        def poll(self, timeout: float) -> list[Arrival]:
            if not self.told:
                assert house.states() == ["RUNNING"]
                house.client().tell(0, 0.5)
                self.told = True
            return super().poll(timeout)

    executor = Telling(train)
    assert house.run(executor, wanted=2) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 2
    assert [job.number for job in executor.jobs] == [1]


# --- a full disk ---------------------------------------------------------------------------------


class Disk:
    """Full while ``full`` is true: half of what is written fits, the rest does not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        fsync, path_open, disk = os.fsync, Path.open, self

        class HalfWritten(io.FileIO):
            def write(self, data: Any) -> int:
                if disk.full:
                    super().write(bytes(data)[: len(data) // 2])
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return super().write(data)

        def opened(path: Path, mode: str = "r", buffering: int = -1, **kwargs: Any) -> Any:
            if mode == "ab+" and buffering == 0:
                return HalfWritten(path, mode)
            return path_open(path, mode, buffering, **kwargs)

        def full_at_the_end(file: int) -> None:
            if disk.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(file)

        monkeypatch.setattr(Path, "open", opened)
        monkeypatch.setattr(os, "fsync", full_at_the_end)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def assert_nothing_is_torn(house: House) -> None:
    lines = house.folder.events.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    assert all(json.loads(line)["event"] for line in lines)
    assert list(house.folder.path.rglob("*.part")) == []
    for curve in house.folder.path.rglob("curve.csv"):
        text = curve.read_text(encoding="utf-8")
        assert text.endswith("\n")
        assert len({len(line) for line in csv.reader(text.splitlines())}) == 1


DAY = 86_400.0


@pytest.mark.parametrize("seconds", [5.0, 30 * DAY])
@pytest.mark.parametrize("kind", [Epoch, Checkpoint])
def test_a_full_disk_is_waited_for_as_long_as_it_takes(
    house: House, disk: Disk, kind: type, seconds: float
) -> None:
    full_since: list[float] = []
    messages = []

    def fill(job: Job) -> Iterator[Content]:
        for content in train(job):
            if not full_since and isinstance(content, kind):
                disk.full = True
                full_since.append(house.clock.now())
            yield content

    class Looking(Scripted):
        def poll(self, timeout: float) -> list[Arrival]:
            if disk.full and house.listener.states[-1] == "paused":
                assert_nothing_is_torn(house)
                if house.clock.now() > full_since[0] + 4:
                    messages.append(house.opened().live["message"])
                    house.clock.sleep(seconds)
                    disk.full = False
            return super().poll(timeout)

    executor = Looking(fill)
    assert house.run(executor) is Outcome.COMPLETE
    assert "the disk is full. Training goes on" in messages[0]
    assert house.clock.now() > seconds
    assert len(executor.jobs) == 3
    assert_nothing_is_torn(house)
    assert house.states() == ["COMPLETE"] * 3
    assert len(house.events("disk_full")) == 1
    for number in range(3):
        assert house.curve(number) == house.points(number) == [1, 2, 3]


def test_a_disk_that_is_full_again_and_again_loses_nothing(
    house: House, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, calls = os.fsync, 0

    def sometimes(file: int) -> None:
        nonlocal calls
        calls += 1
        if calls % 7 == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(file)

    monkeypatch.setattr(os, "fsync", sometimes)
    executor = Scripted(train)
    assert house.run(executor) is Outcome.COMPLETE
    assert len(executor.jobs) == 3
    assert_nothing_is_torn(house)
    assert house.states() == ["COMPLETE"] * 3
    assert len(house.events("trial_finished")) == 3


def test_a_stop_on_a_full_disk_ends_soon(house: House, disk: Disk) -> None:
    def fill(job: Job) -> Iterator[Content]:
        yield begin(job)
        disk.full = True
        house.stop.raise_()
        while True:
            yield Epoch(row(1, 0.5), 0.5, 1, 1)

    with pytest.raises(DiskFull, match=r"The disk is full: .*curve\.csv"):
        house.run(Scripted(fill))
    assert house.clock.now() < STOPPING_SECONDS + LONGEST_DELAY + 2
    assert_nothing_is_torn(house)
    disk.full = False
    assert house.restarted().run(Scripted(train)) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 3


def test_orphans_met_on_a_full_disk_are_all_adopted(house: House, disk: Disk) -> None:
    left_by_a_stop(house)
    log, failures = house.folder.log, [1]

    def full_once(event: str, **facts: Any) -> None:
        if event == "trial_finished" and failures:
            failures.pop()
            raise DiskFull(path=house.folder.events)
        log(event, **facts)

    house.folder.log = full_once  # type: ignore[method-assign]
    executor = Scripted(train)
    assert house.run(executor, wanted=3) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 3
    assert sorted({job.number for job in executor.jobs}) == [0, 2]


def test_a_row_half_asked_when_the_database_was_full_is_finished(house: House) -> None:
    write, failures = house.ledger._storage.set_trial_param, [1]

    def full_once(*args: Any) -> None:
        if failures:
            failures.pop()
            raise DiskFull(path="fre-hpo.db")
        write(*args)

    house.ledger._storage.set_trial_param = full_once
    executor = Scripted(train)
    assert house.run(executor, wanted=2) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 2
    assert len(executor.jobs) == 2
