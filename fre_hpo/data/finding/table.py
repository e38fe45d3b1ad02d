"""A table of image, mask, split and group, as CSV or JSON, read with all its mistakes.

Columns that mean nothing here are passed over, because labs' tables hold much more, and that is said:
a column "patient" that nobody reads would let one patient's pictures into two splits.  A column that
looks like a misspelling is refused.
"""

import csv
import difflib
import io
import json
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from fre_hpo.data.finding.template import UNSHOWABLE
from fre_hpo.errors import counted

COLUMNS = {
    "image": "image",
    "images": "image",
    "mask": "mask",
    "masks": "mask",
    "label": "mask",
    "labels": "mask",
    "split": "split",
    "group": "group",
}
"""What a column may be called, in lower case -> what it holds.  These are few on purpose: an
"annotation" is as often a remark, and a "set" a number."""

_LARGEST = 256 * 2**20
_DELIMITERS = ",;\t"
_JSON = 'write [{"image": "a.png", "mask": "a_mask.png"}, ...]'
_LAYOUT = "its first line must name the columns image,mask and, if wanted, split,group"


class Row(NamedTuple):
    """One pair as listed; "" where nothing is said."""

    place: str
    """Where it stands, for sentences: line 3, or entry 3."""
    image: str
    mask: str
    split: str
    group: str


@dataclass
class Table:
    """The rows, the columns that mean nothing, and what is wrong."""

    rows: list[Row] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class _Unreadable(Exception):
    """The file is no table; the message is the rest of a sentence that begins with its path."""


def read_table(path: Path) -> Table:
    """Read a manifest; a file that is no table has no rows and one problem."""
    table = Table()
    try:
        text = _text(path)
        if text.lstrip()[:1] in ("[", "{"):
            _read_json(path, text, table)
        else:
            _read_csv(path, text, table)
    except _Unreadable as problem:
        table.problems.append(f"{path} {problem}")
    return table


def _text(path: Path) -> str:
    """The file as text, in UTF-8 or, as Excel's "Unicode text" is, in UTF-16."""
    data = _bytes(path)
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    if encoding != "utf-16" and (b"\0" in data or data.startswith(b"PK\x03\x04")):
        raise _Unreadable("is no text (perhaps a spreadsheet): save it as CSV")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _Unreadable(
            f"has a character in line {line} that is not UTF-8: save it as UTF-8"
        ) from error
    if not text.strip():
        raise _Unreadable(f"is empty: {_LAYOUT}")
    return text


def _bytes(path: Path) -> bytes:
    try:
        mode = path.stat()
        if not stat.S_ISREG(mode.st_mode):
            raise _Unreadable(
                "is no ordinary file: name a CSV or JSON file with the option manifest"
            )
        if mode.st_size > _LARGEST:
            raise _Unreadable(f"is larger than {_LARGEST >> 20} MiB: name a CSV or JSON file")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _Unreadable("is not there: correct the option manifest") from error
    except OSError as error:
        raise _Unreadable(f"cannot be read ({error.strerror}): give yourself permission") from error


def _read_csv(path: Path, text: str, table: Table) -> None:
    """Rows of cells; the first line says what is in them and which character parts them."""
    first = next(line for line in text.splitlines() if line.strip())
    delimiter = max(_DELIMITERS, key=first.count)
    lines = _cells(text, delimiter)
    _, names = next(lines, ("", []))
    columns = _columns(path, names, table)
    if missing := [name for name in ("image", "mask") if name not in columns.values()]:
        listed = ", ".join(filter(None, names))
        what = f"has no column {' and no column '.join(missing)} (there are {listed})"
        raise _Unreadable(f"{what}: {_LAYOUT}")
    for place, cells in lines:
        if any(cells[len(names) :]):
            table.problems.append(
                f"{path} has {counted(len(cells), 'cell')} in {place} but "
                f"{counted(len(names), 'column')}: put cells that hold "
                f'"{delimiter}" into quotation marks'
            )
        else:
            _add(path, place, columns, cells, table)


def _cells(text: str, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """Where each line stands, and its cells; lines without any text are passed over."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    while True:
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            what = f"is no CSV in line {reader.line_num} ({error})"
            raise _Unreadable(f"{what}: close the quotation marks there") from error
        if any(cells):
            yield f"line {reader.line_num}", cells


def _read_json(path: Path, text: str, table: Table) -> None:
    """A list of objects, or {"pairs": [...]}."""
    try:
        document = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        what = f"is no JSON in line {error.lineno} ({error.msg})"
        raise _Unreadable(f"{what}: correct that line") from error
    except (ValueError, RecursionError) as error:
        raise _Unreadable(f"is no list of pairs ({error}): {_JSON}") from error
    entries = document.get("pairs") if isinstance(document, dict) else document
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _Unreadable(f"is no list of pairs: {_JSON}")
    known: dict[tuple[str, ...], dict[int, str]] = {}
    for number, entry in enumerate(entries, start=1):
        names = tuple(entry)
        if names not in known:
            known[names] = _columns(path, names, table)
        values = list(entry.values())
        strange = [names[i] for i in known[names] if not isinstance(values[i], str | int | None)]
        if strange:
            table.problems.append(
                f"{path} has no text for {strange[0]} in entry {number}: write it in quotation marks"
            )
            continue
        cells = ["" if value is None else str(value).strip() for value in values]
        _add(path, f"entry {number}", known[names], cells, table)


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError(f"an object with two members of one name, among {', '.join(found)}")
    return found


def _columns(path: Path, names: Sequence[str], table: Table) -> dict[int, str]:
    """The number of each column that matters -> what it holds."""
    columns: dict[int, str] = {}
    for number, name in enumerate(names):
        meaning = COLUMNS.get(name.casefold())
        close = difflib.get_close_matches(
            name.casefold(), ["image", "mask", "split", "group"], 1, 0.8
        )
        if meaning is None and close:
            table.problems.append(f'{path} has a column "{name}": call it {close[0]} or otherwise')
        elif meaning is None:
            table.passed_over += [name] if name and name not in table.passed_over else []
        elif meaning in columns.values():
            table.problems.append(
                f'{path} has a second column for the {meaning}, "{name}": keep one'
            )
        else:
            columns[number] = meaning
    return columns


def _add(
    path: Path, place: str, columns: Mapping[int, str], cells: Sequence[str], table: Table
) -> None:
    """One row, unless its text would break the sentences that quote it."""
    values = {meaning: cells[i] for i, meaning in columns.items() if i < len(cells)}
    if any(UNSHOWABLE.search(value) for value in values.values()):
        table.problems.append(
            f"{path} has characters in {place} that cannot be shown: correct that line"
        )
        return
    table.rows.append(Row(place, *(values.get(name, "") for name in Row._fields[1:])))
