"""Processes and what came of them, as the system tells it (proc(5)); nothing is known where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def descendants(pid: int) -> list[int]:
    """All that a process started or adopted, and all that came of those; children before theirs."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found = list(children.get(pid, []))
    for member in found:
        found += children.get(member, [])
    return found


def _parents() -> Iterator[tuple[int, int]]:
    """Every process of this machine with its parent."""
    for folder in _PROC.glob("[0-9]*"):
        if status := _status(int(folder.name)):
            yield int(folder.name), int(status[1])


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended; one that nobody has collected yet has."""
    status = _status(pid)
    return bool(status) and status[0] not in ("Z", "X")


def _status(pid: int) -> list[str]:
    """State, parent and more: the fields behind the name, which may hold anything."""
    with suppress(OSError):
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()
    return []


def command(pid: int) -> list[str]:
    """A process's command line; the title in its place where it gave itself one."""
    with suppress(OSError):
        text = (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace")
        return [part for part in text.split("\0") if part]
    return []
