"""Which state of a trial a checkpoint holds, as its name says where several machines write."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"checkpoint-(\d+)-(\d+)\.pt")


@dataclass(frozen=True, order=True)
class Stamp:
    """The state after ``epoch`` epochs, written by an attempt.  The greater one is the newer: a later attempt
    began where an earlier one ended, and an earlier one that was cut off may have gone on writing."""

    attempt: int
    epoch: int

    @property
    def name(self) -> str:
        """Of the file."""
        return f"checkpoint-{self.attempt}-{self.epoch}.pt"

    @property
    def damaged_name(self) -> str:
        """Under which it never takes the place of a good one."""
        return f"checkpoint-{self.attempt}-{self.epoch}.damaged.pt"

    def key(self, number: int) -> str:
        """Of the trial of that number, in a store."""
        return f"{trial_key(number)}/{self.name}"

    @classmethod
    def of(cls, name: str) -> Stamp | None:
        """None for a file, or a key, that is no checkpoint's."""
        match = _NAME.fullmatch(name.rpartition("/")[2])
        return cls(int(match[1]), int(match[2])) if match else None


def trial_key(number: int) -> str:
    """Where a store keeps what belongs to a trial."""
    return f"trials/{number}"


def trial_of(key: str) -> int | None:
    """The trial that a key belongs to; None for the study's own files."""
    parts = key.split("/")
    is_trials = len(parts) == 3 and parts[0] == "trials" and parts[1].isdecimal()
    return int(parts[1]) if is_trials else None
