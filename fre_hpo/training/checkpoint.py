"""Checkpoints: the state of a training as bytes that say when they are damaged.

A checkpoint is what ``torch.save`` writes, followed by its SHA-256; ``torch.load`` reads past those
32 bytes.  The archive's own checksums do not cover its directory, where one wrong bit can exchange
two tensors.  It holds tensors and plain Python only, so that it loads with ``weights_only=True``.
"""

import hashlib
import io
import pickle
from typing import Any

import torch

from fre_hpo.errors import BadCheckpoint

DIGEST_SIZE = 32


def to_bytes(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.write(hashlib.sha256(buffer.getbuffer()).digest())
    return buffer.getvalue()


def is_intact(data: bytes) -> bool:
    """Whether a checkpoint is what ``to_bytes`` wrote, to the last bit."""
    content = memoryview(data)
    return hashlib.sha256(content[:-DIGEST_SIZE]).digest() == content[-DIGEST_SIZE:]


def from_bytes(data: bytes, path: str) -> dict[str, Any]:
    """Read a checkpoint on the CPU; raises BadCheckpoint, naming ``path``, unless it is intact."""
    if not is_intact(data):
        raise BadCheckpoint(path=path, reason="its checksum does not match")
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise BadCheckpoint(path=path, reason="it is not one of fre-hpo") from error
    return state
