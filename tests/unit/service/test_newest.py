"""The checkpoint from which a trial goes on, found without touching any."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fre_hpo.errors import StoreUnreachable
from fre_hpo.service.newest import Checkpoints
from fre_hpo.study.connection import Connection
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.stamp import Stamp
from fre_hpo.study.store import CheckpointStore
from fre_hpo.training.checkpoint import to_bytes
from ledgers import create, make_charter
from stored import STUDY_ID, opened


def state(epoch: int) -> bytes:
    return to_bytes({"epoch": epoch})


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(tmp_path / "cells")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return create(f"sqlite:///{tmp_path / 'studies.db'}", "cells")


@pytest.fixture
def stored(tmp_path: Path) -> Ledger:
    """A study whose workers write to a folder."""
    connection = Connection(f"sqlite:///{tmp_path / 'studies.db'}", create=True)
    ledger = Ledger.create(connection, "shared", replace(make_charter(), id=STUDY_ID))
    (tmp_path / "store").mkdir()
    ledger.set_store(str(tmp_path / "store"))
    return ledger


def test_the_newest_that_is_intact(ledger: Ledger, folder: StudyFolder) -> None:
    trial, checkpoints = folder.trial(3), Checkpoints(ledger, folder)
    assert checkpoints.newest(3) is None
    trial.save_checkpoint(state(4))
    trial.save_checkpoint(state(8))
    assert checkpoints.newest(3) == state(8)
    trial.checkpoint.write_bytes(state(8)[:-1])
    before = {path.name for path in trial.path.iterdir()}
    assert checkpoints.newest(3) == state(4)
    trial.previous_checkpoint.write_bytes(b"")
    assert checkpoints.newest(3) is None
    assert {path.name for path in trial.path.iterdir()} == before


def test_those_of_a_store_and_those_that_did_not_reach_it(
    stored: Ledger, folder: StudyFolder
) -> None:
    assert stored.store is not None
    shelf, trial = opened(stored.store), folder.trial(3)
    trial.save_checkpoint(state(99))  # of a time without the store
    checkpoints = Checkpoints(stored, folder)
    for stamp in (Stamp(1, 40), Stamp(2, 8)):
        shelf.write(stamp.key(3), state(stamp.epoch))
    assert checkpoints.newest(3) == state(8)
    trial.save_stamped(Stamp(2, 12), state(12))
    assert checkpoints.newest(3) == state(12)
    trial.save_stamped(Stamp(2, 12), b"damaged")
    assert checkpoints.newest(3) == state(8)
    shelf.remove(stamp.key(3) for stamp in (Stamp(1, 40), Stamp(2, 8)))
    assert checkpoints.newest(3) == state(99)
    assert checkpoints.trouble is None


def test_a_store_out_of_reach_is_told_and_asked_no_more(
    stored: Ledger, folder: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.trial(3).save_stamped(Stamp(1, 12), state(12))
    checkpoints = Checkpoints(stored, folder)
    assert checkpoints.newest(3) == state(12)
    assert checkpoints.trouble is not None
    assert str(tmp_path / "store") in checkpoints.trouble
    asked: list[int] = []
    monkeypatch.setattr(CheckpointStore, "keys", lambda self, under="": asked.append(1))
    assert checkpoints.newest(4) is None
    assert asked == []


def test_a_store_that_is_lost_between_list_and_file_is_told(
    stored: Ledger, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stored.store is not None
    opened(stored.store).write(Stamp(1, 40).key(3), state(40))

    def fail(self: CheckpointStore, key: str) -> bytes:
        raise StoreUnreachable(store="s3://bucket", reason="no answer")

    monkeypatch.setattr(CheckpointStore, "read", fail)
    checkpoints = Checkpoints(stored, folder)
    assert checkpoints.newest(3) is None
    assert "no answer" in str(checkpoints.trouble)
