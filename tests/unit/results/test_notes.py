"""What the note panes say, and whose words in them are kept."""

from __future__ import annotations

import dataclasses
import re
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.cli.main import cli
from fre_hpo.methods import METHODS
from fre_hpo.results import numbers
from fre_hpo.results.markdown import code, code_block, table, text
from fre_hpo.results.merging import END, WORDS, merged
from fre_hpo.results.notes import study_note, trial_note
from fre_hpo.results.study_view import StudyView
from fre_hpo.study.charter import Charter
from fre_hpo.study.records import TrialRecord
from fre_hpo.study.spec import Spec, TrainingSpec
from ledgers import CLASSES, make_charter, make_spec

RESUME = "fre-hpo start --dataset phantom --method fre --study phantom-fre --trials 12"


def trial(number: int = 0, **changes: Any) -> TrialRecord:
    """A complete trial of mIoU 0.8 and a hundredth for each number."""
    made = TrialRecord(
        number=number,
        state="COMPLETE",
        value=0.8 + number / 100,
        params={"B": 5 + number, "X": 2.196449},
        best_epoch=14,
        epochs=15,
        class_iou={"background": 0.88704, "membrane": 0.71116, "nucleus": None},
        attempts=1,
        seed=0,
        started_at="2026-01-01T10:00:00.000+00:00",
        finished_at="2026-01-01T11:02:03.400+00:00",
        worker="gpu03:4242",
        reason=None,
    )
    return dataclasses.replace(made, **changes)


def failed(number: int, reason: str = "its worker was lost 4 times (gone)") -> TrialRecord:
    nothing: dict[str, Any] = {"value": None, "best_epoch": None, "class_iou": {}}
    return trial(number, state="FAIL", epochs=3, reason=reason, **nothing)


def note(
    *records: TrialRecord, spec: Spec | None = None, charter: Charter | None = None, **rest: Any
) -> str:
    charter = charter or make_charter(spec)
    view = StudyView("phantom-fre", charter.spec, charter.classes, records, {}, wanted=12)
    given = {"state": "running", "picture_url": None, "resume": RESUME, **rest}
    return study_note(view, charter, **given)


def rows(markdown: str) -> list[list[str]]:
    """The cells of all tables, without what sets them apart."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[cell.strip(" \u00a0") for cell in line] for line in cells]


# --- the study's note ---------------------------------------------------------------------------


def test_the_best_trials_come_first_with_four_decimals() -> None:
    found = rows(note(*(trial(number) for number in range(7))))
    assert found[0] == ["trial", "B", "X", "mIoU", "best epoch", *CLASSES]
    assert [row[0] for row in found[2:7]] == ["6", "5", "4", "3", "2"]
    assert found[2] == ["6", "11", "2.196", "**0.8600**", "14", "0.8870", "0.7112", "-"]


def test_of_equals_the_earlier_comes_first() -> None:
    found = rows(note(trial(1, value=0.5), trial(2, value=0.7), trial(3, value=0.7)))
    assert [row[0] for row in found[2:5]] == ["2", "3", "1"]


def test_progress_is_counted_by_state() -> None:
    running = trial(4, state="RUNNING", value=None)
    words = note(trial(1), trial(2), failed(3), running)
    assert "**Running**: 2 of 12 trials complete, 1 running, 1 failed." in words
    assert (
        "**trial 2** with **B=7, X=2.196**: validation mIoU **0.8200** at epoch 14 of 15." in words
    )


def test_before_the_first_result_there_is_no_best() -> None:
    words = note(failed(0))
    assert "0 of 12 trials complete, 1 failed." in words
    assert "Best" not in words
    assert "![" not in words


def test_the_best_picture_is_shown_where_there_is_one() -> None:
    url = "/artifacts/1/2/3"
    assert f"![Trial 1: input, truth, prediction, errors]({url})" in note(trial(1), picture_url=url)


def test_data_and_versions() -> None:
    words = note(splits={"train": 24, "validation": 8})
    assert "fingerprint `ffffffffffff`" in words
    assert "train 24, validation 8" in words
    assert "fre-hpo 0.1.0" in words
    assert "2026-01-01 00:00 UTC" in words


def test_images_of_ones_own_are_called_after_their_recipe() -> None:
    charter = dataclasses.replace(make_charter(), recipe="/home/ana/cells.toml")
    assert "on **cells**" in note(charter=charter)


def test_settings_that_matter_and_those_that_differ_are_told() -> None:
    spec = make_spec(training=TrainingSpec(epochs=40, learning_rate=3e-3))
    told = {row[0].strip("`"): row[1:] for row in rows(note(spec=spec)) if row[0].startswith("`")}
    assert told["B"] == ["`1..64:log`", ""]
    assert told["training.epochs"] == ["`40`", "`2000`"]
    assert told["training.learning_rate"] == ["`0.003`", "`0.001`"]
    assert told["model.widths"] == ["`8,16,32,64`", "`64,128,256,512`"]
    assert told["training.eval_bn"] == ["`recalibrate`", ""]
    assert told["seed"] == ["`0`", ""]
    assert "training.gradient_clip" not in told


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_its_own_columns(method: str) -> None:
    spec = make_spec(method)
    params = dict.fromkeys(spec.searched, 0.25)
    found = rows(note(trial(3, params=params, seed=7), spec=spec))
    columns = list(spec.searched) or ["seed"]
    assert found[0][1 : 1 + len(columns)] == columns
    assert found[2][1 : 1 + len(columns)] == (["0.25"] * len(params) or ["7"])


def test_a_parameter_that_a_trial_lacks_is_left_open() -> None:
    assert rows(note(trial(params={"B": 3})))[2][1:3] == ["3", "-"]


def test_many_classes_do_not_widen_the_table() -> None:
    names = tuple(f"class {i}" for i in range(30))
    charter = dataclasses.replace(make_charter(), classes=names)
    assert len(rows(note(trial(class_iou=dict.fromkeys(names, 0.5)), charter=charter))[0]) == 5


def test_the_commands_can_be_typed() -> None:
    block = re.search(r"```sh\n(.*?)\n```", note(), re.DOTALL)
    assert block is not None
    commands = [shlex.split(line) for line in block[1].splitlines()]
    assert [words[1] for words in commands] == ["start", "watch", "plot"]
    assert block[1].splitlines()[0] == RESUME
    for program, verb, *_ in commands:
        assert program == "fre-hpo"
        assert verb in cli.commands
    assert all("phantom-fre" in words for words in commands)


# --- a trial's note -----------------------------------------------------------------------------


def of(record: TrialRecord, classes: tuple[str, ...] = CLASSES, **urls: str | None) -> str:
    urls = {"picture_url": None, "curve_url": None, **urls}
    return trial_note(record, classes=classes, study="phantom-fre", **urls)


def test_a_complete_trial() -> None:
    words = of(trial(2), picture_url="/artifacts/1/3/p", curve_url="/artifacts/1/3/c")
    first, picture, *_ = words.split("\n\n")
    assert first == "**B=7, X=2.196**: validation mIoU **0.8200** at epoch 14 of 15."
    assert picture == "![Trial 2: input, truth, prediction, errors](/artifacts/1/3/p)"
    found = rows(words)
    assert found[0] == ["mIoU", *CLASSES]
    assert found[2] == ["**0.8200**", "0.8870", "0.7112", "-"]
    assert "`gpu03:4242`; 1 h 2 min from start to end; 1 attempt; seed 0" in words
    assert "[curve.csv](/artifacts/1/3/c)" in words


def test_many_classes_stand_below_one_another() -> None:
    names = tuple(f"class {i}" for i in range(9))
    found = rows(of(trial(class_iou=dict.fromkeys(names, 0.5)), names))
    assert found[2:] == [[name, "0.5000"] for name in names]


def test_a_failed_trial_says_why_and_what_to_do() -> None:
    words = of(failed(4))
    assert "**failed** after 3 epochs.\n\nIts worker was lost 4 times (gone).\n\n" in words
    assert "`fre-hpo logs phantom-fre --trial 4`" in words
    assert "mIoU" not in words
    assert {"logs", "--trial"} <= {
        "logs",
        *(o for p in cli.commands["logs"].params for o in p.opts),
    }


def test_a_trial_without_memory_is_told_how_to_need_less() -> None:
    assert "`training.batch_size`" in of(failed(4, "it ran out of memory (2 GiB)"))
    assert "`training.batch_size`" not in of(failed(4))


def test_a_trial_that_never_began() -> None:
    bare = failed(4)
    bare = dataclasses.replace(
        bare, params={}, seed=None, epochs=None, worker=None, started_at=None, attempts=0
    )
    assert "**seed -**: this trial **failed**." in of(bare)
    assert of(bare).endswith("0 attempts.")


# --- whose words are kept -----------------------------------------------------------------------

anything = st.text(st.sampled_from([*"ab -*`|#[]\n\r\t", "é", "細"]), max_size=60)
pieces = st.one_of(
    anything, st.sampled_from([WORDS, END, "---", "\n", f"\n{WORDS}\n", f"\n{END}\n"])
)
their_notes = st.lists(pieces, max_size=6).map("".join)
our_notes = anything


@given(ours=our_notes, existing=their_notes)
def test_merging_again_changes_nothing(ours: str, existing: str) -> None:
    once = merged(ours, existing)
    assert merged(ours, once) == once


@given(old=our_notes, new=our_notes, theirs=their_notes)
def test_what_stands_below_the_line_is_kept(old: str, new: str, theirs: str) -> None:
    renewed = merged(new, merged(old, "") + theirs)
    assert renewed == merged(new, "") + (theirs if theirs.strip() else "")


@given(old=our_notes, new=our_notes, theirs=anything, line=anything)
def test_whatever_becomes_of_the_line_nothing_of_theirs_is_lost(
    old: str, new: str, theirs: str, line: str
) -> None:
    written = merged(old, "") + theirs
    for edited in (
        written.replace(WORDS, line),
        written.replace(f"---\n\n{WORDS}\n", line),
        written.replace(f"{END}\n\n---\n\n{WORDS}\n", line),
        f"{theirs}\n{line}",
    ):
        kept = merged(new, edited)
        assert theirs.strip() in kept
        assert line.strip() in kept
        assert kept.startswith(new.strip())
        assert merged(new, kept) == kept


@given(old=our_notes, new=our_notes, theirs=anything)
def test_the_visible_line_alone_is_enough(old: str, new: str, theirs: str) -> None:
    written = merged(old, "") + theirs
    kept = merged(new, written.replace(f"{END}\n", ""))
    assert kept == merged(new, written)


def test_what_is_ours_goes_where_only_the_visible_line_was_removed() -> None:
    written = merged("old", "") + "their words\n"
    assert "old" not in merged("new", written.replace(f"---\n\n{WORDS}\n", ""))
    assert merged("new", written) == merged("new", "") + "their words\n"


def test_a_note_that_somebody_wrote_alone_is_kept_below() -> None:
    assert merged("new", "My own note.") == merged("new", "") + "\nMy own note."


def test_a_study_note_is_renewed_in_place() -> None:
    first = merged(note(), "") + "Ask Ken.\n"
    second = merged(note(trial(3)), first)
    assert second == merged(note(trial(3)), "") + "Ask Ken.\n"


# --- Markdown and numbers -----------------------------------------------------------------------


def test_words_are_no_formatting() -> None:
    assert text("a|b_c *d* [e](f) <g>\n # h") == r"a\|b\_c \*d\* \[e\](f) \<g\> \# h"
    assert code("a|b") == r"`a\|b`"
    assert code("a`b``c") == "```a`b``c```"
    assert code("`a`") == "`` `a` ``"
    assert code_block(["a", "```"]).startswith("````sh\n")


def test_a_class_name_never_breaks_a_table() -> None:
    names = ("a|b", "`", "c\nd")
    charter = dataclasses.replace(make_charter(), classes=names)
    found = rows(note(trial(class_iou=dict.fromkeys(names, 0.5)), charter=charter))
    assert len({len(row) for row in found[:3]}) == 1
    assert found[0][5:] == [r"a\|b", r"\`", "c d"]


def test_numbers_stand_to_the_right_and_apart() -> None:
    drawn = table(["a", "b"], [["1", "2"]], left=1)
    assert drawn.splitlines()[1] == "| :--- | ---: |"
    assert "1\u00a0" in drawn, "the dashboard leaves no room between columns"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "-"), (0, "0 s"), (59.4, "59 s"), (245, "4 min 5 s"), (3725, "1 h 2 min"), (-3, "0 s")],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert numbers.duration(seconds) == shown


def test_ious_are_rounded_in_one_place() -> None:
    assert [numbers.four(v) for v in (None, 0, 0.81999999)] == ["-", "0.0000", "0.8200"]
    assert [numbers.three(v) for v in (None, 1, 0.5)] == ["-", "1.000", "0.500"]
