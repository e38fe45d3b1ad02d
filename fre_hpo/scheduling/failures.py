"""Errors of a training, sorted for the coordinator."""

import traceback

from fre_hpo.errors import NonFiniteLoss
from fre_hpo.scheduling.executor import Raised


def sort(error: BaseException, trace: str | None = None) -> Raised:
    """Describe an error that a training raised; ``trace`` is its traceback where it was lost on the way."""
    return Raised(
        kind=type(error).__name__,
        message=(str(error).strip().splitlines() or [type(error).__name__])[-1],
        traceback=trace or "".join(traceback.format_exception(error)),
        diverged_in=error.facts["epoch"] if isinstance(error, NonFiniteLoss) else None,
    )
