"""``compare``, ``confirm``, ``test`` and ``best`` as a user meets them: what is printed, written, refused."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from comparing import SMALL, Simulation, simulation
from fre_hpo.cli.main import run
from fre_hpo.service.compared import compared
from fre_hpo.settings import Settings
from receiving import Mailbox
from searching import as_flags, command

__all__ = ["simulation"]

Captured = pytest.CaptureFixture[str]
HOW = ["--executor", "inline", "--parallel", "1"]
TWO = ["compare", "--dataset", "phantom", "--methods", "baseline,fre", *HOW, *as_flags(SMALL)]


@pytest.fixture(autouse=True)
def _simulated(simulation: Simulation) -> None:
    """Nothing is really trained in these tests."""


def printed(capsys: Captured, *arguments: str) -> str:
    assert run(arguments) == 0
    return str(capsys.readouterr().out)


def refused(capsys: Captured, *arguments: str, code: int = 2) -> str:
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    return str(err)


def test_a_dry_run_shows_the_steps_and_creates_nothing(capsys: Captured, home: Path) -> None:
    flags = ["--seeds", "4", "--trials", "3", "--dry-run"]
    assert run(["compare", "--dataset", "phantom", *as_flags(SMALL), *flags]) == 0
    out, err = capsys.readouterr()
    steps = [line.split()[:4] for line in out.splitlines()[1:]]
    assert steps == [
        ["phantom-supervision", "search", "3", "3"],
        ["phantom-fre", "search", "3", "3"],
        *(
            [f"phantom-{method}-seeds", "seeds", "4", "4"]
            for method in ("baseline", "without-deep-layers", "supervision", "dropout", "fre")
        ),
        ["phantom-fre-fixed-seeds", "seeds", "4", "4"],
    ]
    assert "B=1..16:log, X=1..1000:log" in out
    assert out.count("what is chosen until then") == 3
    assert "30 trainings of 1 epochs would be run" in err
    assert not home.exists()


def test_the_table_in_every_format(capsys: Captured, home: Path, tmp_path: Path) -> None:
    files = {ending: tmp_path / f"table.{ending}" for ending in ("md", "tex", "csv", "json")}
    text = printed(capsys, *TWO, "--seeds", "2", "--trials", "2", "--out", str(files["md"]))
    found = compared(Settings(home, f"sqlite:///{home}/fre-hpo.db"), "phantom")
    table = found.table()
    assert text.startswith("phantom: methods against the baseline\n")
    assert all(sentence in text for sentence in table.sentences)
    assert all(note in text for note in table.footnotes)
    shown = ["compare", "--study", "phantom"]
    as_json = json.loads(printed(capsys, *shown, "-f", "json", "--out", str(files["json"])))
    assert as_json == table.to_json()
    rows = list(csv.DictReader(io.StringIO(printed(capsys, *shown, "-f", "csv"))))
    assert [row["method"] for row in rows] == ["baseline", "fre"]
    assert float(rows[1]["test.mIoU.mean"]) == as_json["methods"][1]["test"]["mIoU"]["mean"]
    assert printed(capsys, *shown, "-f", "markdown") == files["md"].read_text()
    assert printed(capsys, *shown, "-f", "latex").count(r"\begin{tabular}") == 3
    assert json.loads(files["json"].read_text()) == as_json


def test_a_comparison_is_no_study_and_that_is_said(capsys: Captured) -> None:
    assert run([*TWO, "--seeds", "1", "--trials", "1"]) == 0
    capsys.readouterr()
    error = refused(capsys, "best", "phantom", code=4)
    assert (
        "it is a comparison, which `fre-hpo compare --study phantom` and `fre-hpo report" in error
    )


def test_one_seed_has_no_interval(capsys: Captured) -> None:
    text = printed(capsys, *TWO, "--seeds", "1", "--trials", "2")
    assert "One seed: there is no standard deviation and no interval." in text
    assert "with one seed, which cannot show more than luck" in text


def test_what_is_going_on_is_said(capsys: Captured) -> None:
    assert run([*TWO, "--seeds", "2", "--trials", "2"]) == 0
    said = capsys.readouterr().err
    for words in (
        "1 of 3: fre, search.",
        "2 of 3: baseline, 2 seeds.",
        "3 of 3: fre, 2 seeds (the",
    ):
        assert words in said
    assert said.count("  seed 1  mIoU ") == said.count("  seed 2  mIoU ") == 2
    assert "The test split is read, with 4 networks." in said
    assert run([*TWO, "-q"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--dataset", "phantom", "--seeds", "0"], 2, "--seeds = 0 cannot be used"),
        (["--dataset", "phantom", "--methods", "baseline,fer"], 2, "did you mean fre?"),
        (["--dataset", "phantom", "--methods", "fre"], 2, "must name baseline"),
        (["--dataset", "phantom", "--out", "table.doc"], 2, "one of .json, .csv, .md, .tex"),
        (["--dataset", "phantom", "--out", "no/folder/t.md"], 2, "a folder that is there"),
        (["--dataset", "fantom"], 2, "did you mean phantom?"),
        (["--study", "phantom"], 4, "There is no comparison 'phantom'"),
        ([], 2, "Name what to compare on with --dataset"),
    ],
)
def test_what_is_mistyped(
    flags: list[str], code: int, words: str, capsys: Captured, home: Path
) -> None:
    error = refused(capsys, "compare", *flags, code=code)
    assert words in error
    assert error.count("\n") == 1
    assert not home.exists()


def test_a_terminal_gets_every_column_however_narrow(capsys: Captured, home: Path) -> None:
    table = printed(capsys, *TWO, "--seeds", "2", "--trials", "2")
    narrow = on_terminal(["compare", "--study", "phantom"], home, width=70)
    assert max(map(len, narrow.splitlines())) <= 70
    words = " ".join(narrow.split())
    assert all(" ".join(line.split()) in words for line in table.splitlines() if line[:2] == "* ")
    for heading in ("parameters", "test mIoU", "difference", "over images", "verdict"):
        assert heading in narrow


def on_terminal(arguments: list[str], home: Path, width: int) -> str:
    """What a command prints on a terminal of that width."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(width), "NO_COLOR": "1", "TERM": "dumb"}
    process = subprocess.Popen(command(*arguments), stdout=theirs, env=environment)
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # Linux: the other end was closed
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    assert process.wait() == 0
    return b"".join(parts).decode().replace("\r\n", "\n")


# --- confirm, test, best --------------------------------------------------------------------------


@pytest.fixture
def searched(capsys: Captured) -> str:
    start = ["start", "--dataset", "phantom", "--trials", "9", *HOW, *as_flags(SMALL)]
    assert run(start) == 0
    capsys.readouterr()
    return "phantom-fre"


def test_confirm_says_whether_there_is_a_winner(capsys: Captured, searched: str) -> None:
    flags = ["confirm", searched, "--top", "2", "--seeds", "2", *HOW]
    plan = printed(capsys, *flags, "--dry-run")
    assert plan.count("phantom-fre-confirm-") == 4
    text = printed(capsys, *flags)
    assert [line.split()[0] for line in text.splitlines()[1:5]][2:] == ["recommended-9", "baseline"]
    assert "winner is shown" in text
    assert "The best of 9 trials, trial-" in text
    found = json.loads(printed(capsys, *flags, "-f", "json"))
    assert found.keys() >= {"winner", "shown", "figure", "gain", "luck", "candidates", "sentences"}
    assert found["seeds"] == [1001, 1002]
    assert all(sentence in text for sentence in found["sentences"])
    rows = list(csv.DictReader(io.StringIO(printed(capsys, *flags, "-f", "csv"))))
    assert [row["name"] for row in rows] == [c["name"] for c in found["candidates"]]


def test_test_says_whether_it_is_the_first_reading(capsys: Captured, searched: str) -> None:
    assert run(["test", searched]) == 0
    out, err = capsys.readouterr()
    assert "test mIoU" in out.splitlines()[0]
    assert "This is the first reading of this test split in the storage." in err
    found: Any = json.loads(printed(capsys, "test", searched, "-f", "json"))
    assert (found["first_reading"], found["read_now"]) == (True, False)
    assert f"{found['miou']:.4f}" in out
    assert found["class_iou"].keys() == {"background", "membrane", "nucleus"}
    trials = json.loads(printed(capsys, "trials", searched, "-f", "json"))
    _, second, *_ = sorted(trials, key=lambda trial: -trial["value"])
    assert run(["test", searched, "--trial", str(second["number"])]) == 0
    assert "This test split has been read before, 1 earlier reading: phantom-fre on" in (
        capsys.readouterr().err
    )
    assert "nothing was read now" in said(capsys, "test", searched)


def said(capsys: Captured, *arguments: str) -> str:
    assert run(arguments) == 0
    return str(capsys.readouterr().err)


def test_test_is_refused_before_the_search_has_ended(capsys: Captured, searched: str) -> None:
    from fre_hpo.service.read import open_ledger
    from fre_hpo.settings import load

    open_ledger(load(), searched).want(20)
    error = refused(capsys, "test", searched, code=1)
    assert "stays locked until its search has ended, and 9 of 20 trials are complete" in error
    assert "a start with --trials 9 says that these were all" in error


def test_best_recommends_a_point(capsys: Captured, searched: str) -> None:
    found = json.loads(printed(capsys, "best", searched, "-f", "json"))
    recommended = found["recommended"]
    assert recommended.keys() == {"params", "mean", "sd"}
    assert recommended["params"].keys() == {"B", "X"}
    assert recommended["mean"] < found["observed"]["value"]
    text = printed(capsys, "best", searched)
    assert f"{recommended['mean']:.4f} ± {recommended['sd']:.4f}" in text
    rows = list(csv.DictReader(io.StringIO(printed(capsys, "best", searched, "-f", "csv"))))
    assert [row["point"] for row in rows] == ["observed", "recommended"]
    assert float(rows[1]["value"]) == recommended["mean"]


def test_few_trials_recommend_nothing(capsys: Captured) -> None:
    start = ["start", "--dataset", "phantom", "--trials", "2", *HOW, *as_flags(SMALL)]
    assert run(start) == 0
    capsys.readouterr()
    assert json.loads(printed(capsys, "best", "phantom-fre", "-f", "json"))["recommended"] is None
    assert run(["best", "phantom-fre"]) == 0
    out, err = capsys.readouterr()
    assert "recommended" not in out
    assert err == "A recommended point needs 8 complete trials.\n"


@pytest.mark.parametrize("verb", ["status", "best", "list"])
def test_scipy_is_loaded_only_where_it_is_used(verb: str, home: Path) -> None:
    names = [] if verb == "list" else ["x"]
    code = f"import sys; from fre_hpo.cli.main import run; run({[verb, *names]!r}); "
    code += "assert 'scipy' not in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_one_message_tells_of_the_whole(capsys: Captured) -> None:
    with Mailbox() as mailbox:
        flags = ["--seeds", "2", "--trials", "2", "--notify", mailbox.url]
        assert run([*TWO, *flags]) == 0
        assert run([*TWO, *flags]) == 0  # there is nothing left to do, and nobody is told
    assert mailbox.events == ["finished"]
    (message,) = mailbox.messages
    assert (message["study"], message["complete"], message["wanted"]) == ("phantom", 6, 6)
    assert message["text"].endswith("6 of 6 trials are complete.")


def test_a_stop_asked_for_by_somebody_else_stops_the_whole(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, simulation: Simulation
) -> None:
    from fre_hpo.scheduling.state import Outcome
    from fre_hpo.service.start import Ended

    ended = Ended("phantom-fre", Outcome.STOPPED, 1, 2)
    monkeypatch.setattr("fre_hpo.service.sequence.run", lambda *_: ended)
    assert run([*TWO, "--seeds", "2", "--trials", "2"]) == 75
    out, err = capsys.readouterr()
    assert out == ""
    assert "Stopped: 1 of 6 trainings are complete; the same command goes on from here." in err
    assert simulation.evaluated == []
