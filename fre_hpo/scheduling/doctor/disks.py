"""Disks: how much room is left, and whether a folder lies on another machine."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = re.compile(
    r"nfs|cifs|smb|sshfs|afs|9p$|ceph|gluster|lustre|beegfs|gpfs|panfs|pvfs|davfs|ncp"
)


@dataclass(frozen=True)
class Disk:
    """What is under a folder.  existing: the folder, or the nearest one above it that is there.  kind: of
    file system, empty where the system does not tell."""

    existing: Path
    free: int
    total: int
    kind: str
    writable: bool


def look_at_disk(folder: Path) -> Disk:
    """Creates nothing."""
    existing = next(path for path in (folder, *folder.parents) if is_seen(path))
    usage = shutil.disk_usage(existing)
    writable = os.access(existing, os.W_OK | os.X_OK)
    return Disk(existing, usage.free, usage.total, _kind(existing), writable)


def is_seen(path: Path) -> bool:
    """Whether it is there; what lies in somebody else's closed folder is not."""
    try:
        return path.exists()
    except OSError:
        return False


def is_network(kind: str) -> bool:
    return bool(_NETWORK.search(kind.lower()))


def _kind(path: Path) -> str:
    try:
        return kind_of(path.resolve(), MOUNTS.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""


def kind_of(path: Path, mounts: str) -> str:
    """The type of file system that a path lies on.  mounts: the text of /proc/self/mountinfo, in which a
    later line hides an earlier one of the same place."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, described = before.split(), after.split()
        if len(fields) < 5 or not described:
            continue
        place = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4]))
        if path.is_relative_to(place) and len(place.parts) >= best:
            best, kind = len(place.parts), described[0]
    return kind


def size(count: float) -> str:
    """Bytes on a disk as people read them."""
    return _in_units(count, 1000, ["B", "kB", "MB", "GB", "TB"])


def memory_size(count: float) -> str:
    """Bytes of memory, as it is sold and as containers limit it."""
    return _in_units(count, 1024, ["B", "KiB", "MiB", "GiB", "TiB"])


def _in_units(count: float, step: int, units: list[str]) -> str:
    while count >= step and len(units) > 1:
        count, units = count / step, units[1:]
    return f"{count:.0f} {units[0]}" if count >= 10 else f"{count:.2g} {units[0]}"
