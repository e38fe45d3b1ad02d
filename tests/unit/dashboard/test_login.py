"""Who may come in."""

from __future__ import annotations

from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.dashboard.exchange import Reply, Request
from fre_hpo.dashboard.login import Login

TOKEN = "0123456789abcdef-_XYZ"
LOGIN = Login(TOKEN, 8080)
WRONG = TOKEN[:-1] + "z"


def asked(path: str = "/dashboard", query: str = "", method: str = "GET", **headers: str) -> Reply:
    """What is answered; a request that may pass fails the test."""
    reply = LOGIN.check(Request(method, path, query, headers))
    assert reply is not None
    return reply


def passes(method: str = "GET", **headers: str) -> bool:
    return LOGIN.check(Request(method, "/api/studies", "", headers)) is None


def test_without_it_pages_programs_and_files_are_denied() -> None:
    for path in ("/dashboard", "/api/studies", "/static/bundle.js", "/artifacts/1/2/ab", "/x"):
        reply = asked(path)
        assert reply.status == 401
        assert reply.header("WWW-Authenticate")
        assert b"fre-hpo dashboard" in reply.body
        assert TOKEN.encode() not in reply.body
    assert asked("/api/studies").header("Content-Type") == "application/json"


def test_the_address_gives_a_cookie_that_scripts_and_other_sites_cannot_use() -> None:
    reply = asked("/dashboard/studies/3", f"a=1&token={TOKEN}&b=%20")
    assert (reply.status, reply.header("Location")) == (303, "/dashboard/studies/3?a=1&b=%20")
    cookie = SimpleCookie(reply.header("Set-Cookie"))["fre-hpo-8080"]
    assert cookie.value == TOKEN
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")


@pytest.mark.parametrize(
    "query", [f"%74oken={TOKEN}", f"token={TOKEN}&token=x", f"&token={TOKEN}&"]
)
def test_no_token_stays_in_the_address_however_it_was_written(query: str) -> None:
    assert asked("/", query).header("Location") == "/"


@pytest.mark.parametrize("given_token", [WRONG, "", TOKEN + "%00", "%FF%FE"])
def test_a_wrong_token_in_the_address_is_told(given_token: str) -> None:
    reply = asked("/dashboard", f"token={given_token}")
    assert reply.status == 401
    assert b"started anew" in reply.body


def test_a_change_takes_no_token_from_its_address() -> None:
    assert asked("/api/studies/1", f"token={TOKEN}", method="DELETE").status == 401


@given(st.text(), st.text())
def test_it_leads_nowhere_else(path: str, query: str) -> None:
    """Neither to another host nor beyond the header's line, whatever the path."""
    request = Request("GET", f"/{path}", f"token={TOKEN}&{query}")
    reply = LOGIN.check(request)
    assert reply is not None
    location = reply.header("Location") or ""
    assert location.isascii()
    assert location.isprintable()
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))
    assert urlsplit(location).netloc == ""
    assert " " not in location


def test_cookie_and_header_let_in() -> None:
    assert passes(cookie=f"fre-hpo-8080={TOKEN}")
    assert passes(cookie=f"other=[1];fre-hpo-8080=old; fre-hpo-8080={TOKEN}; x")
    assert passes(authorization=f"Bearer {TOKEN}")
    assert passes("DELETE", authorization=f"bearer  {TOKEN}")


@pytest.mark.parametrize(
    "cookie",
    [f"fre-hpo-8081={TOKEN}", f"fre-hpo-8080={WRONG}", f"xfre-hpo-8080={TOKEN}", TOKEN, "=;;="],
)
def test_other_cookies_do_not(cookie: str) -> None:
    assert not passes(cookie=cookie)


@pytest.mark.parametrize("value", [f"Bearer {WRONG}", TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer "])
def test_other_headers_do_not(value: str) -> None:
    assert not passes(authorization=value)


@given(st.text(max_size=60))
def test_no_other_secret_does(secret: str) -> None:
    assert passes(authorization=f"Bearer {secret}") == (secret.strip() == TOKEN)


def test_a_browser_that_comes_from_another_site_is_asked_to_come_again() -> None:
    """It kept the cookie to itself; from our own page it sends it."""
    cross = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert b'http-equiv="refresh"' in asked(**cross).body
    assert b'http-equiv="refresh"' not in asked(**{**cross, "sec-fetch-site": "same-origin"}).body
    assert b'http-equiv="refresh"' not in asked().body
