"""Lint, formatting and types are tests too: one command checks everything."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[1]
TEST_COMMAND = "<!-- test-command -->"

CHECKS = {
    "lint": ["ruff", "check"],
    "format": ["ruff", "format", "--check", "--diff"],
    "types": ["mypy"],
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
def test_the_source_passes(check: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", *check],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{' '.join(check)}\n{result.stdout}{result.stderr}"


def test_the_readmes_test_command_is_what_ci_runs() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert readme.count(TEST_COMMAND) == 1, f"README.md marks its test command with {TEST_COMMAND}"
    fence, *block = readme.partition(TEST_COMMAND)[2].strip().splitlines()
    assert fence.startswith("```")
    command = block[: block.index("```")]
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert command
    assert script[-len(command) :] == command


def test_every_dependency_is_pinned_within_its_range() -> None:
    """Followed from package to package through what is installed, as pip does."""
    pins = read_pins()
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    waiting = [*project["dependencies"], *extras["test"]]
    seen: set[str] = set()
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if name == project["name"]:
            waiting += [wanted for extra in requirement.extras for wanted in extras[extra]]
            continue
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        assert name in pins, f"{name} is not pinned in constraints.txt"
        assert requirement.specifier.contains(pins[name]), f"{requirement} against {pins[name]}"
        if name not in seen:
            seen.add(name)
            waiting += distribution(name).requires or []


def test_constraints_name_versions_only() -> None:
    """No registry, no file, no range: the same versions wherever pip takes them from."""
    for name, version in read_pins().items():
        assert name == canonicalize_name(name)
        assert version[0].isdigit()
        assert not set(version) & set("*,+:/@ ")


def read_pins() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==", 1) for line in lines if line and not line.startswith("#"))
