"""What ``watch`` prints where nobody can look at a screen: lines, each with its time; and the summary."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime

from fre_hpo.cli.glyphs import ASCII, UNICODE, Glyphs
from fre_hpo.cli.search_lines import ended_line, overall_words
from fre_hpo.scheduling.live import ALIVE, Happening
from fre_hpo.service.watch import Ending, Sight
from fre_hpo.study.records import TrialRecord

PROGRESS_SECONDS = 60.0
TELLS_END = re.compile(r"Trial \d+\b.* (is complete: mIoU|failed: )")
"""A happening that tells of a trial's end, of which there is a better line."""
LAST_HAPPENINGS = 3


class Lines:
    """The lines for one sight after the other: what is new.  quiet: only the ends of trials."""

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._quiet = quiet
        self._clock = clock
        self._ended: set[int] | None = None
        self._serial = 0
        self._progress: tuple[object, ...] | None = None
        self._told_at = 0.0
        self._complaint: str | None = None

    def of(self, sight: Sight) -> Iterator[str]:
        """What to print now."""
        if self._ended is None:
            self._begin(sight)
        if not self._quiet:
            yield from self._complaints(sight)
        yield from (text for _, text in sorted(self._news(sight), key=lambda each: each[0]))
        if not self._quiet:
            yield from self._how_far(sight)

    def _begin(self, sight: Sight) -> None:
        """What was before is not news."""
        self._ended = {trial.number for trial in sight.ended}
        if sight.live and sight.live.happenings:
            self._serial = sight.live.happenings[-1].serial

    def _news(self, sight: Sight) -> Iterator[tuple[float, str]]:
        """Each with its time."""
        assert self._ended is not None
        for trial in sight.ended:
            if trial.number not in self._ended:
                self._ended.add(trial.number)
                at = _finished(trial) + sight.skew
                yield at, _stamped(at, ended_line(trial, sight.wanted).plain)
        for happening in self._happened(sight):
            at = happening.time + sight.skew
            yield at, _stamped(at, happening.text)

    def _happened(self, sight: Sight) -> Iterator[Happening]:
        for happening in sight.live.happenings if sight.live else ():
            if happening.serial > self._serial:
                self._serial = happening.serial
                if not self._quiet and not TELLS_END.match(happening.text):
                    yield happening

    def _complaints(self, sight: Sight) -> Iterator[str]:
        """That nothing can be read, or nobody publishes, once; and that it is over."""
        complaint = None
        if sight.trouble:
            complaint = f"The storage is out of reach ({sight.trouble}); still trying."
        elif sight.state == "interrupted" and not sight.over:
            complaint = "The coordinator is gone; waiting for its next start."
        if (complaint is None) is not (self._complaint is None):
            yield _stamped(time.time(), complaint or f"{sight.study} can be seen again.")
        self._complaint = complaint

    def _how_far(self, sight: Sight) -> Iterator[str]:
        """Once a minute at most, and only when it got any further."""
        live = sight.live
        if live is None or sight.trouble or sight.state not in ALIVE:
            return
        progress = (live.state, live.complete, live.failed, sum(t.epoch for t in live.running))
        due = self._progress is None or self._clock() - self._told_at >= PROGRESS_SECONDS
        if due and progress != self._progress:
            self._progress, self._told_at = progress, self._clock()
            words = "  ".join(
                [f"{sight.study} is {sight.state}", *overall_words(live), *_best(live.best)]
            )
            yield _stamped(live.time + sight.skew, words)


def _best(best: dict[str, object] | None) -> list[str]:
    return [] if best is None else [f"best mIoU {best['value']:.4f}"]


def _finished(trial: TrialRecord) -> float:
    """Unix time."""
    moment = trial.finished_at
    return time.time() if moment is None else datetime.fromisoformat(moment).timestamp()


def _stamped(at: float, words: str, glyphs: Glyphs = UNICODE) -> str:
    return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M:%S}  {glyphs.text(words)}"


def summary(sight: Sight, ending: Ending, *, plain: bool) -> list[str]:
    """How a study that does not run stands, and what to type.  plain: in ASCII."""
    marks = ASCII if plain else UNICODE
    failed = f", {sight.failed} failed" if sight.failed else ""
    lines = [
        f"{sight.study} is {sight.state}: {sight.complete} of {sight.wanted} trials are complete"
        f"{failed}. {ending.why}"
    ]
    happenings = sight.live.happenings if sight.live else ()
    if sight.state != "finished":
        recent = happenings[-LAST_HAPPENINGS:]
        lines += ["  " + _stamped(h.time + sight.skew, h.text, marks) for h in recent]
    if sight.best is not None:
        lines.append(f"best: {ended_line(sight.best, sight.wanted).plain}")
    if ending.home is not None:
        lines.append(f"files: {ending.home}/studies/{sight.study}")
    if ending.command is not None:
        what = "more trials" if sight.state == "finished" else "to go on"
        lines.append(f"{what}: {ending.command}")
    return [marks.text(line) for line in lines]
