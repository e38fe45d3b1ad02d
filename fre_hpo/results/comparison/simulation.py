"""Fake training: confusion matrices with the noise of the real thing, and an effect that is known.

What the statistics promise is checked on it.  The defaults were measured on Drosophila with a small network:
the seed alone moves mIoU by 5.7 points (sd), which pairing takes away; what is left in a paired difference is
2.3 points.  Within a split images differ in difficulty, in their classes and from training to training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, SeedSequence
from numpy.typing import NDArray

from fre_hpo.results.comparison.measured import (
    BASELINE,
    PRIMARY,
    Comparison,
    Confusions,
    Counts,
    Measured,
)
from fre_hpo.results.comparison.scores import Floats

PIXELS = 65_536
_IMAGES, _IMAGES_OF_ARM, _SEED, _ARM, _IMAGES_IN_TRAINING = range(1, 6)
"""Streams of random numbers; each goes last into its key, for zeros at the end of a key do not count."""


@dataclass(frozen=True)
class Noise:
    """Standard deviations of IoU; all are 0..1.

    level: the baseline's mean IoU.  seed: of what all methods of a seed share.  paired: of the difference
    between two methods, seed by seed.  image: of the images' difficulty.  image_seed: of one image in one
    training.  image_method: of what an image adds to a method in every training; other than 0, an effect on
    these images is not the effect on all.  images, classes: of the split.
    """

    level: float = 0.6
    seed: float = 0.057
    paired: float = 0.023
    image: float = 0.08
    image_seed: float = 0.03
    image_method: float = 0.0
    images: int = 10
    classes: int = 3

    @property
    def training(self) -> float:
        """Of one method in one training, beyond what its images add."""
        rest = self.paired**2 / 2 - self.image_seed**2 / self.images
        if rest < 0:
            raise ValueError("image_seed alone is more than paired")
        return float(np.sqrt(rest))


def simulate(
    noise: Noise, rng: Generator, comparisons: int, seeds: int, effect: float = 0.0
) -> Counts:
    """Two methods, the second better by ``effect``: (comparisons, 2, seeds, images, classes, classes).

    Every comparison has images of its own.
    """
    shape = (comparisons, 2, seeds, noise.images)
    pixels = _pixels(noise, rng, (comparisons, 1, 1, noise.images))
    iou = np.full(shape, noise.level)
    iou[:, 1] += effect
    iou += rng.normal(0, noise.seed, (comparisons, 1, seeds, 1))
    iou += rng.normal(0, noise.training, (comparisons, 2, seeds, 1))
    iou += rng.normal(0, noise.image, (comparisons, 1, 1, noise.images))
    iou += rng.normal(0, noise.image_method, (comparisons, 2, 1, noise.images))
    iou += rng.normal(0, noise.image_seed, shape)
    return _matrices(iou, np.broadcast_to(pixels, (*shape, noise.classes)))


def trained(noise: Noise, split: int, seed: int, arm: int, effect: float = 0.0) -> Counts:
    """One training, always the same for the same numbers: (images, classes, classes).

    split: which images.  seed: of the training; arms with the same seed share its luck.  arm: a method
    or a point of a search.
    """
    images = _stream(split, _IMAGES)
    pixels = _pixels(noise, images, (noise.images,))
    iou = noise.level + effect + images.normal(0, noise.image, noise.images)
    iou += _stream(split, arm, _IMAGES_OF_ARM).normal(0, noise.image_method, noise.images)
    iou += _stream(seed, _SEED).normal(0, noise.seed)
    iou += _stream(seed, arm, _ARM).normal(0, noise.training)
    iou += _stream(seed, arm, split, _IMAGES_IN_TRAINING).normal(0, noise.image_seed, noise.images)
    return _matrices(iou, pixels)


def as_comparison(counts: Counts, dataset: str = "simulated") -> Comparison:
    """Baseline and fre from one of ``simulate``'s comparisons, on validation and test alike."""
    _, seeds, images, classes, _ = counts.shape
    sources = tuple(f"image {index}" for index in range(images))
    methods = tuple(
        Measured(name, {}, tuple(range(seeds)), Confusions(sources, arm), Confusions(sources, arm))
        for name, arm in zip((BASELINE, PRIMARY), counts, strict=True)
    )
    return Comparison(dataset, tuple(f"class {index}" for index in range(classes)), methods)


def _stream(*key: int) -> Generator:
    return np.random.default_rng(SeedSequence(key))


def _pixels(noise: Noise, rng: Generator, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Pixels of each class in each image: images hold very different shares."""
    shares = rng.dirichlet(np.full(noise.classes, 4.0), shape)
    return np.floor(shares * PIXELS).astype(np.int64)


def _matrices(iou: Floats, pixels: NDArray[np.int64]) -> Counts:
    """Counts (..., C, C) whose IoU is about ``iou`` (...) in each class; pixels (..., C).

    As many pixels of a class are taken for another as the other way round on the whole, so a share r of
    right pixels gives an IoU of r / (2 - r).
    """
    iou = np.clip(iou, 0.02, 0.98)
    right = np.floor((2 * iou / (1 + iou))[..., None] * pixels).astype(np.int64)
    classes = pixels.shape[-1]
    wrong = (pixels - right) // (classes - 1)
    counts = np.repeat(wrong[..., None], classes, axis=-1)
    index = np.arange(classes)
    counts[..., index, index] = pixels - (classes - 1) * wrong
    return counts
