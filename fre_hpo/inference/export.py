"""A trained network as a folder that stands for itself: tensors, a card, an ONNX graph, words for people."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save

from fre_hpo.data.fetching.fetch import PUBLICATIONS
from fre_hpo.data.showing.overlay import colours
from fre_hpo.errors import FolderInTheWay
from fre_hpo.inference import graph
from fre_hpo.inference.network import CARD, TENSORS, TrainedNetwork
from fre_hpo.inference.readme import PYTHON, prepared, readme
from fre_hpo.study.folder import room_for, write_atomically

GRAPH, README = "model.onnx", "README.md"
FORMAT = "fre-hpo network, version 1"
_LIBRARIES = ("fre-hpo", "torch", "safetensors", "numpy")


@dataclass(frozen=True)
class Origin:
    """Where a network comes from.  class_iou: on validation, None for a class that is not there.
    fingerprint: of the data.  versions: of the libraries that created the study."""

    study: str
    trial: int
    class_iou: dict[str, float | None]
    fingerprint: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Exported:
    """folder: what was written.  onnx: the graph's largest difference to torch, None where it was left out.
    remarks: what the user should know."""

    folder: Path
    onnx: float | None
    remarks: tuple[str, ...]


def refuse_occupied(folder: Path) -> None:
    """Raise FolderInTheWay unless there is nothing, or an empty folder."""
    if folder.is_dir():
        inside = next(folder.iterdir(), None)
        if inside is not None:
            raise FolderInTheWay(path=folder, what=f"holds {inside.name}")
    elif os.path.lexists(folder):
        raise FolderInTheWay(path=folder, what="is a file")


def export(
    network: TrainedNetwork, origin: Origin, folder: Path, real: Sequence[NDArray[np.float32]]
) -> Exported:
    """Write the folder as a whole or not at all.

    real: prepared images (channels, height, width) on which the graph is checked too; heights and widths
    that the stride divides.  Raises FolderInTheWay and OnnxDiffers.
    """
    refuse_occupied(folder)
    partial = folder.with_name(f".{folder.name}.part")
    with room_for(folder):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            exported = _write(network, origin, partial, real)
            refuse_occupied(folder)
            partial.replace(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return Exported(folder, *exported)


def _write(
    network: TrainedNetwork, origin: Origin, folder: Path, real: Sequence[NDArray[np.float32]]
) -> tuple[float | None, tuple[str, ...]]:
    state = network.module.state_dict()
    tensors: bytes = save({name: value.cpu().contiguous() for name, value in state.items()})
    write_atomically(folder / TENSORS, tensors)
    difference, remarks = _write_graph(network, folder, real)
    card = _card(network, origin)
    card["sha256"] = hashlib.sha256(tensors).hexdigest()
    card["onnx"] = None if difference is None else {"file": GRAPH, "difference": difference}
    write_atomically(folder / CARD, (json.dumps(card, indent=2) + "\n").encode())
    write_atomically(folder / README, readme(card).encode())
    return difference, remarks


def _write_graph(
    network: TrainedNetwork, folder: Path, real: Sequence[NDArray[np.float32]]
) -> tuple[float | None, tuple[str, ...]]:
    missing = graph.missing()
    if missing:
        them = "it" if len(missing) == 1 else "them"
        lack = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
        return None, (
            f"{GRAPH} was left out, because {lack}: pip install 'fre-hpo[export]' brings {them}.",
        )
    content = graph.to_onnx(network)
    difference = graph.check(network, content, real)
    write_atomically(folder / GRAPH, content)
    if real:
        return difference, ()
    return difference, (
        f"{GRAPH} was checked on random input alone, because the data set is not here.",
    )


def _card(network: TrainedNetwork, origin: Origin) -> dict[str, Any]:
    """card.json: what ``Card.from_plain`` reads again, and what people want to know."""
    card = network.card
    spec, reading = card.spec, card.reading
    publication = PUBLICATIONS.get(spec.dataset)
    return {
        "format": FORMAT,
        "study": origin.study,
        "trial": origin.trial,
        "method": spec.method,
        **card.to_plain(),
        "class_iou": origin.class_iou,
        "colours": {
            name: None if colour is None else "#{:02x}{:02x}{:02x}".format(*colour)
            for name, colour in zip(card.classes, colours(card.classes), strict=True)
        },
        "widths": list(card.widths),
        "norm": spec.model.norm,
        "upsample": spec.model.upsample,
        "stride": card.stride,
        "tile": list(card.tile),
        "reading": {**vars(reading), "percentiles": list(reading.percentiles)},
        "prepare": prepared(card),
        "use": PYTHON.splitlines(),
        "data": {
            "name": spec.dataset,
            "fingerprint": origin.fingerprint,
            "licence": publication().licence if publication else None,
        },
        "versions": {
            "study": origin.versions,
            "export": {name: version(name) for name in _LIBRARIES},
        },
    }
