"""The short list of changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.dashboard.changes import Change, wanted
from fre_hpo.dashboard.exchange import Reply, Request

JSON = {"content-type": "application/json; charset=utf-8"}
NOTE = {"version": 3, "body": "Looks good."}
METHODS = ["POST", "PUT", "DELETE", "PATCH", "CONNECT", "PROPFIND", "X"]


def change(method: str, path: str, content: Any = None, *, allowed: bool = True) -> Change | Reply:
    body = b"" if content is None else json.dumps(content).encode()
    return wanted(Request(method, path, headers=JSON, body=body), allowed=allowed)


def test_the_allowed_changes() -> None:
    assert change("DELETE", "/api/studies/7", {"remove_associated_artifacts": True}) == Change(
        "delete", 7
    )
    assert change("DELETE", "/api/studies/7") == Change("delete", 7)
    failed = change("POST", "/api/trials/12/tell", {"state": "Fail", "values": None})
    assert failed == Change("fail", 12, b'{"state": "Fail"}')
    for path in ("/api/studies/7/note", "/api/studies/7/12/note"):
        note = change("PUT", path, {**NOTE, "more": 1})
        assert isinstance(note, Change)
        assert (note.kind, note.number, json.loads(note.body)) == ("note", 7, NOTE)


ALL = [
    ("DELETE", "/api/studies/7", None),
    ("POST", "/api/trials/12/tell", {"state": "Fail"}),
    ("PUT", "/api/studies/7/note", NOTE),
    ("PUT", "/api/studies/7/12/note", NOTE),
]


@pytest.mark.parametrize(("method", "path", "content"), ALL)
def test_without_leave_none_of_them_and_the_sentence_says_how(
    method: str, path: str, content: Any
) -> None:
    reply = change(method, path, content, allowed=False)
    assert isinstance(reply, Reply)
    assert reply.status == 403
    assert "--allow-changes" in json.loads(reply.body)["reason"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/studies"),
        ("POST", "/api/studies/7/rename"),
        ("POST", "/api/trials/12/user-attrs"),
        ("POST", "/api/artifacts/7"),
        ("POST", "/api/artifacts/7/12"),
        ("DELETE", "/api/artifacts/7/12/ab-cd"),
        ("POST", "/api/studies/7/preference"),
        ("PUT", "/api/studies/7/preference_feedback_component"),
        ("POST", "/api/studies/7/12/skip"),
        ("POST", "/api/llm/trial_filter_query"),
        ("POST", "/incompatible-rdb-schema"),
        ("PUT", "/api/trials/12/tell"),
        ("DELETE", "/api/studies/7/"),
        ("DELETE", "/api/studies/-7"),
        ("DELETE", "/api/studies/\u0667"),  # a digit, but none of ours
        ("DELETE", "/api/studies/7\n"),
        ("DELETE", "//api/studies/7"),
        ("POST", "/dashboard"),
    ],
)
def test_nothing_else(method: str, path: str) -> None:
    reply = change(method, path, {"state": "Fail", **NOTE})
    assert isinstance(reply, Reply)
    assert reply.status == 403


@given(st.sampled_from(METHODS), st.text(max_size=30), st.booleans())
def test_no_other_path_ever(method: str, path: str, allowed: bool) -> None:
    found = change(method, f"/{path}", NOTE, allowed=allowed)
    assert isinstance(found, Reply)
    assert found.status == 403


@pytest.mark.parametrize(
    "state", ["Complete", "COMPLETE", "fail", "FAIL", "Pruned", None, 1, ["Fail"]]
)
def test_a_trial_can_only_be_failed(state: Any) -> None:
    reply = change("POST", "/api/trials/12/tell", {"state": state, "values": [0.99]})
    assert isinstance(reply, Reply)
    assert reply.status == 403
    assert b"only be failed" in reply.body


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"version": 1},
        {"version": "1", "body": ""},
        {"version": True, "body": ""},
        {"version": 1, "body": None},
    ],
)
def test_a_note_needs_its_number_and_its_text(content: Any) -> None:
    reply = change("PUT", "/api/studies/7/note", content)
    assert isinstance(reply, Reply)
    assert reply.status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    reply = wanted(Request("POST", "/api/trials/1/tell", headers=JSON, body=body), allowed=True)
    assert isinstance(reply, Reply)
    assert reply.status == 400


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_form_of_another_page_is_no_json(kind: str) -> None:
    request = Request(
        "POST", "/api/trials/1/tell", headers={"content-type": kind}, body=b'{"state": "Fail"}'
    )
    reply = wanted(request, allowed=True)
    assert isinstance(reply, Reply)
    assert reply.status == 400
