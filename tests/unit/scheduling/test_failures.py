"""Which errors of a training mean that there was not enough memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fre_hpo.errors import NonFiniteLoss
from fre_hpo.scheduling import failures
from fre_hpo.scheduling.executor import OutOfMemory, Raised

TOO_MUCH = 1 << 60


def raised_by_torch() -> BaseException:
    """What torch's CPU allocator really raises."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(TOO_MUCH, dtype=torch.uint8)
    return caught.value


def raised_by_numpy() -> BaseException:
    with pytest.raises(MemoryError) as caught:
        np.empty(TOO_MUCH, dtype=np.uint8)
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        raised_by_torch(),
        raised_by_numpy(),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory"
        ),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=repr,
)
def test_not_enough_memory(error: BaseException) -> None:
    found = failures.sort(error)
    assert isinstance(found, OutOfMemory)
    assert found.reason


@pytest.mark.gpu
def test_not_enough_memory_on_a_real_gpu() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(TOO_MUCH >> 10, dtype=torch.uint8, device="cuda")
    assert isinstance(failures.sort(caught.value), OutOfMemory)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: device-side assert triggered"),
        ValueError("the label 7 is out of memory of anyone"),
        OSError("cannot allocate memory"),
    ],
)
def test_any_other_error_would_be_raised_again(error: Exception) -> None:
    found = failures.sort(error)
    assert isinstance(found, Raised)
    assert (found.kind, found.message) == (type(error).__name__, str(error))
    assert found.diverged_in is None


def test_a_diverged_training_says_in_which_epoch() -> None:
    found = failures.sort(NonFiniteLoss(value="nan", epoch=3), trace="where it was")
    assert isinstance(found, Raised)
    assert (found.diverged_in, found.traceback) == (3, "where it was")
