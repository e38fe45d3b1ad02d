"""What `dashboard` checks before it serves, and what it tells."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from fre_hpo.dashboard import server
from fre_hpo.dashboard.site import Site
from fre_hpo.errors import PortTaken, StudyNotFound, UnusableToken
from fre_hpo.service.dashboard import Showing, exposure, show
from fre_hpo.settings import Settings
from ledgers import create

TOKEN = "a-token-of-somebody_1"


class Shown:
    """What was told of a dashboard that ends as soon as it serves."""

    def __init__(self, settings: Settings, showing: Showing) -> None:
        self.addresses: list[str] = []
        self.warnings: list[str] = []
        environ = {"FRE_HPO_DASHBOARD_TOKEN": TOKEN}
        show(showing, settings, environ, self.addresses.append, self.warnings.append)


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ports that were served."""
    ports: list[int] = []

    def serve(
        site: Site, listening: socket.socket, ready: Callable[[], None], *, verbose: bool
    ) -> None:
        ports.append(listening.getsockname()[1])
        ready()

    monkeypatch.setattr(server, "serve", serve)
    return ports


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "home", f"sqlite:///{tmp_path / 'studies.db'}")


def test_the_address_leads_to_the_list(settings: Settings, served: list[int]) -> None:
    shown = Shown(settings, Showing(port=0))
    assert shown.addresses == [f"http://127.0.0.1:{served[0]}/dashboard?token={TOKEN}"]
    assert shown.warnings == []


def test_the_address_leads_to_a_named_study(settings: Settings, served: list[int]) -> None:
    create(settings.storage, "drosophila-fre")
    create(settings.storage, "mouse-fre")
    shown = Shown(settings, Showing("mouse-fre", port=0))
    address = f"http://127.0.0.1:{served[0]}/dashboard/studies/2?token={TOKEN}"
    assert shown.addresses == [address]


def test_a_misspelt_study_is_refused_before_anything_is_served(
    settings: Settings, served: list[int]
) -> None:
    create(settings.storage, "mouse-fre")
    with pytest.raises(StudyNotFound, match="did you mean mouse-fre"):
        Shown(settings, Showing("mouse-fer", port=0))
    assert served == []


def test_a_study_that_is_awaited_is_found_by_its_name(
    settings: Settings, served: list[int]
) -> None:
    shown = Shown(settings, Showing("mouse-fre", awaited=True, port=0))
    assert shown.addresses == [f"http://127.0.0.1:{served[0]}/study/mouse-fre?token={TOKEN}"]
    assert not Path(settings.storage.removeprefix("sqlite:///")).exists()


def test_a_wrong_token_file_and_a_taken_port_are_refused(
    settings: Settings, tmp_path: Path, served: list[int]
) -> None:
    with pytest.raises(UnusableToken):
        Shown(settings, Showing(port=0, token_file=tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(PortTaken):
        Shown(settings, Showing(port=other.getsockname()[1]))
    assert served == []


def test_the_network_is_warned_of(settings: Settings) -> None:
    shown = Shown(settings, Showing(host="0.0.0.0", port=0))
    assert shown.warnings == [exposure(Showing(host="0.0.0.0"))]
    assert "change nothing" in shown.warnings[0]
    assert "plain HTTP" in shown.warnings[0]
    assert "delete studies" in exposure(Showing(host="::", allow_changes=True))
    assert "0.0.0.0" not in shown.addresses[0]
