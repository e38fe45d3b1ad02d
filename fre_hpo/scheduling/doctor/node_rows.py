"""What is to be said of a cluster's nodes."""

from __future__ import annotations

from fre_hpo.errors import counted
from fre_hpo.scheduling.doctor.checks import Row
from fre_hpo.scheduling.doctor.clocks import clock_row
from fre_hpo.scheduling.doctor.disks import Disk
from fre_hpo.scheduling.doctor.folders import CHECKPOINT, room_row
from fre_hpo.scheduling.doctor.gpu_rows import judge_gpus
from fre_hpo.scheduling.doctor.hardware import judge_hardware
from fre_hpo.scheduling.doctor.probe import BLOCK, Link, NodeAnswer, NodeInfo, Stranger
from fre_hpo.scheduling.doctor.software import Software, judge_versions_of_node

SLOW_ROUND_TRIP = 0.2
"""Seconds; a node that does not answer Ray for two is given up."""
SLOW_LINK = 10e6
"""Bytes a second; a checkpoint then takes nine seconds."""
TEMP_SHARE = 0.05
"""Ray takes a disk for full that has less of it left, and then starts nothing there."""
TEMP_NEEDED = 2 * 10**9


def judge_node(answer: NodeAnswer, here: Software) -> list[Row]:
    node, facts, link = answer.node, answer.facts, answer.link
    return [
        _node(node),
        *judge_versions_of_node(facts.software, here),
        *judge_gpus(facts.graphics),
        *judge_hardware(facts.hardware),
        _temp(facts.temp),
        clock_row("clock", link.ahead, link.round_trip / 2, node.name),
        _link(node, link),
    ]


def judge_stranger(found: Stranger, here: Software) -> list[Row]:
    """A node with another fre-hpo, or none."""
    ours = here.versions["fre-hpo"]
    value = f"{found.version or 'not installed'}, here {ours} ({found.reason})"
    if found.version == ours:
        value = f"{ours}, but it does not run: {found.reason}"
        hint = (
            "Its installation is damaged: `pip install --force-reinstall --no-deps fre-hpo` there, "
        )
    else:
        hint = f"Install the same version there: `pip install fre-hpo=={ours}`, "
    hint += "for the Python that runs Ray; then start its node anew."
    return [_node(found.node), Row("fre-hpo", value, hint)]


def _node(node: NodeInfo) -> Row:
    """What Ray may give away of it."""
    gpus = f", {counted(int(node.gpus), 'GPU')}" if node.gpus else ""
    role = ", the head" if node.is_head else ""
    return Row("node", f"{node.address}{role}, offers {counted(int(node.cpus), 'CPU')}{gpus}")


def _temp(disk: Disk) -> Row:
    return room_row("Ray's disk", disk, max(TEMP_NEEDED, int(TEMP_SHARE * disk.total)))


def _link(node: NodeInfo, link: Link) -> Row:
    value = f"answers in {link.round_trip * 1000:.1f} ms"
    if link.round_trip > SLOW_ROUND_TRIP:
        hint = f"Trials there may be taken for lost: type `ping {node.address}`; use a cable, no Wi-Fi."
        return Row("link", value, hint)
    if not link.tried:
        return Row("link", value)
    if link.fetched is None:
        hint = (
            f"Nothing came from the head: open its ports for {node.address}, and this node's for the "
            "others (the deploy guide lists them)."
        )
        return Row("link", f"{value}, but gets no data from the head", hint)
    return _bandwidth(value, BLOCK / link.fetched)


def _bandwidth(value: str, rate: float) -> Row:
    value += f", {rate / 1e6:.0f} MB/s from the head"
    if rate >= SLOW_LINK:
        return Row("link", value)
    hint = (
        f"A checkpoint of {CHECKPOINT // 10**6} MB takes {CHECKPOINT / rate:.0f} s: use a faster link, or "
        "send fewer with `--set training.checkpoint_seconds=600`."
    )
    return Row("link", value, hint)
