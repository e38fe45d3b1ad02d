"""Standing as a node of a cluster until told to leave: joined, watched, joined again, drained.

Ray's own node ends when it was cut off from its head for some seconds, or when its head was started anew,
and does not come back by itself (design 3.16).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from fre_hpo.errors import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    ClusterUnreachable,
    FreHpoError,
    counted,
)
from fre_hpo.scheduling import joining, ray_settings
from fre_hpo.scheduling.end_signals import LOOK_SECONDS, Signals
from fre_hpo.scheduling.node import Asked, RayNode
from fre_hpo.scheduling.reasons import LOST_SIGHT

RETRY_SECONDS = 5.0
BRIEF_SECONDS = 30.0
"""A node that was lost so soon after it joined was seen by its head only while it joined."""
LEFT_SECONDS = 10.0
"""So long a drained node may need to hand over what its last trial left, after that has ended."""

Say = Callable[[str], None]


class Worker:
    """A node of somebody else's cluster.

    grace: seconds that its trials have to hand over their checkpoints when it is told to leave.  wait:
    seconds that its first joining may take; later it never gives up.
    """

    def __init__(
        self, address: str, asked: Asked, say: Say, *, grace: float, wait: float = 0
    ) -> None:
        self._address = address
        self._asked = asked
        self._say = say
        self._grace = grace
        self._wait = wait
        self._environ = dict(os.environ)
        ray_settings.prepare(asked.token, self._environ)
        self._signals = Signals()

    def run(self) -> int:
        """Until told to leave; returns the exit code.  Raises why the first joining failed:
        ClusterUnreachable, TokenRefused, OtherVersions, NoPorts, NodeFailed."""
        with self._signals.listening():
            node = self._first_join()
            while node:
                if not self._attend(node):
                    return self._leave(node)
                node = self._rejoin()
            return EXIT_DONE

    def _first_join(self) -> RayNode | None:
        """None when told to leave meanwhile."""
        deadline = time.monotonic() + self._wait
        told = False
        while True:
            try:
                return self._join()
            except ClusterUnreachable as error:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise
                if not told:
                    self._say(f"{error} Trying for up to {self._wait:g} s.")
                told = True
                if not self._signals.sleep(min(RETRY_SECONDS, left)):
                    return None

    def _join(self) -> RayNode | None:
        joining.check(self._address, self._environ)
        node = self._asked.join(self._address)
        try:
            joined = node.wait(lambda: self._signals.count > 0)
        except BaseException:
            node.close()
            raise
        if not joined:
            node.close()
            return None
        self._say(f"Joined {self._address} with {node.plan}.")
        return node

    def _attend(self, node: RayNode) -> bool:
        """Until it is over; False when told to leave before."""
        since = time.monotonic()
        while not node.is_over():
            if not self._signals.sleep(LOOK_SECONDS):
                return False
        why = node.why()
        node.close()
        if time.monotonic() - since < BRIEF_SECONDS and why == LOST_SIGHT:
            why += f"; can it reach ports {node.plan.ports} of {node.plan.host}?"
        self._say(f"Lost the cluster ({why}); trying again every {RETRY_SECONDS:g} s.")
        return True

    def _rejoin(self) -> RayNode | None:
        """As often as it takes; None when told to leave.  A reason is said once."""
        said = ""
        while self._signals.sleep(RETRY_SECONDS if said else LOOK_SECONDS):
            try:
                return self._join()
            except FreHpoError as error:
                if str(error) != said:
                    self._say(f"Not joined: {error}")
                said = str(error)
        return None

    def _leave(self, node: RayNode) -> int:
        """Have the trials hand over their checkpoints; a second signal cuts it short."""
        try:
            self._drain(node)
        finally:
            node.close()
        if self._signals.count > 1:
            self._say("Left at once.")
            return EXIT_INTERRUPTED
        self._say("Left the cluster.")
        return EXIT_DONE

    def _drain(self, node: RayNode) -> None:
        trials = node.trials()
        if trials:
            self._say(
                f"Draining: waiting for {counted(trials, 'trial')} to hand over "
                f"{'its checkpoint' if trials == 1 else 'their checkpoints'} (up to "
                f"{self._grace:g} s; a second signal leaves at once)."
            )
        try:
            joining.ask_to_drain(self._address, node.id, self._grace, self._environ)
        except FreHpoError as error:
            self._say(f"Leaving without draining: {error}")
            return
        self._wait_for_end(node)

    def _wait_for_end(self, node: RayNode) -> None:
        """A drained node ends by itself: its last trial has gone, and what that left was fetched."""
        deadline = time.monotonic() + self._grace
        quiet = None
        while not node.is_over() and time.monotonic() < deadline:
            trials = node.trials()
            quiet = None if trials else quiet or time.monotonic()
            if quiet and time.monotonic() - quiet > LEFT_SECONDS:
                return
            if not self._signals.sleep(LOOK_SECONDS, most=1):
                return
        if not node.is_over() and (trials := node.trials()):
            self._say(
                f"{self._grace:g} s are over: {counted(trials, 'trial')} will go on elsewhere from "
                "the last checkpoint."
            )
