"""What a worker executes whose checkpoints go to a store."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from fre_hpo.study.spec import Spec
from fre_hpo.study.store import StoreAddress
from fre_hpo.trial import (
    Checkpoint,
    Epoch,
    Job,
    Report,
    Result,
    Saved,
    Started,
    StopFlag,
    Stopped,
    run,
)
from stored import STUDY_ID, opened
from trials import curve, drawn_data, ended, result, small_job, small_spec


@pytest.fixture
def spec() -> Spec:
    return small_spec("fre", {"training.checkpoint_seconds": 0})


@pytest.fixture
def job(spec: Spec, tmp_path: Path) -> Job:
    address = StoreAddress(str(tmp_path), STUDY_ID)
    return replace(small_job(spec, number=3), store=address)


def reports(job: Job, stop: StopFlag | None = None) -> list[Report]:
    return list(run(job, drawn_data(job.spec), stop or StopFlag()))


def test_checkpoints_go_to_the_store_and_only_their_keys_are_reported(
    job: Job, tmp_path: Path
) -> None:
    store = opened(str(tmp_path))
    found = reports(job)
    kinds = [Started, Epoch, Saved, Epoch, Saved, Epoch, Result]
    assert [type(report) for report in found] == kinds
    keys = [report.key for report in found if isinstance(report, Saved)]
    assert keys == ["trials/3/checkpoint-1-1.pt", "trials/3/checkpoint-1-2.pt"]
    assert store.keys("trials") == keys


def test_a_trial_goes_on_from_what_lies_there_as_if_never_interrupted(
    job: Job, tmp_path: Path
) -> None:
    store = opened(str(tmp_path))
    reports(job)
    again = replace(job, attempt=2, checkpoint=store.read("trials/3/checkpoint-1-2.pt"))
    found = reports(again)
    assert isinstance(found[0], Started)
    assert found[0].epoch == 2
    whole = ended(list(run(replace(job, store=None), drawn_data(job.spec), StopFlag())))
    assert curve(ended(found)) == curve(whole) == curve(result(job.spec))


def test_a_stop_leaves_its_checkpoint_in_the_store(job: Job, tmp_path: Path) -> None:
    store, stop = opened(str(tmp_path)), StopFlag()
    stop.raise_()
    found = reports(job, stop)
    assert found[-2:] == [Saved(1, "trials/3/checkpoint-1-1.pt"), Stopped(1)]
    assert store.keys("trials") == ["trials/3/checkpoint-1-1.pt"]


def test_where_the_store_is_not_mounted_nothing_is_written_and_nothing_lost(
    job: Job, tmp_path: Path
) -> None:
    stop = StopFlag()
    stop.raise_()
    *_, kept, stopped = reports(job, stop)
    assert isinstance(kept, Checkpoint)
    assert stopped == Stopped(kept.epoch) == Stopped(1)
    assert "is it mounted" in (kept.reason or "")
    assert list(tmp_path.iterdir()) == []
    resumed = reports(replace(job, attempt=2, checkpoint=kept.data, store=None))
    assert curve(ended(resumed)) == curve(result(job.spec))


def test_the_address_travels_with_the_job(job: Job) -> None:
    copy = pickle.loads(pickle.dumps(job))
    assert copy.store == job.store
    report = pickle.loads(pickle.dumps(Saved(1, "trials/3/checkpoint-1-1.pt")))
    assert report == Saved(1, "trials/3/checkpoint-1-1.pt")
