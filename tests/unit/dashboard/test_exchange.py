"""Requests and replies as plain values."""

from __future__ import annotations

import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.dashboard.exchange import Reply, Request, as_json, plain, refused

LONG = plain(200, "mIoU " * 1000)


def asking(encoding: str, method: str = "GET") -> Request:
    return Request(method, "/", headers={"accept-encoding": encoding})


def test_a_request_is_read_from_the_server() -> None:
    environ = {
        "REQUEST_METHOD": "put",
        "PATH_INFO": "/study/m\u00c3\u00bcll",  # UTF-8 as WSGI hands it over
        "QUERY_STRING": "a=1",
        "HTTP_ACCEPT_ENCODING": "gzip",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "2",
        "wsgi.input": io.BytesIO(b"{}rest"),
    }
    request = Request.from_environ(environ)
    assert (request.method, request.path, request.query) == ("PUT", "/study/müll", "a=1")
    assert request.headers == {"accept-encoding": "gzip", "content-type": "application/json"}
    assert request.body == b"{}"


@pytest.mark.parametrize("offer", ["gzip", "deflate, GZIP;q=0.5", "br;q=1.0, gzip; q=0.8"])
def test_a_long_text_is_packed_for_whoever_takes_it(offer: str) -> None:
    headers, body = LONG.for_(asking(offer))
    assert ("Content-Encoding", "gzip") in headers
    assert ("Content-Length", str(len(body))) in headers
    assert len(body) < 200
    assert gzip.decompress(body) == LONG.body


@pytest.mark.parametrize("offer", ["", "br", "gzip;q=0", "gzip; q=0.0", "xgzip"])
def test_nobody_else_gets_it_packed(offer: str) -> None:
    headers, body = LONG.for_(asking(offer))
    assert body == LONG.body
    assert ("Vary", "Accept-Encoding") in headers
    assert "Content-Encoding" not in dict(headers)


def test_short_texts_and_pictures_are_not_packed() -> None:
    short, picture = plain(200, "ok"), Reply(200, (("Content-Type", "image/png"),), b"x" * 5000)
    assert short.for_(asking("gzip"))[1] == b"ok"
    assert picture.for_(asking("gzip"))[1] == picture.body


def test_what_is_packed_already_is_not_packed_again() -> None:
    packed = LONG.with_headers(("Content-Encoding", "gzip"))
    assert packed.for_(asking("gzip"))[1] == LONG.body


def test_it_is_packed_once_for_all() -> None:
    reply = plain(200, "mIoU " * 1000)
    assert reply.packed is reply.packed


@pytest.mark.parametrize("offer", ["gzip", ""])
def test_head_is_answered_like_get_without_the_body(offer: str) -> None:
    headers, body = LONG.for_(asking(offer))
    head, nothing = LONG.for_(asking(offer, "HEAD"))
    assert head == headers
    assert (nothing, bool(body)) == (b"", True)


@given(st.text())
def test_a_refusal_is_json_for_programs_and_harmless_html_for_browsers(sentence: str) -> None:
    api = refused(Request("GET", "/api/studies"), 403, sentence)
    assert json.loads(api.body) == {"reason": sentence}
    page = refused(Request("GET", "/dashboard"), 403, f"<script>{sentence}")
    assert b"<script" not in page.body
    assert page.header("Content-Type") == "text/html; charset=utf-8"


def test_headers_replace_those_of_their_name() -> None:
    reply = as_json(200, {}).with_headers(("content-type", "text/plain"))
    assert reply.headers == (("content-type", "text/plain"),)
    assert reply.without("Content-Type").headers == ()
