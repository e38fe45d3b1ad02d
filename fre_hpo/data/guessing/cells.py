"""Whether numbers in masks are those of single cells, judged by their shapes and how they vary."""

from itertools import combinations
from statistics import median

from fre_hpo.data.guessing.tally import FEW, Box, Tallies, Tally

_COMPACT = 0.35
"""Cells fill that much of their bounding boxes; a class that is all over the picture does not."""
_MOST_ORGANS = 5
"""So many values, the background included, are rather compact classes than cells."""
_MOST_DOUBTFUL = 6
_ALIKE = 3
"""Cells differ in their sizes by no more than this factor; classes often do."""


def are_cells(tallies: Tallies, *, expected: bool) -> bool:
    """Compact values, different from mask to mask, or from 1 on without a gap in each."""
    if len(tallies.values) < 3 or not _are_compact(tallies):
        return False
    if expected:
        return True
    found = [sorted(mask.values.keys() - {0}) for mask in tallies.masks]
    if len(tallies.values) > FEW:
        return len(found) == 1 or any(values != found[0] for values in found)
    gapless = all(values == list(range(1, len(values) + 1)) for values in found)
    differ = len({len(values) for values in found}) > 1
    return gapless and differ and not tallies.colours and len(tallies.values) > _MOST_ORGANS


def may_be_cells(tallies: Tallies) -> bool:
    """Whether classes 1, 2, ... could as well be the few cells that every picture happens to have:
    each is one blob, all are of a size, apart from one another, and elsewhere in every picture."""
    numbers = sorted(tallies.values.keys() - {0})
    gapless = numbers == list(range(1, len(numbers) + 1)) and 2 <= len(numbers) <= _MOST_DOUBTFUL
    if tallies.colours or not gapless or len(tallies.masks) < 2:
        return False
    if any(mask.values.keys() - {0} != set(numbers) for mask in tallies.masks):
        return False
    sizes = [tallies.values[number] for number in numbers]
    if max(sizes) > _ALIKE * min(sizes) or not _are_compact(tallies):
        return False
    shaped = [mask for mask in tallies.masks if mask.shapes]
    return all(map(_are_apart, shaped)) and _move(shaped)


def _are_compact(tallies: Tallies) -> bool:
    fills = [shape.fill for mask in tallies.masks for shape in mask.shapes]
    return bool(fills) and median(fills) >= _COMPACT


def _are_apart(mask: Tally) -> bool:
    """No number lies largely within the box of another, as a nucleus does in its cell."""
    boxes = [shape.box for shape in mask.shapes]
    return all(2 * _common(a, b) < min(_area(a), _area(b)) for a, b in combinations(boxes, 2))


def _common(one: Box, other: Box) -> int:
    box = (*map(max, one[:2], other[:2]), *map(min, one[2:], other[2:]))
    return 0 if box[0] > box[2] or box[1] > box[3] else _area(box)


def _area(box: Box) -> int:
    return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)


def _move(masks: list[Tally]) -> bool:
    """Hardly any number has the same box in two masks."""
    boxes = [(shape.value, shape.box) for mask in masks for shape in mask.shapes]
    return 2 * len(set(boxes)) > len(boxes)
