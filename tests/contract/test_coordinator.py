"""The coordinator with an executor that plays a script: what it does with losses, failures and stops."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from coordinating import (
    BROKEN,
    EPOCHS,
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
from fre_hpo.errors import StudyGone
from fre_hpo.scheduling.archive import NETWORKS_KEPT, Archive
from fre_hpo.scheduling.executor import Arrival, Lost, OutOfMemory, Raised
from fre_hpo.scheduling.state import Outcome
from fre_hpo.study.folder import StudyFolder
from fre_hpo.trial import Checkpoint, Epoch, Job, Stopped
from ledgers import CLASSES, objective


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
            executor.extra.append(Arrival(0, 1, Epoch(row(2, 0.999), 0.999, 2, 1)))
            executor.extra.append(Arrival(0, 1, result_of(job)))
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
    assert house.states() == ["COMPLETE", "WAITING"]
    parameters = [job.parameters for job in executor.jobs]
    later = Scripted(train)
    assert house.restarted().run(later, slots=1) is Outcome.COMPLETE
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
    house.restarted()


def test_a_cut_checkpoint_falls_back_to_the_one_before(house: House) -> None:
    stopped_after_two_epochs(house)
    newest = house.folder.trial(0).checkpoint
    newest.write_bytes(newest.read_bytes()[:-1])
    executor = Scripted(train)
    assert house.run(executor, wanted=1) is Outcome.COMPLETE
    assert executor.jobs[0].checkpoint == sealed(1)
    assert [e["trial"] for e in house.events("checkpoint_damaged")] == [0]


@pytest.mark.parametrize("length", range(len(sealed(2))))
def test_wherever_a_checkpoint_is_cut_it_is_set_aside(tmp_path: Path, length: int) -> None:
    folder, said = StudyFolder(tmp_path), []
    archive = Archive(folder, CLASSES)
    archive.save_checkpoint(0, sealed(1))
    archive.save_checkpoint(0, sealed(2))
    folder.trial(0).checkpoint.write_bytes(sealed(2)[:length])
    assert archive.checkpoint(0, said.append) == sealed(1)
    assert len(said) == 1


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


def test_every_network_stays_where_nothing_is_searched(house: House) -> None:
    house.run(Scripted(train), wanted=2)
    records = house.ledger.records()
    Archive(house.folder, CLASSES, None).tidy(records)
    assert all(house.folder.trial(r.number).best.exists() for r in records)
    Archive(house.folder, CLASSES, 1).tidy(records)
    assert [house.folder.trial(r.number).best.exists() for r in records].count(True) == 1


# --- what is left by an earlier run --------------------------------------------------------------


def test_a_trial_that_waits_with_its_outcome_is_told_without_training(house: House) -> None:
    house.ledger.ask()
    house.ledger.put_back(0)
    archive = Archive(house.folder, CLASSES)
    archive.keep(0, result_of(Job(0, 1, house.ledger.spec, {"B": 8, "X": 100.0}, 0, "cpu", 1)))
    executor = Scripted(train)
    assert house.run(executor, wanted=1) is Outcome.COMPLETE
    assert executor.jobs == []
    assert [r.value for r in house.ledger.records()] == [objective({"B": 8, "X": 100.0})]
    assert house.points(0) == [1, 2, 3]


def test_points_that_the_storage_lacks_are_filled_in_at_the_next_start(house: House) -> None:
    stopped_after_two_epochs(house)
    reported = []
    house.restarted()

    def remember(number: int, curve: dict[int, float]) -> None:
        reported.append((number, sorted(curve)))
        type(house.ledger).report_missing(house.ledger, number, curve)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.ledger, "report_missing", remember)
        assert house.run(Scripted(train), wanted=1) is Outcome.COMPLETE
    assert reported[0] == (0, [1, 2])
    assert house.points(0) == [1, 2, 3]


def test_a_point_that_was_never_stored_comes_from_the_curve(house: House) -> None:
    house.ledger.ask()
    Archive(house.folder, CLASSES).cut_curve(0, 0)
    for epoch in (1, 2):
        house.folder.trial(0).append_curve(list(vars(row(epoch, 0.25)).values())[:6])
    assert house.points(0) == []

    def look(job: Job) -> Iterator[Content]:
        assert house.points(0) == [1, 2]
        yield from train(job)

    assert house.restarted().run(Scripted(look), wanted=1) is Outcome.COMPLETE


def test_half_asked_rows_are_finished_and_trained(house: House) -> None:
    class Crash(Exception):
        pass

    def crash(*_: Any) -> None:
        raise Crash

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.ledger._storage, "set_trial_param", crash)
        with pytest.raises(Crash):
            house.run(Scripted(train), wanted=2)
    assert [(r.state, r.params) for r in house.ledger.records()] == [("RUNNING", {})]
    executor = Scripted(train)
    assert house.restarted().run(executor, wanted=2) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 2
    assert [job.number for job in executor.jobs] == [0, 1]


def test_enqueued_points_survive_a_stop(house: House) -> None:
    points = [{"B": 8, "X": 100.0 + n} for n in range(3)]
    for point in points:
        house.ledger.enqueue(point)

    def stop(job: Job) -> Iterator[Content]:
        house.stop.raise_()
        yield from train(job)

    assert house.run(Scripted(stop), slots=1) is Outcome.STOPPED
    assert house.states() == ["WAITING"] * 3
    executor = Scripted(train)
    assert house.restarted().run(executor, slots=1) is Outcome.COMPLETE
    assert [job.parameters for job in executor.jobs] == points
    assert executor.jobs[0].checkpoint == sealed(1)


# --- out of memory -------------------------------------------------------------------------------


def test_out_of_memory_once_is_trained_again_alone(house: House) -> None:
    def too_large(job: Job) -> Iterator[Content]:
        if (job.number, job.attempt) == (0, 1):
            yield begin(job)
            yield from epochs_of(job, 1, 1)
            yield OutOfMemory("CUDA out of memory")
        else:
            yield from train(job)

    executor = Scripted(too_large)
    assert house.run(executor, wanted=4, slots=3, retries=0) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 4
    assert executor.alone == [(0, 2)]
    (again,) = (job for job in executor.jobs if (job.number, job.attempt) == (0, 2))
    assert again.checkpoint == sealed(1)
    assert len(house.events("out_of_memory")) == 1
    assert any("it is trained once more, alone" in s for s in house.listener.sentences)


def test_nothing_else_begins_while_a_trial_is_trained_alone(house: House) -> None:
    def too_large(job: Job) -> Iterator[Content]:
        if (job.number, job.attempt) == (0, 1):
            yield begin(job)
            yield OutOfMemory("CUDA out of memory")
        for content in train(job):
            if job.number == 0:
                assert list(executor.playing) == [0]
            yield content

    executor = Scripted(too_large)
    assert house.run(executor, wanted=4, slots=3) is Outcome.COMPLETE


def test_out_of_memory_alone_as_well_fails_with_that_reason(house: House) -> None:
    def too_large(job: Job) -> Iterator[Content]:
        if job.number == 0:
            yield begin(job)
            yield OutOfMemory("CUDA out of memory")
        yield from train(job)

    executor = Scripted(too_large)
    assert house.run(executor, wanted=2) is Outcome.COMPLETE
    assert house.states() == ["FAIL", "COMPLETE", "COMPLETE"]
    assert executor.attempts_at(0) == [1, 2]
    reason = "it ran out of memory, alone on its device as well (CUDA out of memory)"
    assert house.ledger.records()[0].reason == reason
    assert house.folder.trial(0).checkpoints() == []


def test_trials_that_share_a_gpu_go_on_with_fewer_beside_them(house: House) -> None:
    """The executor lowers the share; the trial goes on from its checkpoint, and not alone."""
    found = [OutOfMemory("CUDA out of memory", 3, 2), OutOfMemory("CUDA out of memory", 2, 1)]

    def too_many(job: Job) -> Iterator[Content]:
        if job.number or job.attempt > 2:
            yield from train(job)
            return
        started = begin(job)
        yield started
        yield from epochs_of(job, started.epoch + 1, started.epoch + 1)
        yield found[job.attempt - 1]

    executor = Scripted(too_many)
    assert house.run(executor, wanted=4, slots=3, retries=0) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 4
    assert executor.alone == []
    assert executor.attempts_at(0) == [1, 2, 3]
    again = [job.checkpoint for job in executor.jobs if job.number == 0]
    assert again == [None, sealed(1), sealed(2)]
    assert [(e["sharing"], e["now"]) for e in house.events("out_of_memory")] == [(3, 2), (2, 1)]
    said = [s for s in house.listener.sentences if "ran out of memory" in s]
    assert said[0].endswith(
        "where 3 trials share a GPU (CUDA out of memory): from now on 2 share one."
    )
    assert said[1].endswith("from now on each trial has a GPU to itself.")


# --- trials that somebody else ends --------------------------------------------------------------


@pytest.mark.parametrize("state", ["FAIL", "COMPLETE", "PRUNED"])
@pytest.mark.parametrize("epoch", [1, EPOCHS])
def test_a_running_trial_told_by_another_client_is_cancelled(
    house: House, state: str, epoch: int
) -> None:
    def told(job: Job) -> Iterator[Content]:
        for content in train(job):
            if job.number == 1 and isinstance(content, Epoch) and content.row.epoch == epoch:
                tell_elsewhere(house, 1, state)
            yield content

    executor = Scripted(told)
    assert house.run(executor, wanted=3) is Outcome.COMPLETE
    counted = [s for s in house.states() if s in ("COMPLETE", "PRUNED")]
    assert len(counted) == 3
    assert house.states()[1] == state
    assert len(executor.jobs) == (4 if state == "FAIL" else 3)
    assert 1 in executor.cancelled
    assert house.folder.trial(1).checkpoints() == []
    assert (1, state) in house.listener.ended
    assert [e["state"] for e in house.events("trial_finished") if e["trial"] == 1] == [state]
    live = house.ledger.live
    assert (live["complete"], live["failed"]) == (3, int(state == "FAIL"))


def tell_elsewhere(house: House, number: int, state: str) -> None:
    values = {"values": 0.5} if state == "COMPLETE" else {}
    house.client().tell(number, state=TrialState[state], **values)


@pytest.mark.parametrize("state", ["FAIL", "COMPLETE"])
def test_a_queued_trial_told_by_another_client_is_not_begun(house: House, state: str) -> None:
    """It waits to be trained alone, while the others are trained to their end."""

    def told(job: Job) -> Iterator[Content]:
        if job.number == 0:
            yield begin(job)
            yield OutOfMemory("CUDA out of memory")
        for content in train(job):
            if job.number == 1 and isinstance(content, Checkpoint) and content.epoch == 2:
                tell_elsewhere(house, 0, state)
            yield content

    executor = Scripted(told)
    assert house.run(executor, wanted=3) is Outcome.COMPLETE
    assert house.states().count("COMPLETE") == 3
    assert executor.attempts_at(0) == [1]


def test_a_trial_that_ended_elsewhere_before_a_start_is_counted(house: House) -> None:
    house.ledger.ask()
    tell_elsewhere(house, 0, "COMPLETE")
    executor = Scripted(train)
    assert house.restarted().run(executor, wanted=2) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 2
    assert [job.number for job in executor.jobs] == [1]


def test_a_trial_that_ends_elsewhere_while_orphans_are_adopted_is_counted(house: House) -> None:
    for _ in range(2):
        house.ledger.ask()
    house.restarted()
    ask_again = house.ledger.ask_again

    def too_late(number: int) -> Any:
        if number == 0 and house.states()[0] == "RUNNING":
            tell_elsewhere(house, 0, "COMPLETE")
        return ask_again(number)

    executor = Scripted(train)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.ledger, "ask_again", too_late)
        assert house.run(executor, wanted=2) is Outcome.COMPLETE
    assert house.states() == ["COMPLETE"] * 2


def test_a_study_that_is_deleted_ends_the_search(house: House) -> None:
    def delete(job: Job) -> Iterator[Content]:
        for content in train(job):
            if job.number == 1 and isinstance(content, Checkpoint):
                house.opened().delete()
                house.folder.delete()
            yield content

    with pytest.raises(StudyGone, match="'cells' was deleted"):
        house.run(Scripted(delete), slots=1)


# --- room ----------------------------------------------------------------------------------------


def test_room_that_grows_and_shrinks_is_used(house: House) -> None:
    at_once = []

    def change(job: Job) -> Iterator[Content]:
        executor.slots = {2: 4, 5: 1}.get(job.number, executor.slots)
        for content in train(job):
            at_once.append((job.number, len(executor.playing)))
            yield content

    executor = Scripted(change)
    assert house.run(executor, wanted=12, slots=1) is Outcome.COMPLETE
    assert max(n for number, n in at_once if number < 2) == 1
    assert executor.most_at_once == 4
    assert max(n for number, n in at_once if number > 8) == 1
    assert house.states() == ["COMPLETE"] * 12


def test_without_room_nothing_begins_until_there_is_some(house: House) -> None:
    executor = Scripted(train, slots=0)
    poll = executor.poll

    def later(timeout: float) -> list[Arrival]:
        executor.slots = int(house.clock.now() > 100)
        return poll(timeout)

    executor.poll = later  # type: ignore[method-assign]
    assert house.run(executor, wanted=1) is Outcome.COMPLETE
    assert house.clock.now() > 100


def test_no_more_are_trained_at_once_than_the_plan_says(house: House) -> None:
    executor = Scripted(train)
    assert house.run(executor, wanted=5, slots=4, parallel=2) is Outcome.COMPLETE
    assert executor.most_at_once == 2
    assert house.ledger.live["slots"] == 2


# --- workers that come and go --------------------------------------------------------------------


def test_a_displaced_trial_goes_on_from_its_checkpoint_and_counts_no_loss(house: House) -> None:
    executor = Scripted()

    def leave_once(job: Job) -> Iterator[Content]:
        executor.leaving -= {job.number}
        for content in train(job):
            yield content
            if job.attempt == 1:
                executor.leaving |= {job.number}

    executor.script = leave_once
    assert house.run(executor, wanted=3, retries=0) is Outcome.COMPLETE
    moved = {e["trial"] for e in house.events("trial_moved")}
    assert moved
    assert not house.events("trial_lost")
    for number in moved:
        assert executor.attempts_at(number) == [1, 2]
        assert house.curve(number) == list(range(1, EPOCHS + 1))
    assert house.states() == ["COMPLETE"] * 3


def test_the_executor_is_told_how_many_trials_there_is_a_use_for(house: House) -> None:
    executor = Scripted(slots=2)
    house.run(executor, wanted=3)
    assert executor.demands[0] == 3
    assert sorted(executor.demands, reverse=True) == executor.demands
    house.restarted().run(capped := Scripted(slots=4), wanted=9, parallel=2)
    assert max(capped.demands) == 2
    assert capped.most_at_once == 2


def test_what_changes_at_the_workers_is_said_and_logged(house: House) -> None:
    executor = Scripted()
    executor.sentences = ["Nodes joined: training 8 trials at a time on cuda."]
    house.run(executor)
    assert executor.sentences == []
    assert "Nodes joined: training 8 trials at a time on cuda." in house.listener.sentences
    assert [e["text"] for e in house.events("workers_changed")] == [
        "Nodes joined: training 8 trials at a time on cuda."
    ]
