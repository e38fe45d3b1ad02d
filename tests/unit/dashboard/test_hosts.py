"""Under which names the dashboard answers, and whose pages may change something."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.dashboard import hosts
from fre_hpo.dashboard.exchange import Request
from fre_hpo.dashboard.hosts import Hosts, hostname, is_loopback, known_hosts, shown_name

LOCAL = known_hosts("127.0.0.1")


def status(known: Hosts, host: str, method: str = "GET", **headers: str) -> int | None:
    """Of the refusal; None where there is none."""
    reply = known.check(Request(method, "/api/studies", headers={"host": host, **headers}))
    return None if reply is None else reply.status


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost", "LocalHost.:8080", "[::1]:8080", "[0:0:0:0:0:0:0:1]"]
)
def test_this_machine_may_call_it_by_all_its_names(host: str) -> None:
    assert status(LOCAL, host) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example:8080",
        "127.0.0.1.evil.example",
        "evil.example#localhost",
        "evil.example@localhost",
        "localhost:80:80",
        "localhost:x",
        "10.0.0.1",
        "[::1",
        "",
        " localhost",
    ],
)
def test_any_other_name_is_misdirected(host: str) -> None:
    assert status(LOCAL, host) == 421


def test_the_sentence_says_how_to_allow_a_name_and_repeats_no_markup() -> None:
    reply = LOCAL.check(Request("GET", "/", headers={"host": "<b>evil"}))
    assert reply is not None
    assert b"--allow-host" in reply.body
    assert b"<b>" not in reply.body


def test_no_host_at_all_is_misdirected() -> None:
    reply = LOCAL.check(Request("GET", "/"))
    assert reply is not None
    assert reply.status == 421


def test_more_names_can_be_allowed() -> None:
    known = known_hosts("127.0.0.1", ["FRE.lab.", "10.1.2.3", "fd00::1", "[fd00::2]", "p.lab:443"])
    for host in ("fre.lab:443", "fre.LAB.", "10.1.2.3:1", "[fd00::1]:1", "[FD00::2]", "p.lab"):
        assert status(known, host) is None
    assert status(known, "xfre.lab") == 421


def test_on_all_addresses_the_machines_names_and_addresses_are_its_own() -> None:
    for bound in ("0.0.0.0", "::"):
        known = known_hosts(bound)
        names = {socket.gethostname(), socket.getfqdn(), "localhost", *hosts.addresses()}
        for name in names:
            assert status(known, f"[{name}]:80" if ":" in name else f"{name}:80") is None
        assert status(known, "evil.example") == 421
        assert status(known, "203.0.113.9") == 421


def test_a_bound_name_is_its_own() -> None:
    assert status(known_hosts("192.0.2.5"), "192.0.2.5:8080") is None
    assert status(known_hosts("192.0.2.5"), "192.0.2.6:8080") == 421


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_a_host(text: str) -> None:
    name = hostname(text)
    if name is not None:
        assert name == name.lower()
        assert hostname(f"[{name}]" if ":" in name else name or "x") is not None


@given(st.from_regex(r"[a-z][a-z0-9-]{0,10}(\.[a-z]{2,5}){0,2}", fullmatch=True), st.integers(0))
def test_ports_case_and_a_final_dot_do_not_matter(name: str, port: int) -> None:
    assert {hostname(f) for f in (name, f"{name}:{port}", f"{name.upper()}.", f"{name}.:")} == {
        name
    }


@pytest.mark.parametrize("origin", ["http://localhost:8080", "https://LOCALHOST:8080"])
def test_our_own_page_may_ask_for_a_change(origin: str) -> None:
    assert status(LOCAL, "localhost:8080", "PUT", origin=origin) is None


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://localhost:9999", "http://localhost", "null", "", "http://[x"],
)
def test_another_page_may_not(origin: str) -> None:
    assert status(LOCAL, "localhost:8080", "POST", origin=origin) == 403
    assert status(LOCAL, "localhost:8080", "GET", origin=origin) is None


def test_a_program_sends_no_origin_and_may_ask() -> None:
    assert status(LOCAL, "localhost:8080", "DELETE") is None
    cross = {"sec-fetch-site": "cross-site"}
    assert status(LOCAL, "localhost:8080", "DELETE", **cross) == 403


def test_behind_a_proxy_the_page_has_the_proxys_name() -> None:
    known = known_hosts("127.0.0.1", ["fre.lab"])
    assert status(known, "127.0.0.1:8080", "PUT", origin="https://fre.lab") is None
    assert status(known, "127.0.0.1:8080", "PUT", origin="https://fre.lab.evil.example") == 403


@pytest.mark.parametrize("bound", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST."])
def test_loopback(bound: str) -> None:
    assert is_loopback(bound)


@pytest.mark.parametrize("bound", ["0.0.0.0", "::", "", "10.0.0.1", "lab", "localhost.lab"])
def test_what_others_can_reach_is_no_loopback(bound: str) -> None:
    assert not is_loopback(bound)


def test_the_name_in_the_printed_address() -> None:
    assert shown_name("127.0.0.1") == "127.0.0.1"
    assert shown_name("::1") == "[::1]"
    assert shown_name("0.0.0.0") not in ("0.0.0.0", "")
