"""What becomes of slots' time, from when epochs began and ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from fre_hpo.bench.stamps import Stamp, Stamps, account, read, trained_again


def trial(name: str, begun: float, epochs: int, pid: int = 1) -> list[Stamp]:
    """Epochs of a second."""
    return [Stamp(name, n + 1, pid, begun + n, begun + n + 1) for n in range(epochs)]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "stamps.jsonl"
    assert read(path) == []
    Stamps(path, "7").write(1, 10.0, 11.0)
    Stamps(path, "8").write(1, 10.5, 11.5)
    assert [(s.trial, s.epoch, s.begun, s.ended) for s in read(path)] == [
        ("7", 1, 10.0, 11.0),
        ("8", 1, 10.5, 11.5),
    ]


def test_only_the_time_between_two_trials_of_a_slot_is_lost() -> None:
    stamps = [*trial("0", 5, 10), *trial("1", 9, 10), *trial("2", 15.5, 10), *trial("3", 20, 10)]
    slots = account(stamps, slots=2)
    assert slots.trained == 40
    assert slots.lost == (0.5, 1.0)
    assert slots.overhead == pytest.approx(1.5 / 40)


def test_a_trial_that_goes_on_elsewhere_takes_a_slot_anew() -> None:
    stamps = [*trial("0", 0, 5), *trial("0", 7, 5, pid=2)]
    assert account(stamps, slots=1).lost == (2.0,)
    assert trained_again(stamps) == 5
