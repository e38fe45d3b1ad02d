"""What a user would write instead, in one script; two of them.

R0 is plain PyTorch as tutorials have it: eager float32, a DataLoader with two workers that read PNG files,
Adam as it comes, validation, the best weights saved and one row committed to a database after each epoch,
a process for each trial.  R1 is the same by somebody who knows what pays: bfloat16 autocast where the device
computes with it, channels_last, torch.compile, workers that stay, pinned memory, fused Adam.

Both train our network with our method, so that only the engineering differs.  Neither re-estimates
batch-norm statistics for evaluation, which ours does and pays for.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from fre_hpo.bench import ours
from fre_hpo.bench.shapes import SHAPES, Shape, read_mask, read_picture
from fre_hpo.training.engine import computes_bfloat16


@dataclass(frozen=True)
class Style:
    """How a reference is written; ``tuned`` is all that R1 does beside compiling."""

    name: str
    tuned: bool
    compiled: bool


R0 = Style("R0", tuned=False, compiled=False)
R1 = Style("R1", tuned=True, compiled=True)
STYLES = {style.name: style for style in (R0, R1)}
WORKERS = 2


class Pictures(Dataset[tuple[Tensor, Tensor]]):
    """PNG files, read each time they are needed, turned by chance in training."""

    def __init__(self, folder: Path, *, augmented: bool) -> None:
        self.images = sorted((folder / "images").iterdir())
        self.masks = sorted((folder / "masks").iterdir())
        self.augmented = augmented

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = torch.from_numpy(read_picture(self.images[index]))
        mask = torch.from_numpy(read_mask(self.masks[index])).long()
        if self.augmented:
            if random.random() < 0.5:
                image, mask = image.flip(-1), mask.flip(-1)
            if random.random() < 0.5:
                image, mask = image.flip(-2), mask.flip(-2)
            turns = random.randrange(4)
            image, mask = image.rot90(turns, (-2, -1)), mask.rot90(turns, (-2, -1))
        return image.contiguous(), mask.contiguous()


class Reference:
    """A training as a user's script has it; ``out`` receives best.pt and reports.db."""

    def __init__(
        self, shape: Shape, style: Style, device: torch.device, folder: Path, out: Path
    ) -> None:
        self.shape = shape
        self.style = style
        self.device = device
        self.out = out
        self.slots = ours.method(shape)
        self.network = ours.network(shape, self.slots).to(device)
        if style.tuned:
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model: Any = torch.compile(self.network) if style.compiled else self.network
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=ours.LEARNING_RATE, fused=style.tuned or None
        )
        self.criterion = nn.CrossEntropyLoss()
        self.train_loader = self._loader(folder / "train", shuffle=True)
        self.validation_loader = self._loader(folder / "validation", shuffle=False)
        self.database = sqlite3.connect(out / "reports.db")
        self.database.execute("CREATE TABLE IF NOT EXISTS report (epoch, loss, miou)")
        self.epochs = 0
        self.best = -1.0

    def _loader(self, folder: Path, *, shuffle: bool) -> DataLoader[tuple[Tensor, Tensor]]:
        return DataLoader(
            Pictures(folder, augmented=shuffle),
            batch_size=self.shape.batch,
            shuffle=shuffle,
            num_workers=WORKERS,
            persistent_workers=self.style.tuned,
            pin_memory=self.style.tuned and self.device.type == "cuda",
        )

    def enter(self) -> None:
        """What the script would set for its process."""
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = self.style.tuned

    def epoch(self) -> tuple[float, float]:
        """Train, validate, save, report; the mean loss of the batches and the validation mIoU."""
        self.epochs += 1
        loss = self.train()
        miou = self.validate()
        if miou > self.best:
            self.best = miou
            torch.save(self.network.state_dict(), self.out / "best.pt")
        self.database.execute("INSERT INTO report VALUES (?, ?, ?)", (self.epochs, loss, miou))
        self.database.commit()
        return loss, miou

    def train(self) -> float:
        self.network.train()
        if self.slots.start_epoch:
            self.slots.start_epoch(self.epochs)
        total = 0.0
        for images, labels in self.train_loader:
            total += self.step(*self._moved(images, labels)).item()
        return total / len(self.train_loader)

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Forward, loss, backward, optimiser."""
        self.optimizer.zero_grad()
        with self._autocast():
            loss: Tensor = self.criterion(self.model(images), labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    @torch.no_grad()
    def validate(self) -> float:
        self.network.eval()
        confusion = np.zeros((self.shape.classes, self.shape.classes), np.int64)
        for images, labels in self.validation_loader:
            images, labels = self._moved(images, labels)
            confusion += self.count(self.predict(images), labels)
        hit = np.diag(confusion)
        either = confusion.sum(0) + confusion.sum(1) - hit
        present = confusion.sum(1) > 0
        return float((hit[present] / either[present]).mean())

    def predict(self, images: Tensor) -> Tensor:
        with self._autocast():
            logits: Tensor = self.model(images)
        return logits.argmax(dim=1)

    def count(self, predicted: Tensor, labels: Tensor) -> NDArray[np.int64]:
        classes = self.shape.classes
        cells = labels.cpu().numpy().ravel() * classes + predicted.cpu().numpy().ravel()
        return np.bincount(cells, minlength=classes**2).reshape(classes, classes)

    def _moved(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if self.style.tuned:
            images = images.to(self.device, memory_format=torch.channels_last, non_blocking=True)
            return images, labels.to(self.device, non_blocking=True)
        return images.to(self.device), labels.to(self.device)

    def _autocast(self) -> torch.autocast:
        enabled = self.style.tuned and computes_bfloat16(self.device)
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def close(self) -> None:
        """Close the database; workers that stay end with their loaders."""
        self.database.close()
        del self.train_loader, self.validation_loader


def main() -> None:
    """One trial in a process of its own."""
    parser = argparse.ArgumentParser(description="One trial as a user's script would train it.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--style", choices=STYLES, default=R0.name)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    device = torch.device(given.device)
    given.out.mkdir(parents=True, exist_ok=True)
    reference = Reference(SHAPES[given.shape], STYLES[given.style], device, given.folder, given.out)
    reference.enter()
    for _ in range(given.epochs):
        reference.epoch()
    reference.close()


if __name__ == "__main__":
    main()
