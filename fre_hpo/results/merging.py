"""One note, two hands: what people write below a line stays when the part above it is renewed."""

from __future__ import annotations

WORDS = "*Your notes below this line are kept.*"
END = '[fre-hpo]: # "end of what fre-hpo writes"'
"""Shown to nobody who reads: finds the place where the line of words was edited or removed."""


def merged(ours: str, existing: str) -> str:
    """The renewed note.  Where nothing tells any more what is ours, all that stands there is kept
    below the line.  Merging the same once more changes nothing."""
    return f"{ours.strip()}\n\n{END}\n\n---\n\n{WORDS}\n{_theirs(existing)}"


def _theirs(existing: str) -> str:
    """What follows the line, with whatever was written in its place."""
    lines = existing.split("\n")
    ends = [place for place, line in enumerate(lines) if line.strip() in (END, WORDS)]
    rest = _without_line(lines[ends[0] + 1 :]) if ends else ["", *lines]
    return "\n".join(rest) if any(line.strip() for line in rest) else ""


def _without_line(lines: list[str]) -> list[str]:
    """What follows our own line, if that comes before anything else."""
    for place, line in enumerate(lines):
        if line.strip() == WORDS:
            return lines[place + 1 :]
        if line.strip() not in ("", "---"):
            break
    return lines
