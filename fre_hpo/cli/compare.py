"""``fre-hpo compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fre_hpo.cli.options import common, overrides_of
from fre_hpo.cli.running import HOW, WHAT, Whole, launch, with_flags_of_start
from fre_hpo.cli.written_table import FORMATS, print_comparison, refuse_place
from fre_hpo.errors import EXIT_DONE, UsageError, counted
from fre_hpo.settings import Settings

if TYPE_CHECKING:
    from fre_hpo.service.check import Preparation
    from fre_hpo.service.compare_request import CompareRequest
    from fre_hpo.service.comparing import Comparing


@with_flags_of_start(*WHAT, *HOW)
@click.command(
    epilog="\b\nExample:  fre-hpo compare --dataset mouse --data-dir ~/mouse --seeds 5\n"
    "          fre-hpo compare --study mouse -f latex > table.tex"
)
@click.option(
    "--dataset", metavar="NAME|FILE.toml", help="A recipe by name or file [--study's own]."
)
@click.option("--methods", metavar="A,B,...", help="Methods to compare [all].")
@click.option("--seeds", type=int, metavar="K", help="Trainings of each method [5].")
@click.option("--trials", type=click.IntRange(min=1), help="Trials of each search [the recipe's].")
@click.option(
    "--point",
    type=click.Choice(["recommended", "observed"]),
    help="What a search has chosen: the recommended point, or its best trial [recommended].",
)
@click.option("--study", metavar="NAME", help="Name of the comparison [the recipe's].")
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="How to print the table.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the table there as well, as its ending says: .md, .tex, .csv, .json.",
)
@click.option("--dry-run", is_flag=True, help="Check everything, show the steps, create nothing.")
@common
def compare(
    settings: Settings,
    quiet: bool,
    verbose: bool,
    form: str,
    out: Path | None,
    dry_run: bool,
    detach: bool,
    **flags: Any,
) -> int:
    """Compare the paper's methods: search, train each with several seeds, read the test split.

    fre and supervision are searched; then every method trains with the same fresh seeds, dropout at the B
    that fre has chosen; then the table says what that shows.  What an earlier run has done is kept, the
    same command goes on, and of a finished comparison it shows the table.  A larger --seeds adds what is
    missing.
    """
    refuse_place(out)

    def begin() -> Comparing:
        from fre_hpo.service.comparing import Comparing

        return Comparing(_request(settings, **flags), settings)

    def shown(whole: Whole) -> None:
        print_comparison(whole.result().table(), form, out)  # type: ignore[attr-defined]

    if dry_run:
        return _dry_run(begin())
    notify = flags["notify"]
    return launch(
        begin, settings, shown, quiet=quiet, verbose=verbose, detached=detach, notify=notify
    )


def _request(
    settings: Settings,
    dataset: str | None,
    methods: str | None,
    seeds: int | None,
    point: Any,
    assignments: tuple[str, ...],
    epochs: int | None,
    seed: int | None,
    deterministic: bool,
    trace: bool,
    **flags: Any,
) -> CompareRequest:
    from fre_hpo.service.compare_request import CompareRequest
    from fre_hpo.service.request import Request

    given = overrides_of(assignments, epochs, seed, deterministic=deterministic, trace=trace)
    base = Request(dataset or _recipe(settings, flags["study"]), overrides=given, **flags)
    named = tuple(name.strip() for name in methods.split(",")) if methods is not None else None
    return CompareRequest(base, named, seeds, point)


def _recipe(settings: Settings, name: str | None) -> str:
    """That of a comparison which is in the storage."""
    from fre_hpo.service.compared import recipe_of

    if name is None:
        problem = (
            "Name what to compare on with --dataset, or a comparison that there is with --study."
        )
        raise UsageError(problem=problem)
    return recipe_of(settings, name)


def _dry_run(comparing: Comparing) -> int:
    from fre_hpo.cli.tables import Number, print_table

    if comparing.finished():
        click.echo(f"Comparison {comparing.name} is complete: the same command shows it.", err=True)
        return EXIT_DONE
    preparations = comparing.check()
    rows = [
        [
            preparation.name,
            "search" if step.searches else "seeds",
            Number(preparation.progress.wanted),
            Number(max(preparation.progress.wanted - preparation.progress.complete, 0)),
            _chosen(
                preparation, searches=step.searches, known=comparing.plan.is_known(step.method)
            ),
        ]
        for step, preparation in zip(comparing.plan.steps, preparations, strict=True)
    ]
    print_table(["study", "step", "trainings", "left", "with"], rows)
    left = comparing.sequence.wanted - comparing.sequence.complete
    epochs = preparations[0].spec.training.epochs
    click.echo(
        f"{counted(left, 'training')} of {epochs} epochs would be run, then the test split is read; all "
        "checks passed and nothing was created.",
        err=True,
    )
    return EXIT_DONE


def _chosen(preparation: Preparation, *, searches: bool, known: bool) -> str:
    """The parameters of a step, or the ranges in which they are searched."""
    if not searches and not known:
        return "what is chosen until then"
    spaces = preparation.spec.parameters.items()
    return ", ".join(f"{name}={space}" for name, space in spaces) or "-"
