"""deploy/slurm/fre-hpo.sbatch on a real SLURM of two nodes."""

from __future__ import annotations

import os
import stat
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.processes import STUDY, events, files_with, read_json, wait_for
from needs import require_or_skip
from searching import TINY, as_flags, environment
from slurm import Slurm, missing, two_nodes

SCRIPT = Path(__file__).parents[2] / "deploy" / "slurm" / "fre-hpo.sbatch"
TRIALS, EPOCHS = 8, 24
SEARCH = [
    *("--dataset", "phantom", "--device", "cpu", "--trials", str(TRIALS)),
    *as_flags({**TINY, "training.epochs": EPOCHS, "training.checkpoint_seconds": 60.0}),
]

# The verbs as the script sees them.  A search ends as its argument says: at once, or when it is told to.
STAND_IN = """#!/bin/bash
case $1 in
  head) exec {python} -c 'import socket, sys, time
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
time.sleep(600)' "$3" "$5" ;;
  worker) sleep 600 ;;
  start) trap 'exit 75' TERM; echo began; [ "$4" = waits ] || exit "$4"; while :; do sleep 0.1; done ;;
esac
"""


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    lacking = missing()
    require_or_skip(not lacking, lacking)
    with two_nodes() as started:
        yield started


def submit(
    slurm: Slurm, log: Path, environ: dict[str, str], *flags: str, options: tuple[str, ...] = ()
) -> str:
    """Hand the script in, as its guide says; the number of the job."""
    sizes = [f"--output={log}", "--time=8", "--cpus-per-task=1", *options]
    return slurm.run("sbatch", "--parsable", *sizes, str(SCRIPT), *flags, environ=environ)


def ended(slurm: Slurm, job: str, seconds: float = 60) -> dict[str, str]:
    """What SLURM knows of a job when it is over."""

    def found() -> dict[str, str] | None:
        facts = slurm.job(job)
        return None if facts["JobState"] in ("PENDING", "RUNNING", "COMPLETING") else facts

    return wait_for(found, f"the end of job {job}", seconds)


def hosts(home: Path, begin: int = 0) -> set[str]:
    """Where epochs were trained, from one event on."""
    epochs = [e for e in events(home)[begin:] if e["event"] == "epoch"]
    return {e["worker"].split(":")[0] for e in epochs}


@pytest.mark.slow
def test_slurm_accepts_the_script_as_it_is(slurm: Slurm) -> None:
    slurm.run("sbatch", "--test-only", str(SCRIPT))
    with pytest.raises(AssertionError, match="not available"):  # the nodes have one GPU each
        slurm.run("sbatch", "--test-only", "--gres=gpu:2", str(SCRIPT))


@pytest.mark.slow
def test_a_search_on_two_nodes_is_requeued_at_a_sigterm_and_completes(
    slurm: Slurm, home: Path, tmp_path: Path
) -> None:
    log, token = tmp_path / "job.log", home / "cluster-token"
    environ = {k: v for k, v in environment(home).items() if not k.startswith("RAY_AUTH")}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    job = submit(slurm, log, environ, *SEARCH)
    wait_for(lambda: hosts(home) == {"n1", "n2"}, f"epochs on both nodes ({log})")

    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    secret = token.read_text().strip()
    commands = slurm.processes()
    assert [line for line in commands if "fre-hpo worker" in line]
    assert not [line for line in commands if secret in line]

    slurm.run("scancel", "--signal=TERM", "--batch", job)
    wait_for(lambda: slurm.job(job)["Restarts"] == "1", f"the requeue ({log})")
    before = len(events(home))
    assert len([e for e in events(home) if e["event"] == "trial_finished"]) < TRIALS
    facts = ended(slurm, job, seconds=150)

    assert (facts["JobState"], facts["ExitCode"]) == ("COMPLETED", "0:0"), log.read_text()
    assert hosts(home, before)
    states = Counter(trial["state"] for trial in read_json("trials", STUDY, home=home))
    assert states == {"COMPLETE": TRIALS}
    epochs = Counter((e["trial"], e["epoch"]) for e in events(home) if e["event"] == "epoch")
    assert epochs == Counter((n, e) for n in range(TRIALS) for e in range(1, EPOCHS + 1))
    assert files_with(tmp_path, secret) == [token]
    assert not [line for line in slurm.processes() if "ray" in line or "fre-hpo" in line]


@pytest.fixture
def stand_in(home: Path, tmp_path: Path) -> dict[str, str]:
    """An environment in which fre-hpo is a stand-in: what remains is the script and SLURM."""
    program = tmp_path / "bin" / "fre-hpo"
    program.parent.mkdir()
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    return {**environment(home), "PATH": f"{program.parent}:{os.environ['PATH']}"}


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("code", [0, 6, 75])  # 75 without a SIGTERM: `fre-hpo stop`
def test_a_search_that_ends_by_itself_ends_the_job_with_its_exit_code(
    slurm: Slurm, stand_in: dict[str, str], tmp_path: Path, nodes: int, code: int
) -> None:
    options = (f"--nodes={nodes}",)
    job = submit(slurm, tmp_path / "job.log", stand_in, str(code), options=options)
    facts = ended(slurm, job)
    assert (facts["ExitCode"], facts["Restarts"]) == (f"{code}:0", "0")


@pytest.mark.slow
def test_a_cancelled_job_is_not_requeued(
    slurm: Slurm, stand_in: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "job.log"
    job = submit(slurm, log, stand_in, "waits")
    wait_for(lambda: log.exists() and "began" in log.read_text(), str(log))
    slurm.run("scancel", job)
    facts = ended(slurm, job)
    assert (facts["JobState"], facts["Restarts"]) == ("CANCELLED", "0")
