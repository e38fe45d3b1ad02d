"""A comparison's table in writing: sections of text for a terminal, Markdown, LaTeX, CSV, JSON.

All are made of the same cells (``table``); nothing is computed here.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fre_hpo.results.comparison.table import ComparisonTable, Row
from fre_hpo.results.numbers import NOTHING
from fre_hpo.study.records import params_text

Cells = tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """A small table.  numeric: which columns hold numbers, to be aligned to the right."""

    title: str
    columns: Cells
    rows: tuple[Cells, ...]
    numeric: tuple[bool, ...]


def sections(table: ComparisonTable) -> list[Section]:
    """The result, then IoU by class on test and on validation: what a terminal shows."""
    parts = [_result(table)]
    for split in ("test", "validation"):
        if any(row[split] for row in table.rows):
            parts.append(_by_class(table, split))
    return parts


def csv_text(table: ComparisonTable) -> str:
    """One line a method, every number in full; nested names are joined by dots, as test.mIoU.mean."""
    flat = [dict(_flat(row)) for row in table.rows]
    nested = {key for row in table.rows for key, value in row.items() if isinstance(value, Mapping)}
    names = [n for n in dict.fromkeys(name for row in flat for name in row) if n not in nested]
    parts = list(table.rows[0]) if table.rows else []
    columns = sorted(names, key=lambda name: parts.index(name.partition(".")[0]))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def json_text(table: ComparisonTable) -> str:
    return json.dumps(table.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def markdown(table: ComparisonTable) -> str:
    """The answer, the sections as tables, the footnotes as a list."""
    blocks = [_markdown_text(sentence) for sentence in _opening(table)]
    for section in sections(table):
        blocks += [f"**{_markdown_text(section.title)}**", _markdown_table(section)]
    blocks.append("\n".join(f"- {_markdown_text(note)}" for note in table.footnotes))
    return "\n\n".join(filter(None, blocks)) + "\n"


def latex(table: ComparisonTable) -> str:
    """One ``table`` environment a section, for the package booktabs; footnotes below the last."""
    parts = sections(table)
    blocks = ["% needs \\usepackage{booktabs}"]
    blocks += [_latex_table(part, table.footnotes if part is parts[-1] else ()) for part in parts]
    return "\n\n".join(blocks) + "\n"


def _opening(table: ComparisonTable) -> tuple[str, ...]:
    """The primary question's answer first, then the others."""
    first = () if table.answer is None else (table.answer,)
    return (*first, *(s for s in table.sentences if s != table.answer))


# --- sections -----------------------------------------------------------------------------------


def _result(table: ComparisonTable) -> Section:
    columns = ["method", "parameters", "seeds", f"{table.compared_on} mIoU"]
    columns += ["difference", "over images", "p", "verdict"]
    quoted = any(row["paper"] for row in table.rows)
    columns += ["paper", "its parameters"] if quoted else []
    rows = tuple(_result_row(table, row, quoted) for row in table.rows)
    numeric = tuple(c not in {"method", "parameters", "verdict", "its parameters"} for c in columns)
    return Section(f"{table.dataset}: methods against the baseline", tuple(columns), rows, numeric)


def _result_row(table: ComparisonTable, row: Row, quoted: bool) -> Cells:
    difference, paper = row["difference"] or {}, row["paper"] or {}
    cells = (
        row["method"],
        params_text(row["parameters"]),
        str(row["seeds"]),
        _spread((row[table.compared_on] or {}).get("mIoU")),
        _difference(difference),
        _ends(difference.get("images_low"), difference.get("images_high")),
        _p(difference.get("p_adjusted")),
        row["verdict"] or NOTHING,
    )
    beside = (_two(paper.get("mIoU")), params_text(paper.get("parameters", {})))
    return (*cells, *beside) if quoted else cells


def _by_class(table: ComparisonTable, split: str) -> Section:
    """The paper's row stands below our own; its numbers are of test images."""
    rows: list[Cells] = []
    for row in table.rows:
        found = row[split] or {"classes": {}, "mIoU": None}
        of_classes = [_spread(found["classes"].get(name)) for name in table.classes]
        rows.append((row["method"], *of_classes, _spread(found["mIoU"])))
        paper = row["paper"] if split == "test" else None
        if paper:
            numbers = [paper["classes"][name] for name in table.classes]
            label = f"{row['method']}, paper's Table {paper['table']}"
            rows.append((label, *map(_two, numbers), _two(paper["mIoU"])))
    columns = ("method", *table.classes, "mIoU")
    numeric = (False, *(True for _ in columns[1:]))
    return Section(f"IoU in percent, {split}", columns, tuple(rows), numeric)


def _spread(value: Mapping[str, float | None] | None) -> str:
    """61.62 ± 1.04; without a deviation 61.62."""
    if value is None or value["mean"] is None:
        return NOTHING
    return _two(value["mean"]) + ("" if value["sd"] is None else f" ± {_two(value['sd'])}")


def _difference(difference: Mapping[str, Any]) -> str:
    """+2.12 (+0.31 to +3.93)."""
    if not difference:
        return NOTHING
    interval = _ends(difference["low"], difference["high"])
    return _signed(difference["mean"]) + ("" if interval == NOTHING else f" ({interval})")


def _ends(low: float | None, high: float | None) -> str:
    return NOTHING if low is None or high is None else f"{_signed(low)} to {_signed(high)}"


def _signed(value: float) -> str:
    return f"{value + 0.0:+.2f}"


def _two(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _p(value: float | None) -> str:
    if value is None:
        return NOTHING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


# --- formats ------------------------------------------------------------------------------------


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _markdown_table(section: Section) -> str:
    lines = [section.columns, *section.rows]
    texts = [f"| {' | '.join(map(_markdown_text, line))} |" for line in lines]
    rule = " | ".join("---:" if numeric else "---" for numeric in section.numeric)
    return "\n".join([texts[0], f"| {rule} |", *texts[1:]])


def _markdown_text(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|~])", r"\\\1", " ".join(text.split()))


def _latex_table(section: Section, notes: Sequence[str]) -> str:
    columns = "".join("r" if numeric else "l" for numeric in section.numeric)
    head, *body = (
        " & ".join(map(_latex_text, line)) + r" \\" for line in (section.columns, *section.rows)
    )
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{_latex_text(section.title)}}}"]
    lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body]
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip\footnotesize {_latex_text(note)}" for note in notes]
    return "\n".join([*lines, r"\end{table}"])


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "±": r"$\pm$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def _latex_text(text: str) -> str:
    """Escaped; a minus before a number becomes one."""
    escaped = "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
    return re.sub(r"(?<!\S)(\(?)-(?=[0-9])", r"\1$-$", escaped)
