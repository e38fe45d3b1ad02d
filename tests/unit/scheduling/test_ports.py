"""Blocks of ports: read, found free, and held against others."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from fre_hpo.errors import BadValue, NoPorts
from fre_hpo.scheduling import ports
from fre_hpo.scheduling.ports import BLOCK, Ports

HOST = "127.0.0.1"


@pytest.fixture
def free() -> Iterator[range]:
    """Three blocks that nobody uses."""
    for first in range(33000, 60000, 3 * BLOCK):
        if all(ports.is_free(HOST, port) for port in range(first, first + 3 * BLOCK)):
            yield range(first, first + 3 * BLOCK)
            return


def test_a_node_uses_the_ports_of_its_block_and_no_others() -> None:
    block = Ports(6380)
    first, last = block.workers
    used = [block.node_manager, block.object_manager, block.environment_agent]
    used += [*range(first, last + 1), block.claim]
    assert used == list(range(6380, 6480))
    assert str(block) == "6380-6479"


@pytest.mark.parametrize("text", ["6380-6979", " 20000-20099 "])
def test_a_range_is_read(text: str) -> None:
    first, last = map(int, text.split("-"))
    assert ports.read_range(text) == range(first, last + 1)


@pytest.mark.parametrize(
    "text", ["", "6380", "6979-6380", "80-6979", "6380-70000", "a-b", "6380-6478"]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="--ports"):
        ports.read_range(text)


def test_several_nodes_take_one_block_each_and_give_it_back(free: range) -> None:
    claims = [ports.claim(free, HOST) for _ in range(3)]
    firsts = [claim.ports.first for claim in claims]
    assert firsts == [free.start, free.start + BLOCK, free.start + 2 * BLOCK]
    with pytest.raises(NoPorts, match=f"from {free.start} to {free.stop - 1}"):
        ports.claim(free, HOST)
    claims[1].close()
    again = ports.claim(free, HOST)
    assert again.ports.first == free.start + BLOCK
    for claim in (claims[0], claims[2], again):
        claim.close()


@pytest.mark.parametrize("address", [HOST, "0.0.0.0"])
def test_a_block_in_which_somebody_listens_is_left_out(free: range, address: str) -> None:
    with socket.create_server((address, free.start + 7)):
        claim = ports.claim(free, HOST)
    assert claim.ports.first == free.start + BLOCK
    claim.close()
    claim = ports.claim(free, HOST)
    assert claim.ports.first == free.start
    claim.close()


def test_the_heads_own_port_is_no_nodes(free: range) -> None:
    claim = ports.claim(free, HOST, without=free.start + 50)
    assert claim.ports.first == free.start + BLOCK
    claim.close()
