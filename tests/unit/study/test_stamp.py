"""Names of checkpoints, and which is the newest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.study.stamp import Stamp, trial_key, trial_of

COUNTS = st.integers(0, 10**6)


@given(COUNTS, COUNTS, COUNTS)
def test_a_name_tells_what_it_was_made_of(attempt: int, epoch: int, number: int) -> None:
    stamp = Stamp(attempt, epoch)
    assert Stamp.of(stamp.name) == Stamp.of(stamp.key(number)) == stamp
    assert trial_of(stamp.key(number)) == number


def test_a_later_attempt_is_newer_whatever_its_epoch() -> None:
    """The earlier one may have been cut off, and have gone on training for nobody."""
    stamps = [Stamp(1, 9), Stamp(2, 5), Stamp(10, 1), Stamp(2, 40), Stamp(1, 10)]
    assert sorted(stamps) == [Stamp(1, 9), Stamp(1, 10), Stamp(2, 5), Stamp(2, 40), Stamp(10, 1)]


@pytest.mark.parametrize(
    "name",
    [
        "checkpoint.pt",
        "checkpoint-1.pt",
        "checkpoint-1-2.pt.part",
        "checkpoint-1-2.damaged.pt",
        "checkpoint--1-2.pt",
        "best.pt",
        Stamp(1, 2).damaged_name,
    ],
)
def test_any_other_file_is_no_checkpoint(name: str) -> None:
    assert Stamp.of(f"trials/3/{name}") is None


@pytest.mark.parametrize(
    "key", ["study.json", "events.jsonl", "trials/3", "a/3/best.pt", "trials/x/best.pt"]
)
def test_the_studys_own_files_belong_to_no_trial(key: str) -> None:
    assert trial_of(key) is None
    assert trial_key(3) == "trials/3"
