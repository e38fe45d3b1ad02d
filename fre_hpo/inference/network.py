"""A trained network, loaded from a trial's ``best.pt`` or from a folder that ``fre-hpo export`` wrote."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from fre_hpo.errors import BadCheckpoint, BadExport
from fre_hpo.inference.card import Card
from fre_hpo.model.unet import SEUNet
from fre_hpo.training import checkpoint
from fre_hpo.training.engine import Engine
from fre_hpo.trial import build_network, choose_engine

CARD, TENSORS = "card.json", "model.safetensors"
"""Files of an exported network."""


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """The plain network, without what its method added in training, ready on a device.

    engine: how it is computed; by default as in training, so that it measures what training measured.
    """

    card: Card
    module: SEUNet = field(repr=False)
    engine: Engine
    device: torch.device

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """(N, channels, H, W) on the device -> (N, classes, H, W), float32; H and W are multiples of the
        card's stride."""
        return self.engine.forward(self.module, images)

    def repeatable(self) -> TrainedNetwork:
        """The same, computed by kernels that give the same bits again: on the CPU they do anyway."""
        if self.device.type != "cuda":
            return self
        engine = replace(self.engine, compiled=False, deterministic=True)
        engine.set_up()
        return replace(self, engine=engine)


def use_threads(count: int) -> None:
    """Compute with so many threads on the CPU, in this process."""
    torch.set_num_threads(count)


def load(path: Path, device: str = "cpu", engine: Engine | None = None) -> TrainedNetwork:
    """A network from a trial's best.pt or from an exported folder.

    device: as torch names it.  Raises BadCheckpoint and BadExport.
    """
    if path.is_dir():
        return from_folder(path, device, engine)
    return from_bytes(path.read_bytes(), str(path), device, engine)


def from_bytes(
    data: bytes, name: str, device: str = "cpu", engine: Engine | None = None
) -> TrainedNetwork:
    """A network from the content of a best.pt; raises BadCheckpoint, which names it."""
    kept = checkpoint.from_bytes(data, name)
    try:
        card = Card.from_checkpoint(kept)
        return _ready(card, kept["state"], device, engine)
    except (KeyError, RuntimeError) as error:
        raise BadCheckpoint(path=name, reason="it holds no trained network") from error


def from_folder(folder: Path, device: str = "cpu", engine: Engine | None = None) -> TrainedNetwork:
    """A network from an exported folder; raises BadExport unless card and tensors are as written."""
    try:
        plain: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
        tensors = (folder / TENSORS).read_bytes()
        if hashlib.sha256(tensors).hexdigest() != plain["sha256"]:
            raise BadExport(folder=folder, reason=f"{TENSORS} is not the one that {CARD} names")
        return _ready(Card.from_plain(plain), load_tensors(tensors), device, engine)
    except OSError as error:
        reason = f"{Path(error.filename or folder).name}: {error.strerror}"
        raise BadExport(folder=folder, reason=reason) from error
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise BadExport(folder=folder, reason=f"{CARD} does not describe it") from error


def _ready(
    card: Card, state: dict[str, Tensor], device: str, engine: Engine | None
) -> TrainedNetwork:
    place = torch.device(device)
    engine = engine or choose_engine(card.spec, place)
    engine.set_up()
    module = build_network(card.spec, card.channels, len(card.classes), seed=0)
    module.load_state_dict(state)
    module.eval().requires_grad_(False)
    engine.place(module, place)
    return TrainedNetwork(card, module, engine, place)
