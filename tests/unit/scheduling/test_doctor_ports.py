"""Ports: who listens on those of Ray, and whether that matters."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from fre_hpo.scheduling.doctor import ports
from fre_hpo.scheduling.doctor.ports import Holder, judge_ports, look_at_ports

RAYLET = Holder(8, "raylet", of_ray=True)
REDIS = Holder(7, "redis-server")


def test_free_ports() -> None:
    assert [(row.check, row.value, row.ok) for row in judge_ports({})] == [
        ("port 6379", "free", True),
        ("ports 6380-6479", "free", True),
    ]
    (untold,) = judge_ports(None)
    assert untold.verdict == "-"


def test_a_ray_that_runs_is_no_problem() -> None:
    head, block = judge_ports({6379: Holder(6, "gcs_server", of_ray=True), 6381: RAYLET})
    assert head.value == "a Ray head runs here: gcs_server (process 6)"
    assert block.value == "a Ray node runs here; the next node takes 6480-6579"
    assert head.ok
    assert block.ok


def test_another_program_on_the_heads_port_is_a_problem() -> None:
    head, block = judge_ports({6379: REDIS})
    assert head.value == "held by redis-server (process 7)"
    assert "`fre-hpo head --port 6378`" in head.hint
    assert block.ok
    assert judge_ports({6379: Holder()})[0].value == "held by a program of another user"


def test_a_block_that_is_not_free_matters_when_none_is() -> None:
    taken = {6385: REDIS, 6390: RAYLET, **dict.fromkeys((6400, 6401, 6402), REDIS)}
    block = judge_ports(taken)[1]
    assert block.value == (
        "held: 6385 by redis-server (process 7), 6400 by redis-server (process 7), 6401 by "
        "redis-server (process 7), ...; the next node takes 6480-6579"
    )
    assert block.ok
    everywhere = dict.fromkeys(range(6380, 6980, 100), REDIS)
    assert "`--ports 20000-20999`" in judge_ports(everywhere)[1].hint


def proc(folder: Path, port: int, *, name: str, command: str) -> Path:
    """A /proc with one process, 42, that listens on a port, and one whose files are closed to us."""
    heading = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid inode\n"
    )
    local = f"0100007F:{port:04X}"
    line = f"   0: {local} 00000000:0000 {{}} 0:0 0:0 0 0 0 {{}} 1 0 100 0 0 10 0\n"
    (folder / "net").mkdir(parents=True)
    (folder / "net" / "tcp").write_text(heading + line.format("0A", 777) + line.format("01", 778))
    (folder / "net" / "tcp6").write_text(heading)
    for pid in ("42", "43"):
        (folder / pid / "fd").mkdir(parents=True)
    (folder / "42" / "fd" / "3").symlink_to("socket:[777]")
    (folder / "42" / "comm").write_text(f"{name}\n")
    (folder / "42" / "cmdline").write_bytes(command.encode())
    (folder / "43" / "fd" / "1").write_text("no link")
    return folder


def test_who_listens_is_read_from_the_system(tmp_path: Path) -> None:
    redis = proc(tmp_path / "a", 6379, name="redis-server", command="redis-server\0*:6379")
    assert look_at_ports(redis) == {6379: Holder(42, "redis-server")}
    agent = proc(tmp_path / "b", 6979, name="python", command="python\0/env/ray/dashboard/agent.py")
    assert look_at_ports(agent) == {6979: Holder(42, "python", of_ray=True)}
    other = proc(tmp_path / "c", 5432, name="postgres", command="postgres")
    assert look_at_ports(other) == {}
    assert look_at_ports(tmp_path / "nowhere") is None


def test_a_listener_of_ours_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(ports, "HEAD", port)
        found = look_at_ports()
    assert found is None or found[port].pid == os.getpid()
