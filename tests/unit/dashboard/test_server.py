"""The socket under the dashboard."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing

import pytest

from fre_hpo.dashboard import server
from fre_hpo.errors import CannotListen, PortTaken
from postgres import free_port


def port_of(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


def test_any_port_is_one_that_is_free() -> None:
    with closing(server.listen("127.0.0.1", 0)) as listening:
        assert port_of(listening) > 0
        with closing(socket.create_connection(("127.0.0.1", port_of(listening)), 5)):
            pass


def test_a_named_port_that_is_taken_is_refused() -> None:
    with closing(server.listen("127.0.0.1", 0)) as listening:
        taken = port_of(listening)
        with pytest.raises(PortTaken, match=f"Port {taken} of 127.0.0.1 is taken"):
            server.listen("127.0.0.1", taken)


def test_the_default_port_moves_on_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DEFAULT_PORT", free_port())
    with ExitStack() as stack:
        ports = [
            port_of(stack.enter_context(closing(server.listen("127.0.0.1", None))))
            for _ in range(3)
        ]
    assert ports[0] >= server.DEFAULT_PORT
    assert ports == sorted(set(ports))


def test_when_all_are_taken_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(server.listen("127.0.0.1", 0)) as listening:
        monkeypatch.setattr(server, "DEFAULT_PORT", port_of(listening))
        monkeypatch.setattr(server, "FURTHER_PORTS", 1)
        with pytest.raises(PortTaken, match="--port"):
            server.listen("127.0.0.1", None)


@pytest.mark.parametrize("host", ["192.0.2.7", "no-such-host.invalid", "a" * 300])
def test_a_host_that_is_not_this_machine_is_refused(host: str) -> None:
    with pytest.raises(CannotListen, match="--host names an address of this machine"):
        server.listen(host, 0)
