"""The screen of ``watch`` at every size, its lines where there is no screen, and its summary."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from fre_hpo.cli.glyphs import ASCII, UNICODE, Glyphs, glyphs
from fre_hpo.cli.watch_frame import frame
from fre_hpo.cli.watch_lines import Lines, summary
from fre_hpo.cli.watch_table import running_lines
from fre_hpo.scheduling.clock import Clock
from fre_hpo.scheduling.journal import Journal
from fre_hpo.scheduling.live import Happening, Live, RunningTrial
from fre_hpo.scheduling.observer import Silent
from fre_hpo.service.watch import Ending, Sight
from fre_hpo.study.records import TrialRecord

NOW = datetime(2026, 11, 23, 14, 0)
SIZES = [(80, 24), (200, 50), (60, 12), (40, 8)]


def record(number: int, value: float | None = None, reason: str | None = None) -> TrialRecord:
    return TrialRecord(
        number=number,
        state="FAIL" if value is None else "COMPLETE",
        value=value,
        params={"B": 162, "X": 632.456},
        best_epoch=190,
        epochs=200,
        class_iou={"background": 0.8784, "membrane": 0.6213},
        attempts=1,
        seed=0,
        started_at=None,
        finished_at=datetime(2026, 11, 23, 13, number % 60, tzinfo=UTC).isoformat(),
        worker="vm:1",
        reason=reason,
    )


def trial(number: int, **changes: Any) -> RunningTrial:
    standard = RunningTrial(
        number,
        1,
        {"B": 3 * number + 1, "X": 632.456},
        epoch=50 * number % 2000,
        epochs=2000,
        miou=0.6,
        best_miou=0.61234,
        best_epoch=40,
        worker=f"gpu-node-{number}.lab.example.org:4711",
        device="cuda:0",
        epoch_seconds=1.5,
        recent=tuple(i / 32 for i in range(32)),
    )
    return replace(standard, **changes)


LIVE = Live(
    state="running",
    wanted=50,
    complete=7,
    failed=1,
    slots=4,
    elapsed=3700.0,
    epochs=2000,
    running=tuple(trial(n) for n in range(8, 12)),
    epoch_seconds=2.0,
    best={"number": 3, "value": 0.71234, "params": {"B": 162, "X": 632.456}},
    happenings=tuple(Happening(n, 1.7e9 + n, f"Trial {n} begins.") for n in range(1, 13)),
    host="head.lab",
)
SIGHT = Sight("mouse-fre", "running", LIVE, (record(3, 0.71234),), 50, age=1.0)


def drawn(sight: Sight, width: int = 80, height: int = 24, marks: Glyphs = UNICODE) -> list[str]:
    return [line.plain for line in frame(sight, width, height, marks, NOW)]


def printed(lines: list[Text], width: int, height: int) -> str:
    """As a console of that size prints them."""
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    for line in lines:
        console.print(line)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


# --- sizes --------------------------------------------------------------------------------------

NASTY = st.text(max_size=80) | st.sampled_from(
    ["a\nb", "\x1b[31mred", "日本語" * 30, "x" * 300, ""]
)
TRIALS = st.builds(
    trial,
    number=st.integers(0, 9999),
    attempt=st.integers(1, 4),
    params=st.dictionaries(st.text(min_size=1, max_size=8), st.floats(1e-9, 1e9), max_size=4),
    miou=st.none() | st.floats(0, 1),
    best_miou=st.none() | st.floats(0, 1),
    worker=st.none() | NASTY,
    device=st.none() | st.just("cuda:0"),
    epoch_seconds=st.none() | st.floats(0, 1e5),
    recent=st.lists(st.floats(0, 1), max_size=32).map(tuple),
)
SIGHTS = st.builds(
    Sight,
    study=st.sampled_from(["mouse-fre", "s" * 64]),
    state=st.sampled_from(["running", "paused", "interrupted", "starting", "finished"]),
    live=st.none()
    | st.builds(
        replace,
        st.just(LIVE),
        running=st.lists(TRIALS, max_size=40).map(tuple),
        complete=st.integers(0, 60),
        message=st.none() | NASTY,
        best=st.none() | st.just(LIVE.best),
        epoch_seconds=st.none() | st.floats(0, 1e6),
        happenings=st.lists(NASTY, max_size=12).map(
            lambda texts: tuple(Happening(n, 1.7e9, text) for n, text in enumerate(texts))
        ),
    ),
    age=st.floats(0, 1e6),
    silence=st.floats(0, 1e6),
    trouble=st.none() | NASTY,
    blind=st.floats(0, 1e6),
)


@settings(deadline=None, max_examples=150)
@given(SIGHTS, st.integers(1, 220), st.integers(1, 60), st.sampled_from([UNICODE, ASCII]))
def test_no_line_is_too_long_and_no_line_too_many(
    sight: Sight, width: int, height: int, marks: Glyphs
) -> None:
    lines = frame(sight, width, height, marks, NOW)
    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines)
    assert not any("\n" in line.plain or "\x1b" in line.plain for line in lines)
    assert printed(lines, width, height).count("\n") == len(lines)
    if marks is ASCII:
        assert all(line.plain.isascii() for line in lines)


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("count", [0, 1, 4, 11, 40])
def test_every_running_trial_is_shown_or_counted(width: int, height: int, count: int) -> None:
    running = tuple(trial(n) for n in range(100, 100 + count))
    lines = drawn(replace(SIGHT, live=replace(LIVE, running=running)), width, height)
    shown = sum(bool(re.match(r" *1\d\d  B=", line)) for line in lines)
    more = [int(line.split()[1]) for line in lines if re.match(r"  … \d+ (more|running)", line)]
    assert shown + sum(more) == count
    assert len(lines) <= height
    if (width, height) == (200, 50) and count <= 11:
        assert shown == count


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_what_matters_most_is_on_every_screen(width: int, height: int) -> None:
    text = "\n".join(drawn(SIGHT, width, height))
    for words in (
        "mouse-fre  running",
        "7 of 50 trials",
        "trial 3  mIoU 0.7123",
        "elapsed 1:01:41",
    ):
        assert words in text
    if width >= 60:
        assert "4 running, 1 failed" in text
        assert re.search(r"left \d+:\d\d:\d\d  done Tue \d\d:\d\d", text)


def test_columns_go_by_their_importance_and_none_is_broken() -> None:
    def heading(width: int) -> list[str]:
        return running_lines(LIVE.running, 0.0, width, 9, UNICODE)[0].plain.split()

    everything = ["trial", "with", "epoch", "mIoU", "best", "left", "curve", "where"]
    assert heading(200) == heading(100) == everything
    previous = everything
    for width in range(100, 10, -1):
        now = heading(width)
        assert set(now) - {"curve"} <= set(previous)  # a curve takes what room another one left
        assert now[:2] == ["trial", "with"]
        previous = now
    assert previous == ["trial", "with"]
    assert heading(60) == ["trial", "with", "epoch", "mIoU", "best", "left"]
    assert heading(50) == ["trial", "with", "epoch", "best", "left"]


def test_a_running_trial() -> None:
    running = (trial(8, recent=(0.0, 0.5, 1.0)), trial(123, attempt=2, worker="10.0.0.7:1"))
    lines = [line.plain for line in running_lines(running, 10.0, 200, 9, UNICODE)]
    assert lines[0].split()[-1] == "try"
    assert lines[1].split()[:8] == (
        ["8", "B=25,", "X=632.5", "400/2000", "0.6000", "0.6123", "39:50", "▁▅█"]
    )
    assert "gpu-node-8 cuda:0" in lines[1]
    assert lines[2].split()[-3:] == ["10.0.0.7", "cuda:0", "2."]
    assert lines[1].index("400/2000") == lines[2].index("150/2000")


# --- what is said -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"trouble": "connection refused", "blind": 95.0},
            "out of reach for 1:35 (connection refused)",
        ),
        ({"state": "interrupted", "silence": 12.0}, "The coordinator is gone for 0:12"),
        ({"silence": 40.0}, "Nothing new from head.lab for 0:40."),
        ({"state": "paused"}, "Paused: nothing new is begun until `fre-hpo resume mouse-fre`."),
        ({"live": None, "state": "starting"}, "The search has not begun yet."),
        ({"live": replace(LIVE, message="/x: the disk is full.")}, "/x: the disk is full."),
    ],
)
def test_what_a_person_should_notice_is_coloured(changes: dict[str, Any], words: str) -> None:
    lines = frame(replace(SIGHT, **changes), 100, 24, UNICODE, NOW)
    (message,) = [line for line in lines if words in line.plain]
    assert " on " in str(message.style)
    assert message.cell_len == 100


def test_in_an_outage_no_time_runs() -> None:
    lost = replace(SIGHT, trouble="gone", blind=600.0, age=600.0)
    text = "\n".join(drawn(lost))
    assert "elapsed 1:01:40" in text
    assert drawn(lost)[-1].endswith("Trial 12 begins.")


def test_when_it_will_be_done() -> None:
    def done(epoch_seconds: float) -> str:
        live = replace(LIVE, running=(), wanted=8, slots=1, epoch_seconds=epoch_seconds)
        times = next(line for line in drawn(replace(SIGHT, live=live, age=0.0)) if "done" in line)
        return times.rpartition("done ")[2]

    assert done(1.8) == "15:00"
    assert done(18.0) == "Tue 00:00"
    assert done(1800.0) == "4 Jan 06:00"


def test_the_times_of_events_are_those_of_the_clock_here() -> None:
    moment = datetime.fromtimestamp(1.7e9 + 12 + 3600)
    assert drawn(replace(SIGHT, skew=3600.0))[-1].startswith(f"{moment:%H:%M:%S}  ")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LANG": "en_US.UTF-8"}, UNICODE),
        ({"LANG": "C", "LC_ALL": "de_DE.utf8"}, UNICODE),
        ({"LANG": "C"}, ASCII),
        ({}, ASCII),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, ASCII),
        ({"LC_CTYPE": "UTF-8"}, UNICODE),
        ({"LANG": "C.UTF-8"}, UNICODE),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "POSIX"}, ASCII),
        ({"LANG": "en_US.UTF-8", "NO_COLOR": "1"}, ASCII),
    ],
)
def test_which_characters_a_terminal_has(environment: dict[str, str], expected: Glyphs) -> None:
    assert glyphs(environment) is expected


def test_a_curve_keeps_its_ends() -> None:
    values = [i / 99 for i in range(100)]
    curve = UNICODE.curve(values, 0.0, 1.0, 10)
    assert len(curve) == 10
    assert curve[-1] == "█"
    assert list(curve) == sorted(curve)
    assert UNICODE.curve([0.5, 0.5], 0.5, 0.5, 10) == "▁▁"


# --- lines --------------------------------------------------------------------------------------


class Watching:
    """Lines for one sight after the other, at given times."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.now = 0.0
        self.lines = Lines(quiet=quiet, clock=lambda: self.now)

    def see(self, sight: Sight, seconds: float = 1.0) -> list[str]:
        self.now += seconds
        return [line.split("  ", 1)[1] for line in self.lines.of(sight)]


def test_lines_tell_what_is_new_and_nothing_twice() -> None:
    watching = Watching()
    assert watching.see(SIGHT) == [
        "mouse-fre is running  7/50 trials  4 running  1 failed  1:01:40 elapsed  11:40:50 left  "
        "best mIoU 0.7123"
    ]
    assert watching.see(SIGHT, 600) == []
    happenings = (*LIVE.happenings[1:], Happening(13, 1.7e9 + 20, "Trial 12 lost its worker."))
    further = replace(SIGHT, live=replace(LIVE, complete=8, happenings=happenings))
    told = watching.see(replace(further, records=(*SIGHT.records, record(8, 0.6))))
    assert told[0] == "Trial 12 lost its worker."
    assert told[1].startswith("trial  8  B=162, X=632.5  mIoU 0.6000 at epoch 190  (background")
    assert told[2].startswith("mouse-fre is running  8/50 trials")
    assert len(told) == 3


def test_progress_is_told_once_a_minute_at_most() -> None:
    watching = Watching()
    told = 0
    for second in range(600):
        live = replace(LIVE, running=(trial(8, epoch=second),))
        told += len(watching.see(replace(SIGHT, live=live)))
    assert told == 10


def test_the_end_of_a_trial_is_told_once_although_it_also_happened() -> None:
    journal = Journal(None, None, Silent(), Clock(), LIVE)  # type: ignore[arg-type]
    journal.trial_ended(record(8, 0.6))
    journal.trial_ended(record(9, reason="The loss was nan."))
    watching = Watching()
    watching.see(SIGHT)
    records = (*SIGHT.records, record(8, 0.6), record(9, reason="The loss was nan."))
    told = watching.see(replace(SIGHT, live=journal.live, records=records))
    assert [line.split()[:2] for line in told] == [["trial", "8"], ["trial", "9"]]
    assert told[1].endswith("failed: The loss was nan.")


def test_quiet_tells_only_the_ends_of_trials() -> None:
    watching = Watching(quiet=True)
    assert watching.see(SIGHT) == []
    assert watching.see(replace(SIGHT, trouble="gone")) == []
    (line,) = watching.see(replace(SIGHT, records=(*SIGHT.records, record(8, 0.6))))
    assert line.startswith("trial  8 ")


def test_an_outage_is_told_when_it_begins_and_when_it_ends() -> None:
    watching = Watching()
    watching.see(SIGHT)
    lost = replace(SIGHT, trouble="connection refused")
    assert watching.see(lost) == ["The storage is out of reach (connection refused); still trying."]
    assert watching.see(lost) == []
    assert watching.see(SIGHT) == ["mouse-fre can be seen again."]


def test_what_others_wrote_stays_on_one_line() -> None:
    watching = Watching()
    watching.see(SIGHT)
    bad = record(8, reason="first\nsecond \x1b[31mred")
    (line,) = watching.see(replace(SIGHT, records=(*SIGHT.records, bad)))
    assert line.endswith("failed: first second  [31mred")


# --- the summary --------------------------------------------------------------------------------


def test_a_summary_says_why_and_how_to_go_on() -> None:
    stopped = replace(SIGHT, state="stopped", over=True)
    ending = Ending("It was stopped by ana@lab.", "fre-hpo start --dataset mouse", "head:/home/ana")
    first, *happened, best, files, command = summary(stopped, ending, plain=False)
    assert first == "mouse-fre is stopped: 1 of 50 trials are complete. It was stopped by ana@lab."
    assert len(happened) == 3
    assert best.startswith("best: trial  3  B=162, X=632.5  mIoU 0.7123 at epoch 190")
    assert files == "files: head:/home/ana/studies/mouse-fre"
    assert command == "to go on: fre-hpo start --dataset mouse"


def test_a_summary_of_a_study_that_is_gone() -> None:
    (line,) = summary(
        Sight("x", "deleted", over=True), Ending("It was deleted.", None, None), plain=True
    )
    assert line == "x is deleted: 0 of 0 trials are complete. It was deleted."
