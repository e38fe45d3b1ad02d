"""Which versions run here, and whether they are within what fre-hpo was installed with."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from fre_hpo.scheduling.doctor.checks import Row

PACKAGES = {"torch": "torch", "ray": "Ray", "optuna": "Optuna"}
"""What may break a search when it changes, as people write it."""


@dataclass(frozen=True)
class Software:
    """versions: of Python, fre-hpo and the packages, None where one is not installed.  wanted: the ranges
    that fre-hpo's installation names.  interpreter: the path of Python."""

    versions: Mapping[str, str | None]
    wanted: Mapping[str, str]
    interpreter: str


def look_at_software() -> Software:
    """Loads none of the packages."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    versions.update({name: _version(name) for name in ("fre-hpo", *PACKAGES)})
    return Software(versions, _wanted(), sys.executable)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _wanted() -> dict[str, str]:
    """Nothing where fre-hpo is used without having been installed."""
    try:
        installed = metadata.distribution("fre-hpo")
    except metadata.PackageNotFoundError:
        return {}
    wanted = {"python": installed.metadata["Requires-Python"]}
    for text in installed.requires or []:
        requirement = Requirement(text)
        if requirement.name in PACKAGES and not requirement.marker:
            wanted[requirement.name] = str(requirement.specifier)
    return wanted


def judge_software(found: Software) -> list[Row]:
    ours = found.versions["fre-hpo"]
    rows = [_python(found), Row("fre-hpo", ours or "not installed", missing=ours is None)]
    return rows + [_package(name, shown, found) for name, shown in PACKAGES.items()]


def _python(found: Software) -> Row:
    version, wanted = found.versions["python"] or "", found.wanted.get("python", "")
    value = f"{version} ({found.interpreter})"
    if _fits(version, wanted):
        return Row("Python", value)
    hint = f"Install fre-hpo into an environment of Python {wanted}: `python3.11 -m venv fre-hpo`."
    return Row("Python", f"{value}, needed is {wanted}", hint)


def _package(name: str, shown: str, found: Software) -> Row:
    version, wanted = found.versions[name], found.wanted.get(name, "")
    install = f'`{found.interpreter} -m pip install "{name}{wanted}"`'
    if version is None:
        return Row(shown, "not installed", f"Install it with {install}.")
    if _fits(version, wanted):
        return Row(shown, version)
    hint = f"Install a version that fre-hpo works with: {install}."
    return Row(shown, f"{version}, needed is {wanted}", hint)


def _fits(version: str, wanted: str) -> bool:
    return SpecifierSet(wanted).contains(version, prereleases=True)


def judge_versions_of_node(there: Software, here: Software) -> list[Row]:
    """A cluster's machines run the same versions as the one that coordinates; Ray insists on its own and
    on Python's."""
    shown = {"python": "Python", "fre-hpo": "fre-hpo", **PACKAGES}
    return [_compared(name, shown[name], there, here) for name in shown if name != "optuna"]


def _compared(name: str, shown: str, there: Software, here: Software) -> Row:
    theirs, ours = there.versions.get(name), here.versions.get(name)
    if _public(theirs) == _public(ours):
        return Row(shown, str(theirs))
    value = f"{theirs or 'not installed'}, here {ours}"
    if name == "python":
        return Row(shown, value, f"Use Python {ours} on that machine as well.")
    install = f"`{there.interpreter} -m pip install {name}=={_public(ours)}`"
    return Row(shown, value, f"Install the same version on that machine: {install}.")


def _public(version: str | None) -> str:
    """torch says after a + what it was built for, in which a cluster's machines may differ."""
    return (version or "").partition("+")[0]
