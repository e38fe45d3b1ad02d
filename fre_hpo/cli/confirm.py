"""``fre-hpo confirm``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fre_hpo.cli.options import as_format, common
from fre_hpo.cli.running import HOW, Whole, launch, with_flags_of_start
from fre_hpo.cli.written_table import wrapped
from fre_hpo.errors import EXIT_DONE, counted
from fre_hpo.settings import Settings

if TYPE_CHECKING:
    from fre_hpo.results.comparison.luck import Candidate
    from fre_hpo.service.confirmed import Confirmed
    from fre_hpo.service.confirming import Confirming


@with_flags_of_start(*HOW)
@click.command(epilog="Example:  fre-hpo confirm mouse-fre --top 3 --seeds 5")
@click.argument("study")
@click.option("--top", type=int, default=3, show_default=True, help="So many leading trials.")
@click.option("--seeds", type=int, metavar="K", help="Trainings of each point [5].")
@click.option("--dry-run", is_flag=True, help="Check everything, show the points, create nothing.")
@as_format
@common
def confirm(
    settings: Settings,
    quiet: bool,
    verbose: bool,
    form: str,
    study: str,
    top: int,
    seeds: int | None,
    dry_run: bool,
    detach: bool,
    **flags: Any,
) -> int:
    """Train a search's leading points again, with seeds that did not choose them.

    The leading trials, the recommended point and the baseline, each with the same fresh seeds: is there a
    winner, how good is it by seeds that had no part in choosing it, how much of it was luck?  All of it on
    validation; the test split is not read.  The same command goes on, and of a finished confirmation it
    shows the result.
    """

    def begin() -> Confirming:
        from fre_hpo.service.confirming import Confirming, ConfirmRequest
        from fre_hpo.service.request import Request

        return Confirming(ConfirmRequest(Request("", **flags), study, top, seeds), settings)

    def shown(whole: Whole) -> None:
        _print(whole.result(), form)  # type: ignore[attr-defined]

    if dry_run:
        return _dry_run(begin())
    notify = flags["notify"]
    return launch(
        begin, settings, shown, quiet=quiet, verbose=verbose, detached=detach, notify=notify
    )


def _dry_run(confirming: Confirming) -> int:
    from fre_hpo.cli.tables import Number, print_table
    from fre_hpo.study.records import params_text

    preparations = confirming.check()
    rows = [
        [
            point.role,
            params_text(point.parameters),
            preparation.name,
            Number(max(preparation.progress.wanted - preparation.progress.complete, 0)),
        ]
        for point, preparation in zip(confirming.points, preparations, strict=True)
    ]
    print_table(["point", "with", "study", "trainings left"], rows)
    left = confirming.sequence.wanted - confirming.sequence.complete
    epochs = preparations[0].spec.training.epochs
    click.echo(
        f"{counted(left, 'training')} of {epochs} epochs would be run; all checks passed and nothing was "
        "created.",
        err=True,
    )
    return EXIT_DONE


def _print(found: Confirmed | None, form: str) -> None:
    from fre_hpo.cli.tables import print_data, print_table

    if found is None:
        click.echo("The points have no seed in common, so they cannot be compared.", err=True)
    elif form == "json":
        print_data(found.to_json(), form)
    elif form == "csv":
        print_data(found.to_json()["candidates"], form)
    else:
        rows = [_row(candidate, found) for candidate in (*found.candidates, found.baseline)]
        print_table(["point", "with", "in the search", "fresh seeds", "over the baseline"], rows)
        click.echo()
        for sentence in found.confirmation.sentences:
            click.echo(wrapped(sentence))


def _row(candidate: Candidate, found: Confirmed) -> list[str]:
    """Validation mIoU in percent."""
    from statistics import fmean, stdev

    from fre_hpo.cli.tables import Number
    from fre_hpo.study.records import params_text

    values = [100 * value for value in candidate.validation]
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    over = fmean(values) - 100 * fmean(found.baseline.validation)
    return [
        candidate.name,
        params_text(candidate.parameters),
        Number("-" if candidate.observed is None else f"{100 * candidate.observed:.2f}"),
        Number(f"{fmean(values):.2f}{spread}"),
        Number("-" if candidate is found.baseline else f"{over:+.2f}"),
    ]
