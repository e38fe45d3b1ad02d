"""What ``head`` and ``worker`` look at before they start anything."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fre_hpo.errors import BadValue, HeadPortTaken, NoToken, UsageError
from fre_hpo.scheduling import machine
from fre_hpo.scheduling.node import Asked
from fre_hpo.service import nodes
from fre_hpo.service.nodes import Share, stand_as_head, stand_as_worker
from fre_hpo.settings import Settings

HOST = "127.0.0.1"
ALL = Share(cpus=None, gpus=None, host=HOST, port_range="6380-6979")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a machine whose Ray was told nothing."""
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_MODE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path, "sqlite://")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a head or worker was made with; none of them starts anything."""
    found: list[Any] = []

    class Standing:
        def __init__(self, *arguments: Any, **more: Any) -> None:
            found.append((*arguments, more))

        def run(self, announce: Callable[..., None] | None = None) -> int:
            return 0

    monkeypatch.setattr(nodes, "Head", Standing)
    monkeypatch.setattr(nodes, "Worker", Standing)
    return found


def free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_head_writes_its_token_and_gives_all_that_it_has(
    settings: Settings, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cpus", lambda: 12)
    monkeypatch.setattr(machine, "gpus", lambda environ: 3)
    monkeypatch.setattr(machine, "store", lambda: machine.Store(1000, "It is small."))
    said: list[str] = []
    port = free_port()
    assert stand_as_head(port, ALL, None, settings, said.append) == 0
    token = settings.home / "cluster-token"
    assert said == ["It is small.", f"Wrote a new token for this cluster: {token}"]
    given = Asked(cpus=12, gpus=3, token=token, host=HOST, port_range="6380-6979", store=1000)
    assert asked[0][:2] == (port, given)
    stand_as_head(port, ALL, None, settings, said.append)
    assert len(said) == 3, "the token is written once"


def test_a_worker_gives_what_was_asked_for(settings: Settings, asked: list[Any]) -> None:
    token = settings.home / "token"
    token.write_text("0123456789abcdef")
    token.chmod(0o600)
    share = Share(cpus=2, gpus=0, host=None, port_range="20000-20299")
    stand_as_worker("head:6379", share, token, settings, print, grace=5, wait=7)
    address, given, _, more = asked[0]
    assert address == "head:6379"
    assert (given.cpus, given.gpus, given.token, given.host) == (2, 0, token, None)
    assert more == {"grace": 5, "wait": 7}


def test_a_worker_writes_no_token(settings: Settings, asked: list[Any]) -> None:
    with pytest.raises(NoToken, match=r"scp head:\.local/share/fre-hpo/cluster-token"):
        stand_as_worker("head:6379", ALL, None, settings, print, grace=5, wait=0)
    assert list(settings.home.iterdir()) == []
    assert asked == []


@pytest.mark.parametrize("address", ["auto", "ray://head:10001", "head"])
def test_an_address_is_the_heads(settings: Settings, asked: list[Any], address: str) -> None:
    with pytest.raises(BadValue, match="it is HOST:PORT of the head"):
        stand_as_worker(address, ALL, None, settings, print, grace=5, wait=0)
    assert asked == []


def test_a_taken_port_is_told_before_a_token_is_written(
    settings: Settings, asked: list[Any]
) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(HeadPortTaken, match=f"--address {HOST}:{port}`, or name"):
            stand_as_head(port, ALL, None, settings, print)
    assert list(settings.home.iterdir()) == []
    assert asked == []


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (Share(1, 0, "203.0.113.77", "6380-6979"), "--host = 203.0.113.77"),
        (Share(1, 0, HOST, "6380"), "--ports = 6380"),
        (Share(1, 2, HOST, "6380-6979"), "--gpus = 2 cannot be used: CUDA_VISIBLE_DEVICES names 1"),
    ],
)
def test_what_cannot_be_given_is_told(
    settings: Settings, asked: list[Any], monkeypatch: pytest.MonkeyPatch, share: Share, words: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(BadValue, match=words):
        stand_as_head(free_port(), share, None, settings, print)
    assert asked == []


def test_clusters_need_linux(
    settings: Settings, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes.sys, "platform", "darwin")
    with pytest.raises(UsageError, match="Clusters need Linux"):
        stand_as_head(free_port(), ALL, None, settings, print)
    assert asked == []
