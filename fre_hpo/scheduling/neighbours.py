"""Other searches on the same cluster: what each claims, told through Ray's own key-value store.

A claim is one key of the cluster's head, written every second; one that stays the same for some seconds
is a search that is gone.  So no clock is compared with another machine's, and a head that is started
again finds nothing that would have to be removed.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import Any

from ray.experimental import internal_kv

from fre_hpo.scheduling.fairness import Claim

GONE_SECONDS = 10.0
_NAMESPACE = b"fre-hpo"
_PREFIX = b"search/"


@dataclass
class _Heard:
    """What a neighbour wrote last, and when that was new to us."""

    text: bytes
    at: float


class Neighbours:
    """The claims of other searches, exchanged by the thread that watches the cluster."""

    def __init__(self, search: str) -> None:
        self._key = _PREFIX + search.encode()
        self._beat = 0
        self._heard: dict[bytes, _Heard] = {}

    def exchange(self, claim: Claim) -> tuple[Claim, ...]:
        """Tell ours, hear the others'."""
        self._beat += 1
        text = json.dumps({**asdict(claim), "beat": self._beat})
        internal_kv._internal_kv_put(self._key, text.encode(), namespace=_NAMESPACE)
        here = internal_kv._internal_kv_list(_PREFIX, namespace=_NAMESPACE)
        others = {key: self._listen(key) for key in here if key != self._key}
        self._heard = {key: heard for key, heard in self._heard.items() if key in others}
        return tuple(claim for claim in others.values() if claim)

    def _listen(self, key: bytes) -> Claim | None:
        """A neighbour's claim; None when it has gone."""
        text = internal_kv._internal_kv_get(key, namespace=_NAMESPACE)
        if text is None:
            return None
        last = self._heard.get(key)
        if last is None or last.text != text:
            last = self._heard[key] = _Heard(text, time.monotonic())
        if time.monotonic() - last.at <= GONE_SECONDS:
            return _claim(text)
        internal_kv._internal_kv_del(key, namespace=_NAMESPACE)
        return None

    def leave(self) -> None:
        internal_kv._internal_kv_del(self._key, namespace=_NAMESPACE)


def _claim(text: bytes) -> Claim | None:
    """None for what another version of this program wrote in another way."""
    try:
        plain: dict[str, Any] = json.loads(text)
        del plain["beat"]
        return Claim(**plain)
    except (ValueError, TypeError, KeyError):
        return None
