"""What ``watch`` draws: a study as so many lines of so many characters, never more."""

from __future__ import annotations

import textwrap
from datetime import datetime, timedelta

from rich.text import Text

from fre_hpo.cli.glyphs import Glyphs
from fre_hpo.cli.search_lines import trials_done
from fre_hpo.cli.tables import duration
from fre_hpo.cli.watch_table import running_lines
from fre_hpo.scheduling.live import ALIVE, Happening, Live
from fre_hpo.service.watch import Sight
from fre_hpo.study.records import params_text

ROOMY = 18
"""A terminal of so many lines has room for empty ones."""
SILENT_SECONDS = 15.0
"""A coordinator that publishes nothing for so long is said to be silent."""
MESSAGE_LINES = 3
STATE_STYLES = {
    "running": "bold green",
    "finished": "bold green",
    "paused": "bold yellow",
    "interrupted": "bold red",
}
ALARM, CAUTION = "bold white on red", "bold black on yellow"


def frame(sight: Sight, width: int, height: int, glyphs: Glyphs, now: datetime) -> list[Text]:
    """The whole screen.  now: the local time."""
    roomy = height >= ROOMY
    top = [*_title(sight, width, glyphs), *_messages(sight, width, glyphs)]
    if sight.live is not None:
        top += _overall(sight, sight.live, width, glyphs, now)
    happenings = sight.live.happenings if sight.live else ()
    running = sight.live.running if sight.live and sight.state in ALIVE else ()
    gap = [Text()] if roomy else []
    spare = height - len(top) - 2 * len(gap)
    kept = min(len(happenings), max(spare // 3, 0))
    age = 0.0 if sight.trouble else sight.age
    trials = running_lines(running, age, width, spare - kept, glyphs)
    events = _events(happenings, sight.skew, max(spare - len(trials), 0), width, glyphs)
    lines = [*top, *(gap + trials if trials else []), *(gap + events if events else [])]
    return lines[: max(height, 0)]


def _cut(line: Text, width: int, glyphs: Glyphs) -> Text:
    """A line that ends where the screen does."""
    if line.cell_len > width:
        line.truncate(max(width - 1, 0))
        line.append(glyphs.ellipsis if width > 0 else "")
    return line


# --- the upper part -----------------------------------------------------------------------------


def _title(sight: Sight, width: int, glyphs: Glyphs) -> list[Text]:
    line = Text(glyphs.text(sight.study), style="bold")
    line.append("  ").append(sight.state, style=STATE_STYLES.get(sight.state, "bold yellow"))
    if sight.live is not None and sight.state in ALIVE:
        line.append(f" on {glyphs.text(sight.live.host)}")
    hint = "q quits"
    room = width - line.cell_len - len(hint)
    if room >= 2:
        line.append(" " * room).append(hint, style="dim")
    return [_cut(line, width, glyphs)]


def _messages(sight: Sight, width: int, glyphs: Glyphs) -> list[Text]:
    """What a person should notice, the most urgent first."""
    found: list[tuple[str, str]] = []
    if sight.trouble:
        since = duration(sight.blind)
        words = f"The storage is out of reach for {since} ({sight.trouble}); this is what was known then."
        found.append((words, ALARM))
    elif sight.state == "interrupted":
        words = (
            f"The coordinator is gone for {duration(sight.silence)}; waiting for its next start."
        )
        found.append((words, ALARM))
    elif sight.live is None:
        found.append(("The search has not begun yet.", CAUTION))
    elif sight.silence > SILENT_SECONDS and sight.state in ALIVE:
        words = f"Nothing new from {sight.live.host} for {duration(sight.silence)}."
        found.append((words, CAUTION))
    if sight.live is not None and sight.live.message:
        found.append((sight.live.message, ALARM))
    elif sight.state == "paused":
        words = f"Paused: nothing new is begun until `fre-hpo resume {sight.study}`."
        found.append((words, CAUTION))
    return [line for words, style in found for line in _message(words, style, width, glyphs)]


def _message(words: str, style: str, width: int, glyphs: Glyphs) -> list[Text]:
    """Broken between words, as one coloured block."""
    room = max(width - 2, 1)
    broken = textwrap.wrap(
        glyphs.text(words), room, max_lines=MESSAGE_LINES, placeholder=glyphs.ellipsis
    )
    lines = [Text(f" {line}".ljust(width), style=style) for line in broken]
    for line in lines:
        line.truncate(width)
    return lines


def _overall(sight: Sight, live: Live, width: int, glyphs: Glyphs, now: datetime) -> list[Text]:
    """The bar, the counts, the times, the best trial."""
    share = trials_done(live) / max(live.wanted, 1)
    percent = f"{min(share, 1.0):4.0%}"
    full, empty = glyphs.bar(share, max(width - len(percent) - 1, 0))
    bar = Text().append(full, style="green").append(empty, style="dim").append(f" {percent}")
    lines = [bar, _counts(sight, live), _times(sight, live, now), _best(live, glyphs)]
    return [_cut(line, width, glyphs) for line in lines]


def _counts(sight: Sight, live: Live) -> Text:
    line = Text().append(str(live.complete), style="bold")
    line.append(f" of {live.wanted} trials complete")
    if sight.state in ALIVE:
        line.append(f", {len(live.running)} running")
    if live.failed:
        line.append(f", {live.failed} failed", style="red")
    return line


def _times(sight: Sight, live: Live, now: datetime) -> Text:
    """How long it has run, how long it will, and when it is done on the clock here."""
    runs = sight.state in ALIVE and not sight.trouble
    line = Text(f"elapsed {duration(live.elapsed + (sight.age if runs else 0.0))}")
    if live.eta_seconds is not None and sight.state == "running":
        left = max(live.eta_seconds - sight.age, 0.0)
        line.append(f"  left {duration(left)}", style="bold")
        line.append(f"  done {_clock(now + timedelta(seconds=left), now)}")
    return line


def _clock(moment: datetime, now: datetime) -> str:
    """14:05, Tue 14:05 or 3 Dec 14:05."""
    days = (moment.date() - now.date()).days
    day = "" if days == 0 else f"{moment:%a} " if days < 7 else f"{moment.day} {moment:%b} "
    return f"{day}{moment:%H:%M}"


def _best(live: Live, glyphs: Glyphs) -> Text:
    if live.best is None:
        return Text("best    none yet", style="dim")
    what = glyphs.text(params_text(live.best["params"])) if live.best["params"] else ""
    line = Text(f"best    trial {live.best['number']}  mIoU ")
    return line.append(f"{live.best['value']:.4f}", style="bold green").append(f"  {what}")


# --- the lower part -----------------------------------------------------------------------------


def _events(
    happenings: tuple[Happening, ...], skew: float, rows: int, width: int, glyphs: Glyphs
) -> list[Text]:
    """The last ones, the newest below."""
    lines = []
    for happening in happenings[len(happenings) - min(rows, len(happenings)) :]:
        moment = datetime.fromtimestamp(happening.time + skew)
        line = Text(f"{moment:%H:%M:%S}  ", style="dim")
        line.append(glyphs.text(happening.text), style="not dim")
        lines.append(_cut(line, width, glyphs))
    return lines
