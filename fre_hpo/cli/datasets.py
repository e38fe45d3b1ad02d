"""``fre-hpo data``: look at pictures before a search does, fetch a published set, write a recipe."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fre_hpo.cli.options import as_format, common
from fre_hpo.cli.telling import download_bar, print_checked, say, tell_found, waiting
from fre_hpo.cli.verbs import Verbs
from fre_hpo.settings import Settings

if TYPE_CHECKING:
    from fre_hpo.service.datasets import Checked


@click.group(
    cls=Verbs,
    epilog="\b\nExample:  fre-hpo data init ~/pictures\n"
    "          fre-hpo data check pictures.toml\n"
    "          fre-hpo start --dataset pictures.toml",
)
def data() -> None:
    """Check, show, fetch data sets; write a recipe for your own."""


name_argument = click.argument("name", metavar="NAME|RECIPE")
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="The data set's own folder [<home>/data/<set>].",
)
set_option = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another value for a recipe's key, such as data.tile=256.  Repeatable.",
)
picture_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="PICTURE",
    help="The contact sheet, a PNG [./<recipe>-check.png].",
)


@data.command(
    epilog="\b\nExample:  fre-hpo data check pictures.toml\n"
    "          fre-hpo data check drosophila --set data.tile=512"
)
@name_argument
@data_dir_option
@set_option
@picture_option
@click.option("--no-picture", is_flag=True, help="Draw no contact sheet.")
@as_format
@common
def check(
    settings: Settings,
    quiet: bool,
    name: str,
    data_dir: Path | None,
    assignments: tuple[str, ...],
    output: Path | None,
    no_picture: bool,
    form: str,
) -> None:
    """Check a data set as a start does, and draw it.

    Tells every problem in one list, or how much of each split every class covers.  The contact sheet
    shows pictures of every split beside their labels.
    """
    from fre_hpo.service import datasets

    path = None if no_picture else datasets.sheet_path(name, output)
    checked = _checked(settings, quiet, name, data_dir, assignments)
    plain = checked.plain()
    if path:
        datasets.draw(checked, path)
        plain["picture"] = str(path)
    print_checked(plain, form)
    if not quiet:
        for remark in plain["remarks"]:
            say(f"Warning: {remark}")
        click.echo("No problems were found.", err=True)


@data.command(epilog="Example:  fre-hpo data show phantom -o cells.png")
@name_argument
@data_dir_option
@set_option
@picture_option
@common
def show(
    settings: Settings,
    quiet: bool,
    name: str,
    data_dir: Path | None,
    assignments: tuple[str, ...],
    output: Path | None,
) -> None:
    """Draw the contact sheet of a data set: pictures beside their labels, every class, every split."""
    from fre_hpo.service import datasets

    path = datasets.sheet_path(name, output)
    datasets.draw(_checked(settings, quiet, name, data_dir, assignments), path)
    click.echo(path)


@data.command(epilog="Example:  fre-hpo data init ~/pictures -o liver.toml")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="RECIPE.toml",
    help="The recipe [./<name of the folder>.toml].",
)
@click.option("--force", is_flag=True, help="Replace a recipe that is there.")
@common
def init(settings: Settings, quiet: bool, folder: Path, output: Path | None, force: bool) -> None:
    """Look at a folder of images and masks, and write a recipe for it.

    The recipe says what was found and what was guessed; nothing is written into the folder.
    """
    from fre_hpo.service.datasets import write_recipe

    with waiting(f"Looking at {folder} ...", quiet):
        path, found = write_recipe(folder, output, force=force)
    click.echo(path)
    if not quiet:
        tell_found(found)
        click.echo("Next:", err=True)
        click.echo(f"  fre-hpo data check {shlex.quote(str(path))}", err=True)
        click.echo(f"  fre-hpo start --dataset {shlex.quote(str(path))}", err=True)


@data.command(
    epilog="\b\nExample:  fre-hpo data fetch drosophila\n"
    "          fre-hpo data fetch drosophila --from ~/Downloads/groundtruth-master.zip"
)
@click.argument("name")
@click.option(
    "--from",
    "origin",
    metavar="ZIP|FOLDER|URL",
    help="Where to take it from [where it is published].",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Where to put it [<home>/data/<set>, where --dataset looks].",
)
@common
def fetch(
    settings: Settings, quiet: bool, name: str, origin: str | None, data_dir: Path | None
) -> None:
    """Fetch a published data set, checked file by file.

    A download that was cut goes on where it ended.
    """
    from fre_hpo.service import datasets

    publication = datasets.published(name, settings)
    if publication is None:
        click.echo(f"There is nothing to fetch: {name} is drawn when it is needed.", err=True)
        return
    with download_bar(quiet) as progress:
        fetched = datasets.fetch(publication, origin, data_dir, settings, progress)
    click.echo(fetched.folder)
    if quiet:
        return
    for remark in fetched.remarks:
        say(f"Warning: {remark}")
    if fetched.was_there:
        click.echo("It is there already, and every file is as published.", err=True)
    else:
        click.echo(f"All {len(publication.checksums)} files are as published.", err=True)
        say(f"Licence: {publication.licence}.")


def _checked(
    settings: Settings,
    quiet: bool,
    name: str,
    data_dir: Path | None,
    assignments: tuple[str, ...],
) -> Checked:
    from fre_hpo.service import datasets
    from fre_hpo.study.recipe import parse_set

    overrides = parse_set(assignments)
    with waiting(f"Reading {name} ...", quiet):
        return datasets.check(name, data_dir, overrides, settings)
