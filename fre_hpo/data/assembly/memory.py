"""How much memory this process may still take."""

from pathlib import Path

_UNLIMITED = 1 << 62


def available() -> int:
    """Bytes: what the machine has left, or the container it lives in; without limit if it does not say."""
    return min(_of_machine(Path("/proc/meminfo")), _of_container(Path("/sys/fs/cgroup")))


def _of_machine(meminfo: Path) -> int:
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:  # macOS
        return _UNLIMITED
    kilobytes = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return int(next(kilobytes, _UNLIMITED // 1024)) * 1024


def _of_container(group: Path) -> int:
    """Version 2 of Linux's control groups; "max" is no limit."""
    try:
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        return limit - int((group / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return _UNLIMITED
