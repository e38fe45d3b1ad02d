"""Figures of single trials and reports, from a small real search on drawn cells to the files."""

from __future__ import annotations

import csv
import json
import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from comparing import Simulation, compare, simulation, small
from fre_hpo import data
from fre_hpo.cli.main import run
from fre_hpo.results import markdown
from fre_hpo.results.agreement import image_iou, mean
from fre_hpo.service.compared import compared
from fre_hpo.service.read import open_ledger
from fre_hpo.settings import Settings
from fre_hpo.study.folder import TrialFolder
from fre_hpo.study.ledger import Ledger
from searching import run_search

__all__ = ["simulation"]

Captured = pytest.CaptureFixture[str]
TRACED = {"training.trace": True}
PLAIN = {"B": 3, "X": 20.0}


@dataclass(frozen=True)
class Lab:
    """A home with studies of drawn cells: baseline, fre and fre-fixed traced; supervision and others not."""

    settings: Settings

    def ledger(self, study: str) -> Ledger:
        return open_ledger(self.settings, study)

    def files(self, study: str, number: int) -> TrialFolder:
        return TrialFolder(self.settings.study_folder(study) / "trials" / str(number))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    home = tmp_path_factory.mktemp("lab") / "home"
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    run_search(settings, method="baseline", trials=2, overrides=TRACED)
    run_search(settings, method="fre", trials=2, overrides=TRACED, enqueue=[{"B": 2, "X": 9.5}])
    run_search(settings, method="fre-fixed", trials=1, overrides={**TRACED, **PLAIN})
    run_search(settings, method="supervision", trials=1)
    run_search(settings, study="other-cells", trials=1, overrides={**TRACED, "data.seed": 5})
    wider = {**TRACED, "model.widths": [4, 8, 24]}
    run_search(settings, study="wider", trials=1, overrides=wider)
    return Lab(settings)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lab: Lab) -> Path:
    """The folder that the user is in; the home is the lab's."""
    found = tmp_path / "here"
    found.mkdir()
    monkeypatch.chdir(found)
    monkeypatch.setenv("FRE_HPO_HOME", str(lab.settings.home))
    return found


def drawn(path: Path) -> Any:
    """The data inside a PNG."""
    with Image.open(path) as picture:
        return json.loads(picture.info["Description"])


def refused(capsys: Captured, *arguments: str) -> tuple[int, str]:
    code = run([*arguments])
    out, err = capsys.readouterr()
    assert out == ""
    return code, err


def layer(found: Any, panel: int, name: str, key: str) -> list[float]:
    (one,) = (la for la in found["panels"][panel]["layers"] if la["layer"] == name)
    values: list[float] = one[key]
    return values


# --- Figures 2 and 9 ----------------------------------------------------------------------------


def stored(lab: Lab, study: str, number: int, column: str) -> list[float]:
    with lab.files(study, number).trace.open() as file:
        return [float(row[column]) for row in csv.DictReader(file)]


def best(lab: Lab, study: str) -> int:
    records = [r for r in lab.ledger(study).records() if r.value is not None]
    return max(records, key=lambda r: (r.value or 0, -r.number)).number


def test_figure_2_shows_the_stored_means(lab: Lab, folder: Path, capsys: Captured) -> None:
    assert run(["plot", "phantom-fre", "--kind", "features"]) == 0
    assert capsys.readouterr().out == "phantom-fre-features.png\n"
    found = drawn(folder / "phantom-fre-features.png")
    number = best(lab, "phantom-fre")
    for name, column in (("deepest", "deepest_mean"), ("skip", "skip_mean")):
        values = layer(found, 0, name, "mean feature value")
        assert values == stored(lab, "phantom-fre", number, column)
    assert layer(found, 0, "skip", "epoch") == [1, 2, 3]


def test_a_trial_is_named_by_its_number(lab: Lab, folder: Path) -> None:
    flags = ["--kind", "features", "-o", "a.png", "--trial", "phantom-fre=1", "--trial"]
    assert run(["plot", "phantom-baseline", "phantom-fre", *flags, "phantom-baseline=0"]) == 0
    found = drawn(folder / "a.png")
    for panel, (study, number) in enumerate([("phantom-baseline", 0), ("phantom-fre", 1)]):
        values = layer(found, panel, "skip", "mean feature value")
        assert values == stored(lab, study, number, "skip_mean")


def test_figure_9_shows_the_stored_sums(lab: Lab, folder: Path) -> None:
    """In the paper's order, whatever the order they are named in: the baseline is in every panel."""
    studies = ["phantom-fre-fixed", "phantom-fre", "phantom-baseline"]
    assert run(["plot", *studies, "--kind", "enhancement", "-o", "nine.png"]) == 0
    found = drawn(folder / "nine.png")
    numbers = {study: best(lab, study) for study in studies}
    baseline = stored(lab, "phantom-baseline", numbers["phantom-baseline"], "all_sum")
    for row, study in enumerate(studies[:2]):
        for after, column in ((0, "enhanced_sum"), (1, "enhanced_after")):
            panel = 2 * row + after
            assert layer(found, panel, "without-fre", "sum") == baseline
            sums = stored(lab, study, numbers[study], column)
            assert layer(found, panel, "enhanced", "sum") == sums
            rest = stored(lab, study, numbers[study], "rest_sum")
            assert layer(found, panel, "not-enhanced", "sum") == rest


def test_what_was_not_traced_is_refused_in_a_sentence(capsys: Captured, folder: Path) -> None:
    given = ("plot", "phantom-supervision", "--kind", "features")
    code, err = refused(capsys, *given)
    assert code == 1
    assert err.startswith("Error: Study 'phantom-supervision' was not traced: `fre-hpo start ...")
    code, err = refused(capsys, *given, "--trial", "0")
    assert "Trial 0 of study 'phantom-supervision' was not traced" in err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("studies", "said"),
    [
        (("phantom-baseline",), "needs a study of method fre or fre-fixed"),
        (("phantom-supervision", "phantom-fre"), "enhances no feature maps"),
        (("phantom-fre", "other-cells"), "cannot be compared, for their data or networks differ"),
        (("phantom-baseline", "wider"), "study 'phantom-baseline' and study 'wider' cannot"),
    ],
)
def test_what_cannot_stand_in_one_figure_is_refused(
    studies: tuple[str, ...], said: str, capsys: Captured
) -> None:
    code, err = refused(capsys, "plot", *studies, "--kind", "enhancement")
    assert code == 2
    assert said in err


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        ("7", "has no trial 7: it has those from 0 to 1"),
        ("other=1", "--trial = other=1 cannot be used"),
        ("x", "write the number of a trial"),
    ],
)
def test_an_unknown_trial_is_refused(trial: str, said: str, capsys: Captured) -> None:
    given = ("plot", "phantom-fre", "--kind", "features", "--trial", trial)
    code, err = refused(capsys, *given)
    assert code == 2
    assert said in err


def test_of_several_studies_it_must_be_said_whose_trial(capsys: Captured) -> None:
    given = ("plot", "phantom-baseline", "phantom-fre", "--kind", "features", "--trial", "1")
    code, err = refused(capsys, *given)
    assert code == 2
    assert "as in --trial phantom-fre=3" in err


def test_a_figure_of_all_trials_takes_no_trial(capsys: Captured) -> None:
    code, err = refused(capsys, "plot", "phantom-fre", "--trial", "1")
    assert code == 2
    assert "a figure of kind search shows all" in err


def test_with_the_storage_alone_the_files_are_missed(
    lab: Lab, tmp_path: Path, capsys: Captured
) -> None:
    elsewhere = ("--home", str(tmp_path / "empty"), "--storage", lab.settings.storage)
    for kind in ("features", "predictions"):
        code, err = refused(capsys, "plot", "phantom-fre", "--kind", kind, *elsewhere)
        assert code == 4
        assert "not in this home folder" in err


# --- Figures 5 and 6 ----------------------------------------------------------------------------


def test_predictions_stand_side_by_side_with_their_values(lab: Lab, folder: Path) -> None:
    studies = ["phantom-baseline", "phantom-supervision", "phantom-fre"]
    assert run(["plot", *studies, "--kind", "predictions", "-o", "five.png"]) == 0
    found = drawn(folder / "five.png")
    assert [entry["study"] for entry in found["rows"]] == studies
    charter = lab.ledger("phantom-fre").charter
    split = data.load("phantom", None, charter.spec.options).validation
    for entry in found["rows"]:
        record = lab.ledger(entry["study"]).record(best(lab, entry["study"]))
        assert (entry["trial"], entry["validation mIoU"]) == (record.number, record.value)
        with np.load(lab.files(entry["study"], record.number).predictions) as arrays:
            for image, index in zip(entry["images"], arrays.files, strict=True):
                iou = image_iou(split.labels[int(index)], arrays[index], len(charter.classes))
                assert list(image["IoU"].values()) == iou
                assert image["mIoU"] == mean(iou)
                assert image["image"] == split.sources[int(index)]


def test_predictions_of_unlike_data_are_refused(capsys: Captured, folder: Path) -> None:
    code, err = refused(capsys, "plot", "phantom-fre", "other-cells", "--kind", "predictions")
    assert code == 2
    assert err.startswith(
        "Error: study 'phantom-fre' and study 'other-cells' cannot be compared, for their data or "
        "splits differ"
    )
    assert list(folder.iterdir()) == []


def test_a_trial_without_predictions_is_refused(lab: Lab, tmp_path: Path, capsys: Captured) -> None:
    home = tmp_path / "copy"
    shutil.copytree(lab.settings.home / "studies", home / "studies")
    for path in home.rglob("predictions.npz"):
        path.unlink()
    flags = ("--home", str(home), "--storage", lab.settings.storage)
    code, err = refused(capsys, "plot", "phantom-fre", "--kind", "predictions", *flags)
    assert code == 4
    assert "no predictions of study 'phantom-fre'" in err


# --- reports ------------------------------------------------------------------------------------


def test_a_report_tells_of_the_study(lab: Lab, folder: Path, capsys: Captured) -> None:
    assert run(["report", "phantom-fre", "--out", "told", "-q"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("/told/index.html\n")
    assert err == ""
    page, text = ((folder / "told" / name).read_text() for name in ("index.html", "report.md"))
    record = lab.ledger("phantom-fre").record(best(lab, "phantom-fre"))
    charter = lab.ledger("phantom-fre").charter
    for content in (page, text):
        assert f"{record.value:.4f}" in content
        assert charter.fingerprint in content
        assert charter.versions["torch"] in content
    pictures = {path.name for path in (folder / "told" / "figures").iterdir()}
    wanted = {"search.svg", "classes.svg", "curves.svg", "predictions.png"}
    assert pictures == wanted | {"features.svg", "enhancement.svg"}
    assert set(re.findall(r"\]\(figures/([^)]+)\)", text)) == pictures
    assert page.count("<img ") == len(pictures)


def test_a_report_says_what_the_test_split_said(folder: Path, capsys: Captured) -> None:
    assert run(["test", "phantom-baseline", "-f", "json", "--device", "cpu"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert run(["report", "phantom-baseline", "--out", "told", "-q"]) == 0
    text = _text(folder / "told")
    assert f"trial {found['trial']} has a mIoU of {found['miou']:.4f}" in text
    assert "for the first time in this storage" in text


def test_a_report_needs_the_storage_alone(
    lab: Lab, folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    elsewhere = ["--home", str(tmp_path / "empty"), "--storage", lab.settings.storage]
    assert run(["report", "phantom-fre", "--out", "told", *elsewhere]) == 0
    text = (folder / "told" / "report.md").read_text()
    assert "Pictures of networks and traces are left out." in text
    assert not (tmp_path / "empty").exists()


def test_the_same_study_gives_the_same_report_but_for_its_date(folder: Path) -> None:
    for out in ("one", "two"):
        assert run(["report", "phantom-baseline", "--out", out, "-q"]) == 0
    one, two = ((folder / out / "report.md").read_text() for out in ("one", "two"))
    assert one.rpartition("Written by")[0] == two.rpartition("Written by")[0]


def test_the_recipe_of_a_report_starts_the_same_study(lab: Lab, folder: Path, home: Path) -> None:
    assert run(["report", "phantom-fre", "--out", "told", "-q"]) == 0
    said = re.search(r"fre-hpo (start --dataset recipe.toml .*)", _text(folder / "told"))
    assert said
    again = said[1].replace("recipe.toml", "told/recipe.toml").replace("phantom-fre", "again")
    assert run([*again.split(), "--home", str(home), "--executor", "inline", "-q"]) == 0
    settings = Settings(home, f"sqlite:///{home}/fre-hpo.db")
    first, second = lab.ledger("phantom-fre"), open_ledger(settings, "again")
    assert second.spec == first.spec
    assert second.charter.fingerprint == first.charter.fingerprint
    assert [(r.params, r.value) for r in second.records()] == [
        (r.params, r.value) for r in first.records()
    ]


def _text(folder: Path) -> str:
    return (folder / "report.md").read_text()


def test_an_unknown_name_is_refused_with_the_nearest(capsys: Captured, folder: Path) -> None:
    code, err = refused(capsys, "report", "phantom-fer", "--out", "told")
    assert code == 4
    assert "did you mean phantom-fre" in err
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_no_report_is_refused(capsys: Captured, folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis.tex").touch()
    code, err = refused(capsys, "report", "phantom-fre", "--out", "mine")
    assert code == 2
    assert "mine holds thesis.tex, which is no report's: name a new folder with --out." in err


def test_a_comparison_is_told_from_the_storage_alone(
    simulation: Simulation, folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    del simulation
    settings = Settings(tmp_path / "lab", f"sqlite:///{tmp_path}/lab/fre-hpo.db")
    compare(settings, small())
    elsewhere = ["--home", str(tmp_path / "empty"), "--storage", settings.storage, "-q"]
    assert run(["report", "phantom", "--out", "told", *elsewhere]) == 0
    text = (folder / "told" / "report.md").read_text()
    table = compared(settings, "phantom").table()
    assert table.answer is not None
    assert markdown.text(table.answer) in text
    for row in table.rows:
        assert f"{row['test']['mIoU']['mean']:.2f}" in text
    pictures = {path.name for path in (folder / "told" / "figures").iterdir()}
    assert pictures == {"search-fre.svg", "search-supervision.svg"}
    recipe = tomllib.loads((folder / "told" / "recipe.toml").read_text())
    assert recipe["methods"].keys() == {row["method"] for row in table.rows}
