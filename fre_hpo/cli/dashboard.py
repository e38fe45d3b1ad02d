"""``fre-hpo dashboard``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from fre_hpo.cli.launching import current_call, hide_secrets
from fre_hpo.cli.options import common
from fre_hpo.settings import Settings


@click.command(
    epilog="\b\nExample:  fre-hpo dashboard mouse-fre\n"
    "          fre-hpo dashboard --host 0.0.0.0 --token-file ~/.fre-hpo-token"
)
@click.argument("study", required=False)
@click.option(
    "--host", default="127.0.0.1", metavar="ADDRESS", help="Address to listen on [127.0.0.1]."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 is any [8080, or the next that is free].",
)
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="Another name under which browsers reach it, a proxy's for example.  Repeatable.",
)
@click.option(
    "--allow-changes",
    is_flag=True,
    help="Let viewers write notes, fail running trials and delete studies.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keeps the token, so that bookmarks survive a restart [FRE_HPO_DASHBOARD_TOKEN; a new one].",
)
@common
def dashboard(settings: Settings, quiet: bool, verbose: bool, **asked: Any) -> None:
    """Show the studies in a browser, live.

    Prints the address to open, with its token; into a log without one that is kept in a file or variable.
    Viewers change nothing, unless you allow it.  Ctrl-C ends it; no search depends on it.
    """
    from fre_hpo.service.dashboard import Showing, show

    call = current_call()
    beside = call.lifeline is not None
    if call.is_command and not beside:
        hide_secrets(call, quiet=quiet)
    logged = not beside and not sys.stdout.isatty()
    show(
        Showing(awaited=beside, logged=logged, **asked),
        settings,
        os.environ,
        announce=click.echo,
        warn=_silence if quiet else _tell,
        say=_tell if verbose else None,
    )


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _silence(line: str) -> None:
    pass
