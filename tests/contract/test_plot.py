"""``fre-hpo plot`` on an SQLite file and on a PostgreSQL server: from the rows to the files."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fre_hpo.cli.main import run
from fre_hpo.results.figures import ENDINGS, OF_TRIALS
from fre_hpo.study.ledger import Ledger
from ledgers import create, make_spec, search
from needs import require_or_skip

Captured = pytest.CaptureFixture[str]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'studies.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the user is in."""
    found = tmp_path / "here"
    found.mkdir()
    monkeypatch.chdir(found)
    return found


def searched(url: str, name: str = "mouse-fre", trials: int = 6, *, failed: int = 1) -> Ledger:
    ledger = create(url, name)
    search(ledger, trials)
    for _ in range(failed):
        ledger.fail(ledger.ask().number, 3, "the loss was nan")
    return ledger


def values(ledger: Ledger) -> dict[int, float | None]:
    return {r.number: r.value for r in ledger.records() if r.complete}


def refused(capsys: Captured, *arguments: str) -> tuple[int, str]:
    code = run(["plot", *arguments])
    out, err = capsys.readouterr()
    assert out == ""
    return code, err


def test_the_picture_holds_what_the_database_does(
    url: str, folder: Path, home: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing but the storage's address, as on another machine."""
    monkeypatch.setenv("FRE_HPO_STORAGE", url)
    ledger = searched(url)
    assert run(["plot", "mouse-fre"]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("mouse-fre-search.png\n", "")
    with Image.open(folder / "mouse-fre-search.png") as picture:
        data = json.loads(picture.info["Description"])
    (known,) = (la for la in data["panels"][0]["layers"] if la["layer"] == "complete")
    points = {r.number: r.params for r in ledger.records()}
    assert dict(zip(known["trial"], known["mIoU"], strict=True)) == values(ledger)
    assert known["B"] == [points[n]["B"] for n in known["trial"]]
    assert known["X"] == [points[n]["X"] for n in known["trial"]]
    assert not home.exists()
    assert [p.name for p in folder.iterdir()] == ["mouse-fre-search.png"]


@pytest.mark.parametrize("kind", OF_TRIALS)
def test_every_kind_is_drawn(kind: str, sqlite_url: str, folder: Path, capsys: Captured) -> None:
    searched(sqlite_url)
    assert run(["plot", "mouse-fre", "--kind", kind, "-o", "a.svg", "--storage", sqlite_url]) == 0
    assert capsys.readouterr().out == "a.svg\n"
    assert (folder / "a.svg").read_text().rstrip().endswith("</svg>")


@pytest.mark.parametrize("ending", ENDINGS)
def test_studies_stand_side_by_side_in_every_file(
    ending: str, sqlite_url: str, folder: Path
) -> None:
    searched(sqlite_url)
    searched(sqlite_url, "drosophila-fre", trials=4)
    flags = ["--palette", "safe", "--same-scale", "--storage", sqlite_url]
    given = ["mouse-fre", "drosophila-fre", "mouse-fre", "--out", f"figs/7-8.{ending.upper()}"]
    assert run(["plot", *given, *flags]) == 0
    content = (folder / f"figs/7-8.{ending.upper()}").read_bytes()
    if ending in ("svg", "html"):
        assert content.count(b">mouse-fre (6 trials)<") == 1
        assert b"drosophila-fre (4 trials)" in content


def test_a_figure_is_replaced_and_nothing_else(
    sqlite_url: str, folder: Path, capsys: Captured
) -> None:
    searched(sqlite_url)
    for ending in ENDINGS:
        name = f"figure.{ending}"
        flags = ["mouse-fre", "--storage", sqlite_url, "-o", name]
        assert run(["plot", *flags]) == run(["plot", *flags]) == 0
        capsys.readouterr()
        (folder / name).write_bytes(b"somebody's own")
        code, err = refused(capsys, *flags)
        assert code == 2
        assert err == (
            f"Error: {name} is there already and is no figure of fre-hpo: "
            "name another file with -o.\n"
        )
        assert (folder / name).read_bytes() == b"somebody's own"


def test_a_folder_in_the_way_is_refused(sqlite_url: str, folder: Path, capsys: Captured) -> None:
    searched(sqlite_url)
    (folder / "a.png").mkdir()
    code, err = refused(capsys, "mouse-fre", "-o", "a.png", "--storage", sqlite_url)
    assert code == 2
    assert "is a folder" in err


def test_a_place_that_cannot_be_written_is_named(
    sqlite_url: str, folder: Path, capsys: Captured
) -> None:
    searched(sqlite_url)
    (folder / "file").touch()
    code, err = refused(capsys, "mouse-fre", "-o", "file/a.png", "--storage", sqlite_url)
    assert code == 1
    assert err.startswith("Error: file/a.png cannot be written (")


@pytest.mark.parametrize("name", ["a.jpg", "a", ".png"])
def test_another_ending_is_refused(
    name: str, sqlite_url: str, folder: Path, capsys: Captured
) -> None:
    searched(sqlite_url)
    code, err = refused(capsys, "mouse-fre", "-o", name, "--storage", sqlite_url)
    assert code == 2
    assert f"ends with one of .png, .svg, .pdf, .html, and not as {name}." in err
    assert list(folder.iterdir()) == []


def test_an_unknown_study_is_refused_with_the_nearest_name(
    sqlite_url: str, capsys: Captured
) -> None:
    searched(sqlite_url)
    code, err = refused(capsys, "mous-fre", "--storage", sqlite_url)
    assert code == 4
    assert "did you mean mouse-fre?" in err


def test_all_problems_are_told_at_once(sqlite_url: str, folder: Path, capsys: Captured) -> None:
    searched(sqlite_url, "empty", trials=0)
    searched(sqlite_url)
    studies = ["mouse-fre", "empty", "unknown"]
    code, err = refused(capsys, *studies, "-o", "a.gif", "--storage", sqlite_url)
    assert code == 2
    assert "3 problems" in err
    assert "a.gif" in err
    assert "'empty' has no complete trial yet" in err
    assert "no study 'unknown'" in err
    assert list(folder.iterdir()) == []


def test_the_importance_needs_some_trials(sqlite_url: str, capsys: Captured) -> None:
    searched(sqlite_url, trials=3)
    given = ("mouse-fre", "--kind", "importance", "--storage", sqlite_url)
    code, err = refused(capsys, *given)
    assert code == 2
    assert err == (
        "Error: Study 'mouse-fre' has 3 complete trials: the importance of its parameters needs 4 "
        "or more.\n"
    )


def test_where_nothing_is_searched_nothing_is_important(sqlite_url: str, capsys: Captured) -> None:
    ledger = create(sqlite_url, "base", make_spec("baseline"))
    for _ in range(5):
        ledger.complete(ledger.ask().number, 0.5, 1, 40, {})
    code, err = refused(capsys, "base", "--kind", "importance", "--storage", sqlite_url)
    assert code == 2
    assert "searches no parameter" in err


def test_a_page_shows_every_trial_in_a_browser_and_asks_nobody(
    sqlite_url: str, folder: Path
) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    require_or_skip(chromium, "needs Chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    ledger = searched(sqlite_url, trials=9)
    assert run(["plot", "mouse-fre", "-o", "page.html", "--storage", sqlite_url]) == 0
    asked: list[str] = []
    said: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((folder / "page.html").as_uri())
        page.wait_for_selector(".scatterlayer .trace")
        traces: dict[str, Any] = page.evaluate(
            "Object.fromEntries(document.getElementById('figure').data.map("
            "t => [t.name, [t.customdata, t.marker && t.marker.color]]))"
        )
        marks = page.locator(".scatterlayer .trace .point").count()
        browser.close()
    rows, colours = traces["complete"]
    assert dict(zip((row[0] for row in rows), colours, strict=True)) == values(ledger)
    assert marks == 9 + 1 + 1  # the failed trial, and the ring
    assert [u for u in asked if not re.match("file:|data:|blob:", u)] == []
    assert said == []
