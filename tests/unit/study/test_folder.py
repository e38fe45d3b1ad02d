"""A study's folder: never half a file, whatever dies when."""

from __future__ import annotations

import errno
import io
import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fre_hpo.errors import DiskFull
from fre_hpo.study.folder import StudyFolder, TrialFolder, write_atomically
from fre_hpo.study.stamp import Stamp

HEADER = ["epoch", "loss", "miou"]


@pytest.fixture
def trial(tmp_path: Path) -> TrialFolder:
    return StudyFolder(tmp_path / "studies" / "mouse-fre").trial(7)


def names(folder: TrialFolder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir())


# --- whole files ---------------------------------------------------------------------------------


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "best.pt"
    write_atomically(path, b"first, and longer")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert [entry.name for entry in path.parent.iterdir()] == ["best.pt"]


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_what_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    path = tmp_path / "best.pt"
    write_atomically(path, b"old")

    def full_disk(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, function, full_disk)
    monkeypatch.setattr(Path, "replace", full_disk if function == "replace" else Path.replace)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["best.pt"]


# --- checkpoints ---------------------------------------------------------------------------------


def contents(trial: TrialFolder) -> list[bytes]:
    return [path.read_bytes() for path in trial.checkpoints()]


def test_the_newest_checkpoint_comes_first_and_one_more_is_kept(trial: TrialFolder) -> None:
    assert contents(trial) == []
    for data in (b"epoch 1", b"epoch 2", b"epoch 3"):
        trial.save_checkpoint(data)
    assert contents(trial) == [b"epoch 3", b"epoch 2"]
    assert names(trial) == ["checkpoint.previous.pt", "checkpoint.pt"]


def test_a_checkpoint_that_was_never_finished_leaves_the_one_before(
    trial: TrialFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.save_checkpoint(b"epoch 1")
    trial.save_checkpoint(b"epoch 2")

    def power_loss(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", power_loss)
        with pytest.raises(KeyboardInterrupt):
            trial.save_checkpoint(b"epoch 3")
    assert contents(trial) == [b"epoch 2", b"epoch 1"]
    trial.save_checkpoint(b"epoch 3 again")
    assert contents(trial) == [b"epoch 3 again", b"epoch 2"]


def test_a_checkpoint_set_aside_takes_no_place(trial: TrialFolder) -> None:
    trial.save_checkpoint(b"good")
    trial.save_checkpoint(b"damaged")
    trial.set_aside(trial.checkpoint)
    assert contents(trial) == [b"good"]
    trial.save_checkpoint(b"newer")
    assert contents(trial) == [b"newer", b"good"]


def test_checkpoints_are_dropped_and_the_rest_stays(trial: TrialFolder) -> None:
    trial.save_checkpoint(b"1")
    trial.save_checkpoint(b"2")
    trial.save_result(b"network", ["a.png"], [[[1, 2], [3, 4]]])
    trial.drop_checkpoints()
    trial.drop_checkpoints()
    assert contents(trial) == []
    assert names(trial) == ["best.pt", "confusion.json"]


def test_the_result_is_readable_without_us(trial: TrialFolder) -> None:
    trial.save_result(b"network", ["a.png", "b.png"], [[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
    assert trial.best.read_bytes() == b"network"
    assert json.loads(trial.confusion.read_text()) == {
        "split": "validation",
        "sources": ["a.png", "b.png"],
        "confusion": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]],
    }


def test_checkpoints_with_a_stamp_go_with_the_others(trial: TrialFolder) -> None:
    trial.save_checkpoint(b"of a time without a store")
    for stamp in (Stamp(1, 8), Stamp(2, 3), Stamp(2, 4)):
        trial.save_stamped(stamp, stamp.name.encode())
    assert trial.stamps() == {Stamp(1, 8), Stamp(2, 3), Stamp(2, 4)}
    trial.drop_checkpoints(but={Stamp(2, 3), Stamp(2, 4)})
    assert names(trial) == ["checkpoint-2-3.pt", "checkpoint-2-4.pt"]
    trial.drop_checkpoints()
    assert names(trial) == []


def test_the_results_are_listed_and_the_outcome_comes_last(trial: TrialFolder) -> None:
    assert trial.results() == []
    trial.save_outcome({"miou": 0.5})
    trial.save_result(b"network", ["a.png"], [[[1, 2], [3, 4]]])
    trial.save_checkpoint(b"1")
    assert [path.name for path in trial.results()] == ["confusion.json", "best.pt", "outcome.json"]


# --- curves --------------------------------------------------------------------------------------


def test_a_curve_grows_row_by_row(trial: TrialFolder) -> None:
    assert trial.read_curve() == []
    trial.cut_curve(HEADER, 0)
    trial.append_curve([1, 0.5, ""])
    trial.append_curve([2, 1e-07, 0.25])
    assert trial.curve.read_text() == "epoch,loss,miou\n1,0.5,\n2,1e-07,0.25\n"
    assert trial.read_curve() == [
        {"epoch": "1", "loss": "0.5", "miou": ""},
        {"epoch": "2", "loss": "1e-07", "miou": "0.25"},
    ]


def test_a_resumed_trial_goes_on_where_its_checkpoint_is(trial: TrialFolder) -> None:
    trial.write_curve(HEADER, [[epoch, 0.5, 0.25] for epoch in range(1, 6)])
    trial.cut_curve(HEADER, 3)
    trial.append_curve([4, 0.1, 0.9])
    assert [row["epoch"] for row in trial.read_curve()] == ["1", "2", "3", "4"]
    assert trial.read_curve()[3]["miou"] == "0.9"


@pytest.mark.parametrize("torn", ["3", "3,0.", "3,0.5,0.2"])
def test_a_torn_line_is_not_read_and_goes_away(trial: TrialFolder, torn: str) -> None:
    trial.write_curve(HEADER, [[1, 0.5, 0.25], [2, 0.5, 0.25]])
    with trial.curve.open("a") as file:
        file.write(torn)
    assert [row["epoch"] for row in trial.read_curve()] == ["1", "2"]
    trial.cut_curve(HEADER, 2)
    trial.append_curve([3, 0.5, 0.5])
    assert [row["epoch"] for row in trial.read_curve()] == ["1", "2", "3"]


def test_a_torn_header_is_an_empty_curve(trial: TrialFolder) -> None:
    trial.path.mkdir(parents=True)
    trial.curve.write_text("epoch,lo")
    assert trial.read_curve() == []


# --- events --------------------------------------------------------------------------------------


def test_events_are_lines_of_json_with_the_time(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "studies" / "mouse-fre")
    folder.log("study_started", wanted=50)
    folder.log("epoch", trial=3, attempt=1, epoch=12, worker="node:1", pid=99)
    first, second = map(json.loads, folder.events.read_text().splitlines())
    assert datetime.fromisoformat(first.pop("time")).utcoffset() == timedelta(0)
    assert first == {"event": "study_started", "wanted": 50}
    assert {k: second[k] for k in ("event", "trial", "epoch")} == {
        "event": "epoch",
        "trial": 3,
        "epoch": 12,
    }


def test_a_study_is_deleted_with_all_its_trials(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "studies" / "mouse-fre")
    folder.log("study_started")
    folder.trial(0).save_checkpoint(b"1")
    StudyFolder(tmp_path / "studies" / "other").log("study_started")
    folder.delete()
    folder.delete()
    assert [path.name for path in (tmp_path / "studies").iterdir()] == ["other"]


def test_a_cut_line_of_the_event_log_stays_alone(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    folder.log("one")
    with folder.events.open("ab") as file:
        file.write(b'{"time": "2026')
    folder.log("two", trial=3)
    lines = folder.events.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert json.loads(lines[2])["trial"] == 3


def log_line(second: int, event: str) -> str:
    return f'{{"time": "2026-01-01T00:00:{second:02}.000+00:00", "event": "{event}"}}\n'


def test_a_log_that_was_kept_elsewhere_is_merged_by_its_times(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    common = log_line(1, "study_started") + log_line(2, "b") + log_line(2, "a")
    folder.events.write_text(common + log_line(3, "ours") + log_line(9, "study_started"))
    theirs = common + log_line(4, "theirs")
    folder.add_events(theirs.encode())
    folder.add_events(theirs.encode())
    events = [json.loads(line)["event"] for line in folder.events.read_text().splitlines()]
    assert events == ["study_started", "b", "a", "ours", "theirs", "study_started"]
    empty = StudyFolder(tmp_path / "empty")
    empty.add_events(b"")
    assert not empty.events.exists()
    empty.add_events(theirs.encode())
    assert empty.events.read_text() == theirs


# --- a full disk ---------------------------------------------------------------------------------


class Disk:
    """While it is full, half of what is appended to a file fits: the rest fails, or is left out."""

    def __init__(self, patch: pytest.MonkeyPatch, *, fails: bool) -> None:
        self.full = True
        disk, path_open = self, Path.open

        class File(io.FileIO):
            def write(self, data: Any) -> int:
                written = super().write(bytes(data)[: len(data) // 2] if disk.full else data)
                if disk.full and fails:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return written

        def opened(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            return File(path, mode) if mode == "ab+" else path_open(path, mode, *args, **kwargs)

        patch.setattr(Path, "open", opened)


@pytest.fixture(params=[True, False], ids=["fails", "is cut short"])
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch, fails=request.param)


def test_an_event_that_does_not_fit_leaves_no_torn_line(tmp_path: Path, disk: Disk) -> None:
    folder = StudyFolder(tmp_path)
    folder.events.write_bytes(b'{"event": "one"}\n')
    for _ in range(3):
        with pytest.raises(DiskFull, match=r"events\.jsonl cannot be written"):
            folder.log("two")
        assert folder.events.read_bytes() == b'{"event": "one"}\n'
    disk.full = False
    folder.log("two")
    lines = folder.events.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["one", "two"]


def test_an_epoch_that_does_not_fit_leaves_no_torn_line(trial: TrialFolder, disk: Disk) -> None:
    trial.path.mkdir(parents=True)
    trial.curve.write_bytes(b"epoch,loss,miou\n1,0.5,0.5\n")
    with pytest.raises(DiskFull, match=r"curve\.csv"):
        trial.append_curve([2, 0.5, 0.5])
    assert trial.curve.read_bytes() == b"epoch,loss,miou\n1,0.5,0.5\n"
    disk.full = False
    trial.append_curve([2, 0.5, 0.5])
    assert trial.curve.read_bytes() == b"epoch,loss,miou\n1,0.5,0.5\n2,0.5,0.5\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_file_that_does_not_fit_leaves_the_old_one(
    trial: TrialFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    trial.save_checkpoint(b"epoch 1")
    trial.save_checkpoint(b"epoch 2")
    trial.write_curve(HEADER, [[1, 0.5, 0.5]])
    trial.save_outcome({"miou": 0.5})
    before = {path: path.read_bytes() for path in trial.path.iterdir()}

    def full_disk(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full_disk)
    for write in (
        lambda: trial.save_checkpoint(b"epoch 3"),
        lambda: trial.write_curve(HEADER, []),
        lambda: trial.cut_curve(HEADER, 0),
        lambda: trial.save_outcome({"miou": 0.6}),
        lambda: trial.save_result(b"network", ["a.png"], [[[1, 2], [3, 4]]]),
    ):
        with pytest.raises(DiskFull):
            write()
    assert {path: path.read_bytes() for path in trial.path.iterdir()} == before


def test_any_other_error_of_the_disk_stays_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        write_atomically(tmp_path / "best.pt", b"network")


# --- what may be called again --------------------------------------------------------------------


def test_an_epoch_that_was_written_already_is_not_repeated(trial: TrialFolder) -> None:
    trial.cut_curve(HEADER, 0)
    for epoch in (1, 1, 2, 2, 11, 1):
        trial.append_curve([epoch, 0.5, 0.5])
    assert [row["epoch"] for row in trial.read_curve()] == ["1", "2", "11", "1"]


def test_what_a_trial_came_to_is_read_back(trial: TrialFolder) -> None:
    assert trial.load_outcome() is None
    trial.save_outcome({"miou": 0.5, "class_iou": {"nucleus": None}})
    assert trial.load_outcome() == {"miou": 0.5, "class_iou": {"nucleus": None}}


def test_a_folder_tells_its_study_and_its_size(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "studies" / "mouse-fre")
    assert (folder.identity, folder.size()) == (None, 0)
    folder.identify("0" * 32, "sqlite:///fre-hpo.db")
    assert folder.identity == {"id": "0" * 32, "storage": "sqlite:///fre-hpo.db"}
    before = folder.size()
    folder.trial(0).save_checkpoint(b"12345678")
    assert folder.size() == before + 8
