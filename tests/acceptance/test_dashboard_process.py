"""`fre-hpo dashboard` as a process: how it begins, waits, and ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from acceptance.browser import browsing, dashboard
from acceptance.processes import gone, kill, wait_for
from fre_hpo.service.beside import DashboardBeside
from ledgers import create
from postgres import PASSWORD
from searching import command, environment, fre_hpo
from viewing import fetch, token_of


def test_it_waits_for_the_first_study(home: Path) -> None:
    url = f"sqlite:///{home}/studies.db"
    with dashboard(home=home, url=url) as address:
        token = f"Bearer {token_of(address)}"
        early = fetch(address, "/api/studies", Authorization=token)
        assert (early.status, early.reason.startswith("There is no study in ")) == (503, True)
        assert not home.exists()
        home.mkdir()
        create(url, "mouse-fre")
        wait_for(
            lambda: "mouse-fre" in fetch(address, "/api/studies", Authorization=token).text,
            "the study",
            10,
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_it_with_0(home: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        command("dashboard", "--port", "0", "--token-file", str(home.parent / "token")),
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert "token" not in address  # it goes into a log, and the token is in its file
    token = (home.parent / "token").read_text().strip()
    asked = fetch(address, "/api/studies", Authorization=f"Bearer {token}")
    assert asked.reason.startswith("There is no study in ")
    process.send_signal(number)
    rest = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, ("", ""))


def test_what_is_wrong_is_a_sentence(home: Path) -> None:
    for arguments, code, sentence in (
        (["nowhere"], 4, "There is no study 'nowhere'"),
        (["--host", "192.0.2.7"], 2, "cannot listen"),
        (["--token-file", "/"], 2, "Error: "),
        (["--port", "70000"], 2, "--port"),
    ):
        result = fre_hpo("dashboard", *arguments, home=home)
        assert (result.returncode, result.stdout) == (code, "")
        assert sentence in result.stderr
        assert "Traceback" not in result.stderr


def test_a_password_reaches_neither_address_nor_log_nor_list_of_processes(home: Path) -> None:
    """Of a server that cannot be reached; -v logs every request."""
    url = f"postgresql://fre:{PASSWORD}@127.0.0.1:1/fre"
    process = subprocess.Popen(
        command("dashboard", "--port", "0", "-v", "--storage", url),
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    asked = fetch(address, "/api/studies", Authorization=f"Bearer {token_of(address)}")
    assert (asked.status, "postgresql+psycopg2://fre:***@" in asked.reason) == (503, True)
    assert PASSWORD not in " ".join(psutil.Process(process.pid).cmdline())
    process.terminate()
    _, errors = process.communicate(timeout=20)
    assert " GET /api/studies 503 " in errors
    assert PASSWORD not in address + errors + asked.text


PARENT = """
import sys, time
from fre_hpo.service.beside import DashboardBeside
beside = DashboardBeside(sys.argv[2:], sys.argv[1])
print(beside._process.pid, beside.url(), flush=True)
time.sleep(60)
"""


def test_beside_a_search_it_ends_with_the_search(home: Path) -> None:
    """Also when that is killed; and it does not mind that there is no study yet."""
    call = command("dashboard", "mouse-fre", "--port", "0")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, f"sqlite:///{home}/studies.db", *call],
        env=environment(home),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid, address = parent.stdout.readline().split()
    token = f"Bearer {token_of(address)}"
    assert fetch(address, "/study/mouse-fre", Authorization=token).status == 503
    kill(parent.pid)
    parent.communicate()
    wait_for(lambda: gone(int(pid)), "the dashboard's end", 10)


def test_beside_a_search_it_is_ended_and_a_refused_one_has_no_address(home: Path) -> None:
    storage = f"sqlite:///{home}/studies.db"
    with DashboardBeside(command("dashboard", "--port", "0"), storage) as beside:
        address = beside.url()
        assert address is not None
        assert fetch(address, "/dashboard").status == 401
    with pytest.raises(ConnectionError):
        fetch(address, "/dashboard")
    with DashboardBeside(command("dashboard", "--host", "192.0.2.7", "-q"), storage) as beside:
        assert beside.url() is None


def test_a_link_in_a_chat_leads_in(home: Path) -> None:
    """A browser sends our cookie only from our own pages; the page that says so asks once more."""
    home.mkdir()
    url = f"sqlite:///{home}/studies.db"
    create(url, "mouse-fre")
    with dashboard(home=home, url=url) as address, browsing() as browser:
        page = browser.page
        for link in (address, address.partition("?")[0]):
            page.goto(f"data:text/html,<a href='{link}'>dashboard</a>")
            page.get_by_text("dashboard").click()
            page.get_by_text("mouse-fre").wait_for()
