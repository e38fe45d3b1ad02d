"""A search in lines of text: what the terminal of ``start`` and ``watch`` have in common."""

from __future__ import annotations

from rich.text import Text

from fre_hpo.cli.tables import duration
from fre_hpo.scheduling.live import Live
from fre_hpo.study.records import TrialRecord, params_text


def ended_line(trial: TrialRecord, wanted: int, room: int | None = None) -> Text:
    """A trial that ended.  The classes are left out where they would break the line of a terminal.

    wanted: trials in all, so that numbers align.  room: characters of a line; None where it may be long.
    """
    width = len(str(max(wanted - 1, 0)))
    what = params_text(trial.params) if trial.params else f"seed {trial.seed}"
    line = Text(f"trial {trial.number:>{width}}  {what}  ")
    if not trial.complete:
        return line.append(f"failed: {trial.reason or 'ended by somebody else'}", style="red")
    line.append("mIoU ").append(f"{trial.value:.4f}", style="bold")
    line.append(f" at epoch {trial.best_epoch}", style="dim")
    shares = _shares(trial)
    fits = room is None or line.cell_len + len(shares) <= room
    return line.append(shares if fits else "", style="dim")


def _shares(trial: TrialRecord) -> str:
    known = {name: iou for name, iou in trial.class_iou.items() if iou is not None}
    return f"  ({', '.join(f'{name} {iou:.3f}' for name, iou in known.items())})"


def trials_done(live: Live) -> float:
    """Complete trials; a running one counts by its epochs."""
    return live.complete + sum(t.epoch / max(t.epochs, 1) for t in live.running)


def overall_words(live: Live) -> list[str]:
    """How far a search is."""
    words = [f"{live.complete}/{live.wanted} trials", f"{len(live.running)} running"]
    if live.failed:
        words.append(f"{live.failed} failed")
    words.append(f"{duration(live.elapsed)} elapsed")
    if live.eta_seconds is not None:
        words.append(f"{duration(live.eta_seconds)} left")
    return words
