"""The dashboard as a lab sees it: a live search on PostgreSQL, watched and steered in a browser."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from acceptance.browser import FIGURE, Browser, browsing, chromium, dashboard, wait_until
from acceptance.processes import (
    STUDY,
    background,
    events,
    go_on,
    halted,
    start_flags,
    wait_for,
    wait_for_event,
)
from fre_hpo.service import read
from fre_hpo.settings import Settings
from postgres import PASSWORD, Postgres
from viewing import fetch, token_of


@dataclass(frozen=True)
class Lab:
    """A storage and a home folder of one search."""

    home: Path
    url: str

    def trials(self) -> list[dict[str, Any]]:
        return read.trials(Settings(self.home, self.url), STUDY)

    def complete(self) -> list[dict[str, Any]]:
        return [trial for trial in self.trials() if trial["state"] == "COMPLETE"]

    @contextmanager
    def searching(self, trials: int) -> Iterator[None]:
        with background(*self._start(trials), home=self.home):
            wait_for_event(self.home, "epoch")
            yield

    @contextmanager
    def halted(self, trials: int, epoch: int) -> Iterator[subprocess.Popen[str]]:
        with halted(*self._start(trials), home=self.home, epoch=epoch) as search:
            yield search

    def _start(self, trials: int) -> list[str]:
        self.home.mkdir(exist_ok=True)
        storage = self.home / "storage"
        storage.write_text(self.url)
        return start_flags("--trials", str(trials), "--storage", f"@{storage}", longer=True)


@pytest.fixture
def lab(postgres_server: Postgres, tmp_path: Path) -> Iterator[Lab]:
    chromium()
    postgres_server.start()
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield Lab(tmp_path / "home", postgres_server.create_database(name))
    postgres_server.drop_database(name)


def test_a_live_search_is_watched(lab: Lab) -> None:
    with (
        lab.searching(80),
        dashboard(STUDY, home=lab.home, url=lab.url) as address,
        browsing() as browser,
    ):
        assert PASSWORD not in address
        wait_for(lambda: len(lab.complete()) >= 2, "two complete trials")
        browser.page.goto(address)
        assert browser.page.url == address.partition("?")[0]
        browser.page.wait_for_function("id => document.getElementById(id)?.data", arg=FIGURE)
        _the_search_comes_first(browser)
        _every_complete_trial_is_a_point(lab, browser)
        _a_new_trial_is_a_point_within_15_seconds(lab, browser)
        _nothing_is_offered_that_cannot_be_done(browser)
        _the_note_has_its_picture(browser, address)
        _a_trial_has_picture_and_table(lab, browser, address)
        assert browser.complaints == []
        assert browser.hosts == {address.split("/")[2]}
        _without_the_token_nothing(address)
        _with_it_nothing_changes(lab, address)


def _the_search_comes_first(browser: Browser) -> None:
    """Whole, before the eyes of whoever opens the page."""
    figure, history = (browser.box(f'[id="{name}"]') for name in (FIGURE, "plot-history"))
    assert figure["y"] + figure["height"] < min(history["y"], 900)
    assert browser.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def _every_complete_trial_is_a_point(lab: Lab, browser: Browser) -> None:
    before = lab.complete()
    points = browser.points()
    known = {_point(trial) for trial in lab.complete()}
    assert {tuple(point) for point in points} <= known
    assert len(points) == len({tuple(point) for point in points})
    wait_until(lambda: len(browser.points()) >= len(before), browser.page, 15)


def _point(trial: dict[str, Any]) -> tuple[float, float, float]:
    return trial["params"]["X"], trial["params"]["B"], trial["value"]


def _a_new_trial_is_a_point_within_15_seconds(lab: Lab, browser: Browser) -> None:
    """Of the first that ends from now on; the page is not loaded again."""
    browser.page.evaluate("window.same = true")
    known = len(lab.complete())
    trial = wait_until(lambda: lab.complete()[known:], browser.page, 30)[0]
    wait_until(lambda: list(_point(trial)) in browser.points(), browser.page, 20)
    age = datetime.now(UTC) - datetime.fromisoformat(trial["finished_at"])
    assert age.total_seconds() < 15
    assert browser.page.evaluate("window.same")


def _nothing_is_offered_that_cannot_be_done(browser: Browser) -> None:
    uploads = browser.page.get_by_text("Upload a New File")
    assert uploads.count() == 1  # it is hidden, not gone
    assert not uploads.is_visible()


def _the_note_has_its_picture(browser: Browser, address: str) -> None:
    browser.page.goto(f"{address.partition('?')[0]}/note")
    assert browser.drawn('img[src^="/artifacts/"]') > 300
    assert browser.page.get_by_text("fre-hpo start").first.is_visible()


def _a_trial_has_picture_and_table(lab: Lab, browser: Browser, address: str) -> None:
    number = lab.complete()[0]["number"]
    page = browser.page
    page.goto(f"{address.partition('?')[0]}/trials?numbers={number}")
    assert browser.drawn('img[src^="/artifacts/"]') > 300
    with page.expect_download() as download:
        page.locator('[aria-label="download artifact"][href][download="curve.csv"]').click()
    assert download.value.suggested_filename == "curve.csv"
    curve = lab.home / "studies" / STUDY / "trials" / str(number) / "curve.csv"
    assert Path(download.value.path()).read_bytes() == curve.read_bytes()


def _without_the_token_nothing(address: str) -> None:
    for path in ("/dashboard", "/api/studies", "/static/bundle.js", "/artifacts/1/1/ab"):
        assert fetch(address, path).status == 401
    assert fetch(address, "/healthz").text == "ok\n"


def _with_it_nothing_changes(lab: Lab, address: str) -> None:
    token = f"Bearer {token_of(address)}"
    assert fetch(address, "/api/studies", Authorization=token).status == 200
    refused = fetch(address, "/api/studies/1", "DELETE", Authorization=token)
    assert (refused.status, "--allow-changes" in refused.reason) == (403, True)
    foreign = fetch(address, "/api/studies", Authorization=token, Host="evil.example")
    assert foreign.status == 421
    assert lab.trials()


def test_a_trial_that_is_failed_stops_and_is_replaced(lab: Lab) -> None:
    """The search is halted in the trial's middle until FAIL TRIAL was pressed."""
    with (
        lab.halted(trials=2, epoch=3) as search,
        dashboard("--allow-changes", STUDY, home=lab.home, url=lab.url) as address,
        browsing() as browser,
    ):
        page = browser.page
        page.goto(address)
        page.goto(f"{page.url}/trials?numbers=0")
        page.get_by_role("button", name="Fail Trial").click()
        page.get_by_text("Successfully updated trial").wait_for()
        go_on(search)
        wait_for_event(lab.home, "trial_started", trial=1)
        assert _epochs(lab, 0) in ([1, 2, 3], [1, 2, 3, 4])
        _a_note_is_written(browser, address)
        wait_for(lambda: len(lab.complete()) == 2, "the two that were wanted")
        assert [trial["state"] for trial in lab.trials()] == ["FAIL", "COMPLETE", "COMPLETE"]
        assert browser.complaints == []


def _epochs(lab: Lab, trial: int) -> list[int]:
    return [e["epoch"] for e in events(lab.home) if e["event"] == "epoch" and e["trial"] == trial]


def _a_note_is_written(browser: Browser, address: str) -> None:
    page = browser.page
    page.goto(f"{address.partition('?')[0]}/trials?numbers=0")
    page.locator('button:has([data-testid="EditIcon"])').first.click()
    page.locator("textarea").first.press("Control+End")
    page.keyboard.type("Written in the browser.")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Success to save the note").wait_for()
