"""``fre-hpo bench``: how fast it is here, against what one would write instead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fre_hpo.bench.request import ALL, NAMES, Request
from fre_hpo.cli.options import common
from fre_hpo.errors import EXIT_DONE, EXIT_ERROR, CannotWrite
from fre_hpo.settings import Settings

if TYPE_CHECKING:
    from fre_hpo.bench.report import Report


@click.command(
    epilog="\b\nExample:  fre-hpo bench --tiny\n"
    "          fre-hpo bench step --shape cpu --compile -o step.json"
)
@click.argument("part", type=click.Choice(NAMES), default=ALL)
@click.option("--tiny", is_flag=True, help="Check in two minutes that all of it works.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="Where to measure [auto].",
)
@click.option(
    "--shape",
    metavar="NAME",
    help="Size of network and data: tiny, cpu, mouse, mouse-narrow, drosophila [suits the device].",
)
@click.option(
    "--compile/--no-compile",
    "compiled",
    default=None,
    help="Whether to measure what torch.compile makes of it [on a GPU].",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    help="How long each comparison is timed [20; 3 with --tiny].",
)
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print it.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.json",
    help="Where to write it as JSON, too.",
)
@common
def bench(
    settings: Settings,
    quiet: bool,
    part: str,
    tiny: bool,
    device: str,
    shape: str | None,
    compiled: bool | None,
    seconds: float | None,
    form: str,
    output: Path | None,
) -> int:
    """Measure how fast it trains here, against what one would write instead.

    All parts, or one: step, epoch, trial, search-overhead, pack, determinism.  Arms run by turns; a ratio
    is the median of the rounds with its 95 % interval.  A PostgreSQL storage gets studies for
    search-overhead, ask and scaling, which are deleted again.  Exits 1 when a fast path is slower than
    0.8 of its plain twin.

    How a coordinator keeps workers busy: cluster, which is slots (with --seconds as the length of a trial),
    ask and scaling; tune is the same search by Ray Tune, side by side.
    """
    from fre_hpo.bench.suite import run
    from fre_hpo.cli.tables import print_json

    storage = None if settings.storage.startswith("sqlite") else settings.storage
    request = Request(part, tiny, device, shape, compiled, seconds, storage)
    report = run(request, (lambda _: None) if quiet else _say)
    if output:
        _write(output, report)
    if not tiny:
        _remember_packing(settings, report)
    if form == "json":
        print_json(report.to_json())
    else:
        _show(report)
    for failure in report.failures:
        click.echo(f"Error: {failure}", err=True)
    return EXIT_ERROR if report.failures else EXIT_DONE


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


def _remember_packing(settings: Settings, report: Report) -> None:
    """So that later starts let as many trials share a GPU as was found best."""
    from fre_hpo.bench.pack import BEST
    from fre_hpo.scheduling.packing import FILE, Finding, Workload, remember

    figures = [figure for part in report.parts for figure in part.figures if figure.name == BEST]
    facts, shape = report.machine, report.shape
    if figures and facts["kind"] == "cuda":
        workload = Workload(shape.widths, shape.height, shape.width, shape.batch)
        finding = Finding(int(figures[0].value), facts["device"], facts["date"][:10])
        remember(settings.home, workload, finding)
        _say(f"Starts with such pictures now use it: {settings.home / FILE}.")


def _write(path: Path, report: Report) -> None:
    try:
        path.write_text(json.dumps(report.to_json(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CannotWrite(path=path, reason=error.strerror) from error


def _show(report: Report) -> None:
    """One block a part: what was measured, the tables, what was left out."""
    from fre_hpo.bench.report import heading, remarks, tables
    from fre_hpo.cli.tables import print_table

    click.echo(heading(report))
    for part in report.parts:
        click.echo(f"\n{part.name}: {part.about}")
        for table in tables(part):
            click.echo()
            print_table(table.columns, [[_cell(cell) for cell in row] for row in table.rows])
        click.echo("".join(f"\n{remark}" for remark in remarks(part)))


def _cell(text: str) -> str:
    """Numbers stand to the right."""
    from fre_hpo.cli.tables import Number

    return Number(text) if text.replace(".", "", 1).isdigit() or text == "-" else text
