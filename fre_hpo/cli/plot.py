"""The verb that draws: figures of studies for a paper, a talk or a browser."""

from __future__ import annotations

from pathlib import Path

import click

from fre_hpo.cli.options import common
from fre_hpo.results.figures import KINDS
from fre_hpo.results.figures.palette import PALETTES
from fre_hpo.settings import Settings


@click.command(
    epilog="\b\nExample:  fre-hpo plot mouse-fre\n"
    "          fre-hpo plot mouse-fre drosophila-fre -o figures-7-8.pdf\n"
    "          fre-hpo plot mouse-baseline mouse-fre --kind enhancement -o figure-9.pdf"
)
@click.argument("studies", metavar="STUDY...", nargs=-1, required=True)
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="search",
    show_default=True,
    help="search: the paper's figures 7 and 8; curves: mIoU over the epochs of the five best trials; "
    "importance: of each parameter; parallel: coordinates; classes: IoU of each class; features: figure 2; "
    "enhancement: figure 9, of fre, fre-fixed and a baseline (both of trials with --trace); predictions: "
    "figures 5 and 6, the networks of several methods side by side.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Ends with .png, .svg, .pdf or .html [./<study>-<kind>.png].",
)
@click.option(
    "--palette",
    type=click.Choice(tuple(PALETTES)),
    default="paper",
    show_default=True,
    help="paper: blue to red; safe: for every eye, and for print in grey.",
)
@click.option("--same-scale", is_flag=True, help="One scale of colours and mIoU for all studies.")
@click.option(
    "--trial",
    "trials",
    metavar="[STUDY=]N",
    multiple=True,
    help="Features, enhancement, predictions: show this trial; once for each study [the best one].",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Predictions: where the images lie now [where they were].",
)
@common
def plot(
    settings: Settings,
    studies: tuple[str, ...],
    kind: str,
    out: Path | None,
    palette: str,
    same_scale: bool,
    trials: tuple[str, ...],
    data_dir: Path | None,
) -> None:
    """Draw a figure of one study, or of several side by side.

    Prints the file's path.  Every file carries what it shows as JSON: PNG and SVG as Description, PDF as
    Subject, HTML as plotly's data.
    """
    from fre_hpo.service import plot as drawing

    click.echo(
        drawing.plot(
            settings,
            studies,
            kind,
            out,
            palette,
            same_scale=same_scale,
            trials=trials,
            data_dir=data_dir,
        )
    )
