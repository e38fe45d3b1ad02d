"""The verb that hands a trained network on."""

from __future__ import annotations

from pathlib import Path

import click

from fre_hpo.cli.options import common
from fre_hpo.cli.telling import say, waiting
from fre_hpo.settings import Settings


@click.command(
    epilog="\b\nExample:  fre-hpo export mouse-fre --out liver-network\n"
    "          fre-hpo predict liver-network scans/ --out results"
)
@click.argument("study")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="A folder that is not there yet, or empty.",
)
@click.option(
    "--trial",
    type=click.IntRange(min=0),
    metavar="N",
    help="The network of this trial [the best one's].",
)
@common
def export(settings: Settings, quiet: bool, study: str, out: Path, trial: int | None) -> None:
    """Write the network of a study's best trial into a folder.

    It is the plain network: what the method added in training is not in it.  model.safetensors holds the
    weights, card.json says all about it, README.md is for a colleague, and model.onnx is for programs without
    torch (pip install 'fre-hpo[export]'), checked against torch.
    """
    with waiting(f"Exporting {study} ...", quiet):
        from fre_hpo.service.export import export as write

        written = write(settings, study, out, trial)
    click.echo(written.exported.folder)
    if quiet:
        return
    from fre_hpo.study.records import params_text

    record, exported = written.trial, written.exported
    with_ = f"  {params_text(record.params)}" if record.params else ""
    say(f"trial {record.number}{with_}  mIoU {record.value:.4f} at epoch {record.best_epoch}")
    if exported.onnx is not None:
        say(f"model.onnx differs from torch by {exported.onnx:.1e} at most.")
    for remark in exported.remarks:
        say(f"Warning: {remark}")
