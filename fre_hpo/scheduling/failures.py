"""Errors of a training, sorted for the coordinator."""

import traceback

from fre_hpo.errors import NonFiniteLoss
from fre_hpo.scheduling.executor import OutOfMemory, Raised

_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")
"""How torch's allocators (CUDA, MPS, CPU) and NVIDIA's libraries say it in a RuntimeError."""


def sort(error: BaseException, trace: str | None = None) -> OutOfMemory | Raised:
    """Describe an error that a training raised; ``trace`` is its traceback where it was lost on the way."""
    message = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    if _is_out_of_memory(error):
        return OutOfMemory(message)
    return Raised(
        kind=type(error).__name__,
        message=message,
        traceback=trace or "".join(traceback.format_exception(error)),
        diverged_in=error.facts["epoch"] if isinstance(error, NonFiniteLoss) else None,
    )


def _is_out_of_memory(error: BaseException) -> bool:
    """torch.OutOfMemoryError is one of the RuntimeErrors, and torch is not known here."""
    if isinstance(error, RuntimeError):
        return any(words in str(error).lower() for words in _WORDS)
    return isinstance(error, MemoryError)
