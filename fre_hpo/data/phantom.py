"""Drawn cells: a data set without files, for first steps, demonstrations and tests.

Cells lie beside one another as in tissue; where two meet they share a membrane.  Staining differs
from cell to cell, light is uneven, the optics blur and the camera counts photons, so no threshold
separates the classes.  Only additions, multiplications and square roots shape a picture, and it is
rounded to 8 bits as a camera would: one seed gives the same pictures on every machine.
"""

import math
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field, model_validator

from fre_hpo.data.dataset import Dataset, Split, assemble
from fre_hpo.data.source import NETWORK_STRIDE, DataOptions, DataSource

CLASSES = ("background", "membrane", "nucleus")
BACKGROUND, MEMBRANE, NUCLEUS = range(3)
SMALLEST_RADIUS = 5
"""Pixels; smaller cells have no nucleus worth the name."""

Floats = NDArray[np.float64]


class Options(DataOptions):
    """How many cells are drawn, how large and how noisy."""

    size: int = Field(64, ge=32, description="side of a picture in pixels, a multiple of 8")
    cells: int = Field(6, ge=1, description="cells in a picture at most; more cells are smaller")
    train: int = Field(24, ge=1, description="number of pictures to train on")
    validation: int = Field(8, ge=1, description="number of pictures that choose epoch and trial")
    test: int = Field(8, ge=1, description="number of pictures read only after the search")
    noise: float = Field(1.0, ge=0, description="strength of the camera's noise, 0 is none")
    seed: int = Field(0, ge=0, description="another seed draws other cells")

    @model_validator(mode="after")
    def _fits(self) -> "Options":
        if self.size % NETWORK_STRIDE:
            raise ValueError(f"size = {self.size} must be a multiple of {NETWORK_STRIDE}")
        most = (self.size // (2 * SMALLEST_RADIUS)) ** 2
        if self.cells > most:
            raise ValueError(f"cells = {self.cells} must be at most {most} at size = {self.size}")
        return self

    @property
    def radius(self) -> float:
        """A cell's mean radius in pixels: more than half of a picture is covered."""
        return 0.5 * self.size / math.sqrt(max(self.cells, 2))


def load(folder: Path | None, options: Options) -> Dataset:
    """Draw the three splits; no folder is looked at."""
    return assemble(
        SOURCE.name,
        CLASSES,
        train=_split("train", 0, options.train, options),
        validation=_split("validation", 1, options.validation, options),
        test=_split("test", 2, options.test, options),
    )


def _split(name: str, number: int, count: int, options: Options) -> Split:
    """Each picture has a seed of its own: a larger split adds pictures and changes none."""
    drawn = [draw(np.random.default_rng([options.seed, number, i]), options) for i in range(count)]
    pictures = np.stack([picture for picture, _ in drawn])[:, None]
    return Split(
        images=(pictures / np.float64(255)).astype(np.float32),
        labels=np.stack([labels for _, labels in drawn]),
        sources=tuple(f"{name}{i:04}" for i in range(count)),
    )


def draw(rng: Generator, options: Options) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One picture, 8 bit, and its class indices; both (size, size)."""
    cells = place(rng, options)
    labels, owner = paint(rng, cells, options.size)
    light = _stain(rng, labels, owner, len(cells))
    return _photograph(rng, light, options.noise), labels


def place(rng: Generator, options: Options) -> Floats:
    """Cells as rows: centre y and x, direction y and x of the long axis, long and short radius,
    share of the radii that the nucleus takes.

    The first centre lies well inside.  One too near an earlier one is left out, so that no two
    nuclei merge.
    """
    tries, radius = 4 * options.cells, options.radius
    centres = rng.uniform(0, options.size, (tries, 2))
    centres[0] = radius + centres[0] * (1 - 2 * radius / options.size)
    directions = rng.standard_normal((tries, 2))
    directions /= np.sqrt((directions**2).sum(axis=1, keepdims=True))
    radii = radius * rng.uniform((0.95, 0.8), (1.2, 1.0), (tries, 2))
    share = rng.uniform(0.42, 0.55, (tries, 1))
    kept: list[int] = []
    for i in range(tries):
        squares = ((centres[kept] - centres[i]) ** 2).sum(axis=1)
        if len(kept) < options.cells and (squares > (1.45 * radius) ** 2).all():
            kept.append(i)
    return np.concatenate([centres, directions, radii, share], axis=1)[kept]


def paint(rng: Generator, cells: Floats, size: int) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Class indices, and the cell that owns each pixel: the one it lies deepest in, or -1."""
    depth = _depths(cells, size)
    owner = depth.argmin(axis=0)
    second = np.partition(depth, 1, axis=0)[1] if len(cells) > 1 else np.inf
    first = depth.min(axis=0)
    inside = first < 1
    thickness = 0.7 / np.sqrt(np.sqrt(cells[:, 4] * cells[:, 5]))[owner]
    off_centre = cells.copy()
    off_centre[:, :2] += rng.uniform(-0.12, 0.12, (len(cells), 2)) * cells[:, 5:6]
    core = np.take_along_axis(_depths(off_centre, size), owner[None], axis=0)[0]
    labels = np.full((size, size), BACKGROUND, dtype=np.uint8)
    labels[inside & (core < cells[owner, 6])] = NUCLEUS
    labels[inside & ((first > 1 - thickness) | (second - first < thickness))] = MEMBRANE
    return labels, np.where(inside, owner, -1)


def _depths(cells: Floats, size: int) -> Floats:
    """(cells, size, size): 0 in the middle of a cell's ellipse, 1 on its edge."""
    y, x, along_y, along_x, long, short = cells.T[:6, :, None, None]
    dy, dx = np.arange(size)[:, None] - y, np.arange(size) - x
    along, across = dy * along_y + dx * along_x, dy * along_x - dx * along_y
    depths: Floats = np.sqrt((along / long) ** 2 + (across / short) ** 2)
    return depths


def _stain(
    rng: Generator, labels: NDArray[np.uint8], owner: NDArray[np.intp], cells: int
) -> Floats:
    """How bright each pixel is before the optics: every cell takes up the dyes differently."""
    uptake = rng.uniform([0.08, 0.25, 0.25], [0.16, 0.6, 0.75], (cells, len(CLASSES)))
    outside = [[0.04, 0.04, 0.04]]
    brightness: Floats = np.append(uptake, outside, axis=0)[owner, labels]
    texture = 1 + 1.4 * _blur(rng.standard_normal(labels.shape), 2)
    return brightness * np.clip(texture, 0.3, 1.7)


def _photograph(rng: Generator, light: Floats, noise: float) -> NDArray[np.uint8]:
    """Uneven light, blur, haze from out of focus, shot and read noise; 8 bit."""
    ramp = np.linspace(-1, 1, len(light))
    slope = rng.uniform(-0.35, 0.35, 2)
    shading = 1 + slope[0] * ramp[:, None] + slope[1] * ramp
    haze = 0.25 * _blur(light, 12) + rng.uniform(0.02, 0.05)
    seen = shading * (0.75 * _blur(light, 1) + haze)
    grain = rng.standard_normal(light.shape) * np.sqrt(0.006 * seen + 0.0002)
    counts: Floats = np.clip(np.rint(255 * (seen + noise * grain)), 0, 255)
    return counts.astype(np.uint8)


def _blur(picture: Floats, times: int) -> Floats:
    """Repeated smoothing with (1, 2, 1) / 4 both ways: nearly a Gaussian of variance times / 2."""
    for _ in range(times):
        padded = np.pad(picture, 1, mode="edge")
        rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
        picture = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16
    return picture


SOURCE = DataSource(
    name="phantom",
    summary="drawn fluorescence cells of any size, three classes; needs no files",
    options=Options,
    load=load,
    layout="nothing, because the pictures are drawn",
    obtain="no folder is needed",
    needs_folder=False,
)
