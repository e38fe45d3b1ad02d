"""Tables: what a narrow terminal shows, and values as words."""

from __future__ import annotations

import pytest
from rich.console import Console

from fre_hpo.cli import tables
from fre_hpo.cli.tables import Number, duration, print_table
from fre_hpo.study.records import params_text, short

COLUMNS = ["trial", "mIoU", "worker"]
ROWS = [[Number(7), Number("0.7881"), "gpu-node-12:4711"], [Number(12), Number("-"), "-"]]
Captured = pytest.CaptureFixture[str]


def narrow(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(tables, "console", lambda: Console(highlight=False, width=width))


def test_numbers_stand_to_the_right(capsys: Captured) -> None:
    print_table(COLUMNS, ROWS)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "trial    mIoU  worker",
        "    7  0.7881  gpu-node-12:4711",
        "   12       -  -",
    ]


@pytest.mark.parametrize(
    ("width", "shown"),
    [(31, COLUMNS), (30, ["trial", "mIoU"]), (13, ["trial", "mIoU"]), (12, ["trial"])],
)
def test_columns_without_room_are_left_out_and_said_so(
    width: int, shown: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(monkeypatch, width)
    print_table(COLUMNS, ROWS)
    out, err = capsys.readouterr()
    heading, *lines = out.splitlines()
    assert heading.split() == shown
    assert len(lines) == 2
    left_out = ", ".join(COLUMNS[len(shown) :])
    assert err == (f"Left out for want of room: {left_out}.\n" if left_out else "")


def test_text_in_the_last_column_is_wrapped(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(monkeypatch, 40)
    meaning = "epochs of every trial; the best on validation counts"
    print_table(["key", "meaning"], [["epochs", meaning]], wrap_last=True)
    out, err = capsys.readouterr()
    assert " ".join(out.split()) == f"key meaning epochs {meaning}"
    assert len(out.splitlines()) == 3
    assert err == ""


def test_an_empty_table_has_its_heading(capsys: Captured) -> None:
    print_table(COLUMNS, [])
    assert capsys.readouterr().out.split() == COLUMNS


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0.4, "0:00"),
        (59.6, "1:00"),
        (245, "4:05"),
        (3723, "1:02:03"),
        (360000, "100:00:00"),
    ],
)
def test_duration(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_values() -> None:
    assert [short(v) for v in (162, 1.0, 632.456, 0.00012345)] == ["162", "1", "632.5", "0.0001234"]
    assert params_text({"B": 162, "X": 632.456}) == "B=162, X=632.5"
    assert params_text({}) == "-"
