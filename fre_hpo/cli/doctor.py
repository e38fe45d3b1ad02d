"""``fre-hpo doctor``: what may be wrong, in one table, with a hint for each problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fre_hpo.cli.options import as_format, common
from fre_hpo.cli.telling import waiting
from fre_hpo.errors import EXIT_DONE, EXIT_ERROR, FreHpoError, counted
from fre_hpo.settings import Settings

if TYPE_CHECKING:
    from rich.table import Table

    from fre_hpo.scheduling.doctor.checks import Row

HERE = "here"


@click.command(
    epilog="\b\nExample:  fre-hpo doctor --address head.lab:6379\n          fre-hpo doctor"
)
@click.option("--address", metavar="HOST:PORT", help="Look at every node of this cluster as well.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Token of that cluster [FRE_HPO_TOKEN_FILE; cluster-token in the home].",
)
@as_format
@common
def doctor(
    settings: Settings, quiet: bool, address: str | None, token_file: Path | None, form: str
) -> int:
    """Look for what may be wrong with this machine, or with a cluster.

    GPU, driver, versions, memory, storage, folders, disks, clocks, ports: one table, and for every problem
    what to type.  Creates nothing.  Exits with 1 when there is a problem.
    """
    from fre_hpo.cli.tables import print_data
    from fre_hpo.service.doctor import examine_cluster, examine_here

    with waiting("Looking at this machine ...", quiet):
        found = examine_here(settings, token_file)
    refusal = None
    if address:
        try:
            with waiting(f"Asking the nodes of {address} ...", quiet):
                found += examine_cluster(address, settings, token_file)
        except FreHpoError as error:
            refusal = error
    rows = [row for group in found for row in group]
    if form == "table":
        _print(found, quiet or refusal is not None)
    else:
        print_data([row.plain() for row in rows], form)
    if refusal:
        raise refusal
    return EXIT_DONE if all(row.ok for row in rows) else EXIT_ERROR


def _print(found: Sequence[Sequence[Row]], quiet: bool) -> None:
    """The table, and below it what to do."""
    from fre_hpo.cli.tables import console

    screen = console()
    screen.print(_table(found))
    hints = _hints(row for group in found for row in group if not row.ok)
    if hints:
        screen.print(f"\n{counted(len(hints), 'problem')}:", style="bold")
        screen.print(_listed(hints))
    elif not quiet:
        click.echo("\nNo problems were found.", err=True)


def _table(found: Sequence[Sequence[Row]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("what", "where", "value", "verdict"):
        table.add_column(name, overflow="fold")
    for number, group in enumerate(filter(None, found)):
        if number:
            table.add_row()
        for row in group:
            style = "" if row.ok else "bold red"
            cells = (row.check, row.node or HERE, row.value, row.verdict)
            table.add_row(*(Text(cell, style) for cell in cells))
    return table


def _hints(problems: Iterable[Row]) -> dict[tuple[str, str], list[str]]:
    """Check and hint of the problems -> the machines that have them."""
    hints: dict[tuple[str, str], list[str]] = {}
    for row in problems:
        hints.setdefault((row.check, row.hint), []).append(row.node or HERE)
    return hints


def _listed(hints: Mapping[tuple[str, str], Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for number, ((check, hint), places) in enumerate(hints.items(), 1):
        words = Text(f"{check}, {', '.join(dict.fromkeys(places))}: ", "bold").append(
            hint, "default"
        )
        table.add_row(f"{number}.", words)
    return table
