"""What the verbs of ``fre-hpo data`` print, and what a terminal shows meanwhile."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from fre_hpo.cli.options import interactive

if TYPE_CHECKING:
    from fre_hpo.data.fetching.downloading import Progress
    from fre_hpo.data.guessing import Guess

WIDEST_VALUE = 24
"""Characters of a guessed value that keep their column."""


def print_checked(plain: dict[str, Any], form: str) -> None:
    from fre_hpo.cli.tables import print_data

    if form == "json":
        print_data(plain, form)
    elif form == "csv":
        print_data([{"split": name, **split} for name, split in plain["splits"].items()], form)
    else:
        _print_tables(plain)


def _print_tables(plain: dict[str, Any]) -> None:
    """The splits, then the classes: both fit into a terminal however many classes there are."""
    from fre_hpo.cli.tables import Number, print_table
    from fre_hpo.data.showing.shares import percent

    splits = plain["splits"]
    sizes = ("images", "sources", "height", "width", "channels")
    rows = [[name, *(Number(split[key]) for key in sizes)] for name, split in splits.items()]
    print_table(["split", "images", "pictures", *sizes[2:]], rows)
    click.echo()
    shares = [
        [name, *(Number(percent(split["shares"][name])) for split in splits.values())]
        for name in plain["classes"]
    ]
    print_table(["class", *splits], shares)
    ignored = {name: split["ignored"] for name, split in splits.items() if split["ignored"]}
    if ignored:
        words = ", ".join(f"{percent(share)} of {name}" for name, share in ignored.items())
        click.echo(f"ignored: {words}")
    click.echo(f"\nfingerprint: {plain['fingerprint'][:12]}")
    if "picture" in plain:
        click.echo(f"picture: {plain['picture']}")


def tell_found(found: Guess) -> None:
    """What was found, what was guessed from it, and last, where it is read, what is doubtful."""
    from fre_hpo.study.space import written

    values = {key: value for key, value in found.options.items() if key != "labels"}
    for name, numbers in found.options.get("labels", {}).items():
        values[f"labels.{name}"] = numbers
    topics = [
        (key, "", remark)
        for key, remark in found.found
        if key not in values and not key.startswith("training.")
    ]
    _tell("Found:", topics)
    remarks = dict(found.found)
    _tell("Guessed:", [(k, written(v), remarks.get(k, "")) for k, v in values.items()])
    for doubt in found.doubts:
        say(f"Warning: {doubt}")


def _tell(heading: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """Key, value and remark in columns."""
    click.echo(heading, err=True)
    keys = max((len(key) for key, _, _ in rows), default=0)
    explained = (value for _, value, remark in rows if remark and len(value) <= WIDEST_VALUE)
    values = max(map(len, explained), default=0)
    for key, value, remark in rows:
        begin = f"  {key:<{keys}}  " + (f"{value:<{values}}  " if value else "")
        say(begin + remark, " " * len(begin))


def say(text: str, indent: str = "") -> None:
    """A line on stderr, which a terminal breaks between words."""
    width = shutil.get_terminal_size().columns if interactive() else sys.maxsize
    lines = textwrap.wrap(
        text, width, subsequent_indent=indent, break_on_hyphens=False, replace_whitespace=False
    )
    click.echo("\n".join(lines), err=True)


@contextmanager
def waiting(words: str, quiet: bool) -> Iterator[None]:
    """Show that something is going on, on a terminal only."""
    if quiet or not interactive():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(words):
        yield


@contextmanager
def download_bar(quiet: bool) -> Iterator[Progress]:
    """A bar once bytes arrive, on a terminal only."""
    if quiet or not interactive():
        yield lambda received, total: None
        return
    from rich import progress
    from rich.console import Console

    columns = (progress.BarColumn(), progress.DownloadColumn(), progress.TransferSpeedColumn())
    bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task("", total=None)

    def show(received: int, total: int | None) -> None:
        bar.update(task, completed=received, total=total)
        bar.start()

    try:
        yield show
    finally:
        bar.stop()
