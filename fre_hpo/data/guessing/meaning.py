"""What the values of masks probably mean: classes, one number per cell, or nothing usable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fre_hpo.data import drosophila, mouse
from fre_hpo.data.guessing.cells import are_cells, may_be_cells
from fre_hpo.data.guessing.smoothing import are_smoothed, smoothed_doubt, without_smoothed
from fre_hpo.data.guessing.tally import Tallies

Value = int | str

COLOURS = {
    "black": 0x000000,
    "white": 0xFFFFFF,
    "red": 0xFF0000,
    "green": 0x00FF00,
    "blue": 0x0000FF,
    "yellow": 0xFFFF00,
    "magenta": 0xFF00FF,
    "cyan": 0x00FFFF,
    "orange": 0xFFA500,
    "grey": 0x808080,
    "dark-red": 0x800000,
    "dark-green": 0x008000,
    "dark-blue": 0x000080,
}
_MOUSE = {name: int(colour[1:], 16) for name, colour in mouse.COLOURS.items()}

_MOST_CLASSES = 64
_DARK = 0.12


@dataclass(frozen=True)
class Meaning:
    """labels: class -> values, in the recipe's form; empty where nothing could be guessed.

    remarks: for classes and for other keys of [data], what is said behind them.
    """

    labels: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    ignore: Sequence[Value] = ()
    instances: bool = False
    remarks: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    doubts: Sequence[str] = ()
    smoothed: Sequence[Path] = ()
    """Masks that were set aside, so that the others could be understood."""


def interpret(
    tallies: Tallies, names: Mapping[int, str] | None = None, *, expect_cells: bool = False
) -> Meaning:
    """Judge the values; names: of classes, from a file beside the masks; expect_cells: the masks are
    called as programs call those that hold a number per cell."""
    if not tallies.masks:
        return Meaning()
    if names and not tallies.colours:
        return _named(tallies, names)
    plain, smoothed = without_smoothed(tallies)
    return replace(_judged(plain, expect_cells), smoothed=smoothed)


def _judged(tallies: Tallies, expect_cells: bool) -> Meaning:
    """Cells, nothing usable, or classes."""
    count = len(tallies.values)
    if are_cells(tallies, expected=expect_cells):
        kind = "colours" if tallies.colours else "numbers"
        text = f"{count - 1} {kind} besides the background, one per cell it seems"
        return Meaning(instances=True, remarks={"instances": text}, notes=(text,))
    if are_smoothed(tallies):
        return Meaning(doubts=(smoothed_doubt(tallies),))
    if count > _MOST_CLASSES:
        text = (
            f"The masks hold {count} values, more than {_MOST_CLASSES} classes: write data.labels"
        )
        return Meaning(doubts=(text,))
    return _coloured(tallies) if tallies.colours else _numbered(tallies)


def _background(tallies: Tallies) -> int:
    """The most frequent value on the pictures' edges."""
    return tallies.border.most_common(1)[0][0]


def _named(tallies: Tallies, names: Mapping[int, str]) -> Meaning:
    """Classes as dataset.json calls them; "ignore" is none."""
    ignore = [value for value, name in names.items() if name.lower() == "ignore"]
    labels = {name: [value] for value, name in sorted(names.items()) if value not in ignore}
    unknown = sorted(tallies.values.keys() - names.keys())
    doubts = [f"The masks hold {unknown[:5]}, which dataset.json does not name"] if unknown else []
    notes = ["dataset.json names the classes"]
    return _described(tallies, labels, ignore, notes, doubts)


def _numbered(tallies: Tallies) -> Meaning:
    values, doubts = sorted(tallies.values), []
    full = (1 << tallies.bits) - 1
    together: dict[int, list[int]] = {}
    if values == [0, 1, full] and not any({1, full} <= m.values.keys() for m in tallies.masks):
        together = {1: [full]}  # white stored as 1 here and as full scale there
        values.remove(full)
        if not all(mask.one_bit for mask in tallies.masks if 1 in mask.values):
            text = (
                f"White is 1 in some masks and {full} in others, and both are taken for one class"
            )
            doubts.append(text)
    if _are_drosophila(values):
        return _as_published(tallies)
    ignore = [full] if len(values) > 2 and full in values and values[-2] <= _MOST_CLASSES else []
    values = [value for value in values if value not in ignore]
    ground = _background(tallies) if _background(tallies) in values else values[0]
    rest = [value for value in values if value != ground]
    called = ["foreground"] if len(rest) == 1 else [f"class{n}" for n in range(1, len(rest) + 1)]
    labels = {"background": [ground]}
    labels |= {name: [v, *together.get(v, [])] for name, v in zip(called, rest, strict=True)}
    if may_be_cells(tallies):
        doubts.append(
            f"Each number from 1 to {max(values)} is one blob in every mask: these may be numbers of "
            'cells; then write instances = "boundary" and no labels'
        )
    return _described(tallies, labels, ignore, _number_notes(tallies, ground, values), doubts)


def _number_notes(tallies: Tallies, ground: int, values: list[int]) -> list[str]:
    notes = ["background is the most frequent value on the pictures' edges"]
    full = (1 << tallies.bits) - 1
    if ground == full:
        notes.append(f"the masks look inverted: {full}, white, is the background")
    if 0 < max(tallies.values) < _DARK * full:
        notes.append(f"on a screen the masks look black, for they hold only {_listed(values)}")
    return notes


def _listed(values: Sequence[int]) -> str:
    return f"{values[0]} to {values[-1]}" if len(values) > 4 else ", ".join(map(str, values))


def _are_drosophila(values: list[int]) -> bool:
    return {159, 191, 223} & set(values) == {159, 191, 223} and set(values) <= set(
        drosophila.LABELS
    )


def _as_published(tallies: Tallies) -> Meaning:
    """The nine values of the Drosophila ssTEM set, as its README names them."""
    labels: dict[str, list[int]] = {name: [] for name in drosophila.CLASSES}
    for value, name in drosophila.LABELS.items():
        labels["background" if name == "glia" else name].append(value)
    notes = [
        "the values are the Drosophila ssTEM set's: its names are taken (--dataset drosophila)"
    ]
    return _described(tallies, labels, [], notes, [])


def _coloured(tallies: Tallies) -> Meaning:
    found = [value for value, _ in tallies.values.most_common()]
    if set(found) == set(_MOUSE.values()):
        labels = {name: [colour] for name, colour in _MOUSE.items()}
        notes = ["the three colours are those of the mouse liver set: its names are taken"]
        return _described(tallies, labels, [], notes, [])
    ground = _background(tallies)
    known = {value: name for name, value in COLOURS.items()}
    labels = {"background": [ground]}
    for value in found:
        if value != ground:
            labels[known.get(value, f"colour-{value:06x}")] = [value]
    notes = ["the classes are called by their colours; background is most frequent on the edges"]
    return _described(tallies, labels, [], notes, [])


def _described(
    tallies: Tallies,
    labels: Mapping[str, Sequence[int]],
    ignore: Sequence[int],
    notes: Sequence[str],
    doubts: Sequence[str],
) -> Meaning:
    """Values in the recipe's form, each class with its share of the pixels."""
    remarks = {name: _share_text(tallies, values) for name, values in labels.items()}
    if ignore:
        text = f"{_share_text(tallies, ignore)}; guessed to be left out of loss and metrics"
        remarks["ignore"] = text
    alone = [f"The masks hold only {labels_text(labels)}"] if len(tallies.values) < 2 else []
    written = {name: [_written(v, tallies.colours) for v in vs] for name, vs in labels.items()}
    return Meaning(
        labels=written,
        ignore=[_written(value, tallies.colours) for value in ignore],
        remarks=remarks,
        notes=notes,
        doubts=[*doubts, *alone],
    )


def labels_text(labels: Mapping[str, Sequence[int]]) -> str:
    """The values of all classes, for a sentence."""
    return ", ".join(str(value) for values in labels.values() for value in values)


def _share_text(tallies: Tallies, values: Sequence[int]) -> str:
    share = tallies.share(values)
    masks = sum(any(v in mask.values for v in values) for mask in tallies.masks)
    text = f"{share:.1%} of the pixels" if share >= 0.0005 or not share else "hardly any pixel"
    return (
        text if masks == len(tallies.masks) else f"{text}, in {masks} of {len(tallies.masks)} masks"
    )


def _written(value: int, colours: bool) -> Value:
    return f"#{value:06x}" if colours else value
