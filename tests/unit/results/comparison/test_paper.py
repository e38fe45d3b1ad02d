"""The paper's numbers are quoted right, and stand beside the classes they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fre_hpo import methods
from fre_hpo.data import drosophila, mouse, phantom
from fre_hpo.results.comparison.paper import TABLES, PaperTable, by_class, quoted, tables_for

WORDS = {
    "Dropout": "dropout",
    "Proposed": "fre",
    "U-Net + SEblock": "baseline",
    "deep layers": "without-deep-layers",
    "Supervision": "supervision",
    "fixed enhancement": "fre-fixed",
}
"""What tells a method in the label of a row; the last that fits counts."""


def as_noted(text: str) -> Iterator[tuple[int, str, list[float]]]:
    """Table, label and numbers of every row in the project's copy of the tables."""
    number = 0
    for line in text.splitlines():
        if match := re.match(r"Table (\d)", line):
            number = int(match[1])
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(r"[0-9.]+", cells[-1]):
            yield number, cells[0], [float(cell) for cell in cells[1:]]


def parameters(label: str) -> dict[str, float]:
    """lambda 0.3257, B=162, X=632, rate 162/512."""
    found = dict(re.findall(r"\b(B|X|lambda)[ =]([0-9.]+)", label))
    if rate := re.search(r"rate (\d+)/512", label):
        found["B"] = rate[1]
    return {name: float(value) for name, value in found.items()}


def test_every_number_is_the_one_that_was_noted(shared_data: Path) -> None:
    text = (shared_data.parent / "paper_tables.md").read_text(encoding="utf-8")
    noted = list(as_noted(text))
    assert len(noted) == sum(len(table.rows) for table in TABLES) == 12
    ours = [(table.number, row) for table in TABLES for row in table.rows]
    for (number, label, values), (table, row) in zip(noted, ours, strict=True):
        assert table == number
        assert [*row.iou, row.miou] == values
        assert row.method == next(m for w, m in reversed(WORDS.items()) if w in label)
        if table < 3:
            assert row.parameters == parameters(label)
        assert label.startswith(row.label.split(" + ")[0]) or row.label in label
    assert "ten fixed maps times 10,000" in " ".join(text.split())


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"Table {table.number}")
def test_the_columns_average_to_the_printed_mean(table: PaperTable) -> None:
    for row in table.rows:
        assert row.miou == pytest.approx(sum(row.iou) / len(row.iou), abs=0.026)


def test_each_method_of_the_paper_is_one_of_ours() -> None:
    assert {row.method for table in TABLES for row in table.rows} == set(methods.METHODS)


def test_a_data_set_gets_its_own_tables() -> None:
    assert [t.number for t in tables_for("mouse", tuple(mouse.COLOURS))] == [1, 3]
    assert [t.number for t in tables_for("drosophila", drosophila.CLASSES)] == [2]
    assert tables_for("phantom", phantom.CLASSES) == ()


def test_other_classes_get_none() -> None:
    assert tables_for("mouse", ("background", "cell")) == ()
    assert tables_for("drosophila", ("background", "membrane", "mitochondria")) == ()


def test_columns_follow_the_names_of_the_classes() -> None:
    classes = ("Background", "cell_membrane", "Nuclei")
    (table, _) = tables_for("mouse", classes)
    row = table.find("fre")
    assert row is not None
    assert by_class(table, row, classes) == {
        "Background": 76.75,
        "cell_membrane": 40.53,
        "Nuclei": 67.58,
    }


def test_drosophila_is_read_in_the_order_of_the_shares_and_says_so() -> None:
    (table,) = tables_for("drosophila", drosophila.CLASSES)
    row = table.find("baseline")
    assert row is not None
    found = by_class(table, row, drosophila.CLASSES)
    assert found == {
        "background": 91.80,
        "membrane": 76.87,
        "mitochondria": 76.89,
        "synapse": 50.46,
    }
    assert "background, membrane, mitochondria, synapse" in table.note


def test_a_method_is_quoted_from_the_table_that_has_it() -> None:
    tables = tables_for("mouse", tuple(mouse.COLOURS))
    found = {name: quoted(tables, name) for name in methods.METHODS}
    numbers = {name: pair and pair[0].number for name, pair in found.items()}
    assert numbers == {
        "baseline": 1,
        "without-deep-layers": 1,
        "supervision": 1,
        "dropout": 1,
        "fre": 1,
        "fre-fixed": 3,
    }
    assert quoted(tables_for("drosophila", drosophila.CLASSES), "fre-fixed") is None
