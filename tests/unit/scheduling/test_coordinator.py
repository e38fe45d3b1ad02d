"""The coordinator with an executor that plays a script: what it does with losses, failures and stops."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fre_hpo.scheduling.archive import NETWORKS_KEPT
from fre_hpo.scheduling.coordinator import Coordinator, Plan
from fre_hpo.scheduling.executor import Arrival, Lost, Raised
from fre_hpo.scheduling.observer import Silent
from fre_hpo.scheduling.placement import Placement
from fre_hpo.scheduling.state import Outcome
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.lock import coordinator_lock
from fre_hpo.study.spec import TrainingSpec
from fre_hpo.training.loop import EpochRow
from fre_hpo.trial import Checkpoint, Epoch, Job, Report, Result, Started, StopFlag, Stopped
from ledgers import CLASSES, create, make_spec, objective

EPOCHS = 3
Content = Report | Lost | Raised
Script = Callable[[Job], Iterator[Content]]
BROKEN = Raised("ValueError", "the code is broken", "Traceback ...")


def row(epoch: int, miou: float) -> EpochRow:
    return EpochRow(epoch, 1.0, miou, miou, miou, (miou,) * 3, 1e-3, 0.1)


def sealed(epoch: int) -> bytes:
    """A checkpoint with the checksum that ends every real one."""
    content = str(epoch).encode()
    return content + hashlib.sha256(content).digest()


def begin(job: Job) -> Started:
    done = 0 if job.checkpoint is None else int(job.checkpoint[:-32])
    return Started(done, "host:1", 1, "cpu")


def train(job: Job) -> Iterator[Content]:
    """A trial that goes well: one checkpoint an epoch, the value from the parameters."""
    started, miou = begin(job), objective(job.parameters)
    yield started
    for epoch in range(started.epoch + 1, EPOCHS + 1):
        yield Epoch(row(epoch, miou), miou, 1, 1)
        yield Checkpoint(epoch, sealed(epoch))
    curve = tuple(row(epoch, miou) for epoch in range(1, EPOCHS + 1))
    confusion = [[[1, 0, 0], [0, 1, 0], [0, 0, 1]]]
    yield Result(miou, 1, EPOCHS, (miou,) * 3, ("a",), confusion, curve, b"network")


class Scripted:
    """Every attempt plays a script; all that run advance by one report at each poll."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.jobs: list[Job] = []
        self.playing: dict[int, tuple[Job, Iterator[Content]]] = {}
        self.extra: list[Arrival] = []

    def submit(self, job: Job) -> None:
        assert job.number not in self.playing
        self.jobs.append(job)
        self.playing[job.number] = (job, self.script(job))

    def poll(self, timeout: float) -> list[Arrival]:
        arrivals, self.extra = self.extra, []
        for number, (job, reports) in list(self.playing.items()):
            arrival = Arrival(number, job.attempt, next(reports))
            arrivals.append(arrival)
            if arrival.last:
                del self.playing[number]
        return arrivals

    def stop(self, number: int) -> None:
        job, _ = self.playing[number]
        self.playing[number] = (job, iter([Checkpoint(1, sealed(1)), Stopped(1)]))

    def close(self) -> None:
        self.playing.clear()


class House:
    """A study on SQLite with a coordinator to run."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder}/fre-hpo.db"
        spec = make_spec(training=TrainingSpec(epochs=EPOCHS))
        self.ledger: Ledger = create(url, "cells", spec)
        self.folder = StudyFolder(folder / "cells")
        self.lock = coordinator_lock(self.ledger.url, "cells")
        self.stop = StopFlag()

    def run(self, executor: Any, wanted: int = 3, slots: int = 2, **plan: Any) -> Outcome:
        placement = Placement("cpu", 1, 1, 0, slots)
        settings = Plan(wanted, plan.get("seconds"), plan.get("retries", 2))
        coordinator = Coordinator(
            self.ledger,
            self.folder,
            executor,
            self.lock,
            placement,
            settings,
            self.stop,
            Silent(),
        )
        return coordinator.run()

    def states(self) -> list[str]:
        return [record.state for record in self.ledger.records()]

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = self.folder.events.read_text(encoding="utf-8").splitlines()
        return [e for e in map(json.loads, lines) if e["event"] == name]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_runs_exactly_what_is_wanted(house: House) -> None:
    executor = Scripted(train)
    assert house.run(executor, wanted=5) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 5
    assert len(executor.jobs) == 5
    values = {r.number: r.value for r in house.ledger.records()}
    assert values == {job.number: objective(job.parameters) for job in executor.jobs}


def test_a_lost_trial_goes_on_from_its_checkpoint_under_its_number(house: House) -> None:
    def lose_the_first(job: Job) -> Iterator[Content]:
        if job.number == 0 and job.attempt == 1:
            yield begin(job)
            yield Epoch(row(1, 0.5), 0.5, 1, 1)
            yield Checkpoint(1, sealed(1))
            yield Epoch(row(2, 0.5), 0.5, 1, 1)
            yield Lost("the worker died")
        else:
            yield from train(job)

    executor = Scripted(lose_the_first)
    assert house.run(executor) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 3
    first, again = (job for job in executor.jobs if job.number == 0)
    assert (first.checkpoint, again.checkpoint) == (None, sealed(1))
    assert (first.parameters, first.seed) == (again.parameters, again.seed)
    assert house.ledger.records()[0].attempts == 2
    assert [e["attempt"] for e in house.events("trial_lost")] == [1]
    curve = house.folder.trial(0).read_curve()
    assert [int(line["epoch"]) for line in curve] == [1, 2, 3]


def test_a_trial_that_is_lost_too_often_fails_and_is_replaced(house: House) -> None:
    def always_lose_the_first(job: Job) -> Iterator[Content]:
        yield begin(job)
        if job.number == 0:
            yield Lost("the worker died")
        yield from list(train(job))[1:]

    executor = Scripted(always_lose_the_first)
    assert house.run(executor, retries=2) is Outcome.COMPLETE
    assert [job.attempt for job in executor.jobs if job.number == 0] == [1, 2, 3]
    assert sorted(house.states()) == ["COMPLETE"] * 3 + ["FAIL"]
    assert "lost 3 times" in str(house.ledger.records()[0].reason)


def test_reports_of_a_superseded_attempt_are_dropped(house: House) -> None:
    executor = Scripted(train)

    def ghost(job: Job) -> Iterator[Content]:
        if job.number == 0 and job.attempt == 1:
            yield begin(job)
            yield Lost("cut off")
        elif job.number == 0:
            yield begin(job)
            result = list(train(job))[-1]
            assert isinstance(result, Result)
            executor.extra.append(Arrival(0, 1, Epoch(row(2, 0.999), 0.999, 2, 1)))
            executor.extra.append(Arrival(0, 1, result))
            yield from list(train(job))[1:]
        else:
            yield from train(job)

    executor.script = ghost
    assert house.run(executor, wanted=2) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 2
    assert len(house.events("report_dropped")) == 2
    assert all(float(line["miou"]) != 0.999 for line in house.folder.trial(0).read_curve())


def test_a_diverged_trial_fails_with_its_reason_and_is_replaced(house: House) -> None:
    def diverge_once(job: Job) -> Iterator[Content]:
        yield begin(job)
        if job.number == 1:
            yield Epoch(row(1, 0.5), 0.5, 1, 1)
            yield Raised("NonFiniteLoss", "The loss was nan in epoch 2.", "...", diverged_in=2)
        yield from list(train(job))[1:]

    assert house.run(Scripted(diverge_once)) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert house.ledger.records()[1].reason == "The loss was nan in epoch 2."


def test_three_trials_that_fail_alike_end_the_search(house: House) -> None:
    def fail(job: Job) -> Iterator[Content]:
        yield begin(job)
        yield BROKEN

    executor = Scripted(fail)
    assert house.run(executor, wanted=50, slots=1) is Outcome.FAILING
    assert house.states() == ["FAIL"] * 3
    assert house.events("trial_finished")[0]["traceback"] == "Traceback ..."


def test_trials_that_all_diverge_end_the_search(house: House) -> None:
    def diverge(job: Job) -> Iterator[Content]:
        yield begin(job)
        yield Raised("NonFiniteLoss", f"nan in epoch {job.number}", "...", diverged_in=1)

    assert house.run(Scripted(diverge), wanted=50, slots=1) is Outcome.FAILING
    assert house.states() == ["FAIL"] * 10


def test_a_stop_keeps_checkpoints_and_a_later_run_goes_on(house: House) -> None:
    def stop_in_the_second(job: Job) -> Iterator[Content]:
        if job.number == 1:
            house.stop.raise_()
        yield from train(job)

    executor = Scripted(stop_in_the_second)
    assert house.run(executor, slots=1) is Outcome.STOPPED
    assert house.states() == ["COMPLETE", "RUNNING"]
    parameters = [job.parameters for job in executor.jobs]
    house.stop = StopFlag()
    later = Scripted(train)
    assert house.run(later, slots=1) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 3
    assert (later.jobs[0].number, later.jobs[0].attempt) == (1, 2)
    assert (later.jobs[0].parameters, later.jobs[0].checkpoint) == (parameters[1], sealed(1))


def test_time_that_is_used_up_ends_the_search_and_counts_on(house: House) -> None:
    assert house.run(Scripted(train), wanted=1) is Outcome.COMPLETE
    elapsed = float((house.ledger.live or {})["elapsed"])
    assert elapsed > 0
    assert house.run(Scripted(train), wanted=3, seconds=elapsed) is Outcome.OUT_OF_TIME
    assert house.states() == ["COMPLETE"]
    assert house.run(Scripted(train), wanted=3, seconds=elapsed + 60) is Outcome.COMPLETE


def test_what_is_going_on_is_published(house: House) -> None:
    executor = Scripted(train)
    assert house.run(executor) is Outcome.COMPLETE
    live = house.ledger.live
    assert live is not None
    assert (live["state"], live["complete"], live["running"]) == ("finished", 3, [])
    assert len(CLASSES) == len(house.ledger.records()[0].class_iou)


def stopped_after_two_epochs(house: House) -> None:
    """Trial 0 with two checkpoints, left by a coordinator that was stopped."""

    def two_epochs(job: Job) -> Iterator[Content]:
        house.stop.raise_()
        yield begin(job)
        for epoch in (1, 2):
            yield Epoch(row(epoch, 0.5), 0.5, 1, 1)
            yield Checkpoint(epoch, sealed(epoch))
        yield Stopped(2)

    executor = Scripted(two_epochs)
    executor.stop = lambda number: None  # type: ignore[method-assign]
    assert house.run(executor, slots=1) is Outcome.STOPPED
    house.stop = StopFlag()


@pytest.mark.parametrize("share", range(10))
def test_a_cut_checkpoint_falls_back_to_the_one_before(house: House, share: int) -> None:
    stopped_after_two_epochs(house)
    newest = house.folder.trial(0).checkpoint
    newest.write_bytes(newest.read_bytes()[: len(sealed(2)) * share // 10])
    executor = Scripted(train)
    assert house.run(executor, wanted=1) is Outcome.COMPLETE
    assert executor.jobs[0].checkpoint == sealed(1)
    assert [e["trial"] for e in house.events("checkpoint_damaged")] == [0]


def test_without_any_intact_checkpoint_a_trial_begins_anew(house: House) -> None:
    stopped_after_two_epochs(house)
    for path in house.folder.trial(0).checkpoints():
        path.write_bytes(b"garbage")
    executor = Scripted(train)
    assert house.run(executor, wanted=1) is Outcome.COMPLETE
    assert executor.jobs[0].checkpoint is None
    assert len(house.folder.trial(0).read_curve()) == EPOCHS


def test_a_crash_between_the_last_epoch_and_tell_trains_nothing_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(house.ledger, "complete", crash)
        with pytest.raises(KeyboardInterrupt):
            house.run(Scripted(train), wanted=1)
    assert house.states() == ["RUNNING"]
    executor = Scripted(train)
    assert house.run(executor, wanted=1) is Outcome.COMPLETE
    assert executor.jobs == []
    (record,) = house.ledger.records()
    assert record.value == objective({k: float(v) for k, v in record.params.items()})
    assert record.best_epoch == 1


def test_only_the_best_networks_stay(house: House) -> None:
    house.run(Scripted(train), wanted=8)
    records = sorted(house.ledger.records(), key=lambda r: -(r.value or 0.0))
    kept = {r.number for r in records if house.folder.trial(r.number).best.exists()}
    assert kept == {r.number for r in records[:NETWORKS_KEPT]}
    assert all(house.folder.trial(r.number).confusion.exists() for r in records)
