"""The file of an archive: whole or not there, and refused where it is not what it says."""

from __future__ import annotations

import errno
import json
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from fre_hpo.errors import BadArchive, CannotWrite, DiskFull, FileInTheWay
from fre_hpo.service.archive_file import writing
from fre_hpo.service.archive_reader import ArchiveReader

TEXTS = {
    "README.txt": b"read me",
    "study.db": b"rows" * 999,
    "readings.json": b"{}",
    "recipe.toml": b"",
}
FILES = {**TEXTS, "events.jsonl": b"{}\n", "trials/12/best.pt": bytes(range(256)) * 99}


def write(path: Path, files: Mapping[str, bytes] = FILES, *, force: bool = False) -> Path:
    with writing(path, "cells", force=force) as writer:
        for name, content in files.items():
            writer.add(name, content)
        writer.finish({"id": "i", "versions": {"fre-hpo": "0.1.0"}})
    return path


def rewrite(path: Path, change: Callable[[dict[str, bytes], dict[str, Any]], None]) -> Path:
    """The archive as somebody else makes it: entries by name, and the manifest."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(entries.pop("cells/manifest.json"))
    change(entries, manifest)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        archive.writestr("cells/manifest.json", json.dumps(manifest))
    return path


def problems(path: Path) -> list[str]:
    with ArchiveReader(path) as archive:
        return [str(problem) for problem in archive.problems()]


def inside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- writing --------------------------------------------------------------------------------------


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "cells.zip")
    assert problems(path) == []
    with ArchiveReader(path) as archive:
        assert archive.study == "cells"
        assert {name: archive.read(name) for name in archive.files} == FILES
        assert archive.of_folder() == ["events.jsonl", "trials/12/best.pt"]
        archive.extract("trials/12/best.pt", tmp_path / "a" / "best.pt")
    assert (tmp_path / "a" / "best.pt").read_bytes() == FILES["trials/12/best.pt"]
    with zipfile.ZipFile(path) as archive:
        packed = {i.filename.rpartition("/")[2]: i.compress_type for i in archive.infolist()}
        assert packed["best.pt"] == zipfile.ZIP_STORED
        assert packed["study.db"] == zipfile.ZIP_DEFLATED
        assert archive.testzip() is None
    assert inside(tmp_path) == ["a", "cells.zip"]


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "cells.zip"
    path.write_text("mine")
    with pytest.raises(FileInTheWay, match="replace it with --force"):
        write(path)
    assert path.read_text() == "mine"
    write(path, force=True)
    assert problems(path) == []
    with pytest.raises(FileInTheWay, match="is a folder"):
        write(tmp_path, force=True)


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "cells.zip"
    with pytest.raises(FileInTheWay), writing(path, "cells", force=False):
        path.write_text("mine")
    assert path.read_text() == "mine"
    assert inside(tmp_path) == ["cells.zip"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), DiskFull),
        (OSError(errno.EIO, "Input/output error"), CannotWrite),
    ],
)
def test_a_disk_that_fails_leaves_what_was_there(
    error: OSError, expected: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "cells.zip")
    before = path.read_bytes()

    def fail(descriptor: int) -> None:
        raise error

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(expected, match=r"cells\.zip cannot be written"):
        write(path, {**FILES, "events.jsonl": b"more\n"}, force=True)
    assert path.read_bytes() == before
    assert inside(tmp_path) == ["cells.zip"]


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """What cannot be written at the end of a full disk, the system says at any write."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    path = tmp_path / "cells.zip"
    path.with_name("cells.zip.part").symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        write(path, {**FILES, "trials/1/best.pt": b"." * 3_000_000})
    assert inside(tmp_path) == []


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="No such file or directory"):
        write(tmp_path / "nowhere" / "cells.zip")


def copied(source: Path, *, whole_lines: bool = False) -> bytes:
    out = source.with_name("out.zip")
    with writing(out, "cells", force=True) as writer:
        assert writer.copy("events.jsonl", source, whole_lines=whole_lines)
        writer.finish({})
    with ArchiveReader(out) as archive:
        return archive.read("events.jsonl")


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (b"", b""),
        (b"a", b""),
        (b"a\n", b"a\n"),
        (b"a\nb", b"a\n"),
        (b"a\n" + b"b" * 3_000_000, b"a\n"),
        (b"a" * 3_000_000, b""),
        (b"a" * 3_000_000 + b"\nb\n", b"a" * 3_000_000 + b"\nb\n"),
    ],
)
def test_of_a_log_only_whole_lines_are_taken(text: bytes, whole: bytes, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(text)
    assert copied(log, whole_lines=True) == whole
    assert copied(log) == text


def test_a_file_that_is_replaced_meanwhile_is_one_of_the_two(tmp_path: Path) -> None:
    """As the coordinator replaces a checkpoint while it is being archived."""
    path, done = tmp_path / "checkpoint.pt", threading.Event()
    path.write_bytes(b"0" * 2_000_000)

    def replace() -> None:
        count = 0
        while not done.is_set():
            count += 1
            path.with_name("part").write_bytes(f"{count % 10}".encode() * (1_000_000 + count))
            path.with_name("part").replace(path)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        found = [copied(path) for _ in range(20)]
    finally:
        done.set()
        thread.join()
    assert all(len(set(content)) == 1 for content in found)
    assert len(set(found)) > 1


def test_a_file_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    with writing(tmp_path / "cells.zip", "cells", force=False) as writer:
        assert not writer.copy("trials/0/best.pt", tmp_path / "nowhere")
        assert writer.files == {}


# --- reading --------------------------------------------------------------------------------------


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    path = tmp_path / "cells.zip"
    with pytest.raises(BadArchive, match="no such file"):
        ArchiveReader(path)
    path.write_bytes(b"")
    with pytest.raises(BadArchive, match="not a ZIP file"):
        ArchiveReader(path)
    with pytest.raises(BadArchive, match="not a ZIP file"):
        ArchiveReader(tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.jpg", b"sea")
    with pytest.raises(BadArchive, match="it holds no study"):
        ArchiveReader(path)


def test_a_file_that_was_cut_short_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "cells.zip")
    whole = path.read_bytes()
    for size in range(1, len(whole), len(whole) // 7):
        path.write_bytes(whole[:size])
        with pytest.raises(BadArchive, match="not the whole of one"):
            ArchiveReader(path)


def test_any_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """In whatever place: the content, the names, the lengths, the manifest."""
    path = write(tmp_path / "cells.zip", {**TEXTS, "trials/0/best.pt": b"weights" * 9})
    whole = path.read_bytes()
    unnoticed = []
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            with ArchiveReader(path) as archive:
                fine = not archive.problems() and archive.study == "cells"
                same = fine and {n: archive.read(n) for n in archive.files} == dict(
                    TEXTS, **{"trials/0/best.pt": b"weights" * 9}
                )
        except BadArchive:
            continue
        if fine and not same:
            unnoticed.append(place)
    assert unnoticed == []


def test_an_archive_that_was_packed_again_by_hand_is_one(tmp_path: Path) -> None:
    """Other programs pack otherwise, name folders, and may leave the outer one away."""
    path = write(tmp_path / "cells.zip")
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.mkdir("trials")
        for name, content in entries.items():
            archive.writestr(name.removeprefix("cells/"), content)
    assert problems(path) == []


@pytest.mark.parametrize(
    "name",
    [
        "../outside.txt",
        "/etc/cron.d/evil",
        "trials/../../outside",
        "trials/0/../../../x",
        "trials\\0\\best.pt",
        "trials/0/evil.py",
        "trials/0/deeper/best.pt",
        "trials//best.pt",
        "trials/\N{ARABIC-INDIC DIGIT ONE}/best.pt",
        "study.json",
        ".restoring",
        "trials/0/best.pt\n",
    ],
)
def test_a_file_that_no_study_has_is_refused(name: str, tmp_path: Path) -> None:
    def add(entries: dict[str, bytes], manifest: dict[str, Any]) -> None:
        entries[f"cells/{name}"] = b"evil"
        manifest["files"][name] = {
            "bytes": 4,
            "sha256": "4ba51e5ab3d8c2e1b8a9f3a7d2c2ac8d7ce7dd2d6b9dbf7c4f9ab6fc1a8e3c43",
        }

    (*_, last) = problems(rewrite(write(tmp_path / "cells.zip"), add))
    assert "no file of a study" in last


def test_what_is_damaged_missing_or_strange_is_told_at_once(tmp_path: Path) -> None:
    def spoil(entries: dict[str, bytes], manifest: dict[str, Any]) -> None:
        for number in range(5):
            name = f"trials/{number}/best.pt"
            entries[f"cells/{name}"] = b"other"
            manifest["files"][name] = {"bytes": 5, "sha256": "0" * 64}
        del entries["cells/study.db"]
        entries["cells/virus.exe"] = b""
        manifest["files"]["trials/12/best.pt"] = "no facts"
        del manifest["files"]["trials/12/best.pt"], entries["cells/trials/12/best.pt"]

    damaged, missing, strange = problems(rewrite(write(tmp_path / "cells.zip"), spoil))
    assert (
        "trials/0/best.pt, trials/1/best.pt, trials/2/best.pt and 2 more files are damaged"
        in damaged
    )
    assert "(study.db is missing)" in missing
    assert "(cells/virus.exe is no file of a study)" in strange


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "cells.zip")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("cells/study.db", b"other rows")
    assert any("cells/study.db is no file of a study" in problem for problem in problems(path))


def test_a_length_that_is_not_the_manifests_is_damage(tmp_path: Path) -> None:
    """A small file that unpacks to a large one is not unpacked at all."""

    def bomb(entries: dict[str, bytes], manifest: dict[str, Any]) -> None:
        entries["cells/trials/12/best.pt"] = bytes(50_000_000)

    (problem,) = problems(rewrite(write(tmp_path / "cells.zip"), bomb))
    assert "(trials/12/best.pt is damaged)" in problem


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda m: m.update(version=2),
            "written by fre-hpo 0.1.0, in a newer form): update fre-hpo",
        ),
        (lambda m: m.update(format="x"), "not one of fre-hpo"),
        (lambda m: m.update(files=[]), "not one of fre-hpo"),
        (lambda m: m.update(files={"a": 1}), "not one of fre-hpo"),
        (lambda m: m.update(study=["x"]), "not one of fre-hpo"),
        (lambda m: m.pop("study"), r"manifest.json is damaged"),
        (lambda m: m.update(version="1"), r"manifest.json is damaged"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_told(
    change: Callable[[dict[str, Any]], None], said: str, tmp_path: Path
) -> None:
    path = rewrite(write(tmp_path / "cells.zip"), lambda entries, manifest: change(manifest))
    with pytest.raises(BadArchive) as caught:
        ArchiveReader(path)
    assert said in str(caught.value)
