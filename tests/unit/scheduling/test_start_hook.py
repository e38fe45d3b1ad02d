"""What a node leaves away, whatever Ray was installed with."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ray._private import services, utils

from fre_hpo.scheduling import start_hook


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the hook changes in Ray, which other tests use, is put back."""
    monkeypatch.setattr(utils, "get_dashboard_dependency_error", lambda: None)
    monkeypatch.setattr(services, "resolve_ip_for_localhost", lambda host: "192.0.2.1")


def test_a_node_has_the_address_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(start_hook.HOST_VARIABLE, "127.0.0.1")
    given = SimpleNamespace(
        ray_client_server_port=10001, node_ip_address="192.0.2.1", node_name="192.0.2.1"
    )
    start_hook.narrow(given, head=True)
    assert (given.node_ip_address, given.node_name) == ("127.0.0.1", "127.0.0.1")
    assert start_hook.HOST_VARIABLE not in start_hook.os.environ


def test_there_is_no_ray_client_and_no_dashboard() -> None:
    given = SimpleNamespace(ray_client_server_port=10001, node_ip_address="10.0.0.1", node_name="")
    start_hook.narrow(given, head=False)
    assert given.ray_client_server_port is None
    assert given.node_ip_address == "10.0.0.1"
    assert utils.get_dashboard_dependency_error() is not None


def test_the_loopback_stays_the_loopback() -> None:
    start_hook.keep_loopback()
    assert services.canonicalize_bootstrap_address("127.0.0.1:6379") == "127.0.0.1:6379"
