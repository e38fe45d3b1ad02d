"""The same cells on a terminal, as CSV, JSON, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import pytest

from fre_hpo.results.comparison import render
from fre_hpo.results.comparison.measured import Comparison
from fre_hpo.results.comparison.table import ComparisonTable, build
from measuring import simulated, with_values


@pytest.fixture(scope="module")
def table() -> ComparisonTable:
    return build(simulated(seeds=5))


def test_the_terminal_shows_the_result_then_the_classes(table: ComparisonTable) -> None:
    result, test, validation = render.sections(table)
    assert result.columns == (
        "method",
        "parameters",
        "seeds",
        "test mIoU",
        "difference",
        "over images",
        "p",
        "verdict",
        "paper",
        "its parameters",
    )
    fre = next(row for row in result.rows if row[0] == "fre")
    assert fre[1:3] == ("B=162, X=632", "5")
    assert re.fullmatch(r"\d\d\.\d\d ± \d+\.\d\d", fre[3])
    assert re.fullmatch(r"\+\d+\.\d\d \(\+\d+\.\d\d to \+\d+\.\d\d\)", fre[4])
    assert fre[6:] == ("0.002", "better", "61.62", "B=162, X=632")
    assert test.title == "IoU in percent, test"
    assert test.columns == ("method", "background", "membrane", "nucleus", "mIoU")
    assert ("fre, paper's Table 1", "76.75", "40.53", "67.58", "61.62") in test.rows
    assert [row[0] for row in validation.rows] == [row["method"] for row in table.rows]
    for section in (result, test, validation):
        assert len(section.numeric) == len(section.columns)
        assert all(len(row) == len(section.columns) for row in section.rows)


def test_without_the_paper_its_columns_are_left_out() -> None:
    result, test, _ = render.sections(build(simulated(paper=())))
    assert result.columns[-1] == "verdict"
    assert len(test.rows) == 6


def test_before_test_is_read_only_validation_is_shown() -> None:
    comparison = simulated()
    unread = tuple(replace(m, test=None) for m in comparison.methods)
    found = render.sections(build(replace(comparison, methods=unread)))
    assert [section.title for section in found][1:] == ["IoU in percent, validation"]
    assert "validation mIoU" in found[0].columns


def test_one_seed_shows_numbers_without_deviations() -> None:
    result, *_ = render.sections(build(with_values(baseline=[0.5], fre=[0.62])))
    assert [row[3] for row in result.rows] == ["50.00", "62.00"]
    assert [row[4] for row in result.rows] == ["-", "+12.00"]


def test_csv_has_every_number_in_full(table: ComparisonTable) -> None:
    rows = list(csv.DictReader(io.StringIO(render.csv_text(table))))
    assert [row["method"] for row in rows] == [row["method"] for row in table.rows]
    for read, row in zip(rows, table.rows, strict=True):
        assert float(read["test.mIoU.mean"]) == row["test"]["mIoU"]["mean"]
        assert (
            float(read["validation.classes.nucleus.sd"])
            == (row["validation"]["classes"]["nucleus"]["sd"])
        )
        assert float(read["paper.mIoU"]) == row["paper"]["mIoU"]
    baseline = rows[0]
    assert baseline["difference.mean"] == baseline["parameters.X"] == ""
    assert "difference" not in baseline
    parts = [name.partition(".")[0] for name in baseline]
    assert list(dict.fromkeys(parts)) == list(table.rows[0])


def test_json_is_the_table_itself(table: ComparisonTable) -> None:
    assert json.loads(render.json_text(table)) == json.loads(json.dumps(table.to_json()))


def test_markdown_holds_answer_tables_and_footnotes(table: ComparisonTable) -> None:
    text = render.markdown(table)
    assert text.startswith("fre is better than the baseline in test mIoU")
    assert len(re.findall(r"^\| --- \|", text, re.MULTILINE)) == 3
    for section in render.sections(table):
        width = len(section.columns) + 1
        lines = [line for line in text.splitlines() if line.startswith("| ")]
        assert any(len(re.findall(r"(?<!\\)\|", line)) == width for line in lines)
    assert text.count("\n- ") == len(table.footnotes)


def test_latex_uses_booktabs_and_closes_what_it_opens(table: ComparisonTable) -> None:
    text = render.latex(table)
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 3
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(rf"\{rule}") == 3
    assert "±" not in text
    assert r"95 \% interval" in text
    assert r"Ando \& Hotta" in text
    for line in text.splitlines():
        if line.endswith(r"\\"):
            assert len(re.findall(r"(?<!\\)&", line)) in {4, 9}


def named(comparison: Comparison, *classes: str) -> ComparisonTable:
    return build(replace(comparison, classes=classes))


def test_names_are_escaped() -> None:
    table = named(with_values(baseline=[0.5, 0.6], fre=[0.55, 0.5]), "a|b*", "50%_x\\{~^&#$<")
    markdown, latex = render.markdown(table), render.latex(table)
    assert r"a\|b\*" in markdown
    assert r"50\%\_x\textbackslash{}\{\textasciitilde{}\textasciicircum{}\&\#\$$<$" in latex


def test_a_minus_is_a_minus_in_latex() -> None:
    table = build(with_values(baseline=[0.5, 0.62, 0.57], fre=[0.45, 0.56, 0.5]))
    latex = render.latex(table)
    assert re.search(r"\$-\$6\.00 \(\$-\$8\.\d\d to \$-\$3\.\d\d\)", latex)
