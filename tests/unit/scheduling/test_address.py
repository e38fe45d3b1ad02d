"""Addresses of heads and of this machine."""

from __future__ import annotations

import socket
import threading

import pytest

from fre_hpo.errors import BadValue, ClusterUnreachable
from fre_hpo.scheduling import address
from postgres import free_port


@pytest.mark.parametrize(
    ("text", "parts"),
    [("10.0.0.1:6379", ("10.0.0.1", 6379)), ("head:1", ("head", 1)), ("[::1]:80", ("::1", 80))],
)
def test_an_address_is_host_and_port(text: str, parts: tuple[str, int]) -> None:
    assert address.split(text) == parts
    assert address.join(*parts) == text


@pytest.mark.parametrize(
    "text", ["", "head", ":6379", "head:", "head:0", "head:70000", "ray://h:1"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ClusterUnreachable, match="an address is HOST:PORT"):
        address.split(text)


def test_names_become_numbers() -> None:
    assert address.numeric("127.0.0.1:6379") == "127.0.0.1:6379"
    assert address.numeric("localhost:6379") in ("127.0.0.1:6379", "[::1]:6379")
    with pytest.raises(ClusterUnreachable, match=r"no-such-host\.invalid:1"):
        address.numeric("no-such-host.invalid:1")


def test_this_machine_as_a_head_on_the_loopback_reaches_it() -> None:
    assert address.of_this_machine("127.0.0.1:6379") == "127.0.0.1"
    assert address.check_host(address.of_this_machine())


def test_without_a_way_out_the_first_interface_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "_ELSEWHERE", "255.255.255.255")  # refused by the system
    expected = next(address._of_interfaces(), "127.0.0.1")
    assert address.of_this_machine() == expected
    monkeypatch.setattr(address, "_of_interfaces", lambda: iter(()))
    assert address.of_this_machine() == "127.0.0.1"


@pytest.mark.parametrize("host", ["nonsense", "203.0.113.77", "0.0.0.0", "::"])
def test_a_host_is_an_address_of_this_machine(host: str) -> None:
    with pytest.raises(BadValue, match="--host"):
        address.check_host(host)
    assert address.check_host("127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", b"\0\0\0\x08\0\0\0\0\0"])
def test_what_does_not_answer_as_ray_does_is_told(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, answer), daemon=True).start()
        with pytest.raises(ClusterUnreachable, match="no Ray answers there"):
            address.probe(f"127.0.0.1:{server.getsockname()[1]}", {})


def test_what_begins_as_ray_does_may_be_ray() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = b"\0\0\0\x04\0\0\0\0\0"
        threading.Thread(target=_serve, args=(server, answer), daemon=True).start()
        address.probe(f"127.0.0.1:{server.getsockname()[1]}", {})


def test_nobody_there_is_told() -> None:
    with pytest.raises(ClusterUnreachable, match="Connection refused"):
        address.probe(f"127.0.0.1:{free_port()}", {})


def _serve(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(100)
        connection.sendall(answer)
