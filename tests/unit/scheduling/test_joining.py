"""What is asked of a head before joining it, and what its answers mean."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest

from fre_hpo.errors import ClusterUnreachable, OtherVersions, TokenRefused
from fre_hpo.scheduling import joining
from fre_hpo.scheduling.gcs import Census, Member

ADDRESS = "127.0.0.1:6379"
PYTHON = ".".join(map(str, sys.version_info[:3]))


def member(**changes: Any) -> Member:
    facts: dict[str, Any] = {
        "id": "a1",
        "host": "127.0.0.1",
        "folder": "/tmp/ray",
        "version": version("fre-hpo"),
        "is_head": True,
        "here": False,
    }
    return Member(**facts | changes)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the head answer with a census."""

    def answer(*members: Member, ray: str | None = version("ray"), python: str = PYTHON) -> None:
        census = Census(ray, python, members)
        monkeypatch.setattr(joining, "take_census", lambda address, environ: census)

    return answer


def test_the_same_versions_may_join(answers: Any) -> None:
    answers(member())
    assert joining.check(ADDRESS, {}).members == (member(),)


@pytest.mark.parametrize(
    ("versions", "theirs"),
    [
        ({"ray": "2.9.9"}, "Ray 2.9.9"),
        ({"python": "3.10.1"}, "Python 3.10.1"),
        ({"ray": "2.9.9", "python": "3.10.1"}, "Python 3.10.1 and Ray 2.9.9"),
    ],
)
def test_other_versions_are_named(answers: Any, versions: dict[str, str], theirs: str) -> None:
    answers(member(), **versions)
    with pytest.raises(OtherVersions, match=f"runs {theirs}, and this machine "):
        joining.check(ADDRESS, {})


def test_another_version_of_our_own_is_named(answers: Any) -> None:
    answers(member(is_head=False, version="8.8.8"), member(version="9.9.9"))
    with pytest.raises(OtherVersions, match=r"runs fre-hpo 9\.9\.9, and this machine fre-hpo"):
        joining.check(ADDRESS, {})


def test_a_head_that_ray_alone_started_says_no_version_of_ours(answers: Any) -> None:
    answers(member(version=None), ray=None)
    assert joining.check(ADDRESS, {})


def test_patches_of_python_may_differ_where_ray_was_told_so(answers: Any) -> None:
    answers(member(), python=f"{sys.version_info[0]}.{sys.version_info[1]}.99")
    with pytest.raises(OtherVersions):
        joining.check(ADDRESS, {})
    assert joining.check(ADDRESS, {"RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL": "minor"})
    answers(member(), python="2.7.18")
    with pytest.raises(OtherVersions):
        joining.check(ADDRESS, {"RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL": "minor"})


def test_a_head_without_its_own_node_is_only_starting(answers: Any) -> None:
    answers()
    with pytest.raises(ClusterUnreachable, match="its head is only starting"):
        joining.check(ADDRESS, {})


def test_the_heads_node_comes_first_of_those_here(answers: Any) -> None:
    answers(member(id="a"), member(id="b", is_head=False))
    assert not joining.nodes_here(ADDRESS, {})
    answers(member(id="b", is_head=False, here=True), member(id="a", here=True))
    assert joining.nodes_here(ADDRESS, {})
    found = joining.node_here(ADDRESS, {})
    assert found is not None
    assert found.id == "a"


@pytest.mark.parametrize(
    ("printed", "kind", "words"),
    [
        ('{"refused": true}', TokenRefused, "copy the head's cluster-token to /t anew"),
        ('{"failed": "no such node"}', ClusterUnreachable, "no such node"),
        ("", ClusterUnreachable, "it does not answer as Ray does"),
    ],
)
def test_answers_become_errors(
    monkeypatch: pytest.MonkeyPatch, printed: str, kind: type[Exception], words: str
) -> None:
    ended = subprocess.CompletedProcess([], 0, stdout=printed)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(kind, match=words):
        joining.ask_to_drain(ADDRESS, "a1", 5, {"RAY_AUTH_TOKEN_PATH": "/t"})


def test_a_head_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: Any, **__: Any) -> None:
        raise subprocess.TimeoutExpired("gcs", 1)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(ClusterUnreachable, match="it does not answer"):
        joining.ask_to_drain(ADDRESS, "a1", 5, {})
