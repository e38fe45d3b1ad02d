"""What a trained network is, and how an image must be prepared for it.

An image is prepared as the data set that trained the network prepared its own: the same code reads the
channel, normalises and shrinks.  All of it follows from the spec, and from what ``best.pt`` says of the
training pictures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fre_hpo.data import phantom
from fre_hpo.data.assembly.survey import Reading
from fre_hpo.data.assembly.tiling import Shape
from fre_hpo.data.source import PictureOptions
from fre_hpo.methods import get
from fre_hpo.study.spec import Spec

DRAWN = Reading(normalise="full-scale")
"""How the drawn cells become arrays: 8 bits, one channel."""
DRAWN_DEPTHS = ("uint8",)
USUAL_SIDE = 256
"""Of a tile (paper, section 4), where nothing tells how large the training pictures were."""


@dataclass(frozen=True)
class Card:
    """spec: of the training.  classes: names, by index.  channels: of an image.  parameters: the method's.
    epoch, miou: the best on validation.  shape: height and width of a training picture, None where that was
    not recorded.  depths: types of its pixels on disk, such as "uint8"; empty where not recorded."""

    spec: Spec
    classes: tuple[str, ...]
    channels: int
    parameters: dict[str, Any]
    epoch: int
    miou: float
    shape: Shape | None = None
    depths: tuple[str, ...] = ()

    @classmethod
    def from_checkpoint(cls, kept: Mapping[str, Any]) -> Card:
        """Of what ``best.pt`` holds; raises KeyError when it is something else."""
        spec, parameters = Spec.from_json(kept["spec"]), json.loads(kept["parameters"])
        return cls._of(kept, spec, parameters)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Card:
        """Of what ``to_plain`` gave."""
        spec = Spec.from_json(json.dumps(plain["spec"]))
        return cls._of(plain, spec, dict(plain["parameters"]))

    @classmethod
    def _of(cls, kept: Mapping[str, Any], spec: Spec, parameters: dict[str, Any]) -> Card:
        return cls(
            spec,
            tuple(kept["classes"]),
            int(kept["channels"]),
            parameters,
            int(kept["epoch"]),
            float(kept["miou"]),
            _shape(kept.get("shape")),
            tuple(kept.get("depths", ())),
        )

    def to_plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "classes": list(self.classes),
            "channels": self.channels,
            "parameters": self.parameters,
            "epoch": self.epoch,
            "miou": self.miou,
            "shape": None if self.shape is None else list(self.shape),
            "depths": list(self.depths),
            "spec": json.loads(self.spec.to_json()),
        }

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the encoder that the method really builds."""
        return get(self.spec.method).widths(self.spec.model.widths)

    @property
    def stride(self) -> int:
        """Heights and widths are multiples of it."""
        return int(2 ** (len(self.widths) - 1))

    @property
    def reading(self) -> Reading:
        """How pictures become arrays: channel, normalisation, shrinking."""
        options = self.spec.options
        return options.reading if isinstance(options, PictureOptions) else DRAWN

    @property
    def tile(self) -> Shape:
        """Height and width that the network was trained on, in pixels of its input."""
        height, width = self.shape or self._stated_shape() or (USUAL_SIDE, USUAL_SIDE)
        return multiple(height, self.stride), multiple(width, self.stride)

    def _stated_shape(self) -> Shape | None:
        """Of the training pictures, where the options of the data set say it."""
        options = self.spec.options
        if isinstance(options, phantom.Options):
            return options.size, options.size
        if isinstance(options, PictureOptions) and options.tile:
            side = -(-options.tile // options.factor)
            return side, side
        return None

    def accepts(self, depth: np.dtype[Any]) -> bool:
        """Whether pixels of a type are scaled as those of the training pictures were."""
        scaled = {self._scaling(known) for known in self.known_depths}
        return not scaled or self._scaling(depth.name) in scaled

    @property
    def known_depths(self) -> Sequence[str]:
        """Of the training pictures' pixels; empty where nothing tells."""
        is_drawn = isinstance(self.spec.options, phantom.Options)
        return self.depths or (DRAWN_DEPTHS if is_drawn else ())

    def _scaling(self, depth: str) -> str:
        """What decides about the scale: by full scale the type; by percentiles nothing does."""
        normalise = self.reading.normalise
        if normalise == "full-scale" or (normalise == "auto" and depth == "uint8"):
            return depth
        return "percentiles"


def _shape(plain: Sequence[int] | None) -> Shape | None:
    return None if plain is None else (int(plain[0]), int(plain[1]))


def multiple(side: int, of: int) -> int:
    """The next multiple of ``of`` that is not smaller."""
    return -(-side // of) * of
