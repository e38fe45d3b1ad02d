"""The verb that tells: a study or a comparison as a page."""

from __future__ import annotations

from pathlib import Path

import click

from fre_hpo.cli.options import common
from fre_hpo.cli.telling import waiting
from fre_hpo.settings import Settings


@click.command(epilog="Example:  fre-hpo report mouse-fre --out mouse-report")
@click.argument("name", metavar="STUDY|COMPARISON")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="A new folder, or that of an earlier report, which is replaced.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the images lie now [where they were].",
)
@common
def report(settings: Settings, quiet: bool, name: str, out: Path, data_dir: Path | None) -> None:
    """Write what a study or a comparison found into a folder, and how to repeat it.

    index.html is one page that needs nothing else: mail it, print it.  report.md is the same as Markdown,
    with the figures in figures/; recipe.toml holds every setting.  Prints the page's path.
    """
    with waiting(f"Writing the report of {name} ...", quiet):
        from fre_hpo.service.report import report as write

        folder = write(settings, name, out, data_dir)
    click.echo(folder / "index.html")
