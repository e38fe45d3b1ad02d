"""One contract for every place where workers may write checkpoints."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from fre_hpo.errors import BadStore, StoreUnreachable
from fre_hpo.study import store as store_module
from fre_hpo.study.fetching import fetch_results
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.shelf import open_shelf, root_of
from fre_hpo.study.store import CheckpointStore, StoreAddress, check_root
from stored import KINDS, STUDY_ID, LabFiles, LabObjects, opened, plain, results, store_root

KEY = "trials/3/checkpoint-1-40.pt"


@pytest.fixture(params=KINDS)
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return store_root(request.param, tmp_path, monkeypatch)


@pytest.fixture
def store(root: str) -> CheckpointStore:
    return opened(root)


class TestEveryStore:
    def test_gives_back_what_was_written(self, store: CheckpointStore) -> None:
        content = os.urandom(100_000)
        store.write(KEY, content)
        assert store.read(KEY) == content
        assert store.keys("trials/3") == [KEY]
        assert store.keys() == ["study.json", KEY]
        assert store.keys("trials/30") == []

    def test_is_seen_by_whoever_opens_it(self, root: str, store: CheckpointStore) -> None:
        other = StoreAddress(root, STUDY_ID).open()
        assert other.keys("trials/3") == []
        store.write(KEY, b"1")
        assert other.keys("trials/3") == [KEY]
        store.remove([KEY])
        assert other.keys("trials/3") == []
        assert other.read(KEY) is None

    def test_replaces_a_file_as_a_whole(self, store: CheckpointStore) -> None:
        store.write("events.jsonl", b"first, and longer")
        store.write("events.jsonl", b"second")
        assert store.read("events.jsonl") == b"second"
        assert store.keys() == ["events.jsonl", "study.json"]

    def test_a_file_that_was_never_finished_is_not_there(
        self, store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.write("events.jsonl", b"whole")

        def dies(*_: Any, **__: Any) -> None:
            raise OSError("cut off")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", dies)
            patch.setattr("stored.LabFiles.mv", dies)
            patch.setattr("stored.LabObjects.pipe_file", dies)
            for key in (KEY, "events.jsonl"):
                with pytest.raises(StoreUnreachable, match="cut off"):
                    store.write(key, b"half")
        assert store.keys() == ["events.jsonl", "study.json"]
        assert store.read("events.jsonl") == b"whole"

    def test_what_is_not_there_can_be_asked_for_and_removed(self, store: CheckpointStore) -> None:
        assert store.read(KEY) is None
        store.remove([KEY, "trials/9/best.pt"])
        store.write(KEY, b"1")
        store.move(KEY, "trials/3/checkpoint-1-40.damaged.pt")
        assert store.keys("trials/3") == ["trials/3/checkpoint-1-40.damaged.pt"]

    def test_studies_do_not_see_one_another(self, root: str, store: CheckpointStore) -> None:
        other = opened(root, "6" * 32)
        store.write(KEY, b"ours")
        other.write(KEY, b"theirs")
        assert store.read(KEY) == b"ours"
        store.clear()
        assert not store.is_marked()
        with pytest.raises(StoreUnreachable, match="is it mounted"):
            store.clear()
        assert other.keys() == ["study.json", KEY]

    def test_one_without_the_studys_mark_is_out_of_reach(self, root: str) -> None:
        """An unmounted folder must neither look empty nor be written to."""
        store = StoreAddress(root, STUDY_ID).open()
        assert not store.is_marked()
        for call in (store.keys, lambda: store.write(KEY, b"1")):
            with pytest.raises(StoreUnreachable, match=r"holds no 5+/study\.json: is it mounted"):
                call()
        store.mark("cells")
        assert store.keys() == ["study.json"]

    def test_is_tried_out_without_a_trace(self, root: str, store: CheckpointStore) -> None:
        check_root(root)
        shelf = open_shelf(root)
        assert [key for key in shelf.keys(STUDY_ID) if "fre-hpo" in key] == []
        assert not [key for key in _all_files(root) if ".fre-hpo" in key]

    def test_one_that_hangs_is_not_waited_for(
        self, store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store._shelf, "exists", lambda key: time.sleep(2))
        monkeypatch.setattr(store_module.CheckpointStore._reach, "__defaults__", (0.05,))
        began = time.monotonic()
        with pytest.raises(StoreUnreachable, match=r"no answer within 0\.05 s"):
            store.keys()
        assert time.monotonic() - began < 1

    def test_whatever_fails_is_told_in_one_line(
        self, store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class BackEndError(Exception):
            """Object stores' clients have errors of their own."""

        def fails(key: str) -> bytes:
            raise BackEndError("no route to it.\nTraceback of a kind")

        monkeypatch.setattr(store._shelf, "read", fails)
        with pytest.raises(StoreUnreachable, match=r"reached \(no route to it\): check"):
            store.read(KEY)

    def test_results_come_back_and_nothing_twice(
        self, store: CheckpointStore, tmp_path: Path
    ) -> None:
        for name in ("curve.csv", "outcome.json", "best.pt"):
            store.write(f"trials/0/{name}", name.encode())
        store.write("trials/0/checkpoint-1-4.pt", b"not needed any more")
        store.write("trials/1/checkpoint-1-4.pt", b"read by whoever goes on")
        store.write("events.jsonl", b'{"time": "1", "event": "there"}\n')
        folder = StudyFolder(tmp_path / "home")
        assert fetch_results(store, folder) == 3
        assert set(plain(folder.trial(0))) == {"curve.csv", "outcome.json", "best.pt"}
        assert not folder.trial(1).path.exists()
        assert fetch_results(store, folder) == 0
        assert folder.events.read_bytes() == b'{"time": "1", "event": "there"}\n'

    def test_a_trial_that_ended_elsewhere_replaces_what_is_older_here(
        self, store: CheckpointStore, tmp_path: Path
    ) -> None:
        folder = StudyFolder(tmp_path / "home")
        folder.trial(0).write_curve(["epoch"], [[1]])
        folder.trial(1).write_curve(["epoch"], [[1]])
        folder.trial(1).save_outcome({"miou": 0.5})
        for number in (0, 1):
            store.write(f"trials/{number}/curve.csv", b"epoch\n1\n2\n")
            store.write(f"trials/{number}/outcome.json", b"{}")
            store.write(f"trials/{number}/picture.png", b"picture")
        assert fetch_results(store, folder) == 4
        assert folder.trial(0).curve.read_bytes() == b"epoch\n1\n2\n"
        assert folder.trial(1).curve.read_bytes() == b"epoch\n1\n"
        assert folder.trial(1).load_outcome() == {"miou": 0.5}

    def test_a_file_name_from_outside_is_no_path(
        self, store: CheckpointStore, tmp_path: Path
    ) -> None:
        store.write("trials/0/evil.sh", b"1")
        store.write("trials/0/more/best.pt", b"1")
        assert fetch_results(store, StudyFolder(tmp_path / "home")) == 0


def test_a_server_that_does_not_rename_onto_a_file_is_helped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(store_root("files", tmp_path, monkeypatch))
    rename = LabFiles.mv

    def careful(files: LabFiles, path: str, to: str) -> None:
        if files.exists(to):
            raise FileExistsError(to)
        rename(files, path, to)

    monkeypatch.setattr(LabFiles, "mv", careful)
    store.write("events.jsonl", b"first")
    store.write("events.jsonl", b"second")
    assert store.read("events.jsonl") == b"second"


def _all_files(root: str) -> list[str]:
    if root.startswith("labobjects"):
        return list(LabObjects.store)
    return [str(path) for path in Path(root.removeprefix("labfiles://")).rglob("*")]


def test_a_key_that_the_store_lists_belongs_to_its_trial(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    store = opened(str(tmp_path / "store"))
    for number in (1, 11):
        store.write(f"trials/{number}/best.pt", b"1")
    assert results(store, 1) == {"best.pt"}
    assert store.keys("trials/1") == ["trials/1/best.pt"]


# --- what cannot be used -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("s3://key:secret@bucket/x", "a URL must hold no password"),
        ("s3://key:sec/ret@bucket/x", "a URL must hold no password"),
        ("s3://bucket/x?aws_secret=hush-hush", "a URL must hold no password"),
        ("file://relative", "write three slashes"),
    ],
)
def test_a_url_that_cannot_mean_anything_is_refused(named: str, reason: str) -> None:
    with pytest.raises(BadStore, match=reason) as refused:
        root_of(named)
    assert refused.value.exit_code == 2
    for secret in ("secret", "ret@", "hush"):
        assert secret not in str(refused.value).replace("AWS_SECRET", "")


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("s4://bucket/x", r"knows no s4:// \(known are abfs, az, "),
        ("memory://x", "ends with the process"),
        ("simplecache::file:///x", "fsspec knows no simplecache::file"),
    ],
)
def test_a_scheme_that_cannot_be_used_is_refused(named: str, reason: str) -> None:
    with pytest.raises(BadStore, match=reason):
        check_root(root_of(named))


def test_a_back_end_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.get_filesystem_class", missing)
    with pytest.raises(BadStore, match="`pip install s3fs` on every machine"):
        check_root("s3://bucket/x")


def test_a_folder_that_is_not_there_or_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    for place in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(BadStore, match="there is no such folder: create it, or mount it"):
            check_root(str(place))
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), "it cannot be written: Permission denied"),
        (OSError(30, "Read-only file system"), "it cannot be written: Read-only file system"),
        (FileNotFoundError("The specified bucket does not exist"), "no such bucket or folder"),
        (NotImplementedError(), "it cannot be written: NotImplementedError"),
    ],
)
def test_one_that_can_never_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    root = store_root("objects", tmp_path, monkeypatch)

    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(LabObjects, "pipe_file", fails)
    with pytest.raises(BadStore, match=reason):
        check_root(root)


def test_one_that_does_not_answer_may_another_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = store_root("objects", tmp_path, monkeypatch)

    def fails(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(LabObjects, "pipe_file", fails)
    with pytest.raises(StoreUnreachable, match="Connection refused") as met:
        check_root(root)
    assert met.value.exit_code == 5


def test_a_plain_name_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert root_of("store") == root_of(f"file://{tmp_path}/store") == str(tmp_path / "store")
    assert root_of("s3://bucket/lab/") == "s3://bucket/lab"
