"""Numbers as people read them, in notes and pictures alike."""

from __future__ import annotations

from datetime import datetime

NOTHING = "-"
"""Where there is no number: a class that is not there, a trial that has not ended."""


def four(value: float | None) -> str:
    """An IoU or mIoU of a whole split."""
    return NOTHING if value is None else f"{value:.4f}"


def three(value: float | None) -> str:
    """An IoU of one image."""
    return NOTHING if value is None else f"{value:.3f}"


def duration(seconds: float | None) -> str:
    """12 s, 4 min 5 s, 3 h 20 min."""
    if seconds is None:
        return NOTHING
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def between(start: str | None, end: str | None) -> float | None:
    """Seconds between two stored times (ISO 8601); None where one is missing."""
    if start is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
