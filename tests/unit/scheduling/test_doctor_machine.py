"""Software, cores, memory, limits, disks, folders: the verdicts on what was seen."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import fre_hpo
from fre_hpo.scheduling.doctor import folders, hardware
from fre_hpo.scheduling.doctor.disks import (
    Disk,
    is_network,
    kind_of,
    look_at_disk,
    memory_size,
    size,
)
from fre_hpo.scheduling.doctor.folders import (
    ROOM_NEEDED,
    Home,
    judge_folders,
    judge_home,
    judge_token,
    look_at_folders,
    look_at_token,
)
from fre_hpo.scheduling.doctor.hardware import Hardware, judge_hardware, look_at_hardware
from fre_hpo.scheduling.doctor.software import (
    Software,
    judge_software,
    judge_versions_of_node,
    look_at_software,
)

GIB = 2**30
WANTED = {"python": ">=3.11", "torch": "<3,>=2.8", "ray": "<3,>=2.60", "optuna": "<6,>=5"}
VERSIONS = {"python": "3.11.7", "fre-hpo": "0.1.0", "torch": "2.13.0+cpu", "ray": "2.60.0"}
HERE = Software({**VERSIONS, "optuna": "5.0.0"}, WANTED, "/env/bin/python")
PC = Hardware(8, 8, 32 * GIB, 20 * GIB, 16 * GIB, 15 * GIB, 65536)


# --- software -----------------------------------------------------------------------------------


def test_the_versions_of_this_machine_are_found_without_loading_them() -> None:
    found = look_at_software()
    assert found.versions["fre-hpo"] == fre_hpo.__version__
    assert set(found.versions) == {"python", "fre-hpo", "torch", "ray", "optuna"}
    assert all(row.ok for row in judge_software(found))
    assert found.interpreter == sys.executable
    assert set(found.wanted) == {"python", "torch", "ray", "optuna"}


def test_a_version_out_of_range_and_a_missing_package_are_problems() -> None:
    versions = {**HERE.versions, "python": "3.10.1", "ray": None, "optuna": "4.2.1"}
    rows = {row.check: row for row in judge_software(replace(HERE, versions=versions))}
    assert [name for name, row in rows.items() if not row.ok] == ["Python", "Ray", "Optuna"]
    assert rows["Python"].value == "3.10.1 (/env/bin/python), needed is >=3.11"
    assert rows["Ray"].value == "not installed"
    assert '`/env/bin/python -m pip install "ray<3,>=2.60"`' in rows["Ray"].hint
    assert rows["Optuna"].value == "4.2.1, needed is <6,>=5"


def test_without_an_installation_there_is_no_range() -> None:
    assert all(row.ok for row in judge_software(replace(HERE, wanted={})))


def test_a_nodes_other_versions_are_problems_but_not_torchs_build() -> None:
    there = {**HERE.versions, "torch": "2.13.0+cu130", "ray": "2.61.0", "fre-hpo": "0.2.0"}
    rows = {r.check: r for r in judge_versions_of_node(replace(HERE, versions=there), HERE)}
    assert list(rows) == ["Python", "fre-hpo", "torch", "Ray"]
    assert [name for name, row in rows.items() if not row.ok] == ["fre-hpo", "Ray"]
    assert rows["torch"].value == "2.13.0+cu130"
    assert rows["Ray"].value == "2.61.0, here 2.60.0"
    assert "`/env/bin/python -m pip install ray==2.60.0`" in rows["Ray"].hint


# --- hardware -----------------------------------------------------------------------------------


def test_this_machine_has_something_of_everything() -> None:
    found = look_at_hardware()
    assert 1 <= found.usable <= found.cores
    assert found.available is None or 0 < found.available <= found.memory
    assert found.files >= 256
    assert found.shared is None or found.shared_free is not None


def test_a_machine_in_order() -> None:
    rows = judge_hardware(PC)
    assert [(row.check, row.value, row.verdict) for row in rows] == [
        ("CPU cores", "8", "OK"),
        ("memory", "20 GiB of 32 GiB available", "OK"),
        ("/dev/shm", "15 GiB of 16 GiB free", "OK"),
        ("open files", "65536 at most", "OK"),
    ]


@pytest.mark.parametrize(
    ("changes", "check", "typed"),
    [
        ({"available": GIB}, "memory", "`ps aux --sort=-rss | head`"),
        ({"shared": 64 * 2**20, "shared_free": 64 * 2**20}, "/dev/shm", "`--shm-size=2g`"),
        ({"shared_free": 2**20}, "/dev/shm", "`ls -l /dev/shm`"),
        ({"files": 1024}, "open files", "`ulimit -n 65536`"),
    ],
)
def test_what_a_machine_lacks_is_a_problem(changes: dict[str, int], check: str, typed: str) -> None:
    (problem,) = [row for row in judge_hardware(replace(PC, **changes)) if not row.ok]  # type: ignore[arg-type]
    assert problem.check == check
    assert typed in problem.hint


def test_what_a_system_does_not_tell_is_no_problem() -> None:
    rows = judge_hardware(replace(PC, available=None, shared=None, shared_free=None, usable=4))
    assert [row.value for row in rows] == ["4 of 8 usable", "32 GiB", "65536 at most"]
    assert all(row.ok for row in rows)


def test_a_containers_memory_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/sys/fs/cgroup/memory.max": str(3 * 2**20),
        "/sys/fs/cgroup/memory.current": str(2**20),
        "/proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 1024 kB\n",
    }
    monkeypatch.setattr(hardware, "_text", lambda path: files.get(path, ""))
    found = look_at_hardware()
    assert (found.memory, found.available) == (3 * 2**20, 2**20)
    files["/sys/fs/cgroup/memory.max"] = "max"
    assert look_at_hardware().memory > 3 * 2**20


# --- disks --------------------------------------------------------------------------------------

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw,relatime shared:2 - nfs4 server:/home rw
31 30 0:41 / /home/anna/my\\040disk rw - ext4 /dev/sdb1 rw
32 22 0:42 / /mnt/lab rw - cifs //server/lab rw
33 22 0:43 / /data rw - ext4 /dev/sdc1 rw
34 22 0:44 / /data rw - fuse.sshfs anna@server: rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "remote"),
    [
        ("/var/lib", "ext4", False),
        ("/home/anna", "nfs4", True),
        ("/home/anna/my disk/x", "ext4", False),
        ("/homes", "ext4", False),
        ("/mnt/lab", "cifs", True),
        ("/data/x", "fuse.sshfs", True),
    ],
)
def test_the_file_system_of_a_path(path: str, kind: str, remote: bool) -> None:
    assert kind_of(Path(path), MOUNTS) == kind
    assert is_network(kind) == remote


def test_sizes() -> None:
    assert [size(count) for count in (17, 93e6, 2.5e9, 4e12)] == ["17 B", "93 MB", "2.5 GB", "4 TB"]
    assert [memory_size(n) for n in (64 * 2**20, 1.5 * GIB, 48 * GIB)] == [
        "64 MiB",
        "1.5 GiB",
        "48 GiB",
    ]


def test_a_folder_that_is_not_there_lies_on_the_disk_above_it(tmp_path: Path) -> None:
    found = look_at_disk(tmp_path / "not" / "there")
    assert found.existing == tmp_path
    assert 0 < found.free <= found.total
    assert found.writable
    assert list(tmp_path.iterdir()) == []


# --- folders ------------------------------------------------------------------------------------

DISK = Disk(Path("/data"), ROOM_NEEDED, 10**12, "ext4", writable=True)


def test_a_home_in_order() -> None:
    rows = judge_home(Home(Path("/data/home"), exists=True, disk=DISK))
    assert [(row.check, row.value) for row in rows] == [
        ("home", "/data/home"),
        ("disk of home", "3.7 GB of 1 TB free (ext4)"),
    ]
    assert all(row.verdict == "OK" for row in rows)
    absent = judge_home(Home(Path("/data/home"), exists=False, disk=DISK))[0]
    assert (absent.value, absent.verdict) == ("/data/home, not there yet", "-")


def test_a_home_that_cannot_be_written_and_a_full_disk_are_problems() -> None:
    disk = replace(DISK, writable=False, free=ROOM_NEEDED - 1)
    folder, room = judge_home(Home(Path("/data/home"), exists=True, disk=disk))
    assert "`--home DIR`" in folder.hint
    assert "93 MB" in room.hint
    assert "`du -xsh /data/*" in room.hint


def test_a_home_in_a_closed_folder_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((path, mode)))
    row = judge_folders(look_at_folders(tmp_path / "home", None))[0]
    assert not row.ok
    assert asked == [(tmp_path, os.W_OK | os.X_OK)]


def test_tokens(tmp_path: Path) -> None:
    path = tmp_path / "cluster-token"
    absent = judge_token(look_at_token(path))
    assert absent.verdict == "-"

    path.write_text("0123456789abcdef0123456789abcdef\n")
    path.chmod(0o600)
    row = judge_token(look_at_token(path))
    assert (row.value, row.verdict) == (f"{path}, mode 600", "OK")

    path.chmod(0o644)
    row = judge_token(look_at_token(path))
    assert row.value.startswith(f"{path}, mode 644: ")
    assert f"`chmod 600 {path}`" in row.hint

    path.chmod(0o600)
    path.write_text("")
    row = judge_token(look_at_token(path))
    assert row.value.endswith("it is empty")
    assert row.hint.endswith(".")
    assert row.hint[0] == row.hint[0].upper()

    assert judge_token(look_at_token(None)).ok


def test_the_token_is_looked_for_where_a_cluster_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    assert look_at_folders(tmp_path, None)[1].path == tmp_path / "cluster-token"
    monkeypatch.setenv("FRE_HPO_TOKEN_FILE", str(tmp_path / "other"))
    assert look_at_folders(tmp_path, None)[1].path == tmp_path / "other"
    named = tmp_path / "named"
    assert look_at_folders(tmp_path, named)[1].path == named
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    assert look_at_folders(tmp_path, None)[1].path is None
    assert folders.judge_token(look_at_folders(tmp_path, None)[1]).ok
