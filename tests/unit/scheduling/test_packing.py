"""What a measurement of trials that share a GPU leaves behind, and who uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fre_hpo.scheduling.packing import FILE, Finding, Workload, remember, remembered

MOUSE = Workload((64, 128, 256, 512), 256, 256, 16)
SMALL = Workload((16, 32), 64, 64, 16)
TWO = Finding(2, "NVIDIA X", "2026-11-23")


def test_a_finding_is_remembered_for_its_workload_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert remembered(home, MOUSE) is None
    remember(home, MOUSE, TWO)
    remember(home, SMALL, Finding(4, "NVIDIA X", "2026-11-24"))
    assert remembered(home, MOUSE) == TWO
    assert remembered(home, Workload((64, 128, 256, 512), 256, 256, 8)) is None
    remember(home, MOUSE, Finding(1, "NVIDIA Y", "2026-11-25"))
    assert remembered(home, MOUSE) == Finding(1, "NVIDIA Y", "2026-11-25")
    assert [path.name for path in home.iterdir()] == [FILE]


def test_another_machines_finding_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home folder may lie on a disk that several machines share."""
    remember(tmp_path, MOUSE, TWO)
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    assert remembered(tmp_path, MOUSE) is None


@pytest.mark.parametrize("text", ["", "{", "\x00", "[]", "7"])
def test_a_damaged_file_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert remembered(tmp_path, MOUSE) is None
    remember(tmp_path, MOUSE, TWO)
    assert remembered(tmp_path, MOUSE) == TWO
