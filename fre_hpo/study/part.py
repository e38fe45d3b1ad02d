"""What a study of seeds is for: one method of a comparison, or one point of a confirmation.

It stands in the study's charter, written when the study is created: whoever finds the study knows what
its parameters were chosen by, and the whole is found from the storage alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["comparison", "confirmation"]


@dataclass(frozen=True)
class Part:
    """of: the comparison's name, or the study that is confirmed.  role: the method, or the point; roles: all
    that were to become part of it.

    overrides: those of the whole, for what begins later.  seed: of the searches, which the study's own are
    not among.  search: the study that chose the parameters, None where they were given; trials: how many
    of its trials were complete then; point: which of its points was taken, recommended or observed.
    value: of the observed trial, None for a point that was not tried.
    """

    kind: Kind
    of: str
    role: str
    roles: tuple[str, ...]
    overrides: Mapping[str, Any]
    seed: int
    search: str | None = None
    trials: int = 0
    point: str | None = None
    value: float | None = None

    def to_plain(self) -> dict[str, Any]:
        return {**vars(self), "roles": list(self.roles), "overrides": dict(self.overrides)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any] | None) -> Part | None:
        return None if plain is None else cls(**{**plain, "roles": tuple(plain["roles"])})
