"""The checks of a cluster's nodes."""

from __future__ import annotations

from pathlib import Path

from fre_hpo.scheduling.cluster import connected
from fre_hpo.scheduling.doctor.checks import Check, Row, examine
from fre_hpo.scheduling.doctor.node_rows import judge_node, judge_stranger
from fre_hpo.scheduling.doctor.probe import (
    NodeAnswer,
    NodeInfo,
    Prober,
    Stranger,
    nodes_of_cluster,
)
from fre_hpo.scheduling.doctor.software import Software, look_at_software

SECONDS = 60


def examine_nodes(address: str, token: Path | None, seconds: float = SECONDS) -> list[list[Row]]:
    """The rows of every node, the head's first.  Raises what ``connected`` raises."""
    here = look_at_software()
    with connected(address, token=token):
        nodes = nodes_of_cluster()
        prober = Prober(nodes)
        return examine([_check(node, prober, here, address) for node in nodes], seconds)


def _check(node: NodeInfo, prober: Prober, here: Software, address: str) -> Check:
    def judge(answer: NodeAnswer | Stranger) -> list[Row]:
        if isinstance(answer, Stranger):
            return judge_stranger(answer, here)
        return judge_node(answer, here)

    start = f"`fre-hpo {'head' if node.is_head else f'worker --address {address}'}`"
    hint = f"Look at that machine ({node.address}) and start its node anew: {start}."
    return Check("node", lambda: prober.ask(node), judge, hint, node.name)
