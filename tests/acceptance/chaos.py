"""Chaos: a search on PostgreSQL and Ray that is killed at random until it is complete.

As a script: ``PYTHONPATH=tests python tests/acceptance/chaos.py --seed 3`` runs 50 trials of 20 epochs, four
at once, through 6 kills of coordinator and supervisor, 9 of workers and 2 crashes of the server, checks
what is left, and prints it.  ``test_chaos.py`` runs a shorter form.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from acceptance.processes import STUDY, events
from fre_hpo.study.folder import StudyFolder
from postgres import Postgres, find_binaries
from searching import as_flags, command, environment

MODERATE: dict[str, Any] = {
    "data.size": 64,
    "data.train": 8,
    "data.validation": 3,
    "data.test": 2,
    "model.widths": [8, 16, 32],
    "training.checkpoint_seconds": 0.0,
}
"""About 0.2 s an epoch with four at once on two cores."""
RUNNING_SHARE = (0.02, 0.9)
"""Faults happen while so much of all epochs is trained."""


@dataclass(frozen=True)
class Plan:
    trials: int = 50
    epochs: int = 20
    parallel: int = 4
    coordinator_kills: int = 6
    worker_kills: int = 9
    server_crashes: int = 2
    seconds: float = 600

    def faults(self, dice: random.Random) -> list[tuple[int, str]]:
        """When (after so many epochs) what happens."""
        kinds = ["coordinator"] * self.coordinator_kills + ["worker"] * self.worker_kills
        kinds += ["server"] * self.server_crashes
        dice.shuffle(kinds)
        total = self.trials * self.epochs
        low, high = (int(total * share) for share in RUNNING_SHARE)
        return list(zip(sorted(dice.sample(range(low, high), len(kinds))), kinds, strict=True))


@dataclass
class Chaos:
    """One search and what is done to it."""

    plan: Plan
    dice: random.Random
    server: Postgres
    home: Path
    url: str
    done: Counter[str] = field(default_factory=Counter)
    process: subprocess.Popen[bytes] | None = None

    # --- the search -----------------------------------------------------------------------------

    def arguments(self) -> list[str]:
        sizes = {**MODERATE, "training.epochs": self.plan.epochs}
        flags = ["--trials", str(self.plan.trials), "--parallel", str(self.plan.parallel)]
        return ["start", "--dataset", "phantom", *flags, *as_flags(sizes)]

    def start(self) -> None:
        with (self.home.parent / "output.log").open("ab") as log:
            self.process = subprocess.Popen(
                command(*self.arguments()),
                env={**environment(self.home), "FRE_HPO_STORAGE": self.url},
                stdout=log,
                stderr=log,
            )

    def run(self) -> float:
        """Search and fault until all is complete; returns the seconds it took."""
        began = time.monotonic()
        faults = self.plan.faults(self.dice)
        self.start()
        assert self.process is not None
        while self.process.poll() is None or faults:
            assert time.monotonic() - began < self.plan.seconds, self.output()
            if self.process.poll() is not None:
                assert not faults, f"it ended early with {self.process.returncode}: {self.output()}"
            if faults and self.epochs() >= faults[0][0]:
                self.fault(faults.pop(0)[1])
            time.sleep(0.25)
        assert self.process.returncode == 0, self.output()
        return time.monotonic() - began

    def epochs(self) -> int:
        log = self.home / "studies" / STUDY / "events.jsonl"
        return log.read_text().count('"event": "epoch"') if log.exists() else 0

    def output(self) -> str:
        return (self.home.parent / "output.log").read_text()[-4000:]

    # --- the faults -----------------------------------------------------------------------------

    def fault(self, kind: str) -> None:
        actions: dict[str, Callable[[], bool]] = {
            "coordinator": self.kill_coordinator,
            "worker": self.kill_worker,
            "server": self.crash_server,
        }
        end = time.monotonic() + 60
        while not actions[kind]():  # nothing there to kill just now
            assert time.monotonic() < end, f"no {kind} to kill: {self.output()}"
            time.sleep(0.1)
        self.done[kind] += 1

    def kill_coordinator(self) -> bool:
        """The supervisor first, so that nobody heals what is killed; then start again."""
        started = [e["pid"] for e in events(self.home) if e["event"] == "study_started"]
        assert self.process is not None
        self.process.kill()
        with suppress(psutil.NoSuchProcess):
            psutil.Process(started[-1]).kill()
        self.process.wait()
        self.start()
        return True

    def kill_worker(self) -> bool:
        """One that trains now: by its pid in the log, if it is still that process."""
        recent = [e for e in events(self.home) if e["event"] == "epoch"][-4 * self.plan.parallel :]
        pids = sorted({e["pid"] for e in recent})
        self.dice.shuffle(pids)
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if "TrialActor" in " ".join(process.cmdline()):
                    process.kill()
                    return True
        return False

    def crash_server(self) -> bool:
        self.server.stop("immediate")
        time.sleep(self.dice.uniform(0, 5))
        self.server.start()
        return True

    # --- what must be left ----------------------------------------------------------------------

    def check(self) -> dict[str, Any]:
        """Assert what the search promises; returns figures."""
        rows = self.sql("SELECT number, state FROM trials ORDER BY number")
        assert [n for n, _ in rows] == list(range(self.plan.trials))
        assert {state for _, state in rows} == {"COMPLETE"}
        status = self.read("status", STUDY)
        assert (status["complete"], status["state"]) == (self.plan.trials, "finished")
        assert status["failed"] == status["running"] == status["waiting"] == 0
        self.check_parameters()
        self.check_curves()
        return {"rows": len(rows), **self.repeated(), "faults": dict(self.done)}

    def check_parameters(self) -> None:
        """Every attempt at a trial had the parameters that stand in its row; no two trials share them."""
        rows = {t["number"]: t["params"] for t in self.read("trials", STUDY)}
        for event in events(self.home):
            if event["event"] == "trial_started":
                assert event["params"] == rows[event["trial"]]
        points = [tuple(params.values()) for params in rows.values()]
        assert len(set(points)) == len(points)

    def check_curves(self) -> None:
        epochs = list(range(1, self.plan.epochs + 1))
        query = (
            "SELECT trials.number, step FROM trial_intermediate_values JOIN trials USING (trial_id)"
        )
        stored = defaultdict(list)
        for number, step in self.sql(query):
            stored[number].append(step)
        folder = StudyFolder(self.home / "studies" / STUDY)
        for number in range(self.plan.trials):
            assert sorted(stored[number]) == epochs, f"curve of trial {number} in the storage"
            rows = [int(row["epoch"]) for row in folder.trial(number).read_curve()]
            assert rows == epochs, f"curve of trial {number} in its file"

    def repeated(self) -> dict[str, int]:
        """How many epochs were trained again: at most one whenever a trial was cut off."""
        trained: dict[int, list[int]] = defaultdict(list)
        repeated = cut_off = 0
        for event in events(self.home):
            if event["event"] == "trial_started" and event["attempt"] > 1:
                last = max(trained[event["trial"]], default=0)
                again = last - event["epoch"]
                assert 0 <= again <= 1, f"trial {event['trial']} went back by {again} epochs"
                repeated, cut_off = repeated + again, cut_off + 1
                del trained[event["trial"]][event["epoch"] :]
            elif event["event"] == "epoch":
                trained[event["trial"]].append(event["epoch"])
        return {"attempts cut off": cut_off, "epochs repeated": repeated}

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        return self.server.query(query, database=self.url.rpartition("/")[2])

    def read(self, *arguments: str) -> Any:
        result = subprocess.run(
            command(*arguments, "-f", "json"),
            env={**environment(self.home), "FRE_HPO_STORAGE": self.url},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(result.stdout)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    seed = parser.parse_args(arguments).seed
    binaries = find_binaries()
    if binaries is None:
        print("needs PostgreSQL: set FRE_HPO_TEST_POSTGRES_BIN or install it", file=sys.stderr)
        return 1
    server = Postgres(binaries)
    folder = Path(tempfile.mkdtemp(prefix="fre-hpo-chaos-"))
    print(f"seed {seed} in {folder}, which stays if it fails", flush=True)
    try:
        server.start()
        url = server.create_database("chaos")
        chaos = Chaos(Plan(), random.Random(seed), server, folder / "home", url)
        try:
            seconds = chaos.run()
            print(f"seed {seed}: {seconds:.0f} s, {chaos.check()}", flush=True)
        finally:
            chaos.end()
    finally:
        server.close()
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
