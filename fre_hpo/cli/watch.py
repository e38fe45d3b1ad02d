"""``fre-hpo watch``: a study live, on a screen or in lines."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from fre_hpo.cli.options import common
from fre_hpo.errors import EXIT_DONE
from fre_hpo.settings import Settings

if TYPE_CHECKING:
    from fre_hpo.service.watch import Sight, Watcher

REDRAW_SECONDS = 0.5


@click.command(
    epilog="\b\nExample:  fre-hpo watch mouse-fre\n          fre-hpo watch mouse-fre -q | tee trials.txt"
)
@click.argument("study")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1, max=3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks at the storage.",
)
@common
def watch(settings: Settings, study: str, interval: float, quiet: bool) -> int:
    """Show a study live, from any machine that reaches its storage, until it ends.

    On a terminal it takes the whole screen, and q leaves it; the search goes on.  Where stdout is no
    terminal it prints what happens line by line, with -q only the trials that end.
    """
    from fre_hpo.service.watch import Watcher

    with suppress(KeyboardInterrupt):
        watcher = Watcher(settings, study)
        sight = _follow(watcher, watcher.look(), interval, quiet=quiet)
        if sight is not None:
            _conclude(watcher, sight)
    return EXIT_DONE


def _follow(watcher: Watcher, sight: Sight, interval: float, *, quiet: bool) -> Sight | None:
    """Show the study until it does not run any more; None when somebody did not want to wait."""
    if sight.over:
        return sight
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        return _on_screen(watcher, sight, interval)
    return _in_lines(watcher, sight, interval, quiet=quiet)


def _on_screen(watcher: Watcher, sight: Sight, interval: float) -> Sight | None:
    from datetime import datetime

    from fre_hpo.cli.glyphs import glyphs
    from fre_hpo.cli.screen import Screen
    from fre_hpo.cli.watch_frame import frame
    from fre_hpo.service.watch import Following

    following = Following(watcher, sight, interval)
    marks = glyphs()
    with Screen() as screen:
        while not (screen.left or sight.over):
            screen.draw(frame(sight, *screen.size, marks, datetime.now()))
            screen.wait(REDRAW_SECONDS)
            sight = following.sight
    return None if screen.left else sight


def _in_lines(watcher: Watcher, sight: Sight, interval: float, *, quiet: bool) -> Sight:
    """SIGTERM ends it as Ctrl-C does."""
    from fre_hpo.cli.watch_lines import Lines

    lines = Lines(quiet=quiet)
    found = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            for line in lines.of(sight):
                _print(line)
            if sight.over:
                return sight
            time.sleep(interval)
            sight = watcher.look()
    finally:
        signal.signal(signal.SIGTERM, found)


def _conclude(watcher: Watcher, sight: Sight) -> None:
    from fre_hpo.cli.glyphs import ASCII, glyphs
    from fre_hpo.cli.watch_lines import summary

    for line in summary(sight, watcher.ending(sight), plain=glyphs() is ASCII):
        _print(line)


def _print(line: str) -> None:
    """Ends the command when whoever read it is gone; what Python would still write then goes nowhere."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise SystemExit(EXIT_DONE) from None
