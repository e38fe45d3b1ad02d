"""``fre-hpo test``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fre_hpo.cli.options import as_format, common
from fre_hpo.cli.telling import say, waiting
from fre_hpo.settings import Settings

if TYPE_CHECKING:
    from fre_hpo.service.testing import Tested


@click.command(epilog="Example:  fre-hpo test mouse-fre")
@click.argument("study")
@click.option(
    "--trial",
    type=click.IntRange(min=0),
    metavar="N",
    help="The network of this trial [the best one's].",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    help="Where to compute [auto].",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Where the images lie now [where they were].",
)
@as_format
@common
def test(
    settings: Settings,
    quiet: bool,
    form: str,
    study: str,
    trial: int | None,
    device: str,
    data_dir: Path | None,
) -> None:
    """Measure a study's winner on the test split, after its search has ended.

    Every reading of a test split is recorded in the storage, and it is said whether this is the first: what
    is decided after a reading may know it.  A network that was measured before is not measured again.
    """
    with waiting(f"Testing {study} ...", quiet):
        from fre_hpo.service.testing import measure_winner

        found = measure_winner(settings, study, trial, data_dir, device)
    if form == "table":
        _print(found)
    else:
        from fre_hpo.cli.tables import print_data

        print_data(found.to_json(), form)
    if not quiet:
        for sentence in filter(None, (found.remark, *_readings(found))):
            say(sentence)


def _print(found: Tested) -> None:
    from fre_hpo.cli.tables import Number, four, print_table
    from fre_hpo.study.records import params_text

    classes = [four(value) for value in found.class_iou.values()]
    columns = ["trial", "test mIoU", *found.class_iou, "validation", "with"]
    trial, with_ = Number(found.trial), params_text(found.params)
    print_table(columns, [[trial, four(found.miou), *classes, four(found.validation), with_]])


def _readings(found: Tested) -> list[str]:
    from fre_hpo.cli.tables import local_time
    from fre_hpo.errors import counted

    if found.read_now and not found.earlier:
        return ["This is the first reading of this test split in the storage."]
    who = ", ".join(f"{r.study} on {local_time(r.time)}" for r in found.earlier[-5:])
    before = f"{counted(len(found.earlier), 'earlier reading')}: {who}" if found.earlier else ""
    if found.read_now:
        return [
            f"This test split has been read before, {before}; what was decided since may know it."
        ]
    first = f"after {before}" if before else "the first reading of this test split in the storage"
    return [f"It was measured on {local_time(found.time)}, {first}; nothing was read now."]
