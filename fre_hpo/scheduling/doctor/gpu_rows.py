"""What is to be said of a machine's GPUs."""

from __future__ import annotations

from fre_hpo.errors import counted
from fre_hpo.scheduling.doctor.checks import Row
from fre_hpo.scheduling.doctor.disks import memory_size
from fre_hpo.scheduling.doctor.gpus import Gpu, Graphics, Nvidia, Torch

MEMORY_NEEDED = 4 * 2**30
"""For one trial of the paper's network with some room; other programs may leave less."""
NAMED = 3
"""Programs on a GPU that are named; of more the number is told."""


def judge_gpus(found: Graphics) -> list[Row]:
    """The driver's rows, then what torch makes of them."""
    nvidia, torch = found.nvidia, found.torch
    if nvidia.trouble:
        return [_driver_fails(nvidia.trouble), *_torch_alone(torch)]
    if not nvidia.gpus:
        return _without_nvidia(torch)
    gpus = [_gpu(gpu) for gpu in nvidia.gpus]
    return [*gpus, _driver(nvidia, torch), _torch(nvidia, torch)]


def _driver_fails(trouble: str) -> Row:
    hint = (
        "The NVIDIA driver does not work: type `nvidia-smi` to see its message; after an update of "
        "the driver, `sudo reboot`."
    )
    return Row("GPU", f"nvidia-smi: {trouble}", hint)


def _gpu(gpu: Gpu) -> Row:
    """Trials of ours may fill it."""
    check = f"GPU {gpu.index}"
    value = ", ".join([gpu.name, *_memory(gpu), *_company(gpu)])
    others = [program for program in gpu.programs if not program.of_ray]
    if gpu.free is None or gpu.free >= MEMORY_NEEDED or (gpu.programs and not others):
        return Row(check, value)
    hint = f"Less than {memory_size(MEMORY_NEEDED)} of its memory is free: "
    if others:
        pids = " ".join(str(program.pid) for program in others)
        hint += (
            f"`ps -fp {pids}` shows whose programs use it; wait for them, or leave this GPU out with "
            "CUDA_VISIBLE_DEVICES."
        )
    else:
        hint += (
            "`nvidia-smi` names the programs that use it, outside of a container; trials of a search "
            "are no problem."
        )
    return Row(check, value, hint)


def _memory(gpu: Gpu) -> list[str]:
    if gpu.memory is None or gpu.free is None:
        return []
    return [f"{memory_size(gpu.free)} of {memory_size(gpu.memory)} free"]


def _company(gpu: Gpu) -> list[str]:
    if not gpu.programs:
        return []
    shown = gpu.programs[:NAMED]
    names = [f"{program.name.rpartition('/')[2]} {program.pid}".strip() for program in shown]
    more = ", ..." if len(gpu.programs) > NAMED else ""
    return [f"used by {counted(len(gpu.programs), 'program')} ({', '.join(names)}{more})"]


def _driver(nvidia: Nvidia, torch: Torch) -> Row:
    value = nvidia.driver + (f", for CUDA up to {nvidia.cuda}" if nvidia.cuda else "")
    if not torch.built_for or not _is_older(nvidia.cuda, torch.built_for):
        return Row("GPU driver", value)
    hint = f"torch was built for CUDA {torch.built_for}: install a newer NVIDIA driver"
    if nvidia.cuda.startswith("12."):
        index = "https://download.pytorch.org/whl/cu126"
        hint += (
            f", or a torch for this one: `pip install --force-reinstall torch --index-url {index}`"
        )
    return Row("GPU driver", f"{value}, too old for torch", f"{hint}.")


def _is_older(driver: str, built_for: str) -> bool:
    """Within one major version an older driver runs what was built for a newer minor one."""
    return bool(driver) and int(driver.split(".")[0]) < int(built_for.split(".")[0])


def _torch(nvidia: Nvidia, torch: Torch) -> Row:
    count = len(nvidia.gpus)
    if not torch.version:
        return _torch_fails(torch.trouble)
    if torch.built_for is None:
        hint = (
            f"This torch uses no GPU, and there {'is one' if count == 1 else f'are {count}'}: "
            "`pip install --force-reinstall torch --index-url https://pypi.org/simple` installs one "
            "that does."
        )
        return Row("torch's GPUs", "none: it is a build for CPUs", hint)
    if torch.hidden is not None and len(torch.gpus) < count:
        value = f"{len(torch.gpus)} of {count}, as CUDA_VISIBLE_DEVICES={torch.hidden!r} says"
        return Row("torch's GPUs", value, missing=not torch.gpus)
    if torch.trouble or len(torch.gpus) < count:
        hint = (
            "torch and the driver do not fit this GPU: `python -m fre_hpo.training.torch_facts` "
            "repeats the message; install another torch or a newer driver."
        )
        seen = f"{len(torch.gpus)} of {count}"
        return Row("torch's GPUs", f"{seen}: {torch.trouble or 'no reason was given'}", hint)
    return Row("torch's GPUs", f"{counted(count, 'GPU')}, built for CUDA {torch.built_for}")


def _torch_fails(trouble: str) -> Row:
    hint = "torch is damaged: `pip install --force-reinstall torch` installs it anew."
    return Row("torch's GPUs", f"torch cannot be loaded: {trouble}", hint)


def _torch_alone(torch: Torch) -> list[Row]:
    return [] if torch.version else [_torch_fails(torch.trouble)]


def _without_nvidia(torch: Torch) -> list[Row]:
    if not torch.version:
        return [_torch_fails(torch.trouble)]
    names = [*torch.gpus, *(["Apple's, by MPS"] if torch.mps else [])]
    if names:
        return [Row("GPU", ", ".join(names))]
    return [Row("GPU", "none, trials train on the CPU", missing=True)]
