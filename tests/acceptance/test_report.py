"""Reports as a reader opens them: in a browser, from the disk, without any network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from acceptance.browser import Browser, browsing, chromium
from comparing import compare, small
from fre_hpo.service.compared import compared
from fre_hpo.settings import Settings
from searching import fre_hpo

SIZES = {"screen": (1200, 900), "telephone": (400, 800)}
WIDER = "() => document.documentElement.scrollWidth - window.innerWidth"
UNDRAWN = "() => [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt)"
DANGLING = """() => [...document.querySelectorAll("a")]
    .filter(a => !document.querySelector(a.getAttribute("href"))).map(a => a.href)"""


@dataclass(frozen=True)
class Lab:
    """A home with a comparison, and the reports of it and of one of its searches."""

    settings: Settings
    reports: Path


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    chromium()
    folder = tmp_path_factory.mktemp("lab")
    settings = Settings(folder / "home", f"sqlite:///{folder}/home/fre-hpo.db")
    methods = ("baseline", "supervision", "fre", "fre-fixed")
    traced = {"training.trace": True, "B": "1..16:log"}
    compare(settings, small(2, 2, methods=methods, overrides={**traced, "training.epochs": 3}))
    for name in ("phantom", "phantom-fre"):
        done = fre_hpo("report", name, "--out", str(folder / name), home=settings.home)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{folder / name / 'index.html'}\n"
    return Lab(settings, folder)


@pytest.fixture
def browser() -> Iterator[Browser]:
    with browsing() as found:
        yield found


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("name", ["phantom", "phantom-fre"])
def test_a_report_opens_without_any_request(
    name: str, size: tuple[int, int], lab: Lab, browser: Browser
) -> None:
    page = browser.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((lab.reports / name / "index.html").as_uri())
    page.wait_for_load_state("networkidle")
    assert page.locator("h1").inner_text() == name
    assert page.evaluate(UNDRAWN) == []
    assert page.evaluate(DANGLING) == []
    assert page.evaluate(WIDER) <= 0
    assert [url for url in asked if not url.startswith("data:")] == [page.url]
    assert browser.hosts == {""}
    assert browser.complaints == []


def test_the_page_of_a_comparison_shows_its_table(lab: Lab, browser: Browser) -> None:
    page = browser.page
    page.goto((lab.reports / "phantom" / "index.html").as_uri())
    table = compared(lab.settings, "phantom").table()
    assert table.answer is not None
    assert page.locator(".lead").inner_text() == " ".join(table.answer.split())
    rows = page.locator("#result table").first.locator("tbody tr")
    shown = [row.locator("td").first.inner_text() for row in rows.all()]
    assert shown == [row["method"] for row in table.rows]
    for row, found in zip(rows.all(), table.rows, strict=True):
        assert f"{found['test']['mIoU']['mean']:.2f}" in row.inner_text()
    pictures = [str(image.get_attribute("alt")) for image in page.locator("img").all()]
    assert "Predictions of all methods side by side" in pictures
    assert "Sums of the feature maps over training" in pictures


def test_on_paper_the_contents_are_left_out(lab: Lab, browser: Browser) -> None:
    browser.page.goto((lab.reports / "phantom-fre" / "index.html").as_uri())
    assert browser.page.locator("nav").is_visible()
    browser.page.emulate_media(media="print")
    assert not browser.page.locator("nav").is_visible()
    assert browser.page.locator("figure img").first.is_visible()


def test_an_unknown_name_is_refused(lab: Lab, tmp_path: Path) -> None:
    done = fre_hpo("report", "fantom", "--out", str(tmp_path / "x"), home=lab.settings.home)
    assert done.returncode == 4
    assert "did you mean phantom" in done.stderr
    assert not (tmp_path / "x").exists()
