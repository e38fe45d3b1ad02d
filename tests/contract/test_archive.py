"""A study in a file and out of it again: on every storage, with all that belongs to it."""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna_dashboard._note import get_note_from_system_attrs

import fre_hpo
from comparing import compare, simulation, small
from fre_hpo.errors import (
    BadArchive,
    BadValue,
    DiskFull,
    FileInTheWay,
    FilesElsewhere,
    FreHpoError,
    NameTaken,
    NoRoom,
    StorageUnreachable,
    StudyHeld,
    StudyNotFound,
    UsageError,
    UsageProblems,
)
from fre_hpo.service import read
from fre_hpo.service.archiving import archive
from fre_hpo.service.check import held
from fre_hpo.service.compared import compared
from fre_hpo.service.restoring import Restored, restore
from fre_hpo.service.start import Ended
from fre_hpo.settings import Settings
from fre_hpo.study.artifacts import StudyArtifacts
from fre_hpo.study.connection import Connection
from fre_hpo.study.creation import study_names
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.readings import readings, record_reading
from postgres import PASSWORD, Postgres
from searching import TINY, command, environment, run_search

STUDY = "phantom-fre"

__all__ = ["simulation"]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def settings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Where a search of two trials is over."""
    home = tmp_path_factory.mktemp("first")
    if request.param == "sqlite":
        run_search(in_home(home), trials=2)
        yield in_home(home)
        return
    server: Postgres = request.getfixturevalue("postgres_server")
    settings = Settings(home, server.create_database("first"))
    run_search(settings, trials=2)
    yield settings
    server.start()
    server.drop_database("first")


@pytest.fixture(scope="module")
def file(settings: Settings) -> Path:
    """Its archive."""
    return archive(settings, STUDY, settings.home / "study.zip").file


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Settings:
    """Another machine, whose storage is of the other kind."""
    if settings.storage.startswith("sqlite"):
        return Settings(tmp_path / "elsewhere", request.getfixturevalue("postgres_url"))
    return in_home(tmp_path / "elsewhere")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Where the same search went on to its third trial."""
    settings = in_home(tmp_path_factory.mktemp("unbroken"))
    run_search(settings, trials=3)
    return settings


def in_home(home: Path) -> Settings:
    return Settings(home, f"sqlite:///{home}/fre-hpo.db")


def opened(settings: Settings, study: str = STUDY) -> Ledger:
    return Ledger.open(Connection(settings.storage, create=False), study)


def files(settings: Settings, study: str = STUDY) -> dict[str, bytes]:
    folder = settings.study_folder(study)
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def curves(settings: Settings, study: str = STUDY) -> list[list[dict[str, str]]]:
    """Without the times."""
    folder = StudyFolder(settings.study_folder(study))
    numbers = [trial["number"] for trial in read.trials(settings, study)]
    return [
        [{k: v for k, v in row.items() if k != "seconds"} for row in folder.trial(n).read_curve()]
        for n in numbers
    ]


def outcome(settings: Settings, study: str = STUDY) -> list[tuple[Any, ...]]:
    """What does not depend on when and where a trial was trained."""
    names = ("number", "state", "params", "value", "class_iou", "best_epoch", "epochs", "seed")
    return [tuple(trial[n] for n in names) for trial in read.trials(settings, study)]


class TestFromOneStorageToTheOther:
    def test_a_study_arrives_whole(
        self, settings: Settings, file: Path, elsewhere: Settings
    ) -> None:
        restored = restore(elsewhere, file)
        assert (restored.study, restored.states) == (STUDY, {"COMPLETE": 2})
        assert read.trials(elsewhere, STUDY) == read.trials(settings, STUDY)
        here, there = files(elsewhere), files(settings)
        assert here.pop("phantom.toml")
        assert here.pop("study.json") != there.pop("study.json")
        assert here.pop("events.jsonl").startswith(there.pop("events.jsonl"))
        assert here == there
        statuses = [read.status(s, STUDY) | {"disk_bytes": 0} for s in (settings, elsewhere)]
        assert statuses[0] == statuses[1]

    def test_it_is_a_study_of_its_own(
        self, settings: Settings, file: Path, elsewhere: Settings
    ) -> None:
        restore(elsewhere, file)
        first, second = opened(settings), opened(elsewhere)
        assert first.charter.id != second.charter.id
        assert second.home == f"{socket.gethostname()}:{elsewhere.home}"
        last = json.loads(files(elsewhere)["events.jsonl"].splitlines()[-1])
        assert (last["event"], last["archive"]["id"]) == ("study_restored", first.charter.id)
        read.delete(elsewhere, STUDY)
        assert study_names(Connection(elsewhere.storage, create=False)) == []
        assert not elsewhere.study_folder(STUDY).exists()
        assert read.status(settings, STUDY)["complete"] == 2

    def test_pictures_and_curves_are_shown_on_its_page(
        self, file: Path, elsewhere: Settings
    ) -> None:
        restore(elsewhere, file)
        ledger, artifacts = opened(elsewhere), StudyArtifacts(elsewhere.home / "studies")
        system = ledger._storage.get_study_system_attrs(ledger._study_id)
        folder = StudyFolder(elsewhere.study_folder(STUDY))
        for number in (0, 1):
            trial = ledger._storage.get_trial(ledger._id(number))
            body = get_note_from_system_attrs(system, trial._trial_id)["body"]
            for name in ("picture.png", "curve.csv"):
                address = ledger.artifact_path(number, name)
                assert address in body
                found = address.rpartition("/")[2]
                assert json.loads(trial.system_attrs[f"artifacts:{found}"])["filename"] == name
                with artifacts.open_reader(found) as shown:
                    assert shown.read() == (folder.trial(number).path / name).read_bytes()
        best = max(read.trials(elsewhere, STUDY), key=lambda t: t["value"])["number"]
        assert ledger.artifact_path(best, "picture.png") in ledger.note()

    def test_it_goes_on_beside_the_first_one(
        self, settings: Settings, file: Path, unbroken: Settings
    ) -> None:
        restored = restore(settings, file, "second")
        assert restored.command.endswith("--study second --trials 12")
        assert (restored.study, restored.folder.name) == ("second", "second")
        before, rows = files(settings), read.trials(settings, STUDY)
        run_search(settings, trials=3, study="second")
        assert (files(settings), read.trials(settings, STUDY)) == (before, rows)
        assert outcome(settings, "second") == outcome(unbroken)
        assert curves(settings, "second") == curves(unbroken)
        artifacts = StudyArtifacts(settings.home / "studies")
        addresses = {opened(settings, s).artifact_path(0, "curve.csv") for s in (STUDY, "second")}
        assert len(addresses) == 2
        for address in addresses:
            artifacts.open_reader(address.rpartition("/")[2]).close()
        read.delete(settings, "second")
        assert (files(settings), read.trials(settings, STUDY)) == (before, rows)

    def test_no_password_and_no_place_of_the_home_is_in_it(
        self, settings: Settings, file: Path, elsewhere: Settings
    ) -> None:
        with zipfile.ZipFile(file) as inside:
            contents = [file.read_bytes(), *(inside.read(name) for name in inside.namelist())]
        for secret in (PASSWORD, str(settings.home), str(Path.home()), "postgresql"):
            assert not [content for content in contents if secret.encode() in content]
        restore(elsewhere, file)
        assert not [name for name, text in files(elsewhere).items() if PASSWORD.encode() in text]

    def test_readings_of_its_test_split_come_with_it(
        self, settings: Settings, elsewhere: Settings, tmp_path: Path
    ) -> None:
        ours, theirs = Connection(settings.storage, create=True), "2" * 64
        other = replace(opened(settings).charter, fingerprint="of other data")
        cells = Ledger.create(ours, "cells", other)
        for study in (STUDY, "deleted long ago"):
            record_reading(ours, "1" * 64, study, 3)
        for study in ("cells", "deleted long ago"):
            record_reading(ours, theirs, study, 1)
        record_reading(ours, "3" * 64, "deleted as well", 1)
        archive(settings, STUDY, tmp_path / "a.zip")
        cells.delete()
        restore(elsewhere, tmp_path / "a.zip")
        restore(elsewhere, tmp_path / "a.zip", "again")
        here = Connection(elsewhere.storage, create=False)
        for fingerprint in ("1" * 64, "3" * 64):
            assert readings(here, fingerprint) == readings(ours, fingerprint) != ()
        assert readings(here, theirs) == ()
        assert study_names(here) == ["again", STUDY]

    @pytest.mark.parametrize("point", ["restored-file:3", "restored-files", "restored"])
    def test_killed_at_any_point_it_leaves_nothing_half(
        self, settings: Settings, file: Path, elsewhere: Settings, point: str
    ) -> None:
        process = subprocess.run(
            command("archive", "--restore", str(file)),
            env={
                **environment(elsewhere.home),
                "FRE_HPO_STORAGE": elsewhere.storage,
                "FRE_HPO_FAULT": point,
            },
            check=False,
        )
        assert process.returncode == -signal.SIGKILL
        there = study_names(Connection(elsewhere.storage, create=False))
        assert there == ([STUDY] if point == "restored" else [])
        if there:
            with pytest.raises(NameTaken):
                restore(elsewhere, file)
        else:
            restore(elsewhere, file)
        assert read.trials(elsewhere, STUDY) == read.trials(settings, STUDY)
        assert [p.name for p in (elsewhere.home / "studies").iterdir()] == [STUDY]
        assert files(elsewhere).keys() == {*files(settings), "phantom.toml"}


# --- the file --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(unbroken: Settings) -> Settings:
    """A search that is over, to look at."""
    return unbroken


@pytest.fixture(scope="module")
def study_file(finished: Settings) -> Path:
    """Its archive."""
    archived = archive(finished, STUDY, finished.home / "study.zip")
    assert (archived.states, archived.networks) == ({"COMPLETE": 3}, 3)
    assert archived.bytes == archived.file.stat().st_size
    return archived.file


def test_the_database_opens_as_bytes(study_file: Path) -> None:
    """As Optuna's extension of VS Code opens it, which has no place for a log beside the file."""
    with zipfile.ZipFile(study_file) as inside:
        content = inside.read(f"{STUDY}/study.db")
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(content)
        study = "SELECT study_name, direction FROM studies JOIN study_directions USING (study_id)"
        assert database.execute(study).fetchall() == [(STUDY, "MAXIMIZE")]
        assert database.execute("SELECT state FROM trials").fetchall() == [("COMPLETE",)] * 3


def test_all_there_is_of_a_trial_is_in_it(finished: Settings, study_file: Path) -> None:
    with zipfile.ZipFile(study_file) as inside:
        names = {name.removeprefix(f"{STUDY}/") for name in inside.namelist()}
        readme = inside.read(f"{STUDY}/README.txt").decode()
    made = {"study.db", "readings.json", "recipe.toml", "README.txt", "manifest.json"}
    assert names == {*files(finished), *made} - {"study.json"}
    for name in names - {n for n in names if n.startswith("trials/")}:
        assert name in readme or name == "README.txt"
    assert max(map(len, readme.splitlines())) <= 110


def test_a_file_that_is_there_is_kept(finished: Settings, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_text("mine")
    with pytest.raises(FileInTheWay):
        archive(finished, STUDY, path)
    assert path.read_text() == "mine"
    assert archive(finished, STUDY, path, force=True).bytes == path.stat().st_size > 9


def test_a_study_without_its_files_is_not_archived(finished: Settings, tmp_path: Path) -> None:
    away = Settings(tmp_path, finished.storage)
    with pytest.raises(FilesElsewhere, match=str(finished.home)):
        archive(away, STUDY, tmp_path / "a.zip")
    with pytest.raises(StudyNotFound):
        archive(finished, "phantom", tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_of_ones_own_comes_with_it(tmp_path: Path) -> None:
    """Nobody needs to send the recipe beside the file."""
    recipe = tmp_path / "our cells.toml"
    values = "\n".join(f"{k} = {json.dumps(v)}" for k, v in TINY.items())
    recipe.write_text(f'dataset = "phantom"\n{values}\n')
    settings = in_home(tmp_path / "home")
    ours = {"dataset": str(recipe), "study": "cells", "overrides": {"training.epochs": 2}}
    run_search(settings, trials=1, **ours)
    archive(settings, "cells", tmp_path / "a.zip")
    recipe.unlink()
    elsewhere = in_home(tmp_path / "elsewhere")
    restored = restore(elsewhere, tmp_path / "a.zip")
    unpacked = elsewhere.study_folder("cells") / "our cells.toml"
    assert f"--dataset '{unpacked}'" in restored.command
    ended: Ended = run_search(elsewhere, trials=2, **{**ours, "dataset": str(unpacked)})
    assert ended.complete == 2


# --- what stands in the way -----------------------------------------------------------------------


def refused(settings: Settings, file: Path, name: str | None = None) -> FreHpoError:
    """The error; nothing may have been created."""

    def there() -> list[Path]:
        return sorted(settings.home.parent.rglob("*"))

    before = there()
    with pytest.raises(FreHpoError) as caught:
        restore(settings, file, name)
    assert there() == before
    return caught.value


def test_all_that_stands_in_the_way_is_told_at_once(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = in_home(tmp_path / "home")
    restore(settings, study_file)
    whole = study_file.read_bytes()
    place = whole.index(b"PNG")
    bad = tmp_path / "bad.zip"
    bad.write_bytes(whole[: place + 99] + b"!" + whole[place + 100 :])
    error = refused(settings, bad)
    assert isinstance(error, UsageProblems)
    damage, taken = error.problems
    assert "trials/0/picture.png is damaged" in damage
    assert "fre-hpo.db holds a study 'phantom-fre' already" in taken
    assert "nothing was created" in str(error)


def test_a_damaged_archive_creates_nothing(study_file: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.zip"
    bad.write_bytes(study_file.read_bytes()[:-99])
    assert isinstance(refused(in_home(tmp_path / "home"), bad), BadArchive)
    assert isinstance(refused(in_home(tmp_path / "home"), tmp_path / "none.zip"), BadArchive)


def test_files_of_another_study_are_kept(study_file: Path, tmp_path: Path) -> None:
    settings = in_home(tmp_path / "home")
    mine = settings.study_folder(STUDY) / "mine"
    mine.parent.mkdir(parents=True)
    mine.touch()
    error = refused(settings, study_file)
    assert isinstance(error, NameTaken)
    assert "studies holds a study 'phantom-fre' already" in str(error)
    assert restore(settings, study_file, "other").study == "other"


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "x" * 65])
def test_a_name_that_no_study_can_have_is_refused(
    name: str, study_file: Path, tmp_path: Path
) -> None:
    assert isinstance(refused(in_home(tmp_path / "home"), study_file, name), BadValue)


def test_an_archive_cannot_choose_such_a_name(study_file: Path, tmp_path: Path) -> None:
    bad = rewritten(study_file, tmp_path, lambda manifest: manifest.update(study="../../evil"))
    assert isinstance(refused(in_home(tmp_path / "home"), bad), BadValue)


def test_rows_that_are_no_study_of_ours_are_refused(study_file: Path, tmp_path: Path) -> None:
    bad = rewritten(study_file, tmp_path, lambda manifest: manifest.update(study="another"))
    assert "cannot be read here; fre-hpo 0.1.0 and optuna 5" in str(
        refused(in_home(tmp_path / "home"), bad)
    )


def rewritten(file: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The archive with another manifest."""
    path = folder / "rewritten.zip"
    with zipfile.ZipFile(file) as inside, zipfile.ZipFile(path, "w") as outside:
        for name in inside.namelist():
            content = inside.read(name)
            if name.endswith("/manifest.json"):
                manifest = json.loads(content)
                change(manifest)
                content = json.dumps(manifest).encode()
            outside.writestr(name, content)
    return path


def test_a_disk_without_room_is_told_before(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 99_000})
    monkeypatch.setattr("fre_hpo.service.restore_checks.shutil.disk_usage", lambda path: usage)
    error = refused(in_home(tmp_path / "home"), study_file)
    assert isinstance(error, NoRoom | UsageProblems)
    assert re.search(r"needs 0\.\d MB and has 0\.1 MB", str(error))


def test_a_disk_that_gets_full_leaves_nothing(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, written = in_home(tmp_path / "home"), 0

    def full(descriptor: int) -> None:
        nonlocal written
        written += 1
        if written == 9:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFull):
        restore(settings, study_file)
    monkeypatch.undo()
    assert list((settings.home / "studies").iterdir()) == []
    assert study_names(Connection(settings.storage, create=False)) == []
    assert isinstance(restore(settings, study_file), Restored)


def test_a_study_that_is_begun_meanwhile_is_not_disturbed(study_file: Path, tmp_path: Path) -> None:
    settings = in_home(tmp_path / "home")
    with held(settings, STUDY), pytest.raises(StudyHeld):
        restore(settings, study_file)
    restore(settings, study_file)


def test_a_storage_that_goes_away_at_the_commit_leaves_files_that_are_replaced(
    study_file: Path,
    tmp_path: Path,
    postgres_server: Postgres,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(tmp_path / "home", postgres_url)
    monkeypatch.setattr(
        "fre_hpo.study.fault.point",
        lambda name: postgres_server.kill() if name == "restored-files" else None,
    )
    with pytest.raises(StorageUnreachable):
        restore(settings, study_file)
    monkeypatch.undo()
    postgres_server.start()
    assert study_names(Connection(settings.storage, create=False)) == []
    assert settings.study_folder(STUDY).is_dir()  # nobody could tell whether it had arrived
    restore(settings, study_file)
    assert read.status(settings, STUDY)["complete"] == 3


# --- comparisons -----------------------------------------------------------------------------------


def test_a_comparison_is_archived_study_by_study(simulation: Any, tmp_path: Path) -> None:
    settings, elsewhere = in_home(tmp_path / "home"), in_home(tmp_path / "elsewhere")
    compare(settings, small(2, 2, methods=("baseline", "fre")))
    studies = study_names(Connection(settings.storage, create=False))
    with pytest.raises(UsageError) as caught:
        archive(settings, "phantom", tmp_path / "a.zip")
    assert all(study in str(caught.value) for study in studies)
    assert not (tmp_path / "a.zip").exists()
    for study in studies:
        archive(settings, study, tmp_path / f"{study}.zip")
        restore(elsewhere, tmp_path / f"{study}.zip")
    theirs, ours = (compared(s, "phantom") for s in (settings, elsewhere))
    assert ours.table().to_json() == theirs.table().to_json()
    assert compare(elsewhere, small(2, 2, methods=("baseline", "fre"))) is None


def test_a_part_of_a_comparison_is_not_restored_beside_itself(
    simulation: Any, tmp_path: Path
) -> None:
    settings = in_home(tmp_path / "home")
    compare(settings, small(2, 2, methods=("baseline", "fre")))
    archive(settings, "phantom-fre-seeds", tmp_path / "seeds.zip")
    archive(settings, STUDY, tmp_path / "search.zip")
    error = refused(settings, tmp_path / "seeds.zip", "second")
    assert "is fre of the comparison phantom, which study 'phantom-fre-seeds' in" in str(error)
    assert restore(settings, tmp_path / "search.zip", "second").study == "second"
    assert len(compared(settings, "phantom").seeds) == 2


# --- Python -----------------------------------------------------------------------------------------


def test_the_same_from_python(finished: Settings, tmp_path: Path) -> None:
    study = fre_hpo.open_study(STUDY, home=finished.home)
    made = study.archive(tmp_path / "a.zip")
    assert (made["file"], made["networks"]) == (tmp_path / "a.zip", 3)
    with pytest.raises(FileInTheWay):
        study.archive(str(tmp_path / "a.zip"))
    assert study.archive(tmp_path / "a.zip", force=True)["bytes"] > 0
    restored = fre_hpo.restore(tmp_path / "a.zip", study="second", home=tmp_path / "home")
    assert restored.name == "second"
    assert restored.trials() == study.trials()
    assert [path.name for path in (tmp_path / "home" / "studies").iterdir()] == ["second"]
