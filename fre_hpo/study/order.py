"""What can be asked of a running coordinator, from any machine that reaches the storage."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from fre_hpo.study.records import now

ORDER = "order"


class Wish(Enum):
    """RUN: begin trials.  PAUSE: begin nothing more, and stay.  STOP: end when the running epochs are
    done.  STOP_NOW: end at once; every trial goes on later from its last checkpoint."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"
    STOP_NOW = "stop now"


@dataclass(frozen=True)
class Order:
    """A wish, and who had it when; it stands until the next one."""

    wish: Wish
    given_by: str = ""
    given_at: str = ""

    @classmethod
    def by(cls, who: str, wish: Wish) -> Order:
        return cls(wish, who, now())

    def to_plain(self) -> dict[str, Any]:
        return {**vars(self), "wish": self.wish.value}

    @classmethod
    def from_plain(cls, plain: dict[str, Any] | None) -> Order:
        return cls(Wish.RUN) if plain is None else cls(**{**plain, "wish": Wish(plain["wish"])})
