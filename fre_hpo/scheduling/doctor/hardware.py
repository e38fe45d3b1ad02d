"""Cores, memory, shared memory, open files: what a search and Ray need of a machine."""

from __future__ import annotations

import os
import resource
import shutil
from dataclasses import dataclass
from pathlib import Path

from fre_hpo.scheduling import machine
from fre_hpo.scheduling.doctor.checks import Row
from fre_hpo.scheduling.doctor.disks import memory_size

MEMORY_NEEDED = 2 * 2**30
"""Of a coordinator and one trial on the CPU; torch alone takes half a gigabyte in each process."""
SHARED_MEMORY_NEEDED = 2 * machine.ENOUGH
"""With room for what a node takes at least; a container has 64 MiB unless told."""
SHARED_MEMORY_LEFT = 0.05
"""Ray leaves a tenth of what is free when it starts."""
FILES_NEEDED = 4096
"""Below that Ray's servers may run out of connections."""
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_CGROUP_USES = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


@dataclass(frozen=True)
class Hardware:
    """Sizes in bytes.  available: memory that programs can still have, None where it is not told.
    usable: cores, within a container's share.  shared, shared_free: of /dev/shm, None where there is none.
    files: that a process may open, once it has raised its own limit."""

    cores: int
    usable: int
    memory: int
    available: int | None
    shared: int | None
    shared_free: int | None
    files: int


def look_at_hardware() -> Hardware:
    memory, available = _memory()
    shared = shutil.disk_usage(machine.SHARED_MEMORY) if machine.SHARED_MEMORY.is_dir() else None
    return Hardware(
        cores=os.cpu_count() or 1,
        usable=machine.cpus(),
        memory=memory,
        available=available,
        shared=shared.total if shared else None,
        shared_free=shared.free if shared else None,
        files=_files(),
    )


def _memory() -> tuple[int, int | None]:
    """Of the machine, or of the container if that has less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    available = _available(_text("/proc/meminfo"))
    limit, used = (_number(paths) for paths in (_CGROUP_LIMITS, _CGROUP_USES))
    if limit is None or used is None or limit >= total:
        return total, available
    left = max(limit - used, 0)
    return limit, left if available is None else min(left, available)


def _available(meminfo: str) -> int | None:
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _number(paths: tuple[str, ...]) -> int | None:
    """What the first of these files holds; "max" is none."""
    texts = (_text(path).strip() for path in paths)
    return next((int(text) for text in texts if text.isdigit()), None)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _files() -> int:
    """Ray raises the soft limit to the hard one, or to 65536."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 65536 if resource.RLIM_INFINITY in (soft, hard) else max(soft, min(hard, 65536))


def judge_hardware(found: Hardware) -> list[Row]:
    shared = [_shared(found.shared, found.shared_free or 0)] if found.shared is not None else []
    return [_cores(found), _memory_row(found), *shared, _files_row(found.files)]


def _cores(found: Hardware) -> Row:
    if found.usable == found.cores:
        return Row("CPU cores", f"{found.cores}")
    return Row("CPU cores", f"{found.usable} of {found.cores} usable")


def _memory_row(found: Hardware) -> Row:
    total = memory_size(found.memory)
    if found.available is None:
        return Row("memory", total)
    value = f"{memory_size(found.available)} of {total} available"
    if found.available >= MEMORY_NEEDED:
        return Row("memory", value)
    hint = (
        f"A search needs {memory_size(MEMORY_NEEDED)}: end other programs (`ps aux --sort=-rss | head` shows "
        "the largest), or use a machine with more memory."
    )
    return Row("memory", value, hint)


def _shared(total: int, free: int) -> Row:
    value = f"{memory_size(free)} of {memory_size(total)} free"
    if total < SHARED_MEMORY_NEEDED:
        hint = (
            "Ray keeps data sets and checkpoints in shared memory: start the container with "
            "`--shm-size=2g`, or make it larger with `mount -o remount,size=2g /dev/shm`."
        )
        return Row("/dev/shm", value, hint)
    if free < SHARED_MEMORY_LEFT * total:
        hint = "Shared memory is nearly full: `ls -l /dev/shm` shows of what, and whose it is."
        return Row("/dev/shm", value, hint)
    return Row("/dev/shm", value)


def _files_row(files: int) -> Row:
    value = f"{files} at most"
    if files >= FILES_NEEDED:
        return Row("open files", value)
    hint = (
        f"Ray needs {FILES_NEEDED} and better 65536: type `ulimit -n 65536` before you start it, or "
        "raise nofile in /etc/security/limits.conf."
    )
    return Row("open files", value, hint)
