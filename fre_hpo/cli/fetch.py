"""``fre-hpo fetch``."""

from __future__ import annotations

import click

from fre_hpo.cli.options import common
from fre_hpo.errors import counted
from fre_hpo.settings import CHECKPOINTS_VARIABLE, Settings


@click.command(epilog="Example:  fre-hpo fetch mouse-fre")
@click.argument("study")
@click.option(
    "--checkpoints",
    envvar=CHECKPOINTS_VARIABLE,
    metavar="URL|DIR",
    help="Where the study's files are [FRE_HPO_CHECKPOINTS; as it was started].",
)
@common
def fetch(settings: Settings, study: str, checkpoints: str | None) -> None:
    """Bring the results of a study into this home folder from where --checkpoints keeps them.

    Then report, export, predict and test find them here.  A start does it by itself.
    """
    from fre_hpo.service import fetching

    found = fetching.fetch(settings, study, checkpoints)
    click.echo(
        f"{counted(found.files, 'file')} fetched from {found.root} to {settings.study_folder(study)}.",
        err=True,
    )
