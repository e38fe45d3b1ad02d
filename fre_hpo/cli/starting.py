"""``fre-hpo start``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fre_hpo.cli.attending import attend, why_incomplete
from fre_hpo.cli.launching import Call, current_call, launch, run_detached
from fre_hpo.cli.options import AutoNumber, common, overrides_of
from fre_hpo.errors import EXIT_DONE, EXIT_INCOMPLETE, EXIT_STOPPED, StorageUnreachable
from fre_hpo.service.detached import LOG
from fre_hpo.settings import CHECKPOINTS_VARIABLE, NOTIFY_VARIABLE, TOKEN_VARIABLE, Settings

if TYPE_CHECKING:
    from fre_hpo.service.check import Preparation
    from fre_hpo.service.request import Request
    from fre_hpo.service.start import Ended


@click.command(
    epilog="\b\nExample:  fre-hpo start --dataset phantom --trials 8\n"
    "          fre-hpo start --dataset mouse --data-dir ~/mouse --set B=1..64:log"
)
@click.option(
    "--dataset", required=True, metavar="NAME|FILE.toml", help="A recipe by name or file."
)
@click.option("--method", metavar="NAME", help="Method of the paper to search or train [fre].")
@click.option("--trials", type=click.IntRange(min=1), help="Total of complete trials of the study.")
@click.option(
    "--hours", type=click.FloatRange(0, min_open=True), help="Running time, summed over starts."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs of every trial.")
@click.option("--study", metavar="NAME", help="Name of the study [<dataset>-<method>].")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="The data set's own folder [<home>/data/<set>].",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of sampler and trainings.")
@click.option("--parallel", type=AutoNumber(int), default="auto", help="Trials at once [auto].")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    help="Where trials train [auto].",
)
@click.option(
    "--executor",
    type=click.Choice(["ray", "inline"]),
    default="ray",
    help="Ray, or one after the other in this process [ray].",
)
@click.option(
    "--ray-address",
    envvar="RAY_ADDRESS",
    metavar="HOST:PORT",
    help="A running Ray cluster [RAY_ADDRESS; a local Ray].",
)
@click.option(
    "--token-file",
    envvar=TOKEN_VARIABLE,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Token of that cluster [FRE_HPO_TOKEN_FILE; <home>/cluster-token].",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="How long that cluster's head has to appear [0].",
)
@click.option(
    "--cluster-patience",
    type=click.FloatRange(min=0),
    default=600.0,
    metavar="SECONDS",
    help="How long a search waits for a cluster that it has lost [600].",
)
@click.option(
    "--gpus-per-trial", type=AutoNumber(float), default="auto", help="Share of a GPU [auto: 1]."
)
@click.option(
    "--deterministic",
    is_flag=True,
    help="Repeat every bit on one kind of device and number of threads; slower on a GPU.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="A recipe's key: a value fixes it, low..high[:log] searches it.  Repeatable.",
)
@click.option(
    "--enqueue",
    multiple=True,
    metavar="B=162,X=632",
    help="A point to try before TPE's proposals.  Repeatable.",
)
@click.option(
    "--retries", type=click.IntRange(min=0), default=3, help="Lost workers per trial [3]."
)
@click.option(
    "--storage-patience",
    type=click.FloatRange(min=0),
    default=600.0,
    metavar="SECONDS",
    help="How long a search waits for a database that is out of reach [600].",
)
@click.option(
    "--checkpoints",
    envvar=CHECKPOINTS_VARIABLE,
    metavar="URL|DIR",
    help="Shared folder or object store that workers write checkpoints to, and that keeps the results, too, "
    "so that the search can go on from another machine [FRE_HPO_CHECKPOINTS; the home].",
)
@click.option(
    "--new-home", is_flag=True, help="Go on without the files left in another home folder."
)
@click.option(
    "--notify",
    envvar=NOTIFY_VARIABLE,
    metavar="URL|@FILE",
    help="Send a JSON message there when the search ends or needs somebody [FRE_HPO_NOTIFY].",
)
@click.option(
    "--trace", is_flag=True, help="Record the mean features of every trial, for Fig. 2 and 9."
)
@click.option("--dashboard", is_flag=True, help="Show the search in a browser while it runs.")
@click.option("--detach", is_flag=True, help="Go on in the background, without this terminal.")
@click.option("--dry-run", is_flag=True, help="Check everything, print every key, create nothing.")
@common
def start(
    settings: Settings,
    quiet: bool,
    verbose: bool,
    detach: bool,
    dashboard: bool,
    dry_run: bool,
    **flags: Any,
) -> int:
    """Start a search, or go on with one.

    Trains until the study has --trials complete trials; what an earlier start has done is kept.  A
    coordinator that crashes is started again.
    """
    call = current_call()
    if dry_run:
        return _dry_run(_request(**flags), settings)

    def search() -> int:
        return _search(_request(**flags), settings, call, quiet=quiet, verbose=verbose)

    def in_background() -> int:
        return _detach(_request(**flags), settings, call, quiet=quiet)

    return launch(
        call,
        settings,
        search,
        in_background if detach else None,
        quiet=quiet,
        notify=flags["notify"],
        dashboard=dashboard,
    )


def _search(
    request: Request, settings: Settings, call: Call, *, quiet: bool, verbose: bool = False
) -> int:
    """The search itself, in this process."""
    from fre_hpo.cli.progress import SearchDisplay
    from fre_hpo.service.check import check
    from fre_hpo.service.notifier import Notifier
    from fre_hpo.service.start import run

    preparation = check(request, settings)
    name, receiver = preparation.name, preparation.receiver
    display = SearchDisplay(quiet=quiet, verbose=verbose)
    supervised = call.lifeline is not None
    with Notifier(name, settings, receiver, display.say, supervised=supervised) as notifier:
        search = partial(run, preparation, request, settings)
        ended = attend(search, name, display, notifier, call)
        return _conclude(ended, settings)


def _detach(request: Request, settings: Settings, call: Call, *, quiet: bool) -> int:
    """What is refused is refused here and now, before anything goes into the background."""
    from fre_hpo.service.check import check

    preparation = check(request, settings)
    if preparation.nothing_to_do:
        return _search(request, settings, call, quiet=quiet)
    study = preparation.name
    folder = settings.study_folder(study)

    def tell(pid: int) -> None:
        if not quiet:
            click.echo(
                f"The search goes on in the background: `fre-hpo status {study}` and `fre-hpo logs {study}` "
                f"show it, `fre-hpo stop {study}` ends it; what it prints goes to {folder / LOG}.",
                err=True,
            )

    return run_detached(call, study, folder, tell)


def _request(
    assignments: tuple[str, ...],
    enqueue: tuple[str, ...],
    epochs: int | None,
    seed: int | None,
    deterministic: bool,
    trace: bool,
    **flags: Any,
) -> Request:
    from fre_hpo.service.request import Request
    from fre_hpo.study.recipe import parse_set

    overrides = overrides_of(assignments, epochs, seed, deterministic=deterministic, trace=trace)
    points = tuple(parse_set(point.split(","), "--enqueue", "B=162,X=632") for point in enqueue)
    return Request(overrides=overrides, enqueue=points, **flags)


def _dry_run(request: Request, settings: Settings) -> int:
    from fre_hpo.cli.tables import Number, print_table
    from fre_hpo.service.check import check
    from fre_hpo.study.recipe import table

    preparation = check(request, settings)
    origins = dict(preparation.resolved.origins)
    for key in preparation.inherited:
        full = key if key in origins else f"methods.{preparation.spec.method}.{key}"
        origins[full] = f"study {preparation.name}"
    keys = table(preparation.spec, origins)
    print_table(["key", "value", "from", "meaning"], keys, wrap_last=True)
    splits = _splits(preparation)
    click.echo()
    print_table(["split", "images", "height", "width"], [[n, *map(Number, s)] for n, s in splits])
    if preparation.folder:
        click.echo(f"data: {preparation.folder}")
    for remark in preparation.dataset.remarks:
        click.echo(f"Warning: {remark}", err=True)
    done, wanted = preparation.progress.complete, preparation.progress.wanted
    missing = max(wanted - done, 0)
    click.echo(
        f"Study {preparation.name}: {done} of {wanted} trials are complete, {missing} would be run; all "
        "checks passed and nothing was created.",
        err=True,
    )
    return EXIT_DONE


def _splits(preparation: Preparation) -> list[tuple[str, tuple[int, int, int]]]:
    splits = preparation.dataset.splits
    shapes = {name: split.labels.shape for name, split in splits.items()}
    return [(name, (shape[0], shape[1], shape[2])) for name, shape in shapes.items()]


def _conclude(ended: Ended, settings: Settings) -> int:
    """Print what was found and where it lies; the exit code says whether it is all that was wanted."""
    from fre_hpo.settings import masked

    if ended.complete:
        try:
            click.echo(f"best: {_best(settings, ended.study)}")
        except StorageUnreachable as error:  # all is written; only to show it must wait
            click.echo(
                f"The search is over, but its best trial cannot be shown now.  {error}", err=True
            )
    click.echo(f"files: {settings.study_folder(ended.study)}")
    click.echo(f"storage: {masked(settings.storage)}")
    if ended.complete >= ended.wanted:
        return EXIT_DONE
    reasons = f"`fre-hpo trials {ended.study} -f json` tells the reasons"
    click.echo(why_incomplete(ended, "trials", reasons), err=True)
    return EXIT_STOPPED if ended.outcome.value == "stopped" else EXIT_INCOMPLETE


def _best(settings: Settings, study: str) -> str:
    from fre_hpo.service import read
    from fre_hpo.study.records import params_text

    observed = read.observed(settings, study)
    what = f"{params_text(observed['params'])}  " if observed["params"] else ""
    return f"trial {observed['number']}  {what}mIoU {observed['value']:.4f}"
