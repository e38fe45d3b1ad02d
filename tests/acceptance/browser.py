"""The system's Chromium before a dashboard, driven by Playwright."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from needs import require_or_skip
from searching import command, environment

if TYPE_CHECKING:
    from playwright.sync_api import Page

FIGURE = "user-defined-plot:1-search"
POINTS = f"""() => {{
    const figure = document.getElementById("{FIGURE}");
    const trace = figure?.data?.find(trace => trace.name == "complete");
    return (trace?.x ?? []).map((x, i) => [x, trace.y[i], trace.marker.color[i]]);
}}"""
"""The points of Fig. 7 as they are drawn: X, B, mIoU."""


@dataclass
class Browser:
    """A page, and what it did besides: hosts it asked, what it complained of."""

    page: Page
    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def points(self) -> list[list[float]]:
        found: list[list[float]] = self.page.evaluate(POINTS)
        return found

    def box(self, selector: str) -> dict[str, float]:
        """Where the first of them is, once it is there."""
        found = self.page.locator(selector).first
        found.wait_for()
        return dict(found.bounding_box() or {})

    def drawn(self, selector: str) -> int:
        """Width of a picture in its own pixels, once it is there."""
        picture = self.page.locator(selector).first
        picture.wait_for()
        self.page.wait_for_function("e => e.complete", arg=picture.element_handle())
        return int(picture.evaluate("e => e.naturalWidth"))


def chromium() -> str:
    """The program; skips the test where it, or what drives it, is missing."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    found = found or shutil.which("google-chrome")
    require_or_skip(found and find_spec("playwright"), "needs Chromium and Playwright")
    return str(found)


@contextmanager
def browsing() -> Iterator[Browser]:
    program = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = launched.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(30_000)
        browser = Browser(page)
        page.on("request", lambda request: browser.hosts.add(urlsplit(request.url).netloc))
        page.on("console", lambda said: _hear(browser, said))
        page.on("pageerror", lambda error: browser.complaints.append(str(error)))
        yield browser
        launched.close()


def _hear(browser: Browser, said: Any) -> None:
    if said.type in ("error", "warning"):
        browser.complaints.append(f"{said.text} ({said.location.get('url')})")


@contextmanager
def dashboard(*flags: str, home: Path, url: str) -> Iterator[str]:
    """`fre-hpo dashboard`; the address that it prints.  Ctrl-C's end is checked."""
    process = subprocess.Popen(
        command("dashboard", "--port", "0", *flags),
        env={**environment(home), "FRE_HPO_STORAGE": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
        process.terminate()
        rest, errors = process.communicate(timeout=20)
        ended = (process.returncode, rest, errors)
        assert ended == (0, "", ""), ended
    finally:
        process.kill()
        process.communicate()


def wait_until(found: Callable[[], Any], page: Page, seconds: float) -> Any:
    """What the function finds; the page goes on living meanwhile."""
    for _ in range(int(seconds * 10)):
        value = found()
        if value:
            return value
        page.wait_for_timeout(100)
    raise AssertionError(f"waited {seconds} s in vain")
