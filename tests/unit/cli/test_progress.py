"""What a search prints while it runs, in a terminal and outside of one."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from fre_hpo.cli.progress import SearchDisplay
from fre_hpo.scheduling.live import Live, RunningTrial
from fre_hpo.study.records import TrialRecord

TRIAL = TrialRecord(
    number=7,
    state="COMPLETE",
    value=0.78813,
    params={"B": 162, "X": 632.456},
    best_epoch=1930,
    epochs=2000,
    class_iou={"background": 0.8784, "membrane": 0.6213, "nucleus": None},
    attempts=1,
    seed=0,
    started_at=None,
    finished_at=None,
    worker="vm:1",
    reason=None,
)
LIVE = Live(
    state="running",
    wanted=50,
    complete=7,
    failed=0,
    slots=2,
    elapsed=3700.0,
    epochs=2000,
    running=(
        RunningTrial(8, 1, {"B": 3, "X": 1.5}, epoch=500, epochs=2000, best_miou=0.61234),
        RunningTrial(11, 2, {"B": 512, "X": 1000.0}, epochs=2000),
    ),
    epoch_seconds=2.0,
)


def display(
    monkeypatch: pytest.MonkeyPatch, *, width: int, terminal: bool, quiet: bool = False
) -> SearchDisplay:
    """A display that prints into a text."""
    console = Console(
        file=io.StringIO(), width=width, force_terminal=terminal, highlight=False, color_system=None
    )
    monkeypatch.setattr("fre_hpo.cli.progress.Console", lambda **_: console)
    return SearchDisplay(quiet=quiet)


def printed(shown: SearchDisplay) -> str:
    file = shown._console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def drawn(shown: SearchDisplay) -> list[str]:
    """The lines below what was printed."""
    with shown._console.capture() as captured:
        shown._console.print(shown._render())
    return [line.rstrip() for line in captured.get().splitlines()]


FULL = "trial  7  B=162, X=632.5  mIoU 0.7881 at epoch 1930"
SHARES = "  (background 0.878, membrane 0.621)"


@pytest.mark.parametrize(
    ("width", "terminal", "line"),
    [(200, True, FULL + SHARES), (80, True, FULL), (80, False, FULL + SHARES)],
)
def test_a_trial_that_completed(
    width: int, terminal: bool, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = display(monkeypatch, width=width, terminal=terminal)
    shown.trial_ended(TRIAL, LIVE)
    assert printed(shown) == f"{line}\n"


def test_a_trial_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = display(monkeypatch, width=200, terminal=False)
    shown.trial_ended(replace(TRIAL, state="FAIL", value=None, reason="The loss was nan."), LIVE)
    assert printed(shown) == "trial  7  B=162, X=632.5  failed: The loss was nan.\n"


def test_long_sentences_stay_on_one_line_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = display(monkeypatch, width=80, terminal=False)
    shown.say("word " * 40)
    assert printed(shown).count("\n") == 1


def test_quiet_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with display(monkeypatch, width=80, terminal=True, quiet=True) as shown:
        shown.say("Training.")
        shown.moved(LIVE)
        shown.trial_ended(TRIAL, LIVE)
    assert printed(shown) == ""


def test_outside_a_terminal_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    with display(monkeypatch, width=80, terminal=False) as shown:
        shown.moved(LIVE)
    assert printed(shown) == ""


@pytest.mark.parametrize("width", [80, 200])
def test_a_bar_over_all_trials_and_a_line_for_each_running(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = display(monkeypatch, width=width, terminal=True)
    assert drawn(shown)[0].endswith("Starting ...")
    shown.moved(replace(LIVE, failed=2))
    overall, first, second = drawn(shown)
    assert overall.endswith("  7/50 trials  2 running  2 failed  1:01:40 elapsed  23:45:00 left")
    assert overall.startswith("━")
    assert all(len(line) <= width for line in (overall, first, second))
    assert " ".join(first.split()) == "trial 8 B=3, X=1.5 epoch 500/2000 best mIoU 0.6123"
    assert " ".join(second.split()) == "trial 11 B=512, X=1000 epoch 0/2000 attempt 2"
    assert first.index("epoch") == second.index("epoch")


def test_before_the_first_epoch_no_time_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = display(monkeypatch, width=80, terminal=True)
    shown.moved(replace(LIVE, epoch_seconds=None))
    assert drawn(shown)[0].endswith("1:01:40 elapsed")
