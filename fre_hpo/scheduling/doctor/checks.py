"""A check: what it looks at may hang or fail, what it says of that is a pure function."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from fre_hpo.errors import FreHpoError


@dataclass(frozen=True)
class Row:
    """What one check found.  hint: a sentence that says what to type, in a problem and only there.
    missing: nothing is there, and nothing need be.  node: empty for this machine."""

    check: str
    value: str
    hint: str = ""
    missing: bool = False
    node: str = ""

    @property
    def ok(self) -> bool:
        return not self.hint

    @property
    def verdict(self) -> str:
        return "problem" if self.hint else "-" if self.missing else "OK"

    def plain(self) -> dict[str, Any]:
        """What programs are told of it."""
        where = self.node or socket.gethostname()
        facts = {"check": self.check, "node": where, "value": self.value}
        return {**facts, "ok": self.ok, "hint": self.hint}


def at(node: str, rows: Iterable[Row]) -> list[Row]:
    return [replace(row, node=node) for row in rows]


@dataclass(frozen=True)
class Check:
    """look: gathers facts, and may take long or raise.  judge: says what they mean.  hint: what to do
    where there are none."""

    name: str
    look: Callable[[], Any]
    judge: Callable[[Any], Sequence[Row]]
    hint: str
    node: str = ""


def examine(checks: Sequence[Check], seconds: float) -> list[list[Row]]:
    """The rows of each check; all look at the same time, and one that takes longer is said to."""
    looks = [_Look(check) for check in checks]
    deadline = monotonic() + seconds
    for look in looks:
        look.thread.join(max(deadline - monotonic(), 0))
    return [look.rows(seconds) for look in looks]


class _Look:
    """A check at work on a thread that may be left behind: a dead network drive never answers."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._facts: list[Any] = []
        self._error: Exception | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._facts.append(self._check.look())
        except Exception as error:
            self._error = error

    def rows(self, seconds: float) -> list[Row]:
        check = self._check
        if self._facts:
            return at(check.node, check.judge(self._facts[0]))
        value = _words(self._error) if self._error else f"no answer within {seconds:.0f} s"
        return [Row(check.name, value, check.hint, node=check.node)]


def _words(error: Exception) -> str:
    """An error's first line; those of others with their kind."""
    line = next(iter(str(error).strip().splitlines()), "")
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, FreHpoError):
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
