"""What this machine can give to a cluster: its CPUs, its GPUs, and memory for what travels between nodes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fre_hpo.scheduling.placement import usable_cpus

SHARED_MEMORY = Path("/dev/shm")
CONTROL_GROUPS = Path("/sys/fs/cgroup")
ENOUGH = 256 * 2**20
"""Bytes: two checkpoints at full width on their way, and a data set."""
ON_DISK = 2**30
_PART = 0.9
"""Of /dev/shm; Ray itself leaves a twentieth."""
_RAYS_PART = 0.3
"""Of the machine's memory: what Ray takes for its object store where nothing else is said."""
_SMI_SECONDS = 20


@dataclass(frozen=True)
class Store:
    """Memory for data sets and checkpoints on their way.  size: bytes, None for Ray's choice.  warning: a
    sentence for where there is too little of it."""

    size: int | None
    warning: str = ""


def cpus(groups: Path = CONTROL_GROUPS) -> int:
    """The CPUs that this process may use, at least one: a container's share counts, too."""
    share = _share_of_group(groups)
    return max(1, min(usable_cpus(), int(share) if share else usable_cpus()))


def _share_of_group(groups: Path) -> float | None:
    """CPU time per time that the container may use (cgroup 2, else 1); None without a limit."""
    with suppress(OSError, ValueError):
        quota, period = (groups / "cpu.max").read_text(encoding="ascii").split()
        return int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota, period = (
            (groups / "cpu" / f"cpu.cfs_{name}_us").read_text(encoding="ascii")
            for name in ("quota", "period")
        )
        return int(quota) / int(period) if int(quota) > 0 else None
    return None


def gpus(environ: Mapping[str, str] = os.environ) -> int:
    """The GPUs that the driver tells of and CUDA_VISIBLE_DEVICES leaves."""
    listed = _listed_gpus()
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or not listed:
        return listed
    names = [name.strip() for name in visible.split(",")]
    if any(name.startswith("MIG-") for name in names):  # parts of GPUs, each as good as one
        return len(names)
    return min(listed, len([name for name in names if name.startswith("GPU-") or name.isdigit()]))


def _listed_gpus() -> int:
    try:
        ended = subprocess.run(
            ["nvidia-smi", "-L"],
            capture_output=True,
            text=True,
            timeout=_SMI_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    lines = ended.stdout.splitlines() if ended.returncode == 0 else []
    return len([line for line in lines if line.startswith("GPU ")])


def store(folder: Path = SHARED_MEMORY) -> Store:
    """Ray's choice, within what /dev/shm holds: it would take the disk where its choice does not fit."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return Store(None)
    free = int(room.f_bavail * room.f_frsize * _PART)
    if free >= ENOUGH:
        return Store(free if free < _memory() * _RAYS_PART else None)
    total = room.f_blocks * room.f_frsize // 2**20
    return Store(
        ON_DISK,
        f"{folder} holds only {total} MB, so data sets and checkpoints travel through the disk, which "
        "is slower: give a container 2 GB of it (docker run --shm-size=2g, shm_size in a compose file).",
    )


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
