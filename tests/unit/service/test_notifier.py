"""What of a search leads to a message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fre_hpo.errors import (
    ClusterLost,
    DiskFull,
    FreHpoError,
    LockLost,
    StorageUnreachable,
    UsageProblems,
)
from fre_hpo.scheduling.live import Live
from fre_hpo.scheduling.obstacle import Obstacle
from fre_hpo.scheduling.state import Outcome
from fre_hpo.service import notifier as module
from fre_hpo.service.check import check
from fre_hpo.service.notifier import Notifier
from fre_hpo.service.webhook import Receiver
from fre_hpo.settings import Settings
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.records import TrialRecord
from receiving import SECRET, Behaviour, Mailbox
from searching import run_search, tiny_request

LIVE = Live("running", wanted=5, complete=2, failed=1, slots=1, elapsed=9.0, epochs=3)
FULL = DiskFull(path="/data/x")
GONE = StorageUnreachable(storage="postgresql://db", reason="connection refused")


def trouble(error: FreHpoError) -> Live:
    message = Obstacle.met(error, 0.0).sentence(600.0)
    return replace(LIVE, state="paused", message=message)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as box:
        yield box


@pytest.fixture
def said() -> list[str]:
    return []


def watching(mailbox: Mailbox, said: list[str], home: Path, **how: bool) -> Notifier:
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    folder = StudyFolder(settings.study_folder("cells"))
    folder.identify("id", "storage")
    return Notifier("cells", settings, Receiver(mailbox.url), said.append, **how)


def fail(notifier: Notifier, views: list[Live], error: BaseException) -> None:
    """A search that ends with an error after these views of it."""
    with suppress(type(error)), notifier:
        for live in views:
            notifier.moved(live)
        raise error


def logged(home: Path, study: str = "cells") -> list[dict[str, Any]]:
    log = StudyFolder(home / "studies" / study).events
    events = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [e for e in events if "notified" in e["event"]]


# --- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "event"),
    [
        (Outcome.COMPLETE, "finished"),
        (Outcome.STOPPED, "stopped"),
        (Outcome.OUT_OF_TIME, "out_of_time"),
        (Outcome.FAILING, "failing"),
    ],
)
def test_every_end_is_told(
    outcome: Outcome, event: str, mailbox: Mailbox, said: list[str], home: Path
) -> None:
    best = {"number": 1, "value": 0.5, "params": {"B": 3}}
    with watching(mailbox, said, home) as notifier:
        notifier.moved(replace(LIVE, best=best))
        notifier.ended(outcome, 4, 5)
    (message,) = mailbox.messages
    assert (message["event"], message["study"]) == (event, "cells")
    assert (message["complete"], message["wanted"], message["failed"]) == (4, 5, 1)
    assert message["best"] == best
    assert said == []
    (line,) = logged(home)
    assert (line["event"], line["what"], line["to"]) == ("notified", event, "http://127.0.0.1")


def test_the_last_failure_is_the_reason_of_failing(
    mailbox: Mailbox, said: list[str], home: Path
) -> None:
    failed = TrialRecord(
        **{**dict.fromkeys(TrialRecord.__dataclass_fields__), "number": 3, "state": "FAIL"},
    )
    with watching(mailbox, said, home) as notifier:
        notifier.moved(LIVE)
        notifier.trial_ended(replace(failed, reason="The loss was nan."), LIVE)
        notifier.ended(Outcome.FAILING, 2, 5)
    assert mailbox.messages[0]["message"] == "Trial 3 failed: The loss was nan."


def test_a_search_that_had_nothing_to_do_tells_nobody(
    mailbox: Mailbox, said: list[str], home: Path
) -> None:
    with watching(mailbox, said, home) as notifier:
        notifier.ended(Outcome.COMPLETE, 5, 5)
    assert mailbox.requests == []


def test_unless_its_coordinator_had_crashed_behind_the_last_trial(
    mailbox: Mailbox, said: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRE_HPO_RESTARTS", "1")
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    run_search(settings, study="cells", trials=1)
    with Notifier("cells", settings, Receiver(mailbox.url), said.append) as notifier:
        notifier.ended(Outcome.COMPLETE, 1, 1)
    (message,) = mailbox.messages
    assert (message["event"], message["complete"], message["failed"]) == ("finished", 1, 0)
    assert message["best"]["number"] == 0


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "supervised", "told"),
    [
        (LockLost(study="cells"), True, True),
        (GONE, True, True),
        (ClusterLost(reason="gone"), True, False),
        (ClusterLost(reason="gone"), False, True),
        (RuntimeError("cheese"), True, False),
        (RuntimeError("cheese"), False, True),
        (KeyboardInterrupt(), False, False),
    ],
)
def test_an_error_is_told_unless_the_search_is_started_again(
    error: BaseException,
    supervised: bool,
    told: bool,
    mailbox: Mailbox,
    said: list[str],
    home: Path,
) -> None:
    fail(watching(mailbox, said, home, supervised=supervised), [LIVE], error)
    assert mailbox.events == ["crashed"] * told
    if told:
        assert mailbox.messages[0]["message"] == str(error)


def test_a_search_that_never_began_tells_nobody_why(
    mailbox: Mailbox, said: list[str], home: Path
) -> None:
    fail(watching(mailbox, said, home), [], ClusterLost(reason="gone"))
    assert mailbox.requests == []


def test_an_error_behind_the_end_is_none_of_the_search(
    mailbox: Mailbox, said: list[str], home: Path
) -> None:
    notifier = watching(mailbox, said, home)
    notifier.moved(LIVE)
    notifier.ended(Outcome.COMPLETE, 5, 5)
    fail(notifier, [], OSError("the terminal is gone"))
    assert mailbox.events == ["finished"]


# --- troubles -----------------------------------------------------------------------------------


def test_a_full_disk_is_told_at_once_and_its_end(
    mailbox: Mailbox, said: list[str], home: Path
) -> None:
    with watching(mailbox, said, home) as notifier:
        notifier.moved(LIVE)
        for _ in range(20):
            notifier.moved(trouble(FULL))
        (message,) = mailbox.wait_for("needs_help")
        assert message["message"].startswith("/data/x: the disk is full.")
        while not logged(home):
            notifier.moved(trouble(FULL))
        notifier.moved(LIVE)
        mailbox.wait_for("recovered")
        notifier.moved(LIVE)
    assert mailbox.events == ["needs_help", "recovered"]


def test_a_storage_that_comes_back_soon_is_told_to_nobody(
    mailbox: Mailbox, said: list[str], home: Path
) -> None:
    with watching(mailbox, said, home) as notifier:
        notifier.moved(LIVE)
        notifier.moved(trouble(GONE))
        notifier.moved(LIVE)
        notifier.ended(Outcome.STOPPED, 2, 5)
    assert mailbox.events == ["stopped"]


def test_a_storage_that_stays_away_is_told(
    mailbox: Mailbox, said: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STORAGE_SECONDS", 0.1)
    with watching(mailbox, said, home) as notifier:
        notifier.moved(trouble(GONE))
        mailbox.wait_for("needs_help")
        while not logged(home):
            notifier.moved(trouble(GONE))
        notifier.moved(trouble(FULL))
        notifier.moved(LIVE)
        mailbox.wait_for("recovered")
    assert "connection refused" in mailbox.messages[0]["message"]


def test_the_end_takes_the_place_of_a_trouble_that_nobody_was_told_of(
    mailbox: Mailbox, said: list[str], home: Path
) -> None:
    fail(watching(mailbox, said, home), [trouble(GONE)], GONE)
    assert mailbox.events == ["crashed"]


# --- receivers that do not work -----------------------------------------------------------------


def test_a_bad_receiver_leads_to_one_sentence_and_one_line(said: list[str], home: Path) -> None:
    with Mailbox(Behaviour([404])) as mailbox, watching(mailbox, said, home) as notifier:
        for _ in range(3):
            notifier.moved(LIVE)
        notifier.ended(Outcome.COMPLETE, 5, 5)
    expected = "The message 'finished' could not be sent to http://127.0.0.1: it answered 404."
    assert said == [expected]
    (line,) = logged(home)
    assert (line["event"], line["problem"]) == ("not_notified", "it answered 404")
    assert SECRET not in json.dumps(line)


def test_nothing_is_logged_for_a_study_that_was_deleted(
    mailbox: Mailbox, said: list[str], home: Path
) -> None:
    notifier = watching(mailbox, said, home)
    StudyFolder(home / "studies" / "cells").delete()
    with notifier:
        notifier.moved(LIVE)
        notifier.ended(Outcome.STOPPED, 2, 5)
    assert mailbox.events == ["stopped"]
    assert not (home / "studies" / "cells").exists()


# --- as a whole ---------------------------------------------------------------------------------


def test_the_python_api_notifies_as_the_flag_does(
    mailbox: Mailbox, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fre_hpo
    from searching import TINY

    how: dict[str, Any] = {"home": home, "settings": TINY, "executor": "inline", "parallel": 1}
    fre_hpo.start("phantom", trials=1, notify=mailbox.url, **how)
    assert mailbox.events == ["finished"]
    assert mailbox.messages[0]["best"]["number"] == 0
    monkeypatch.setenv("FRE_HPO_NOTIFY", mailbox.url)
    fre_hpo.start("phantom", trials=1, **how)
    assert mailbox.events == ["finished"], "there was nothing to do"
    fre_hpo.start("phantom", trials=2, **how)
    assert mailbox.events == ["finished", "finished"]


def test_a_wrong_address_is_told_with_the_other_mistakes(home: Path) -> None:
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    request = tiny_request(notify=f"ftp://chat.lab/{SECRET}", overrides={"training.epoch": 3})
    with pytest.raises(UsageProblems) as refused:
        check(request, settings)
    assert len(refused.value.problems) == 2
    assert "--notify cannot be used" in str(refused.value)
    assert "training.epoch" in str(refused.value)
    assert SECRET not in str(refused.value) + repr(request)
    assert not home.exists()


def test_a_trouble_of_the_storage_is_known_by_its_sentence() -> None:
    assert trouble(GONE).message.startswith(module.STORAGE_TROUBLE)  # type: ignore[union-attr]
    assert not trouble(FULL).message.startswith(module.STORAGE_TROUBLE)  # type: ignore[union-attr]
