"""A cluster's nodes: their names, and what is said of what they answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from fre_hpo.scheduling.doctor.disks import Disk
from fre_hpo.scheduling.doctor.gpus import Graphics, Nvidia, Torch
from fre_hpo.scheduling.doctor.hardware import Hardware
from fre_hpo.scheduling.doctor.node_rows import judge_node, judge_stranger
from fre_hpo.scheduling.doctor.probe import (
    BLOCK,
    Link,
    NodeAnswer,
    NodeFacts,
    NodeInfo,
    Stranger,
    name_nodes,
    offers,
    reason_of,
)
from fre_hpo.scheduling.doctor.software import Software

VERSIONS = {"python": "3.11.7", "fre-hpo": "0.1.0", "torch": "2.13.0", "ray": "2.60.0"}
HERE = Software(VERSIONS, {}, "/env/bin/python")
NODE = NodeInfo("aa", "gpu-2", "10.0.0.3", 8, 1, is_head=False)
FACTS = NodeFacts(
    HERE,
    Graphics(Nvidia(), Torch("2.13.0")),
    Hardware(8, 8, 2**35, 2**34, 2**34, 2**34, 65536),
    Disk(Path("/tmp/ray"), 10**11, 10**12, "ext4", writable=True),
)
ANSWER = NodeAnswer(NODE, FACTS, Link(0.0005, 0.0, tried=True, fetched=BLOCK / 110e6))


def problems(answer: NodeAnswer) -> dict[str, str]:
    return {row.check: row.hint for row in judge_node(answer, HERE) if not row.ok}


def test_a_node_in_order_reads_from_top_to_bottom() -> None:
    found = [(row.check, row.value) for row in judge_node(ANSWER, HERE)]
    assert found == [
        ("node", "10.0.0.3, offers 8 CPUs, 1 GPU"),
        ("Python", "3.11.7"),
        ("fre-hpo", "0.1.0"),
        ("torch", "2.13.0"),
        ("Ray", "2.60.0"),
        ("GPU", "none, trials train on the CPU"),
        ("CPU cores", "8"),
        ("memory", "16 GiB of 32 GiB available"),
        ("/dev/shm", "16 GiB of 16 GiB free"),
        ("open files", "65536 at most"),
        ("Ray's disk", "100 GB of 1 TB free (ext4)"),
        ("clock", "as here, to 0.001 s"),
        ("link", "answers in 0.5 ms, 110 MB/s from the head"),
    ]
    assert problems(ANSWER) == {}


def test_links_and_clocks_that_are_problems() -> None:
    slow = replace(ANSWER, link=Link(0.4, 30.0, tried=True, fetched=1.0))
    assert problems(slow).keys() == {"clock", "link"}
    assert "`ping 10.0.0.3`" in problems(slow)["link"]
    assert "gpu-2" in problems(slow)["clock"]
    thin = replace(ANSWER, link=replace(ANSWER.link, fetched=BLOCK / 1e6))
    assert "takes 93 s" in problems(thin)["link"]
    cut = replace(ANSWER, link=replace(ANSWER.link, fetched=None))
    assert "open its ports" in problems(cut)["link"]


def test_the_head_fetches_nothing_from_itself() -> None:
    head = replace(ANSWER, node=replace(NODE, is_head=True, gpus=0), link=Link(0.0005, 0.0))
    rows = {row.check: row.value for row in judge_node(head, HERE)}
    assert rows["node"] == "10.0.0.3, the head, offers 8 CPUs"
    assert rows["link"] == "answers in 0.5 ms"


def test_a_disk_that_ray_takes_for_full_is_a_problem() -> None:
    temp = replace(FACTS.temp, free=4 * 10**10)
    full = replace(ANSWER, facts=replace(FACTS, temp=temp))
    assert "`du -xsh /tmp/ray/*" in problems(full)["Ray's disk"]


def test_a_node_with_another_fre_hpo_is_named_with_what_to_install() -> None:
    row = judge_stranger(Stranger(NODE, "0.0.9", "ModuleNotFoundError: x"), HERE)[1]
    assert row.value == "0.0.9, here 0.1.0 (ModuleNotFoundError: x)"
    assert "`pip install fre-hpo==0.1.0`" in row.hint
    none = judge_stranger(Stranger(NODE, None, "x"), HERE)[1]
    assert none.value.startswith("not installed")
    same = judge_stranger(Stranger(NODE, "0.1.0", "ImportError: y"), HERE)[1]
    assert same.value == "0.1.0, but it does not run: ImportError: y"


def test_the_reason_is_the_end_of_a_traceback() -> None:
    text = (
        "The actor died\n  ^^^^\nRuntimeError: failed to import\n\nModuleNotFoundError: No module\n"
    )
    assert reason_of(text) == "ModuleNotFoundError: No module"
    assert reason_of("The node died.\n\tclass_name: Probe") == "The node died."
    assert reason_of("") == "no reason was given"


def node(identity: str, host: str, **resources: float) -> dict[str, Any]:
    return {
        "NodeID": identity,
        "NodeManagerHostname": host,
        "NodeManagerAddress": "10.0.0.1",
        "Resources": resources,
    }


def test_nodes_are_named_by_their_hosts_and_told_apart() -> None:
    head = {"node:__internal_head__": 1.0, "CPU": 4.0}
    found = name_nodes(
        [
            node("bbbb1", "b.lab", CPU=8.0, GPU=2.0),
            node("cccc1", "a"),
            node("dddd1", "b.lab", **head),
        ]
    )
    assert [(n.name, n.cpus, n.gpus, n.is_head) for n in found] == [
        ("b-dddd", 4, 0, True),
        ("a", 0, 0, False),
        ("b-bbbb", 8, 2, False),
    ]
    assert [offers(n) for n in (node("x", "a"), node("x", "a", GPU=1.0))] == [False, True]
