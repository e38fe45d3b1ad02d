"""The ports of a Ray node: free, or held by whom.  Nothing is opened to find out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fre_hpo.scheduling.doctor.checks import Row
from fre_hpo.scheduling.ports import BLOCK, DEFAULT, HEAD, read_range

RANGE = read_range(DEFAULT)
FIRST, LAST = RANGE.start, RANGE.stop - 1
PROC = Path("/proc")
_LISTENS = "0A"
_NAMED = 3


@dataclass(frozen=True)
class Holder:
    """pid None: a program of somebody else, whose name the system does not tell."""

    pid: int | None = None
    name: str = ""
    of_ray: bool = False

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})" if self.pid else "a program of another user"


def look_at_ports(proc: Path = PROC) -> Mapping[int, Holder] | None:
    """Who listens on the ports of Ray; None where the system does not tell."""
    inodes = dict(_listening(proc))
    if not inodes and not (proc / "net" / "tcp").exists():
        return None
    wanted = {inode: port for port, inode in inodes.items()}
    holders = {port: Holder() for port in inodes}
    for pid, inode in _open_sockets(proc):
        if inode in wanted:
            holders[wanted[inode]] = _holder(proc, pid)
    return holders


def _listening(proc: Path) -> Iterator[tuple[int, str]]:
    """Port and inode of every socket that listens on one of Ray's ports."""
    for name in ("tcp", "tcp6"):
        path = proc / "net" / name
        lines = path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else []
        for fields in map(str.split, lines):
            port = int(fields[1].rpartition(":")[2], 16)
            if fields[3] == _LISTENS and (port == HEAD or FIRST <= port <= LAST):
                yield port, fields[9]


def _open_sockets(proc: Path) -> Iterator[tuple[int, str]]:
    """Process and inode of the sockets of all processes that may be looked into."""
    for folder in proc.iterdir():
        if folder.name.isdigit():
            for target in _targets(folder / "fd"):
                if match := re.fullmatch(r"socket:\[(\d+)\]", target):
                    yield int(folder.name), match[1]


def _targets(folder: Path) -> Iterator[str]:
    """What a process has open; nothing of one that is not ours, or that has ended meanwhile."""
    try:
        for path in folder.iterdir():
            yield str(path.readlink())
    except OSError:
        return


def _holder(proc: Path, pid: int) -> Holder:
    try:
        name = (proc / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
        command = (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return Holder(pid, "a program that has ended")
    of_ray = name in ("gcs_server", "raylet") or name.startswith("ray::") or "/ray/" in command
    return Holder(pid, name, of_ray)


# --- verdicts -----------------------------------------------------------------------------------


def judge_ports(holders: Mapping[int, Holder] | None) -> list[Row]:
    if holders is None:
        return [Row("ports", "not told by this system", missing=True)]
    return [_head_port(holders), _block(holders)]


def _head_port(holders: Mapping[int, Holder]) -> Row:
    check = f"port {HEAD}"
    holder = holders.get(HEAD)
    if holder is None:
        return Row(check, "free")
    if holder.of_ray:
        return Row(check, f"a Ray head runs here: {holder}")
    hint = f"If this machine is to be the head, give it another port: `fre-hpo head --port {HEAD - 1}`."
    return Row(check, f"held by {holder}", hint)


def _block(holders: Mapping[int, Holder]) -> Row:
    """A node goes on to the next block where one is not free."""
    check = f"ports {FIRST}-{FIRST + BLOCK - 1}"
    blocks = range(FIRST, LAST + 1, BLOCK)
    taken = {first: _taken(holders, first) for first in blocks}
    free = next((first for first in blocks if not taken[first]), None)
    if free is None:
        hint = (
            f"No hundred ports in a row are free from {FIRST} to {LAST}: name others, such as "
            "`--ports 20000-20999`, for `fre-hpo head` and `fre-hpo worker`."
        )
        return Row(check, _names(taken[FIRST]), hint)
    if free == FIRST:
        return Row(check, "free")
    return Row(check, f"{_names(taken[FIRST])}; the next node takes {free}-{free + BLOCK - 1}")


def _taken(holders: Mapping[int, Holder], first: int) -> dict[int, Holder]:
    return {port: holders[port] for port in range(first, first + BLOCK) if port in holders}


def _names(taken: Mapping[int, Holder]) -> str:
    if all(holder.of_ray for holder in taken.values()):
        return "a Ray node runs here"
    others = [(port, holder) for port, holder in sorted(taken.items()) if not holder.of_ray]
    named = ", ".join(f"{port} by {holder}" for port, holder in others[:_NAMED])
    return f"held: {named}{', ...' if len(others) > _NAMED else ''}"
