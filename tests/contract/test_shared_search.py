"""A search whose workers write checkpoints to a store: what is gone on from, what is copied, what is removed,
and what becomes of a store that is out of reach."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from coordinating import (
    EPOCHS,
    PATIENCE,
    Content,
    House,
    Script,
    Scripted,
    begin,
    result_of,
    row,
    sealed,
    train,
)
from fre_hpo.errors import StorageUnreachable, StoreUnreachable
from fre_hpo.scheduling import mirror as mirror_module
from fre_hpo.scheduling.executor import Arrival, Lost
from fre_hpo.scheduling.mirror import Mirror
from fre_hpo.scheduling.obstacle import STOPPING_SECONDS
from fre_hpo.scheduling.shared import SharedCheckpoints
from fre_hpo.scheduling.state import Outcome
from fre_hpo.study.fetching import fetch_results
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.stamp import Stamp
from fre_hpo.study.store import CheckpointStore, StoreAddress
from fre_hpo.trial import Checkpoint, Epoch, Job, Saved, Stopped
from ledgers import make_charter, objective
from stored import KINDS, opened, results, store_root, unmounted

WHOLE = {"curve.csv", "confusion.json", "outcome.json", "best.pt"}
REASON = "no route to it"


class Lab:
    """A study whose workers write to a store, and that moves from home to home."""

    def __init__(self, folder: Path, root: str) -> None:
        self.root = root
        self.house = House(folder)
        self.store = opened(root, make_charter().id)
        self.before = ExitStack()

    def run(self, script: Script, wanted: int = 1, **plan: int) -> tuple[Scripted, Outcome]:
        """One run of a coordinator, to its end."""
        executor = Scripted(script, slots=1)
        with self.mirror() as mirror:
            self.house.shared = SharedCheckpoints(self.house.folder, self.store, mirror)
            outcome = self.house.run(executor, wanted, **plan)
        self.house.listener.sentences += mirror.news()
        return executor, outcome

    def mirror(self) -> Mirror:
        return Mirror(self.house.folder, self.store)

    def move(self) -> None:
        """The machine is lost, with its home; another one goes on."""
        elsewhere = StudyFolder(self.house.folder.path.with_name("elsewhere"))
        shutil.rmtree(self.house.folder.path)
        self.house.folder = elsewhere
        fetch_results(self.store, elsewhere)
        self.house.restarted()

    def stamps(self, number: int = 0) -> set[Stamp]:
        found = (Stamp.of(key) for key in self.store.keys(f"trials/{number}"))
        return {stamp for stamp in found if stamp}


@pytest.fixture(params=KINDS)
def lab(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(tmp_path, store_root(request.param, tmp_path, monkeypatch))


@pytest.fixture
def folder_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(mirror_module, "CLOSING_SECONDS", 0.5)
    return Lab(tmp_path, store_root("folder", tmp_path, monkeypatch))


# --- what workers do ------------------------------------------------------------------------------


def write(job: Job, epoch: int, content: bytes | None = None) -> Saved:
    """A checkpoint, written by the worker."""
    assert job.store is not None
    key = Stamp(job.attempt, epoch).key(job.number)
    job.store.open().write(key, sealed(epoch) if content is None else content)
    return Saved(epoch, key)


def save_epochs(job: Job, first: int = 1, last: int = EPOCHS) -> Iterator[Content]:
    miou = objective(job.parameters)
    for epoch in range(first, last + 1):
        yield Epoch(row(epoch, miou), miou, 1, 1)
        yield write(job, epoch)


def save(job: Job) -> Iterator[Content]:
    """A trial that goes well: each epoch's state goes to the store."""
    started = begin(job)
    yield started
    yield from save_epochs(job, started.epoch + 1)
    yield result_of(job)


def lost_in_epoch_2(job: Job) -> Iterator[Content]:
    if job.attempt > 1:
        yield from save(job)
        return
    yield begin(job)
    yield from save_epochs(job, last=2)
    yield Lost("its node is gone")


def stopped_in(epoch: int, house: House) -> Script:
    def script(job: Job) -> Iterator[Content]:
        house.stop.raise_()
        yield begin(job)
        yield from save_epochs(job, last=epoch)
        yield Stopped(epoch)

    return script


def stop_after(lab: Lab, epoch: int) -> None:
    """Trial 0 is left with so many epochs, on no machine but the store."""
    _, outcome = lab.run(stopped_in(epoch, lab.house))
    assert outcome is Outcome.STOPPED


# --- what is gone on from ------------------------------------------------------------------------


def test_a_search_leaves_results_in_both_places_and_no_checkpoint(lab: Lab) -> None:
    executor, outcome = lab.run(save, wanted=2)
    assert outcome is Outcome.COMPLETE
    assert [job.store for job in executor.jobs] == [StoreAddress(lab.root, make_charter().id)] * 2
    for number in (0, 1):
        assert results(lab.store, number) == WHOLE
        assert {path.name for path in lab.house.folder.trial(number).path.iterdir()} == WHOLE
    assert lab.store.read("events.jsonl") == lab.house.folder.events.read_bytes()
    via = [(e["epoch"], e["via"]) for e in lab.house.events("checkpoint")]
    assert via == [(1, "store"), (2, "store"), (3, "store")] * 2


def test_two_checkpoints_of_a_trial_are_kept(lab: Lab) -> None:
    stop_after(lab, 3)
    assert lab.stamps() == {Stamp(1, 2), Stamp(1, 3)}


def test_a_lost_trial_goes_on_from_what_its_worker_wrote(lab: Lab) -> None:
    executor, outcome = lab.run(lost_in_epoch_2)
    assert outcome is Outcome.COMPLETE
    assert [job.checkpoint for job in executor.jobs] == [None, sealed(2)]
    assert lab.house.curve(0) == lab.house.points(0) == [1, 2, 3]


def test_an_empty_home_goes_on_from_the_store(lab: Lab) -> None:
    lab.run(save)
    lab.house.restarted()
    lab.run(stopped_in(2, lab.house), wanted=2)
    lab.move()
    assert set(lab.house.folder.trial(0).load_outcome() or ()) > {"miou"}
    executor, outcome = lab.run(save, wanted=2)
    assert outcome is Outcome.COMPLETE
    assert [(job.number, job.attempt) for job in executor.jobs] == [(1, 2)]
    assert executor.jobs[0].checkpoint == sealed(2)
    assert lab.house.points(1) == [1, 2, 3]
    assert results(lab.store, 1) == WHOLE
    logged = [e["trial"] for e in lab.house.events("trial_finished")]
    assert logged == [0, 1], "the log has moved, too"


def test_a_late_write_of_a_cut_off_attempt_is_not_taken(lab: Lab) -> None:
    """Neither while it is reported too late, nor unreported, nor after the coordinator has moved."""
    late: list[Job] = []

    def cut_off(job: Job) -> Iterator[Content]:
        if job.attempt == 1:
            late.append(job)
            yield begin(job)
            yield from save_epochs(job, last=1)
            yield Lost("its node is gone")
        elif job.attempt == 2:
            yield begin(job)
            executor.extra.append(Arrival(0, 1, write(late[0], 2, b"of nobody")))
            yield from save_epochs(job, 2, 2)
            write(late[0], 3, b"of nobody")
            yield Lost("its node is gone")
        else:
            lab.house.stop.raise_()
            yield begin(job)
            yield from save_epochs(job, 3, 3)
            write(late[0], 99, sealed(99))
            yield Stopped(3)

    executor = Scripted(cut_off, slots=1)
    with lab.mirror() as mirror:
        lab.house.shared = SharedCheckpoints(lab.house.folder, lab.store, mirror)
        assert lab.house.run(executor, 1) is Outcome.STOPPED
    assert [job.checkpoint for job in executor.jobs] == [None, sealed(1), sealed(2)]
    dropped = [(e["attempt"], e["report"]) for e in lab.house.events("report_dropped")]
    assert dropped == [(1, "Saved")]
    assert lab.stamps() > {Stamp(3, 3), Stamp(1, 99)}
    lab.move()
    again, outcome = lab.run(save)
    assert outcome is Outcome.COMPLETE
    assert again.jobs[0].checkpoint == sealed(3), "of the latest attempt, whatever its epoch"
    assert results(lab.store, 0) == WHOLE, "what the cut-off attempt left is removed at the end"


def test_a_trial_that_reported_nothing_begins_anew_whatever_lies_there(lab: Lab) -> None:
    def silent(job: Job) -> Iterator[Content]:
        if job.attempt == 1:
            yield begin(job)
            write(job, 2)
            yield Lost("its node is gone")
        yield from save(job)

    executor, _ = lab.run(silent)
    assert [job.checkpoint for job in executor.jobs] == [None, None]


def test_a_key_that_is_not_the_attempts_own_is_not_taken(lab: Lab) -> None:
    def strange(job: Job) -> Iterator[Content]:
        if job.attempt == 1:
            yield begin(job)
            write(job, 2)
            yield Saved(2, Stamp(9, 2).key(job.number))
            yield Lost("its node is gone")
        yield from save(job)

    executor, _ = lab.run(strange)
    assert executor.jobs[1].checkpoint is None
    assert [e["report"] for e in lab.house.events("report_dropped")] == ["Saved"]


def test_a_damaged_checkpoint_is_set_aside_for_the_one_before(lab: Lab) -> None:
    stop_after(lab, 3)
    lab.store.write(Stamp(1, 3).key(0), sealed(3)[:-1])
    lab.move()
    executor, _ = lab.run(save)
    assert executor.jobs[0].checkpoint == sealed(2)
    assert [e["file"] for e in lab.house.events("checkpoint_damaged")] == [Stamp(1, 3).damaged_name]
    said = [s for s in lab.house.listener.sentences if "is damaged and was set aside as" in s]
    assert len(said) == 1
    assert lab.root in said[0]


def test_checkpoints_of_a_time_without_a_store_are_gone_on_from(lab: Lab) -> None:
    def two_epochs(job: Job) -> Iterator[Content]:
        lab.house.stop.raise_()
        yield begin(job)
        for epoch in (1, 2):
            yield Epoch(row(epoch, 0.5), 0.5, 1, 1)
            yield Checkpoint(epoch, sealed(epoch))
        yield Stopped(2)

    first = Scripted(two_epochs, slots=1)
    first.stop = lambda number: None  # type: ignore[method-assign]
    assert lab.house.run(first, 1) is Outcome.STOPPED
    lab.house.restarted()
    executor, outcome = lab.run(lost_from_second_on)
    assert outcome is Outcome.COMPLETE
    assert [job.checkpoint for job in executor.jobs] == [sealed(2), sealed(3)]
    assert not lab.house.folder.trial(0).checkpoints()


def lost_from_second_on(job: Job) -> Iterator[Content]:
    started = begin(job)
    yield started
    yield from save_epochs(job, started.epoch + 1)
    if job.attempt == 2:
        yield Lost("its node is gone")
    yield result_of(job)


def test_what_a_killed_worker_left_is_removed_with_the_checkpoints(lab: Lab) -> None:
    def killed(job: Job) -> Iterator[Content]:
        lab.store.write(f"trials/{job.number}/checkpoint-1-1.pt.0123.part", b"half")
        lab.store.write(f"trials/{job.number}/{Stamp(1, 2).damaged_name}", b"evidence")
        yield from save(job)

    lab.run(killed)
    assert results(lab.store, 0) == WHOLE | {Stamp(1, 2).damaged_name}


def test_only_the_best_networks_stay_in_the_store(lab: Lab) -> None:
    _, outcome = lab.run(save, wanted=7)
    assert outcome is Outcome.COMPLETE
    kept = {n for n in range(7) if "best.pt" in results(lab.store, n)}
    assert kept == {n for n in range(7) if lab.house.folder.trial(n).best.exists()}
    assert len(kept) == 5


# --- a store out of reach ------------------------------------------------------------------------


def through_the_coordinator(job: Job) -> Iterator[Content]:
    """A worker that cannot write to the store, from its second epoch on."""
    started = begin(job)
    yield started
    for epoch in range(started.epoch + 1, EPOCHS + 1):
        yield Epoch(row(epoch, 0.5), 0.5, 1, 1)
        yield write(job, epoch) if epoch == 1 else Checkpoint(epoch, sealed(epoch), REASON)
        if (job.attempt, epoch) == (1, 2):
            yield Lost("its node is gone")
    yield result_of(job)


def test_bytes_that_come_through_the_coordinator_are_as_good(lab: Lab) -> None:
    executor, outcome = lab.run(through_the_coordinator)
    assert outcome is Outcome.COMPLETE
    assert [job.checkpoint for job in executor.jobs] == [None, sealed(2)]
    told = [(e["epoch"], e["via"], e.get("reason")) for e in lab.house.events("checkpoint")]
    assert told == [(1, "store", None), (2, "coordinator", REASON), (3, "coordinator", REASON)]
    said = [s for s in lab.house.listener.sentences if REASON in s]
    assert len(said) == 1
    assert "its checkpoints come through the coordinator" in said[0]
    assert {path.name for path in lab.house.folder.trial(0).path.iterdir()} == WHOLE


def test_bytes_are_found_after_a_restart_beside_what_the_store_has(lab: Lab) -> None:
    def mixed(job: Job) -> Iterator[Content]:
        lab.house.stop.raise_()
        yield begin(job)
        yield write(job, 1)
        yield Checkpoint(2, sealed(2), REASON)
        yield Stopped(2)

    lab.run(mixed)
    assert lab.house.folder.trial(0).stamps() == {Stamp(1, 2)}
    lab.house.restarted()
    executor, _ = lab.run(save)
    assert executor.jobs[0].checkpoint == sealed(2)


def test_a_search_waits_for_a_store_that_holds_what_it_needs(
    folder_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = folder_lab
    stop_after(lab, 2)
    lab.house.restarted()
    out_of_reach(lab, monkeypatch, seconds=60)
    executor, outcome = lab.run(save)
    assert outcome is Outcome.COMPLETE
    assert [job.checkpoint for job in executor.jobs] == [sealed(2)], "it did not begin anew"
    said = lab.house.listener.sentences
    assert [s for s in said if s.startswith("The checkpoint store cannot be reached (no route")]
    assert [s for s in said if "there again" in s and s.endswith("the search goes on.")]
    (event,) = lab.house.events("store_lost")
    assert 60 <= event["seconds"] <= 70
    assert "paused" in lab.house.listener.states


def out_of_reach(lab: Lab, patch: pytest.MonkeyPatch, seconds: float) -> None:
    """For so long nothing can be listed."""
    listed, until = CheckpointStore.keys, lab.house.clock.now() + seconds

    def keys(store: CheckpointStore, under: str = "") -> list[str]:
        if under != "trials" and lab.house.clock.now() < until:
            raise StoreUnreachable(store=lab.root, reason=REASON)
        return listed(store, under)

    patch.setattr(CheckpointStore, "keys", keys)


def test_what_others_report_meanwhile_is_written_down(
    folder_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = folder_lab
    stop_after(lab, 2)
    lab.house.restarted()
    out_of_reach(lab, monkeypatch, seconds=1e9)
    with pytest.raises(StoreUnreachable) as met:
        lab.run(save, patience=30)
    assert met.value.exit_code == 5
    assert lab.house.clock.now() < 60
    assert lab.house.states() == ["RUNNING"], "it goes on with the next start"


def test_a_search_that_is_to_stop_does_not_wait_for_it(
    folder_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = folder_lab
    stop_after(lab, 2)
    lab.house.restarted()
    out_of_reach(lab, monkeypatch, seconds=PATIENCE)
    poll = Scripted.poll

    def polled(executor: Scripted, timeout: float) -> list[Arrival]:
        lab.house.stop.raise_()
        return poll(executor, timeout)

    monkeypatch.setattr(Scripted, "poll", polled)
    with pytest.raises(StoreUnreachable):
        lab.run(save)
    assert lab.house.clock.now() <= STOPPING_SECONDS + 10


def test_a_new_trial_needs_no_store(folder_lab: Lab) -> None:
    lab = folder_lab
    with unmounted(Path(lab.root)):
        _, outcome = lab.run(train)
        assert list(Path(lab.root).iterdir()) == [], "nothing was written where no mount is"
    assert outcome is Outcome.COMPLETE
    said = " ".join(lab.house.listener.sentences)
    assert "Until then results are kept in the home folder only." in said
    assert "Not all results could be copied" in said
    lab.house.restarted()
    lab.run(save, wanted=2)
    assert results(lab.store, 0) == WHOLE, "the next start copies what was left"


def test_results_are_copied_once_the_store_is_back(
    folder_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = folder_lab
    monkeypatch.setattr(mirror_module, "CLOSING_SECONDS", 20.0)
    monkeypatch.setattr(mirror_module, "FIRST_DELAY", 0.01)
    written, failures = CheckpointStore.write, [0]

    def write_later(store: CheckpointStore, key: str, data: bytes) -> None:
        failures[0] += 1
        if failures[0] < 5:
            raise StoreUnreachable(store=lab.root, reason=REASON)
        written(store, key, data)

    monkeypatch.setattr(CheckpointStore, "write", write_later)
    _, outcome = lab.run(train)
    assert outcome is Outcome.COMPLETE
    assert results(lab.store, 0) == WHOLE
    assert lab.house.listener.sentences[-1].startswith("The checkpoint store is there again")


def test_the_storage_may_fail_as_well(folder_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """One obstacle after the other."""
    lab = folder_lab
    stop_after(lab, 2)
    lab.house.restarted()
    out_of_reach(lab, monkeypatch, seconds=30)
    states, calls = lab.house.ledger.records, [0]

    def records() -> object:
        calls[0] += 1
        if calls[0] == 3:
            raise StorageUnreachable(storage="somewhere", reason="gone")
        return states()

    monkeypatch.setattr(lab.house.ledger, "records", records)
    executor, outcome = lab.run(save)
    assert outcome is Outcome.COMPLETE
    assert executor.jobs[0].checkpoint == sealed(2)
