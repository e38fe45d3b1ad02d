"""GPUs as the driver shows them (nvidia-smi) and as torch sees them, each asked in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NVIDIA_SECONDS = 10
TORCH_SECONDS = 30
"""Loading torch takes seconds, and much longer from a cold network drive."""
_QUERY = "uuid,index,name,memory.total,memory.free,driver_version"
_APPS = "gpu_uuid,pid,process_name"
_TORCH = "fre_hpo.training.torch_facts"
_MIB = 1024**2


@dataclass(frozen=True)
class Program:
    """A process that computes on a GPU.  name: empty where the driver does not tell."""

    pid: int
    name: str

    @property
    def of_ray(self) -> bool:
        return self.name.startswith("ray::")


@dataclass(frozen=True)
class Gpu:
    """As the driver shows it.  memory, free: in bytes, None where it does not tell."""

    index: int
    name: str
    memory: int | None
    free: int | None
    programs: tuple[Program, ...] = ()


@dataclass(frozen=True)
class Nvidia:
    """found: whether there is an nvidia-smi.  cuda: the newest version that the driver can run, or empty.
    trouble: what it said where it failed."""

    found: bool = False
    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    cuda: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class Torch:
    """built_for: the version of CUDA, None of a build for CPUs.  gpus: names.  trouble: why it could not be
    loaded, or does not compute on a GPU.  hidden: CUDA_VISIBLE_DEVICES, None where it is not set."""

    version: str = ""
    built_for: str | None = None
    gpus: tuple[str, ...] = ()
    mps: bool = False
    trouble: str = ""
    hidden: str | None = None


@dataclass(frozen=True)
class Graphics:
    """Both views of a machine's GPUs."""

    nvidia: Nvidia
    torch: Torch


def look_at_gpus() -> Graphics:
    return Graphics(look_at_nvidia(), look_at_torch(os.environ))


# --- the driver ---------------------------------------------------------------------------------


def look_at_nvidia() -> Nvidia:
    """The driver's own account; no nvidia-smi is no GPU."""
    try:
        listed = _nvidia_smi(f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits")
        if listed.returncode:
            return Nvidia(found=True, trouble=_first_line(listed.stdout + listed.stderr))
        apps = _nvidia_smi(f"--query-compute-apps={_APPS}", "--format=csv,noheader,nounits")
        page = _nvidia_smi()
    except FileNotFoundError:
        return Nvidia()
    except subprocess.TimeoutExpired:
        return Nvidia(found=True, trouble=f"no answer within {NVIDIA_SECONDS} s")
    except OSError as error:
        return Nvidia(found=True, trouble=error.strerror or str(error))
    return read_nvidia(listed.stdout, apps.stdout, page.stdout)


def _nvidia_smi(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["nvidia-smi", *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=NVIDIA_SECONDS,
        check=False,
    )


def read_nvidia(listed: str, apps: str, page: str) -> Nvidia:
    """From what nvidia-smi prints: its list of GPUs, of programs, and its page without arguments."""
    programs = _programs(apps)
    rows = [_fields(line) for line in listed.splitlines()]
    gpus = tuple(
        Gpu(int(index), name, _bytes(total), _bytes(free), tuple(programs.get(uuid, ())))
        for uuid, index, name, total, free, _ in filter(None, rows)
    )
    driver = next((row[5] for row in rows if row), "")
    cuda = re.search(r"CUDA (?:UMD )?Version\s*:\s*([0-9.]+)", page)
    return Nvidia(True, gpus, driver, cuda[1] if cuda else "")


def _programs(apps: str) -> dict[str, list[Program]]:
    found: dict[str, list[Program]] = {}
    for line in apps.splitlines():
        uuid, _, rest = line.partition(", ")
        pid, _, name = rest.partition(", ")
        if pid.isdigit():
            found.setdefault(uuid, []).append(
                Program(int(pid), "" if name.startswith("[") else name)
            )
    return found


def _fields(line: str) -> list[str]:
    """A GPU's fields; none where the line is no row of the list."""
    fields = line.split(", ")
    return fields if len(fields) == _QUERY.count(",") + 1 else []


def _bytes(mebibytes: str) -> int | None:
    return int(mebibytes) * _MIB if mebibytes.isdigit() else None


# --- torch --------------------------------------------------------------------------------------


def look_at_torch(environ: Mapping[str, str]) -> Torch:
    """What torch sees in a process with this environment."""
    try:
        answer = subprocess.run(
            [sys.executable, "-m", _TORCH],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TORCH_SECONDS,
            check=False,
            env=dict(environ),
        )
    except subprocess.TimeoutExpired:
        return Torch(trouble=f"it was not loaded within {TORCH_SECONDS} s")
    hidden = environ.get("CUDA_VISIBLE_DEVICES")
    return read_torch(answer.returncode, answer.stdout, answer.stderr, hidden)


def read_torch(code: int, output: str, errors: str, hidden: str | None) -> Torch:
    """From the answer of the process that loaded it."""
    if code < 0:
        return Torch(trouble=f"loading it ended the process (signal {-code})")
    if code:
        return Torch(trouble=_last_line(errors) or f"loading it failed with exit code {code}")
    facts = json.loads(_last_line(output))
    return Torch(
        version=facts["version"],
        built_for=facts["built_for"],
        gpus=tuple(gpu["name"] for gpu in facts["gpus"]),
        mps=facts["mps"],
        trouble=facts["trouble"],
        hidden=hidden,
    )


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "it failed without a word")


def _last_line(text: str) -> str:
    lines: Sequence[str] = text.strip().splitlines()
    return lines[-1] if lines else ""
