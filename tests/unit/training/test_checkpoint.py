"""Checkpoints come back exactly or not at all."""

from __future__ import annotations

import io
import zipfile

import pytest
import torch

from fre_hpo.errors import BadCheckpoint
from fre_hpo.training import checkpoint
from trials import small_spec, stopped_after

STATE = {
    "network": {"weight": torch.arange(6.0).reshape(2, 3), "steps": torch.tensor(4)},
    "wide": torch.arange(48.0).reshape(1, 3, 4, 4).to(memory_format=torch.channels_last),
    "curve": [[1, 0.5, (None, 0.25)], [2, float("inf"), (0.125, 1.0)]],
    "best": None,
}


@pytest.fixture(scope="module")
def data() -> bytes:
    """The checkpoint of a real training."""
    return stopped_after(small_spec("fre"), 1)


def refused(data: bytes) -> BadCheckpoint:
    """The error, which must be the only kind that reading may raise."""
    with pytest.raises(BadCheckpoint, match=r"^The checkpoint trial 7 is damaged") as caught:
        checkpoint.from_bytes(data, "trial 7")
    return caught.value


def test_a_state_comes_back() -> None:
    state = checkpoint.from_bytes(checkpoint.to_bytes(STATE), "memory")
    assert state.keys() == STATE.keys()
    assert torch.equal(state["network"]["weight"], STATE["network"]["weight"])  # type: ignore[index]
    assert state["network"]["steps"].dtype == torch.int64
    assert torch.equal(state["wide"], STATE["wide"])  # type: ignore[arg-type]
    assert state["wide"].is_contiguous(memory_format=torch.channels_last)
    assert (state["curve"], state["best"]) == (STATE["curve"], None)


def test_torch_alone_reads_it_without_executing_anything(data: bytes) -> None:
    state = torch.load(io.BytesIO(data), weights_only=True)
    assert set(state) == {"network", "optimizer", "statistics", "curve", "best"}


def test_every_truncation_is_noticed(data: bytes) -> None:
    for tenth in range(10):
        refused(data[: len(data) * tenth // 10])
    for missing in (1, 2, 22, checkpoint.DIGEST_SIZE):
        refused(data[:-missing])


@pytest.mark.parametrize("bit", [0x01, 0x80, 0xFF])
def test_damage_in_the_middle_of_any_record_is_noticed(data: bytes, bit: int) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        records = archive.infolist()
        middles = {r.filename: data.index(archive.read(r), r.header_offset) for r in records}
    assert len(records) > 50
    for record in records:
        place = middles[record.filename] + record.file_size // 2
        refused(flipped(data, place, bit))


def test_damage_anywhere_else_is_noticed() -> None:
    """Headers, names, padding and directory of the archive, byte by byte."""
    data = checkpoint.to_bytes({"a": torch.arange(3), "b": torch.arange(3, 6)})
    for place in range(len(data)):
        refused(flipped(data, place, 0x01))


@pytest.mark.parametrize("junk", [b"", b"x" * 20, b"x" * 500])
def test_what_is_no_checkpoint_is_refused(junk: bytes) -> None:
    refused(junk)


def test_more_behind_the_end_is_refused(data: bytes) -> None:
    refused(data + b"\0")


def test_objects_of_python_are_refused() -> None:
    refused(checkpoint.to_bytes({"harmless": torch.nn.Identity()}))


def flipped(data: bytes, place: int, bit: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= bit
    return bytes(changed)
