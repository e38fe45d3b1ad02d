"""Which store a start means, and what is refused before anything is created."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fre_hpo.errors import (
    BadStore,
    FilesElsewhere,
    OtherHome,
    OtherStore,
    StoreUnreachable,
    UsageError,
    UsageProblems,
)
from fre_hpo.service import read
from fre_hpo.service.check import check
from fre_hpo.service.fetching import fetch
from fre_hpo.service.kept import KeptStudy
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from searching import run_search, tiny_request
from stored import plain, unmounted

STUDY = "phantom-fre"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def one(tmp_path: Path) -> Settings:
    """Two homes with one storage."""
    return Settings(tmp_path / "one", f"sqlite:///{tmp_path}/studies.db")


@pytest.fixture
def two(tmp_path: Path, one: Settings) -> Settings:
    return replace(one, home=tmp_path / "two")


def ledger(settings: Settings) -> Ledger:
    return Ledger.open(Connection(settings.storage, create=False), STUDY)


def in_home(settings: Settings) -> StudyFolder:
    return StudyFolder(settings.study_folder(STUDY))


def test_without_the_setting_nothing_is_recorded(one: Settings) -> None:
    run_search(one, trials=1)
    assert ledger(one).store is None
    assert "checkpoints" not in ledger(one)._study.user_attrs


def test_a_study_remembers_its_store(one: Settings, two: Settings, store: Path) -> None:
    run_search(one, trials=1, checkpoints=str(store))
    assert ledger(one).store == str(store)
    run_search(two, trials=2)
    assert plain(in_home(two).trial(0)) == plain(in_home(one).trial(0))
    identity = ledger(one).charter.id
    for number in (0, 1):
        assert (store / identity / "trials" / str(number) / "outcome.json").is_file()


def test_coming_back_to_the_first_home_brings_what_was_done_meanwhile(
    one: Settings, two: Settings, store: Path
) -> None:
    run_search(one, trials=1, checkpoints=str(store))
    run_search(two, trials=2)
    run_search(one, trials=3)
    assert plain(in_home(one).trial(1)) == plain(in_home(two).trial(1))
    logged = in_home(one).trials_logged("trial_finished")
    assert logged == {0, 1, 2}
    assert in_home(one).events.read_bytes().count(b'"study_finished"') == 3


def test_a_study_without_a_store_still_refuses_another_home(
    one: Settings, two: Settings, store: Path
) -> None:
    run_search(one, trials=1)
    with pytest.raises(OtherHome):
        run_search(two, trials=2)
    with pytest.raises(OtherHome):
        run_search(two, trials=2, checkpoints=str(store))
    assert list(store.iterdir()) == []
    assert not two.home.exists()


def test_a_store_that_does_not_have_the_files_is_refused(
    one: Settings, store: Path, tmp_path: Path
) -> None:
    run_search(one, trials=1, checkpoints=str(store))
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(OtherStore, match=r"keeps its checkpoints at .*store, and they are not at"):
        run_search(one, trials=2, checkpoints=str(other))
    with unmounted(store), pytest.raises(OtherStore):
        run_search(one, trials=2)
    assert list(other.iterdir()) == []
    run_search(one, trials=2, checkpoints=str(other), new_home=True)
    assert ledger(one).store == str(other)
    run_search(one, trials=3)
    assert len(list(other.glob("*/trials/*/outcome.json"))) == 3


def test_a_store_that_was_moved_with_its_files_is_taken(
    one: Settings, store: Path, tmp_path: Path
) -> None:
    run_search(one, trials=1, checkpoints=str(store))
    moved = store.rename(tmp_path / "moved")
    with pytest.raises(BadStore, match="no such folder"):
        run_search(one, trials=2)
    run_search(one, trials=2, checkpoints=str(moved))
    assert ledger(one).store == str(moved)


def test_a_wrong_store_is_in_the_list_of_all_problems(one: Settings, tmp_path: Path) -> None:
    request = tiny_request(
        checkpoints=str(tmp_path / "nowhere"), notify="nonsense", enqueue=[{"B": 0}]
    )
    with pytest.raises(UsageProblems) as refused:
        check(request, one)
    first, second, third = refused.value.problems
    assert "--notify" in first
    assert "nowhere cannot be used: there is no such folder" in second
    assert "--enqueue B" in third
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_store_alone_keeps_its_own_code(
    one: Settings, two: Settings, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_search(one, trials=1, checkpoints=str(store))

    def gone(root: str) -> None:
        raise StoreUnreachable(store=root, reason="no route to it")

    monkeypatch.setattr("fre_hpo.service.stores.check_root", gone)
    with pytest.raises(StoreUnreachable) as refused:
        check(tiny_request(trials=2), two)
    assert refused.value.exit_code == 5, "and no complaint about the home besides"


def test_fetch_brings_results_without_a_start(one: Settings, two: Settings, store: Path) -> None:
    run_search(one, trials=2, checkpoints=str(store))
    with pytest.raises(FilesElsewhere, match=f"`fre-hpo fetch {STUDY}` brings them"):
        KeptStudy.open(two, STUDY)
    found = fetch(two, STUDY)
    assert (found.root, found.files) == (str(store), 12)
    assert KeptStudy.open(two, STUDY).folder.trial(0).best.exists()
    assert in_home(two).events.read_bytes() == in_home(one).events.read_bytes()
    assert fetch(two, STUDY, str(store)).files == 0


def test_a_start_with_nothing_to_do_brings_them_as_well(
    one: Settings, two: Settings, store: Path
) -> None:
    run_search(one, trials=2, checkpoints=str(store))
    run_search(two, trials=2)
    assert KeptStudy.open(two, STUDY).folder.trial(0).best.exists()


def test_fetch_tells_where_the_files_are_when_there_is_no_store(
    one: Settings, two: Settings
) -> None:
    run_search(one, trials=1)
    with pytest.raises(UsageError, match=rf"they are in \S+:{one.home}\."):
        fetch(two, STUDY)
    assert not two.home.exists()


def test_delete_removes_what_the_store_holds(one: Settings, store: Path) -> None:
    run_search(one, trials=1, checkpoints=str(store))
    assert read.delete(one, STUDY) is None
    assert list(store.iterdir()) == []


def test_delete_of_a_study_whose_store_is_gone_says_what_remains(
    one: Settings, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_search(one, trials=1, checkpoints=str(store))
    identity = ledger(one).charter.id

    def gone(self: object) -> None:
        raise StoreUnreachable(store=str(store), reason="no route to it")

    monkeypatch.setattr("fre_hpo.study.store.CheckpointStore.clear", gone)
    remark = read.delete(one, STUDY) or ""
    assert "no route to it" in remark
    assert identity in remark
    assert read.list_studies(one) == []
