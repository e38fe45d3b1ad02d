"""Messages of whole searches, each in processes of its own, to a real receiver."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest

from acceptance.processes import (
    STUDY,
    background,
    coordinator,
    events,
    files_with,
    go_on,
    gone,
    halted,
    kill,
    start_flags,
    wait_for,
    wait_for_event,
)
from fre_hpo.cli.launching import forget_secrets
from receiving import SECRET, Behaviour, Mailbox
from searching import fre_hpo

ONE = start_flags("--trials", "1", longer=True)


def shown_by_the_system(search: int) -> str:
    """What every user of the machine may read of a search's processes."""
    processes = [psutil.Process(search), *psutil.Process(search).children(recursive=True)]
    return "\n".join(" ".join(process.cmdline()) for process in processes)


def test_the_end_is_told_and_the_address_is_shown_nowhere(home: Path) -> None:
    with Mailbox() as mailbox:
        with halted(*ONE, "--notify", mailbox.url, home=home) as search:
            assert SECRET not in shown_by_the_system(search.pid)
            go_on(search)
            out, errors = search.communicate(timeout=60)
        assert search.returncode == 0, errors
        (message,) = mailbox.messages
    assert (message["event"], message["complete"], message["wanted"]) == ("finished", 1, 1)
    assert f"mIoU {message['best']['value']:.4f}" in out
    assert "Warning: other users of this machine can read a command line" in errors
    assert SECRET not in out + errors
    assert files_with(home, SECRET) == []
    (told,) = [e for e in events(home) if e["event"] == "notified"]
    assert (told["what"], told["to"]) == ("finished", "http://127.0.0.1")


def test_in_the_background_and_over_a_crash_it_is_told_once(home: Path, tmp_path: Path) -> None:
    with Mailbox() as mailbox:
        address = tmp_path / "hook"
        address.write_text(mailbox.url)
        started = fre_hpo(*ONE, "--notify", f"@{address}", "--detach", home=home)
        assert started.returncode == 0, started.stderr
        assert "Warning" not in started.stderr
        supervisor = int(started.stdout.split()[1])
        try:
            kill(wait_for_event(home, "epoch", epoch=3)["pid"])
            wait_for(lambda: gone(supervisor), "the search's end", seconds=60)
        finally:
            if not gone(supervisor):
                kill(supervisor)
        assert mailbox.events == ["finished"]
    assert files_with(home, SECRET) == []


def test_a_coordinator_that_is_refused_after_a_crash_is_told_by_its_supervisor(
    home: Path, tmp_path: Path
) -> None:
    with Mailbox() as mailbox, background(*ONE, "--notify", mailbox.url, home=home) as search:
        wait_for_event(home, "epoch", epoch=3)
        identity = home / "studies" / STUDY / "study.json"
        identity.write_text(json.dumps({"id": "another", "storage": "sqlite:///elsewhere.db"}))
        kill(coordinator(search))
        _, errors = search.communicate(timeout=60)
        assert search.returncode == 2, errors
        (message,) = mailbox.messages
    assert message["event"] == "crashed"
    assert (message["study"], message["wanted"]) == (STUDY, 1)
    assert "belongs to a study in sqlite:///elsewhere.db" in message["message"]
    assert SECRET not in errors


def test_a_stop_is_told_and_a_wrong_address_refused_before_anything_is_made(home: Path) -> None:
    refused = fre_hpo(*ONE, "--notify", f"chat.lab/{SECRET}", "--set", "X=0", home=home)
    assert refused.returncode == 2
    assert "2 problems were found; nothing was created" in refused.stderr
    assert SECRET not in refused.stdout + refused.stderr
    assert not home.exists()
    with Mailbox() as mailbox:
        with halted(*ONE, "--notify", mailbox.url, home=home) as search:
            search.terminate()
            go_on(search)
            _, errors = search.communicate(timeout=60)
        assert search.returncode == 75, errors
        assert mailbox.events == ["stopped"]


def test_a_receiver_that_hangs_delays_no_epoch(home: Path) -> None:
    """All is written before anybody waits for it, and then not for long."""
    with Mailbox(Behaviour(hang=60)) as mailbox:
        search = fre_hpo(*ONE, "--notify", mailbox.url, "-q", home=home)
    assert search.returncode == 0, search.stderr
    finished = next(e for e in events(home) if e["event"] == "study_finished")
    (told,) = [e for e in events(home) if e["event"] == "not_notified"]
    assert told["problem"] == "no answer within 10 s"
    assert finished["time"] < told["time"]
    assert len(mailbox.requests) <= 2


def test_workers_do_not_inherit_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRE_HPO_NOTIFY", f"https://chat.invalid/{SECRET}")
    forget_secrets()
    assert SECRET not in "".join(os.environ.values())
