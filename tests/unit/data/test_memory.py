from __future__ import annotations

import os
from pathlib import Path

import pytest

from fre_hpo.data.assembly import memory

UNLIMITED = 1 << 62


def test_what_the_machine_has_left(tmp_path: Path) -> None:
    said = tmp_path / "meminfo"
    said.write_text("MemTotal:       8000 kB\nMemFree:   10 kB\nMemAvailable:   3000 kB\n")
    assert memory._of_machine(said) == 3000 * 1024
    assert memory._of_machine(tmp_path / "absent") == UNLIMITED


def test_what_the_container_has_left(tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text("600\n")
    assert memory._of_container(tmp_path) == UNLIMITED
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._of_container(tmp_path) == UNLIMITED
    (tmp_path / "memory.max").write_text("1000\n")
    assert memory._of_container(tmp_path) == 400


def test_the_smaller_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_of_machine", lambda path: 7)
    monkeypatch.setattr(memory, "_of_container", lambda path: 5)
    assert memory.available() == 5


def test_this_machine_has_some_memory_and_not_more_than_it_has() -> None:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory.available() <= max(pages, UNLIMITED * (not Path("/proc/meminfo").exists()))
