"""Why a node of Ray ended, in a few words, from what it wrote before."""

from __future__ import annotations

import re

LOST_SIGHT = "the head had lost sight of this machine"
KNOWN = (
    ("GCS consider this node to be dead", LOST_SIGHT),
    ("marked as dead by the GCS", LOST_SIGHT),
    ("GCS returned an authentication error", "the head was started anew"),
    ("Failed to connect to GCS within", "the head did not answer for a minute"),
    ("Failed to connect to GCS at address", "the head does not answer"),
    ("InvalidAuthToken", "the head refused the token"),
    ("Version mismatch", "the head runs another version of Ray or Python"),
    ("AF_UNIX path length", "the path of its folder is too long: set TMPDIR to a shorter one"),
    ("No space left on device", "the disk is full"),
)
"""What Ray 2.60 writes, and what it means; the first that is found counts."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_EXIT = re.compile(r"^.*?(\w+)\s*\[exit code=(-?\d+)\]", re.MULTILINE)
_ERROR = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception)): (.+)$", re.MULTILINE)
_LENGTH = 200


def reason(log: str) -> str | None:
    """What ended a node, from its log; None where that does not tell."""
    text = _COLOURS.sub("", log)
    for words, meaning in KNOWN:
        if words in text:
            return meaning
    if errors := _ERROR.findall(text):
        return str(errors[-1][1])[:_LENGTH].rstrip(". ")
    if ended := _EXIT.search(text):
        server, code = ended.groups()
        return f"its {server} was killed" if code == "-9" else f"its {server} ended with {code}"
    return None
