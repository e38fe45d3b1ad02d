"""What a method is: a name, the parameters it searches or takes, and what it puts into the network.

A method never subclasses the trainer.  It fills the three slots of the SE-U-Net (widths, bottleneck,
side head) and, where the paper says so, changes the loss; everything else is the same for all.  Nothing
here imports torch: the registry is read by the command line; ``slots`` imports it when it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn

MAPS: Final = "maps"
"""As an upper bound: the number of feature maps at the end of the encoder."""

Number = int | float
SeededEpoch = Callable[[int], None]


@dataclass(frozen=True)
class Parameter:
    """A number that a method searches over or is given.

    ``low`` and ``high`` bound every value and range (``high`` may be "maps"); ``default`` is what a recipe
    that does not mention the parameter gets, in the recipe's notation: a range ("1..maps:log") is searched,
    a plain number is fixed.
    """

    name: str
    kind: Literal["int", "float"]
    low: Number
    high: Number | Literal["maps"]
    default: Number | str
    meaning: str

    def upper(self, maps: int) -> Number:
        return maps if isinstance(self.high, str) else self.high


@dataclass(frozen=True)
class Slots:
    """What a method puts into the network.

    bottleneck: acts on the deepest feature maps (N, maps, H, W) after the last ReLU and the SE block
    (design 3.9); it is the identity in evaluation.  side_head: maps the same tensor to class logits at its
    own resolution, in training only.  loss: combines the cross-entropies of the main and the side output.
    start_epoch: called with the epoch (from 1) before its first batch, for what is drawn once an epoch.
    """

    bottleneck: nn.Module | None = None
    side_head: nn.Module | None = None
    loss: Callable[[Tensor, Tensor], Tensor] | None = None
    start_epoch: SeededEpoch | None = None


@dataclass(frozen=True)
class Method:
    """One row of the registry.

    slots: ``(parameters, maps, classes, seed) -> Slots``.  without_deepest: the network is built from the
    widths without the last one.
    """

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    slots: Callable[[Mapping[str, Any], int, int, int], Slots]
    without_deepest: bool = False

    def widths(self, widths: tuple[int, ...]) -> tuple[int, ...]:
        return widths[:-1] if self.without_deepest else widths


def no_slots(parameters: Mapping[str, Any], maps: int, classes: int, seed: int) -> Slots:
    """The plain network."""
    return Slots()
