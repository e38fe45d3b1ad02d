"""The rules together: what is asked first, what every reply has, what is logged."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledgers import create
from viewing import TOKEN, Viewer


@pytest.fixture
def url(tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path / 'studies.db'}"
    create(found, "mouse-fre")
    return found


@pytest.fixture
def viewer(url: str, home: Path) -> Viewer:
    return Viewer(url, home)


EVERYWHERE = ["/", "/dashboard", "/api/studies", "/api/studies/1", "/static/bundle.js", "/csv/1"]


@pytest.mark.parametrize("path", [*EVERYWHERE, "/artifacts/1/1/ab", "/favicon.ico", "/nowhere"])
def test_without_the_token_nothing_is_told(viewer: Viewer, path: str) -> None:
    reply = viewer.ask(path, authorization=None)
    assert reply.status == 401
    assert "mouse-fre" not in reply.text
    assert viewer.ask(path, "DELETE", authorization=None).status == 401


@pytest.mark.parametrize("path", EVERYWHERE)
def test_under_a_foreign_name_nothing_is_told_even_with_the_token(
    viewer: Viewer, path: str
) -> None:
    assert viewer.ask(path, host="evil.example").status == 421
    assert viewer.ask(f"{path}?token={TOKEN}", host="evil.example").status == 421


def test_the_cookie_of_the_address_lets_in(viewer: Viewer) -> None:
    reply = viewer.ask(f"/dashboard?token={TOKEN}", authorization=None)
    assert (reply.status, reply.headers["location"]) == (303, "/dashboard")
    cookie = reply.headers["set-cookie"].partition(";")[0]
    assert viewer.ask("/dashboard", authorization=None, cookie=cookie).status == 200


@pytest.mark.parametrize("path", [*EVERYWHERE, "/nowhere", "/api/studies/99", "/healthz"])
def test_every_reply_keeps_browsers_careful(viewer: Viewer, path: str) -> None:
    headers = viewer.ask(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers
    expected = "private, no-cache" if path.startswith("/static/") else "no-store"
    assert headers["cache-control"] == expected


def test_the_page_loads_nothing_from_elsewhere_and_is_framed_nowhere(viewer: Viewer) -> None:
    policy = viewer.ask("/dashboard").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


def test_the_script_is_loaded_once(viewer: Viewer) -> None:
    first = viewer.ask("/static/bundle.js", accept_encoding="gzip")
    assert first.headers["content-encoding"] == "gzip"
    again = viewer.ask(
        "/static/bundle.js", accept_encoding="gzip", if_none_match=first.headers["etag"]
    )
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["/static/../_app.py", "/static/%2e%2e/_app.py", "/static//etc/x"])
def test_no_other_file_is_served(viewer: Viewer, path: str) -> None:
    assert viewer.ask(path).status in (403, 404)


def test_a_browser_that_takes_nothing_packed_gets_all_pages(viewer: Viewer) -> None:
    """optuna-dashboard asks for a header that not every client sends."""
    for path in ("/static/bundle.js", "/favicon.ico", "/dashboard"):
        assert viewer.ask(path).status == 200


def test_options_and_unknown_methods(viewer: Viewer) -> None:
    assert viewer.ask("/api/studies", "OPTIONS").status == 204
    for method in ("PATCH", "TRACE", "get/"):
        assert viewer.ask("/api/studies", method).status == 403


def test_a_foreign_page_changes_nothing_even_with_the_cookie(url: str, home: Path) -> None:
    viewer = Viewer(url, home, allow_changes=True)
    note = {"version": 1, "body": "x"}
    foreign = viewer.ask("/api/studies/1/note", "PUT", note, origin="http://evil.example")
    assert (foreign.status, foreign.reason) == (403, "Other pages may not change anything here.")
    assert viewer.ask("/api/studies/1/note", "PUT", note, origin="http://localhost").status == 200


def test_the_log_has_no_token(viewer: Viewer) -> None:
    for query in (f"token={TOKEN}", f"a=1&token={TOKEN}&b", f"%74oken={TOKEN}", "after=0"):
        viewer.ask(f"/dashboard?{query}", authorization=None)
    assert len(viewer.said) == 4
    assert TOKEN not in "".join(viewer.said)
    assert " GET /dashboard?a=1&token=***&b 303 0 bytes " in viewer.said[1]
    assert " GET /dashboard?after=0 401 " in viewer.said[3]


def test_the_log_is_one_line_for_each_request(viewer: Viewer) -> None:
    viewer.ask("/a\nb\x1b[2J", authorization=None)
    assert viewer.said[0].isprintable()


def test_a_mistake_of_ours_is_a_sentence_and_a_complaint(
    viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("fre_hpo.dashboard.studies.polished", broken)
    reply = viewer.ask("/api/studies")
    assert reply.status == 500
    assert "oh" not in reply.text
    assert viewer.complaints == ["GET /api/studies: ZeroDivisionError: oh"]
