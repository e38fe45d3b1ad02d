"""Where it was measured: a figure without its machine says nothing."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from fre_hpo.errors import NoResources

CPUINFO = Path("/proc/cpuinfo")


def describe(device: torch.device) -> dict[str, Any]:
    """The device, the processor, the versions and the date, as plain values."""
    return {
        "device": device_name(device),
        "kind": device.type,
        "processor": processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def device_name(device: torch.device) -> str:
    """ "cpu", or the product's name of a GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def processor() -> str:
    """The processor's name, as its maker writes it."""
    if CPUINFO.exists():
        for line in CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_average() -> float | None:
    """Processes that wanted a core in the last minute; None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def pick_device(wanted: str) -> torch.device:
    """The device of a name; "auto" is CUDA where there is one.  Raises NoResources without CUDA."""
    found = torch.cuda.is_available()
    if wanted == "cuda" and not found:
        raise NoResources(problem="torch finds no CUDA device here: use --device cpu.")
    return torch.device("cuda" if found and wanted != "cpu" else "cpu")
