"""A search as the terminal shows it: a bar over all trials, a line for each running one, a printed line
for each that ended.  Where stderr is no terminal: plain lines only."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console, Group
from rich.live import Live as LiveDisplay
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from fre_hpo.cli.search_lines import ended_line, overall_words, trials_done
from fre_hpo.scheduling.live import Live, RunningTrial
from fre_hpo.study.records import TrialRecord, params_text

WIDEST_BAR, NARROWEST_BAR = 40, 10


class SearchDisplay:
    """An observer of a search that prints to stderr."""

    def __init__(self, *, quiet: bool, verbose: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._verbose = verbose
        self._live: Live | None = None
        self._starting = Spinner("dots", Text("Starting ...", style="dim"))
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
            self.show(sentence)

    def show(self, line: str) -> None:
        """Print a line that was asked for, also when little shall be said; from any thread."""
        self._console.print(Text(line), soft_wrap=True)

    def moved(self, live: Live) -> None:
        before = {t.number: t.epoch for t in self._live.running} if self._live else {}
        self._live = live
        if self._verbose:
            for trial in live.running:
                if trial.miou is not None and trial.epoch != before.get(trial.number):
                    self._console.print(_epoch_line(trial), soft_wrap=True)

    def trial_ended(self, trial: TrialRecord, live: Live) -> None:
        self._live = live
        if not self._quiet:
            room = self._console.width if self._console.is_terminal else None
            self._console.print(ended_line(trial, live.wanted, room), soft_wrap=True)

    # --- drawing --------------------------------------------------------------------------------

    def _render(self) -> Group | Spinner:
        if self._live is None:
            return self._starting
        lines = [_overall(self._live, self._console.width)]
        if self._live.running:
            lines.append(_running_table(self._live.running))
        return Group(*lines)


def _epoch_line(trial: RunningTrial) -> Text:
    words = f"trial {trial.number}  epoch {trial.epoch}/{trial.epochs}  mIoU {trial.miou:.4f}"
    return Text(words, style="dim")


def _overall(live: Live, width: int) -> Table:
    """The bar, as wide as the words leave room for; a running trial counts by its epochs."""
    words = Text("  ".join(overall_words(live)))
    room = width - words.cell_len - 2
    bar = ProgressBar(
        total=max(live.wanted, 1),
        completed=trials_done(live),
        width=max(min(room, WIDEST_BAR), NARROWEST_BAR),
    )
    table = Table.grid(padding=(0, 2))
    table.add_row(bar, words)
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
