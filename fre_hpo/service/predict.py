"""``fre-hpo predict``: masks, overlays and areas of images by a trained network."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures import PictureError
from fre_hpo.data.showing.overlay import colours
from fre_hpo.errors import DataProblems
from fre_hpo.inference import files
from fre_hpo.inference.card import Card
from fre_hpo.inference.network import TrainedNetwork, load, use_threads
from fre_hpo.inference.predict import page_labels, tile_of
from fre_hpo.inference.preparing import read_pages
from fre_hpo.inference.stack import Stack, stack_of
from fre_hpo.scheduling.placement import Machine, place, usable_cpus
from fre_hpo.service.pictures import ImageFile, examine, find, refuse_existing
from fre_hpo.service.trained import network_path
from fre_hpo.settings import Settings
from fre_hpo.trial import accelerators

MASKS, OVERLAYS, AREAS = "masks", "overlays", "areas.csv"
Progress = Callable[[int, int], None]
"""Called with the pixels done and those that there are in all."""


@dataclass(frozen=True)
class PredictRequest:
    """network: a study, or an exported folder.  images: files, folders and globs.  tile: side in pixels of
    the image, None for that of the training.  form: of the masks; a stack's is always TIFF."""

    network: str
    images: tuple[str, ...]
    out: Path
    device: str = "auto"
    tile: int | None = None
    overlay: bool = True
    form: Literal["png", "tiff"] = "png"


@dataclass(frozen=True)
class Predicted:
    """folder: where everything lies.  shares: of all pixels, 0..1, by class."""

    folder: Path
    images: int
    pages: int
    shares: dict[str, float]


def predict(settings: Settings, request: PredictRequest, progress: Progress) -> Predicted:
    """Segment every image; everything is checked before anything is computed.

    Raises what finding the network raises, NoResources for a device that is not there, DataProblems with
    all that is wrong with the images, and OutOfMemory.
    """
    path = network_path(settings, request.network)
    placed = place(
        Machine(usable_cpus(), *accelerators()), request.device, None, None, one_slot=True
    )
    use_threads(placed.threads)
    network = load(path, placed.device).repeatable()
    images = _checked(network.card, request)
    meter = _Meter(progress, sum(image.pixels for image in images))
    rows = [row for image in images for row in _segmented(network, image, request, meter)]
    out = request.out.expanduser()
    files.write_areas(out / AREAS, rows)
    pages = sum(image.header.pages for image in images)
    return Predicted(out, len(images), pages, _shares(rows, network.card.classes))


class _Meter:
    """Adds up the pixels that are done."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def add(self, pixels: int) -> None:
        self._done += pixels
        self._progress(self._done, self._total)


def _checked(card: Card, request: PredictRequest) -> list[ImageFile]:
    """The images; raises DataProblems with all that is wrong with them and with their places."""
    problems: list[str] = []
    images = examine(find(request.images, problems), card, problems)
    out = request.out.expanduser()
    if os.path.lexists(out) and not out.is_dir():
        problems.append(f"{out} is a file: name a folder with --out")
    refuse_existing(
        [out / AREAS, *(place for image in images for place in _places(image, request))], problems
    )
    if problems:
        raise DataProblems(problems)
    return images


def _places(image: ImageFile, request: PredictRequest) -> list[Path]:
    """The files of an image: its mask, and its overlay where one is wanted.  A stack becomes a TIFF."""
    out = request.out.expanduser()
    ending = ".tif" if image.is_stack else ".png"
    mask = out / MASKS / f"{image.stem}{'.tif' if request.form == 'tiff' else ending}"
    return [mask, out / OVERLAYS / f"{image.stem}{ending}"] if request.overlay else [mask]


def _segmented(
    network: TrainedNetwork, image: ImageFile, request: PredictRequest, meter: _Meter
) -> list[list[Any]]:
    """Compute and write one image; returns its rows of areas."""
    try:
        pages = read_pages(image.path, network.card)
    except PictureError as error:  # it was whole a while ago
        raise DataProblems([str(error)]) from error
    tile = None if request.tile is None else tile_of(request.tile, network)
    masks = np.stack([page_labels(network, page, tile, meter.add) for page in pages])
    stack = stack_of(image.path, len(pages))
    _write(pages, masks, stack, _places(image, request), colours(network.card.classes))
    classes, name = network.card.classes, str(image.path)
    areas = (files.area_rows(name, n, mask, classes, stack) for n, mask in enumerate(masks, 1))
    return [row for rows in areas for row in rows]


def _write(
    pages: NDArray[Any],
    masks: NDArray[np.uint8],
    stack: Stack,
    places: Sequence[Path],
    palette: files.Palette,
) -> None:
    mask, *overlays = places
    if mask.suffix == ".png":
        files.write_mask_png(mask, masks[0], palette)
    else:
        files.write_mask_tiff(mask, masks, stack, palette)
    for path in overlays:
        shown = (files.overlaid(pages[n], masks[n], palette) for n in stack.order)
        if path.suffix == ".png":
            files.write_overlay(path, next(shown))
        else:
            shape = files.overlay_shape((masks.shape[1], masks.shape[2]))
            files.write_overlay_stack(path, shown, shape, stack)


def _shares(rows: Sequence[Sequence[Any]], classes: Sequence[str]) -> dict[str, float]:
    """Of all pages together."""
    counts = dict.fromkeys(classes, 0)
    for _, _, name, count, *_ in rows:
        counts[name] += count
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()}
