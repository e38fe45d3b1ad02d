"""The verb that makes one file of a study, and a study of such a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from fre_hpo.cli.options import common
from fre_hpo.cli.telling import say, waiting
from fre_hpo.errors import UsageError
from fre_hpo.settings import Settings


@click.command(
    epilog="\b\nExample:  fre-hpo archive mouse-fre --out mouse-fre.zip\n"
    "          fre-hpo archive --restore mouse-fre.zip --storage postgresql://fre@db.lab/fre"
)
@click.argument("study", required=False)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file to write, a ZIP.",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option(
    "--restore",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Make a study of this archive, in the storage and the home of the settings.",
)
@click.option("--study", "name", metavar="NAME", help="Restore it under this name [its own].")
@common
def archive(
    settings: Settings,
    quiet: bool,
    study: str | None,
    out: Path | None,
    force: bool,
    file: Path | None,
    name: str | None,
) -> None:
    """Write a study into one file, or restore it from one.

    The file is for a colleague, or for another storage: trials, curves, settings, pictures, the best trained
    networks, the checkpoints of unfinished trials.  It may be written while the search runs.  A study that is
    restored goes on with `start` where the file leaves off, and the first one stays what it is.
    """
    if file is not None:
        _refuse(study is not None or out is not None or force, "--restore stands alone")
        _restore(settings, file, name, quiet=quiet)
    else:
        _refuse(name is not None, "--study names what --restore makes")
        if study is None or out is None:
            raise UsageError(problem=f"Something is missing: {_USAGE}.")
        _archive(settings, study, out, force=force, quiet=quiet)


_USAGE = "`fre-hpo archive STUDY --out FILE`, or `fre-hpo archive --restore FILE`"


def _refuse(wrong: bool, why: str) -> None:
    if wrong:
        raise UsageError(problem=f"{why}: {_USAGE}.")


def _archive(settings: Settings, study: str, out: Path, *, force: bool, quiet: bool) -> None:
    from fre_hpo.cli.tables import size
    from fre_hpo.errors import counted
    from fre_hpo.service.archiving import archive as write

    with waiting(f"Archiving {study} ...", quiet):
        made = write(settings, study, out, force=force)
    click.echo(made.file)
    if quiet:
        return
    networks = f"{counted(made.networks, 'trained network')}, {size(made.bytes)}"
    say(f"{_trials(made.states)}, {networks}.")
    for remark in made.remarks:
        say(remark)


def _restore(settings: Settings, file: Path, name: str | None, *, quiet: bool) -> None:
    from fre_hpo.service.restoring import restore

    with waiting(f"Restoring {file.name} ...", quiet):
        made = restore(settings, file, name)
    click.echo(made.study)
    if quiet:
        return
    say(f"{_trials(made.states)}; its files are in {made.folder}.")
    say(f"To go on:  {made.command}")
    for remark in made.remarks:
        say(remark)


def _trials(states: Mapping[str, int]) -> str:
    """How many trials there are, and what of them."""
    from fre_hpo.errors import counted

    words = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    told = [f"{states[state]} {word}" for state, word in words.items() if states.get(state)]
    going_on = states.get("RUNNING", 0) + states.get("WAITING", 0)
    told += [f"{going_on} to go on with"] if going_on else []
    total = counted(sum(states.values()), "trial")
    return f"{total} ({', '.join(told)})" if told else total
