"""Reading the event log and following it: every event once, whenever it comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from fre_hpo.service import events
from fre_hpo.study.folder import StudyFolder

ALL = {"trial": None, "frequent": True}


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    found = StudyFolder(tmp_path / "study")
    found.log("study_started")
    return found


def test_what_is_logged_between_reading_and_following_is_told_once(folder: StudyFolder) -> None:
    told, end = events.read_events(folder.events, **ALL)
    folder.log("study_paused")
    following = events.follow(folder.events, end, **ALL)
    folder.log("study_resumed")
    assert [e["event"] for e in told] == ["study_started"]
    assert [next(following)["event"] for _ in range(2)] == ["study_paused", "study_resumed"]


def test_a_line_that_is_being_written_is_told_when_it_is_whole(folder: StudyFolder) -> None:
    with folder.events.open("ab") as file:
        file.write(b'{"event": "epoch"}')
        file.flush()
        told, end = events.read_events(folder.events, **ALL)
        file.write(b"\n")
    assert [e["event"] for e in told] == ["study_started"]
    assert next(events.follow(folder.events, end, **ALL))["event"] == "epoch"
