"""A head and workers on one machine: joined, killed part by part, drained, refused."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from acceptance.clusters import Node
from acceptance.standing_nodes import HOST, SECONDS, Lab, Standing, own_environment
from postgres import free_port

pytestmark = pytest.mark.timeout(600)
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def head(lab: Lab) -> Iterator[Standing]:
    with lab.head() as head:
        yield head


def test_the_head_tells_how_to_join_it(lab: Lab, head: Standing) -> None:
    assert f"`fre-hpo worker --address {lab.address}`, with a copy of {lab.token}" in head.said()
    assert lab.token.stat().st_mode & 0o777 == 0o600


def test_a_worker_rejoins_after_its_raylet_was_killed_and_leaves_when_told(
    lab: Lab, head: Standing
) -> None:
    with lab.worker() as worker:
        worker.part("raylet").kill()
        worker.wait_to_say("Joined", times=2)
        assert "Lost the cluster (its raylet was killed); trying again every 5 s." in worker.said()
        family = worker.family()
        assert worker.end() == 0
        assert worker.said().endswith("Left the cluster.\n")
        assert not [process for process in family if process.is_running()]


def test_a_worker_rejoins_after_the_head_was_killed(lab: Lab, head: Standing) -> None:
    with lab.worker() as worker:
        head.part("gcs_server").kill()
        head.wait_to_say("stands again")
        worker.wait_to_say("Joined", times=2)
        assert "Lost the cluster (the head was started anew)" in worker.said()


def test_the_token_is_in_no_log_and_on_no_command_line(lab: Lab, head: Standing) -> None:
    token = lab.token.read_text().strip()
    with lab.worker() as worker:
        family = [head.process.pid, worker.process.pid]
        family += [process.pid for process in head.family() + worker.family()]
        lines = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in family]
        assert len([line for line in lines if "gcs_server" in line or "raylet" in line]) >= 3
        folders = {Path(found) for line in lines for found in re.findall(r"/tmp/fre-hpo-\w+", line)}
        assert len(folders) == 2
        assert not [line for line in lines if token in line]
        logs = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        assert len(logs) > 5
        assert not [path for path in logs if token.encode() in path.read_bytes()]
        assert {folder.stat().st_mode & 0o077 for folder in folders} == {0}, "others may enter"
    assert token not in head.said() + worker.said()
    assert not [folder for folder in folders - {_folder_of(head)} if folder.exists()]


def _folder_of(node: Standing) -> Path:
    line = " ".join(node.part("raylet").cmdline())
    return Path(re.findall(r"/tmp/fre-hpo-\w+", line)[0])


# --- draining -------------------------------------------------------------------------------------

DRIVER = """
import sys, threading, time, ray
from fre_hpo.scheduling.joining import draining_nodes
from fre_hpo.scheduling.start_hook import keep_loopback

keep_loopback()
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")


@ray.remote(num_cpus=1, max_restarts=0)
class Trial:
    def train(self):
        time.sleep(600)


trial = Trial.remote()
training = trial.train.remote()
(worker,) = [n["NodeID"] for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU")]
assert not ray.wait([training], timeout=3)[0]
print("training", flush=True)
while worker not in draining_nodes():
    time.sleep(0.1)
print("draining", flush=True)
if sys.argv[2] == "obey":
    ray.kill(trial)
time.sleep(600)
"""


@contextmanager
def driver(lab: Lab, way: str) -> Iterator[subprocess.Popen[str]]:
    """A program that trains on the worker and, when that drains, obeys or does not."""
    variables = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(lab.token)}
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, lab.address, way],
        env=own_environment(lab.home) | variables,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "training\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_drained_worker_leaves_when_its_trials_have_gone(lab: Lab, head: Standing) -> None:
    with lab.worker() as worker, driver(lab, "obey") as program:
        began = time.monotonic()
        worker.process.send_signal(signal.SIGTERM)
        assert program.stdout
        assert program.stdout.readline() == "draining\n"
        assert worker.process.wait(SECONDS) == 0
        assert time.monotonic() - began < 50, "it waited for its grace of 60 s to pass"
    assert "Draining: waiting for 1 trial to hand over its checkpoint (up to 60 s" in worker.said()


def test_a_trial_that_does_not_go_is_left_after_the_grace(lab: Lab, head: Standing) -> None:
    with lab.worker("--grace", "4") as worker, driver(lab, "ignore"):
        assert worker.end() == 0
    assert "4 s are over: 1 trial will go on elsewhere from the last checkpoint." in worker.said()


def test_a_second_signal_leaves_at_once(lab: Lab, head: Standing) -> None:
    with lab.worker() as worker, driver(lab, "ignore"):
        worker.process.send_signal(signal.SIGINT)
        worker.wait_to_say("Draining")
        assert worker.end(signal.SIGINT) == 130
    assert worker.said().endswith("Left at once.\n")


# --- refusals -------------------------------------------------------------------------------------


def refused(lab: Lab, code: int, *arguments: str, **variables: str) -> str:
    """The one sentence of a refusal, which came within seconds and left nothing behind."""
    before = set(psutil.pids())
    began = time.monotonic()
    found = lab.refusal(*arguments, **variables)
    assert time.monotonic() - began < 45
    (line,) = found.stderr.splitlines()
    assert found.returncode == code, line
    assert "Traceback" not in line
    here = [p for p in psutil.process_iter() if p.pid not in before and "raylet" in p.name()]
    assert not [process for process in here if lab.address in " ".join(process.cmdline())]
    return line


def test_a_wrong_token_is_refused(lab: Lab, head: Standing, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("0123456789abcdef" * 4)
    wrong.chmod(0o600)
    line = refused(lab, 5, "--address", lab.address, "--token-file", str(wrong))
    assert f"refuses this machine's token: copy the head's cluster-token to {wrong} anew" in line


def test_without_a_token_nothing_is_tried(lab: Lab, head: Standing, tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")
    line = refused(lab, 2, "--address", lab.address, FRE_HPO_TOKEN_FILE=missing)
    assert f"There is no cluster token in {missing}: copy the file" in line
    assert not Path(missing).exists()


def test_a_token_that_others_can_read_is_refused(lab: Lab, head: Standing, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.write_text(lab.token.read_text())
    shared.chmod(0o644)
    line = refused(lab, 2, "--address", lab.address, "--token-file", str(shared))
    assert f"others may read or change it): type `chmod 600 {shared}`" in line


def test_rays_own_variables_may_tell_the_token(lab: Lab, head: Standing) -> None:
    line = refused(lab, 5, "--address", lab.address, RAY_AUTH_TOKEN="0123456789abcdef" * 4)
    assert "give RAY_AUTH_TOKEN the value that it has on the head" in line


def test_an_unreachable_head_is_refused(lab: Lab) -> None:
    lab.home.mkdir(exist_ok=True)
    nobody = f"{HOST}:{free_port()}"
    line = refused(lab, 5, "--address", nobody, RAY_AUTH_TOKEN="0123456789abcdef")
    assert f"at {nobody} cannot be reached (Connection refused): check the address" in line


def test_what_is_no_address_is_refused(lab: Lab) -> None:
    line = refused(lab, 2, "--address", "ray://somewhere", RAY_AUTH_TOKEN="0123456789abcdef")
    assert "--address = ray://somewhere cannot be used: it is HOST:PORT of the head" in line


def test_a_server_that_is_not_ray_is_refused(lab: Lab) -> None:
    with socket.create_server((HOST, 0)) as server:
        threading.Thread(target=_answer, args=(server,), daemon=True).start()
        address = f"{HOST}:{server.getsockname()[1]}"
        line = refused(lab, 5, "--address", address, RAY_AUTH_TOKEN="0123456789abcdef")
    assert f"at {address} cannot be reached (no Ray answers there)" in line


def _answer(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_another_version_is_refused(lab: Lab, tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "ray.log"
    node = Node(
        log,
        "--head",
        f"--port={port}",
        f"--node-ip-address={HOST}",
        "--include-dashboard=false",
        "--num-cpus=0",
        "--object-store-memory=100000000",
        "--labels=fre-hpo-version=9.8.7",
    )
    try:
        node.wait()
        token = os.environ["RAY_AUTH_TOKEN"]
        line = refused(lab, 2, "--address", f"{HOST}:{port}", RAY_AUTH_TOKEN=token)
    finally:
        node.close()
    assert "runs fre-hpo 9.8.7, and this machine fre-hpo " in line


def test_a_head_whose_port_is_taken_says_so(lab: Lab, head: Standing) -> None:
    port = lab.address.rpartition(":")[2]
    with lab.stand("head", "--host", HOST, "--port", port) as second:
        assert second.process.wait(SECONDS) == 2
    assert f"is taken: join what runs there by `fre-hpo worker --address {lab.address}`" in (
        second.said()
    )
