"""``fre-hpo doctor`` on a real cluster of two nodes: in order, with another fre-hpo, halted, out of reach."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from acceptance.clusters import cluster
from postgres import free_port
from searching import command, environment

pytestmark = pytest.mark.slow

ASK_NODES = """
import sys
from fre_hpo.scheduling.doctor.nodes import examine_nodes
for rows in examine_nodes(sys.argv[1], None, seconds=float(sys.argv[2])):
    print(rows[0].node, rows[0].check, rows[0].value, rows[0].verdict, sep="|")
"""


def doctor(
    home: Path, address: str, *, folder: Path | None = None, **variables: str
) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, rows and errors.  Ray lends the driver's folder to the nodes of its own machine: what is
    installed there counts only from another one."""
    result = subprocess.run(
        command("doctor", "--address", address, "-f", "json"),
        env={**environment(home), **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return result.returncode, json.loads(result.stdout), result.stderr


def of_nodes(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The rows of each node, the head's first."""
    begins = [index for index, row in enumerate(rows) if row["check"] == "node"]
    return [rows[a:b] for a, b in pairwise([*begins, len(rows)])]


def test_every_node_of_a_cluster_tells_of_itself(home: Path) -> None:
    with cluster() as ray:
        ray.join().wait()
        code, rows, errors = doctor(home, ray.address)
    assert [row for row in rows if not row["ok"]] == []
    assert (code, errors) == (0, "")
    head, second = of_nodes(rows)
    assert head[0]["value"].endswith("the head, offers 1 CPU")
    assert second[0]["value"].endswith("offers 1 CPU")
    assert len({row["node"] for row in head + second}) == 2
    for node in (head, second):
        found = {row["check"]: row["value"] for row in node}
        here = {row["check"]: row["value"] for row in rows[: len(rows) - len(head) - len(second)]}
        assert found["torch"] == here["torch"]
        assert found["Ray"] == here["Ray"]
        assert found["clock"].startswith("as here")
    assert "MB/s from the head" in second[-1]["value"]
    assert not home.exists()


def test_a_node_with_a_broken_fre_hpo_is_named(home: Path, tmp_path: Path) -> None:
    package = tmp_path / "other" / "fre_hpo"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "0.0.1"\n')
    with cluster() as ray:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(package.parent))
            ray.join().wait()
        code, rows, _ = doctor(home, ray.address, folder=tmp_path)
    (problem,) = [row for row in rows if not row["ok"]]
    assert code == 1
    assert problem["check"] == "fre-hpo"
    assert "ModuleNotFoundError: No module named 'fre_hpo." in problem["value"]
    assert "`pip install" in problem["hint"]


def test_a_halted_node_holds_nothing_up(home: Path) -> None:
    with cluster() as ray:
        second = ray.join()
        second.wait()
        second.part("raylet").suspend()
        result = subprocess.run(
            [sys.executable, "-c", ASK_NODES, ray.address, "30"],
            env=environment(home),
            capture_output=True,
            text=True,
            timeout=200,
            check=True,
        )
        second.part("raylet").resume()
    head, halted = result.stdout.splitlines()
    assert head.endswith("offers 1 CPU|OK")
    assert "|node|" in halted
    assert halted.endswith("|problem")


@pytest.mark.parametrize(("token", "expected"), [("", 2), ("0" * 64, 5)])
def test_a_missing_and_a_wrong_token_are_refused(home: Path, token: str, expected: int) -> None:
    with cluster() as ray:
        code, rows, errors = doctor(home, ray.address, RAY_AUTH_TOKEN=token)
    assert code == expected
    assert errors.startswith("Error: ")
    assert len(errors.splitlines()) == 1
    assert of_nodes(rows) == []
    assert "Python" in [row["check"] for row in rows]


def test_nobody_there(home: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    code, rows, errors = doctor(home, address)
    assert code == 5
    assert address in errors
    assert of_nodes(rows) == []
    assert not home.exists()
