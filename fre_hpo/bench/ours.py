"""Our side of a comparison: the product's own loop on a shape's pictures."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from fre_hpo.bench.shapes import Shape, load
from fre_hpo.methods import Slots, get
from fre_hpo.model.unet import SEUNet
from fre_hpo.training.arrays import DeviceSplit
from fre_hpo.training.engine import Engine
from fre_hpo.training.loop import Training
from fre_hpo.training.loss import cross_entropy
from fre_hpo.training.schedule import Schedule
from fre_hpo.training.seeding import Purpose, derive

LEARNING_RATE = 3e-3
FACTOR = 10.0
"""X; any other costs the same."""
ENDLESS = 10**6
"""Epochs of a training that is timed and never ends."""


def method(shape: Shape, seed: int = 0) -> Slots:
    """Feature Random Enhancement of a sixteenth of the maps, drawn anew each epoch."""
    parameters = {"B": max(shape.maps // 16, 1), "X": FACTOR}
    return get("fre").slots(parameters, shape.maps, shape.classes, seed)


def network(shape: Shape, slots: Slots, seed: int = 0) -> SEUNet:
    """The same initial weights for every arm."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, Purpose.INITIALISATION))
        return SEUNet(
            shape.widths,
            shape.classes,
            channels=shape.channels,
            norm="batch",
            upsample="transposed",
            se_reduction=16,
            bottleneck=slots.bottleneck,
        )


def schedule(shape: Shape, epochs: int) -> Schedule:
    """As the recipe of the mouse cells has it, but for the class weights."""
    return Schedule(
        epochs=epochs,
        batch_size=shape.batch,
        learning_rate=LEARNING_RATE,
        warmup_epochs=0,
        lr_decay="none",
        gradient_clip=0.0,
        class_weights="none",
        augment=("flips", "quarter-turns"),
        eval_bn="recalibrate",
    )


def training(
    shape: Shape,
    folder: Path,
    engine: Engine,
    device: torch.device,
    *,
    epochs: int = ENDLESS,
    kind: type[Training] = Training,
) -> Training:
    """A training on drawn pictures before its first epoch; ``kind`` may be one that times itself."""
    engine.set_up()
    slots = method(shape)
    placed = network(shape, slots)
    engine.place(placed, device)
    train, validation = (
        DeviceSplit.place(load(folder, split), device) for split in ("train", "validation")
    )
    return kind(placed, slots, train, validation, shape.classes, schedule(shape, epochs), 0, engine)


def batch(shape: Shape, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random images (N, C, H, W) and labels (N, H, W) that lie on the device."""
    generator = torch.Generator().manual_seed(0)
    size = (shape.batch, shape.channels, shape.height, shape.width)
    images = torch.rand(size, generator=generator)
    labels = torch.randint(shape.classes, (size[0], *size[2:]), generator=generator)
    return images.to(device), labels.to(device)


class Step:
    """One training step of an engine on a batch that is resident, as ``Training`` does it."""

    def __init__(self, shape: Shape, engine: Engine, device: torch.device) -> None:
        self.engine = engine
        self.images, self.labels = batch(shape, device)
        slots = method(shape)
        self.network = network(shape, slots)
        engine.place(self.network, device)
        if slots.start_epoch:
            slots.start_epoch(1)
        self.optimizer = engine.adam(self.network, LEARNING_RATE)

    def __call__(self) -> Tensor:
        output, _ = self.engine.forward_both(self.network, self.images)
        loss = cross_entropy(output, self.labels, None)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()
