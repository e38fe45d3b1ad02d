"""The characters that a terminal can show: Unicode where its locale has it, else ASCII."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


@dataclass(frozen=True)
class Glyphs:
    """full, empty: of a bar.  ramp: of a small curve, from low to high.  ellipsis: for what is left out."""

    full: str
    empty: str
    ramp: str
    ellipsis: str
    ascii: bool

    def text(self, words: str) -> str:
        """What others wrote, such as an error's words, on one line and without codes for the terminal."""
        line = _CONTROL.sub(" ", words)
        return line.encode("ascii", "replace").decode() if self.ascii else line

    def bar(self, share: float, width: int) -> tuple[str, str]:
        """The full and the empty part of a bar."""
        count = round(min(max(share, 0.0), 1.0) * width)
        return self.full * count, self.empty * (width - count)

    def curve(self, values: Sequence[float], low: float, high: float, width: int) -> str:
        """A curve of so many characters at most, its newest values if there are more; low and high: the
        scale's ends."""
        steps = len(self.ramp) - 1
        span = (high - low) or 1.0
        shares = [(value - low) / span for value in _thinned(values, width)]
        return "".join(self.ramp[round(min(max(s, 0.0), 1.0) * steps)] for s in shares)


UNICODE = Glyphs("━", "─", "▁▂▃▄▅▆▇█", "…", ascii=False)
ASCII = Glyphs("#", ".", "_.-=+*#", "~", ascii=True)


def _thinned(values: Sequence[float], width: int) -> list[float]:
    """At most so many of the values, evenly over all of them, with the last."""
    if len(values) <= width:
        return list(values)
    return [values[(index + 1) * len(values) // width - 1] for index in range(width)]


def glyphs(environ: Mapping[str, str] = os.environ) -> Glyphs:
    """Those of this terminal, by its locale; ASCII too where NO_COLOR asks for plainness.

    Python changes LC_CTYPE in a locale without UTF-8 (PEP 538), which changes nothing about the terminal.
    """
    kind = environ.get("LC_CTYPE", "")
    named = environ.get("LC_ALL") or ("" if kind == "C.UTF-8" else kind) or environ.get("LANG", "")
    knows = "utf-8" in named.lower() or "utf8" in named.lower()
    return UNICODE if knows and not environ.get("NO_COLOR") else ASCII
