"""The verb that segments images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from fre_hpo.cli.options import common, interactive
from fre_hpo.cli.telling import say
from fre_hpo.settings import Settings

if TYPE_CHECKING:
    from fre_hpo.service.predict import Progress


@click.command(
    epilog="\b\nExample:  fre-hpo predict mouse-fre scans/ --out results\n"
    "          fre-hpo predict liver-network 'day*/*.tif' --out results --format tiff"
)
@click.argument("network", metavar="STUDY|FOLDER")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="Where masks/, overlays/ and areas.csv go.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Where to compute.",
)
@click.option(
    "--tile",
    type=click.IntRange(min=16),
    metavar="N",
    help="Side of the overlapping tiles of a larger image, in its pixels [as large as the pictures of the "
    "training, which is what the network knows].",
)
@click.option("--overlay/--no-overlay", default=True, help="Draw the classes over the images, too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["png", "tiff"]),
    default="png",
    show_default=True,
    help="Of the masks; those of stacks are TIFF.",
)
@common
def predict(
    settings: Settings,
    quiet: bool,
    network: str,
    images: tuple[str, ...],
    out: Path,
    device: str,
    tile: int | None,
    overlay: bool,
    form: Literal["png", "tiff"],
) -> None:
    """Segment images by a study's best network, or an exported one.

    IMAGE is a file, a folder or a glob in quotes: any size, 8 or 16 bits, also stacks, page by page.  A mask
    has its image's size; the value of a pixel is the index of its class.  areas.csv says what each class
    covers, in square micrometres where ImageJ or OME wrote down how large a pixel is.  Overlays of more than
    4096 pixels are shrunk.
    """
    with _bar(quiet) as progress:
        from fre_hpo.service.predict import PredictRequest
        from fre_hpo.service.predict import predict as segment

        request = PredictRequest(network, images, out, device, tile, overlay, form)
        done = segment(settings, request, progress)
    click.echo(done.folder)
    if not quiet:
        from fre_hpo.data.showing.shares import percent
        from fre_hpo.errors import counted

        what = counted(done.images, "image")
        if done.pages > done.images:
            what += f" with {done.pages} pages"
        shares = ", ".join(f"{name} {percent(share)}" for name, share in done.shares.items())
        say(f"{what}: {shares}")


@contextmanager
def _bar(quiet: bool) -> Iterator[Progress]:
    """A bar on a terminal; it moves once the images are checked."""
    if quiet or not interactive():
        yield lambda done, total: None
        return
    from rich import progress
    from rich.console import Console

    columns = (progress.BarColumn(), progress.TaskProgressColumn(), progress.TimeRemainingColumn())
    bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task("", total=None)

    with bar:
        yield lambda done, total: bar.update(task, completed=done, total=total)
