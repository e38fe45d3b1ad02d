"""Standing as the head of a cluster until told to end: started again when it falls."""

from __future__ import annotations

import time
from collections.abc import Callable

from fre_hpo.errors import EXIT_DONE, FreHpoError
from fre_hpo.scheduling.end_signals import LOOK_SECONDS, Signals
from fre_hpo.scheduling.node import Asked, RayNode

STOOD_SECONDS = 30.0
"""What stood for so long is started again at once."""
PAUSE_SECONDS = 5.0
LONGEST_PAUSE = 60.0

Say = Callable[[str], None]


class Head:
    """The head of a cluster, on this machine."""

    def __init__(self, port: int, asked: Asked, say: Say) -> None:
        self._port = port
        self._asked = asked
        self._say = say
        self._signals = Signals()

    def run(self, announce: Callable[[RayNode], None]) -> int:
        """Until told to end; returns the exit code.

        announce: told of the node when it stands for the first time.  Raises NoPorts and NodeFailed when
        that fails; later it is started again as often as it takes.
        """
        with self._signals.listening():
            node = self._start()
            if node:
                announce(node)
            while node:
                since = time.monotonic()
                if not self._attend(node):
                    self._say("Ending the cluster.")
                    node.close()
                    return EXIT_DONE
                node = self._restart(time.monotonic() - since)
            return EXIT_DONE

    def _start(self) -> RayNode | None:
        """None when told to end meanwhile."""
        node = self._asked.head(self._port)
        try:
            stands = node.wait(lambda: self._signals.count > 0)
        except BaseException:
            node.close()
            raise
        if stands:
            return node
        node.close()
        return None

    def _attend(self, node: RayNode) -> bool:
        """Until it is over; False when told to end before."""
        while not node.is_over():
            if not self._signals.sleep(LOOK_SECONDS):
                return False
        self._say(f"The cluster ended ({node.why()}); it is started again.")
        node.close()
        return True

    def _restart(self, stood: float) -> RayNode | None:
        """One that falls again and again is started less and less often.  None when told to end."""
        pause = LOOK_SECONDS if stood > STOOD_SECONDS else PAUSE_SECONDS
        while self._signals.sleep(pause):
            try:
                node = self._start()
            except FreHpoError as error:
                self._say(f"Not started: {error}")
                pause = min(max(pause, PAUSE_SECONDS) * 2, LONGEST_PAUSE)
                continue
            if node:
                self._say(f"The cluster stands again at {node.plan.host}:{self._port}.")
            return node
        return None
