"""Lines over the epochs of a training, each named at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fre_hpo.results.figures.axes import Axis, linear_ticks
from fre_hpo.results.figures.description import Fact, Label, Line
from fre_hpo.results.figures.placing import LETTER, LINE, apart

Numbers = tuple[float, ...]

SPACE = 7.0
"""Between the end of a line and the right end of its name, in mm, besides the letters."""
LEADER = 4.5
"""From the end of a line to its name, in mm."""


@dataclass(frozen=True)
class Course:
    """A value over the epochs.  name: of the layer; words: at the line's end, of one line or more."""

    name: str
    words: str
    epochs: Numbers
    values: Numbers
    colour: str

    def line(self, fact: str, drawn: Numbers | None = None) -> Line:
        """fact: what the values are called; drawn: where they stand if not at themselves."""
        known = (Fact("epoch", "x"), Fact(fact, self.values, ".4~g"))
        return Line(self.name, self.epochs, drawn or self.values, self.colour, 1.2, 1.0, known)


def epoch_axis(epochs: int, names: Sequence[str], width: float) -> Axis:
    """As long as the training, and beyond it room for the names; width: of the panel, in mm."""
    first, last = (0, epochs) if epochs > 1 else (0, 2)
    letters = max(len(line) for name in names for line in name.splitlines())
    share = min((letters * LETTER + SPACE) / width, 0.55)
    high = first + (last - first) / (1 - share)
    ticks = tuple((v, t) for v, t in linear_ticks(first, last) if v == int(v))
    return Axis("epoch", first, high, ticks, drawn=(first, last))


def names_at_ends(
    courses: Sequence[Course], x: Axis, y: Axis, size: tuple[float, float]
) -> tuple[Label, ...]:
    """size: of the panel between its axes, in mm; y: the axis, within which all values lie."""
    lines = max(len(course.words.splitlines()) for course in courses)
    ends = [(course.epochs[-1], max(course.values[-1], y.low)) for course in courses]
    step = (lines + 0.25) * LINE / size[1]
    heights = apart([y.fraction(value) for _, value in ends], step, step / 2, 1 - step / 2)
    beyond = x.at(x.fraction(x.drawn[1] if x.drawn else x.high) + LEADER / size[0])
    return tuple(
        Label(course.words, *end, beyond, y.at(height), colour=course.colour, leader=True)
        for course, end, height in zip(courses, ends, heights, strict=True)
    )
