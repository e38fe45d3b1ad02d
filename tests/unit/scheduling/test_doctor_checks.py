"""Checks: what hangs or fails becomes a row, and nothing waits for it."""

from __future__ import annotations

import socket
import threading
from time import monotonic

from fre_hpo.errors import NoResources
from fre_hpo.scheduling.doctor.checks import Check, Row, examine
from fre_hpo.scheduling.doctor.clocks import clock_row


def check(look: object, node: str = "") -> Check:
    def judge(facts: object) -> list[Row]:
        return [Row("drive", str(facts))]

    return Check("drive", look, judge, "Type `df`.", node)  # type: ignore[arg-type]


def fail(error: Exception) -> None:
    raise error


def test_what_hangs_is_a_problem_and_the_others_are_told() -> None:
    forever = threading.Event()
    begin = monotonic()
    hung, fine = examine([check(forever.wait), check(lambda: "there", "gpu-2")], 0.2)
    assert monotonic() - begin < 2
    assert hung == [Row("drive", "no answer within 0 s", "Type `df`.")]
    assert fine == [Row("drive", "there", node="gpu-2")]
    forever.set()


def test_checks_look_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=5)
    found = examine([check(together.wait)] * 3, 6)
    assert all(row.ok for rows in found for row in rows)


def test_an_error_is_told_in_one_line() -> None:
    errors = [
        OSError("Stale file\nhandle"),
        ValueError(),
        TimeoutError("x"),
        NoResources(problem="No GPU."),
    ]
    found = examine([check(lambda error=error: fail(error)) for error in errors], 5)
    values = [row.value for rows in found for row in rows]
    assert values == ["OSError: Stale file", "ValueError", "no answer in time", "No GPU."]
    assert {row.verdict for rows in found for row in rows} == {"problem"}


def test_a_rows_verdict_and_what_programs_are_told() -> None:
    assert Row("GPU", "one").verdict == "OK"
    assert Row("GPU", "none", missing=True).verdict == "-"
    assert Row("GPU", "none", missing=True).ok
    assert Row("GPU", "one", "Type `nvidia-smi`.").verdict == "problem"
    assert Row("GPU", "one", "Type it.", node="gpu-2").plain() == {
        "check": "GPU",
        "node": "gpu-2",
        "value": "one",
        "ok": False,
        "hint": "Type it.",
    }
    assert Row("GPU", "one").plain()["node"] == socket.gethostname()


def test_a_clock_is_wrong_beyond_what_is_unsure() -> None:
    assert clock_row("clock", 0.0002, 0.0001, "gpu-2") == Row("clock", "as here, to 0.001 s")
    assert clock_row("clock", -0.3, 0.4, "gpu-2").value == "as here, to 0.400 s"
    assert clock_row("clock", 1.5, 0.01, "gpu-2") == Row("clock", "1.500 s ahead of this machine's")
    assert clock_row("clock", -2.5, 1.0, "gpu-2").ok
    late = clock_row("clock", -2.5, 0.1, "gpu-2")
    assert late.value == "2.500 s behind this machine's"
    assert "gpu-2" in late.hint
    assert "`sudo timedatectl set-ntp true`" in late.hint
