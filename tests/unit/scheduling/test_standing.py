"""Standing as a node: what is said and done when it falls, rejoins, drains - on imagined nodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fre_hpo.errors import (
    ClusterUnreachable,
    FreHpoError,
    NodeFailed,
    TokenRefused,
)
from fre_hpo.scheduling import joining
from fre_hpo.scheduling.head import Head
from fre_hpo.scheduling.node import Plan
from fre_hpo.scheduling.ports import Ports
from fre_hpo.scheduling.reasons import LOST_SIGHT
from fre_hpo.scheduling.standing import Worker

ADDRESS = "10.0.0.1:6379"
AWAY = ClusterUnreachable(address=ADDRESS, reason="Connection refused")
JOINED = f"Joined {ADDRESS} with 8 CPUs and 1 GPU (ports 6380-6479)."


class ImaginedNode:
    """A node that stands for so many looks, and whose trials run for so many more."""

    def __init__(self, lab: Lab, looks: int, trials: int = 0, why: str = "cut") -> None:
        self.id = "a1"
        self.plan = Plan("10.0.0.2", Ports(6380), 8, 1, Path("/token"))
        self.closed = False
        self._lab = lab
        self._looks = looks
        self._trials = trials
        self._why = why

    def wait(self, cancelled: Callable[[], bool]) -> bool:
        return not cancelled()

    def is_over(self) -> bool:
        self._looks -= 1
        return self._looks < 0

    def why(self) -> str:
        return self._why

    def trials(self) -> int:
        return self._trials

    def close(self) -> None:
        self.closed = True


class Lab:
    """Stands for clock, network and Ray.  nodes: what joining gives, in turn: a node, or why not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.said: list[str] = []
        self.nodes: list[ImaginedNode | FreHpoError] = []
        self.drained: list[tuple[str, float]] = []
        self.drain_error: FreHpoError | None = None
        self.signals: dict[float, int] = {}
        self.standing: Any = None
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self._sleep)
        monkeypatch.setattr(joining, "check", lambda address, environ: None)
        monkeypatch.setattr(joining, "ask_to_drain", self._drain)
        self.token = Path("/token")

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        for at in [at for at in self.signals if at <= self.now]:
            for _ in range(self.signals.pop(at)):
                self.standing._signals._hear(15, None)

    def _drain(self, address: str, node: str, seconds: float, environ: object) -> None:
        if self.drain_error:
            raise self.drain_error
        self.drained.append((node, seconds))

    def join(self, address: str) -> ImaginedNode:
        """As ``Asked`` does."""
        found = self.nodes.pop(0)
        if isinstance(found, FreHpoError):
            raise found
        return found

    def head(self, port: int) -> ImaginedNode:
        return self.join("")

    def work(self, *nodes: ImaginedNode | FreHpoError, grace: float = 60, wait: float = 0) -> int:
        self.nodes = list(nodes)
        asked: Any = self
        self.standing = Worker(ADDRESS, asked, self.said.append, grace=grace, wait=wait)
        code: int = self.standing.run()
        return code

    def stand(self, *nodes: ImaginedNode | FreHpoError) -> int:
        self.nodes = list(nodes)
        asked: Any = self
        self.standing = Head(6379, asked, self.said.append)
        code: int = self.standing.run(lambda node: self.said.append("announced"))
        return code


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(monkeypatch)


# --- a worker -------------------------------------------------------------------------------------


def test_the_first_joining_is_not_tried_twice(lab: Lab) -> None:
    with pytest.raises(
        ClusterUnreachable, match="check the address, and whether `fre-hpo head` runs"
    ):
        lab.work(AWAY)
    assert lab.now == 0
    assert lab.said == []


def test_the_first_joining_may_be_waited_for(lab: Lab) -> None:
    lab.signals = {100: 1}
    assert lab.work(AWAY, AWAY, ImaginedNode(lab, 1000), wait=60) == 0
    assert lab.said[0].endswith("Trying for up to 60 s.")
    assert lab.said[1:] == [JOINED, "Left the cluster."]


def test_waiting_has_an_end(lab: Lab) -> None:
    with pytest.raises(ClusterUnreachable):
        lab.work(*[AWAY] * 50, wait=60)
    assert 60 <= lab.now < 66


def test_a_refused_token_is_not_waited_for(lab: Lab) -> None:
    with pytest.raises(TokenRefused):
        lab.work(TokenRefused(address=ADDRESS, hint="copy it"), wait=60)
    assert lab.now == 0


def test_told_to_leave_before_it_joined_it_leaves(lab: Lab) -> None:
    lab.signals = {7: 1}
    assert lab.work(*[AWAY] * 50, wait=60) == 0
    assert lab.now < 8


def test_once_joined_it_never_gives_up(lab: Lab) -> None:
    lab.signals = {5000: 1}
    last = ImaginedNode(lab, 10**6)
    refused = TokenRefused(address=ADDRESS, hint="copy it")
    first = ImaginedNode(lab, 200)
    assert lab.work(first, *[AWAY] * 300, refused, refused, last) == 0
    assert lab.said == [
        JOINED,
        "Lost the cluster (cut); trying again every 5 s.",
        f"Not joined: {AWAY}",
        f"Not joined: {refused}",
        JOINED,
        "Left the cluster.",
    ]
    assert first.closed
    assert last.closed
    assert lab.now < 5011


def test_a_head_that_cannot_reach_this_machine_is_suspected(lab: Lab) -> None:
    lab.signals = {500: 1}
    soon, late = ImaginedNode(lab, 20, why=LOST_SIGHT), ImaginedNode(lab, 400, why=LOST_SIGHT)
    lab.work(soon, late, ImaginedNode(lab, 10**6))
    lost = [line for line in lab.said if line.startswith("Lost")]
    assert lost == [
        f"Lost the cluster ({LOST_SIGHT}; can it reach ports 6380-6479 of 10.0.0.2?); trying again "
        "every 5 s.",
        f"Lost the cluster ({LOST_SIGHT}); trying again every 5 s.",
    ]


def test_without_trials_it_leaves_when_the_head_knows(lab: Lab) -> None:
    lab.signals = {10: 1}
    node = ImaginedNode(lab, 42)
    assert lab.work(node) == 0
    assert lab.drained == [("a1", 60)]
    assert lab.said == [JOINED, "Left the cluster."]
    assert lab.now < 11
    assert node.closed


def test_it_waits_for_its_trials(lab: Lab) -> None:
    lab.signals = {10: 1}
    assert lab.work(ImaginedNode(lab, 120, trials=2)) == 0
    assert lab.said[1].startswith(
        "Draining: waiting for 2 trials to hand over their checkpoints (up to 60 s;"
    )
    assert lab.said[2:] == ["Left the cluster."]
    assert 25 < lab.now < 35


def test_what_does_not_end_within_the_grace_is_said(lab: Lab) -> None:
    lab.signals = {10: 1}
    assert lab.work(ImaginedNode(lab, 10**6, trials=1), grace=30) == 0
    assert lab.said[2] == "30 s are over: 1 trial will go on elsewhere from the last checkpoint."
    assert 40 <= lab.now < 42


def test_a_node_that_stays_without_trials_is_left_soon(lab: Lab) -> None:
    lab.signals = {10: 1}
    assert lab.work(ImaginedNode(lab, 10**6)) == 0
    assert 20 <= lab.now < 22


def test_a_second_signal_leaves_at_once(lab: Lab) -> None:
    lab.signals = {10: 1, 15: 1}
    node = ImaginedNode(lab, 10**6, trials=1)
    assert lab.work(node) == 130
    assert lab.said[-1] == "Left at once."
    assert lab.now < 16
    assert node.closed


def test_without_a_head_nothing_is_drained(lab: Lab) -> None:
    lab.signals = {10: 1}
    lab.drain_error = AWAY
    assert lab.work(ImaginedNode(lab, 10**6, trials=1)) == 0
    assert lab.said[2].startswith("Leaving without draining: ")
    assert lab.now < 11


# --- a head ---------------------------------------------------------------------------------------


def test_a_head_that_cannot_start_is_told(lab: Lab) -> None:
    with pytest.raises(NodeFailed):
        lab.stand(NodeFailed(reason="the disk is full", hint="look"))


def test_a_head_is_started_again_and_announced_once(lab: Lab) -> None:
    lab.signals = {1000: 1}
    nodes = [ImaginedNode(lab, 400), ImaginedNode(lab, 400), ImaginedNode(lab, 10**6)]
    assert lab.stand(*nodes) == 0
    fell = ["The cluster ended (cut); it is started again."]
    stands = ["The cluster stands again at 10.0.0.2:6379."]
    assert lab.said == ["announced", *fell, *stands, *fell, *stands, "Ending the cluster."]
    assert all(node.closed for node in nodes)
    assert lab.drained == []


def test_a_head_that_falls_at_once_is_tried_less_and_less_often(lab: Lab) -> None:
    lab.signals = {300: 1}
    failed = NodeFailed(reason="the disk is full", hint="look")
    assert lab.stand(ImaginedNode(lab, 1), *[failed] * 100) == 0
    assert 5 < len([line for line in lab.said if line.startswith("Not started")]) < 12


def test_told_to_end_while_it_is_down_it_ends(lab: Lab) -> None:
    lab.signals = {52: 1}
    assert lab.stand(ImaginedNode(lab, 200), *[NodeFailed(reason="x", hint="y")] * 9) == 0
    assert lab.now < 53
