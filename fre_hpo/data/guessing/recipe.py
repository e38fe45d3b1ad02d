"""A guess as a recipe: TOML for people, each line with what it rests on."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fre_hpo.data.guessing.listing import from_the_root, readable
from fre_hpo.data.guessing.looking import TOPICS, Guess

_WIDTH = 110


def recipe_text(guess: Guess, name: str, folder_as_written: str) -> str:
    """The recipe's text.  folder_as_written: relative to where the recipe will lie, or absolute."""
    remarks = dict(guess.found)
    labels = guess.options.get("labels", {})
    options = {key: value for key, value in guess.options.items() if key != "labels"}
    training = {key: f"training.{key}" for key in guess.training}
    path = Path(folder_as_written)
    folder = str(from_the_root(path)) if path.is_absolute() else folder_as_written
    parts = [
        _header(guess, name),
        f'dataset = "pairs"\ntitle = {_text(f"{name}, as found in its folder")}\n',
        _table("data", {"folder": folder, **options}, remarks),
        _labels(labels, remarks) if labels or "instances" not in options else "",
        _table("training", guess.training, {k: remarks[full] for k, full in training.items()}),
    ]
    return "\n".join(part for part in parts if part)


def _header(guess: Guess, name: str) -> str:
    """What was found as a whole, then what is doubtful."""
    found = [f"{key}: {remark}" for key, remark in guess.found if key in TOPICS]
    lines = [f"{name}: what was found in the folder, and what was guessed.", "", *found]
    if guess.doubts:
        lines += ["", "Doubts, to be looked at before a search:", *(f"- {d}" for d in guess.doubts)]
    lines += [
        "",
        "See `fre-hpo data check` for every problem, with a picture to judge the labels by.",
    ]
    return "".join(f"{row}\n" for line in lines for row in _wrapped(line, _WIDTH))


def _wrapped(line: str, width: int) -> list[str]:
    """Comment lines of limited width."""
    rows, row = [], "#"
    for word in readable(line).split():
        if len(row) + 1 + len(word) > width and row != "#":
            rows.append(row)
            row = "#"
        row += f" {word}"
    return [*rows, row]


def _table(name: str, values: Mapping[str, Any], remarks: Mapping[str, str]) -> str:
    rows = [
        (f"{_key(key)} = {_value(value)}", remarks.get(key, "")) for key, value in values.items()
    ]
    return f"[{name}]\n{_aligned(rows)}"


def _labels(labels: Mapping[str, Sequence[Any]], remarks: Mapping[str, str]) -> str:
    if not labels:
        example = [("# background = 0", "what the masks' values mean could not be guessed"),
                   ("# nucleus = 255", "write each class with its number, or its colour")]  # fmt: skip
        return f"[data.labels]\n{_aligned(example)}"
    rows = [
        (
            f"{_key(name)} = {_value(values[0] if len(values) == 1 else values)}",
            remarks[f"labels.{name}"],
        )
        for name, values in labels.items()
    ]
    return f"[data.labels]\n{_aligned(rows)}"


def _aligned(rows: Iterable[tuple[str, str]]) -> str:
    """Comments in one column, wherever the longest line lets them."""
    rows = list(rows)
    column = max((len(text) for text, remark in rows if remark), default=0)
    lines = []
    for text, remark in rows:
        first, *more = _wrapped(remark, max(_WIDTH - column - 2, 40)) if remark else [""]
        lines += [
            f"{text.ljust(column)}  {first}".rstrip(),
            *(" " * (column + 2) + r for r in more),
        ]
    return "".join(f"{line}\n" for line in lines)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return str(value)


def _text(text: str) -> str:
    """TOML's basic strings are JSON's, but for the character of deletion."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
