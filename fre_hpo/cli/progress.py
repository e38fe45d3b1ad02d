"""A search as the terminal shows it: a bar over all trials, a line for each running one, a printed line
for each that ended.  Where stderr is no terminal: plain lines only."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console, Group
from rich.live import Live as LiveDisplay
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fre_hpo.cli.tables import duration, params_text
from fre_hpo.scheduling.live import Live, RunningTrial
from fre_hpo.study.records import TrialRecord


class SearchDisplay:
    """An observer of a search that prints to stderr."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._live: Live | None = None
        self._display = LiveDisplay(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=4,
            transient=True,
        )

    def __enter__(self) -> SearchDisplay:
        if self._console.is_terminal and not self._quiet:
            self._display.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._display.stop()

    # --- the observer ---------------------------------------------------------------------------

    def say(self, sentence: str) -> None:
        if not self._quiet:
            self._console.print(Text(sentence))

    def moved(self, live: Live) -> None:
        self._live = live

    def trial_ended(self, trial: TrialRecord, live: Live) -> None:
        self._live = live
        if not self._quiet:
            self._console.print(_ended_line(trial, live), soft_wrap=True)

    # --- drawing --------------------------------------------------------------------------------

    def _render(self) -> Group | Text:
        if self._live is None:
            return Text("Starting ...", style="dim")
        lines = [_overall(self._live)]
        if self._live.running:
            lines.append(_running_table(self._live.running))
        return Group(*lines)


def _ended_line(trial: TrialRecord, live: Live) -> Text:
    width = len(str(live.wanted))
    head = f"trial {trial.number:>{width}}  {params_text(trial.params)}  "
    if not trial.complete:
        return Text(head) + Text(f"failed: {trial.reason}", style="red")
    shares = ", ".join(
        f"{name} {iou:.3f}" for name, iou in trial.class_iou.items() if iou is not None
    )
    text = Text(f"{head}mIoU ")
    text.append(f"{trial.value:.4f}", style="bold")
    return text.append(f" at epoch {trial.best_epoch}  ({shares})", style="dim")


def _overall(live: Live) -> Table:
    table = Table.grid(padding=(0, 1))
    done = f"{live.complete}/{live.wanted} trials"
    failed = f", {live.failed} failed" if live.failed else ""
    inside = sum(trial.epoch / max(trial.epochs, 1) for trial in live.running)
    bar = ProgressBar(total=max(live.wanted, 1), completed=live.complete + inside, width=28)
    times = f"{duration(live.elapsed)} gone, {duration(live.eta_seconds)} left"
    table.add_row(bar, Text(done + failed), Text(f"{len(live.running)} running"), Text(times))
    return table


def _running_table(running: tuple[RunningTrial, ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    for trial in running:
        best = "" if trial.best_miou is None else f"best mIoU {trial.best_miou:.4f}"
        again = f"attempt {trial.attempt}" if trial.attempt > 1 else ""
        table.add_row(
            Text(f"  trial {trial.number}"),
            Text(params_text(trial.params)),
            Text(f"epoch {trial.epoch}/{trial.epochs}"),
            Text(best),
            Text(again, style="yellow"),
        )
    return table
