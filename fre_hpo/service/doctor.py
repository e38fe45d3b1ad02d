"""What may be wrong: this machine's checks, those of the data sets, and a cluster's nodes."""

from __future__ import annotations

from pathlib import Path

from fre_hpo.scheduling.doctor import this_machine
from fre_hpo.scheduling.doctor.checks import Check, Row, examine
from fre_hpo.service.datasets import folder_of
from fre_hpo.service.request import DEFAULT_METHOD
from fre_hpo.settings import Settings
from fre_hpo.study import recipe


def examine_here(settings: Settings, token: Path | None = None) -> list[list[Row]]:
    """This machine, check by check; creates nothing.  token: a cluster's file that was named."""
    drive = f"Look whether the drive of {settings.home} is there: `df {settings.home}`."
    sets = Check("data", lambda: look_at_data(settings), judge_data, drive)
    return examine([*this_machine.checks(settings, token), sets], this_machine.SECONDS)


def examine_cluster(address: str, settings: Settings, token: Path | None = None) -> list[list[Row]]:
    """A cluster, node by node.  Raises what joining it raises: ClusterUnreachable, TokenRefused, NoToken,
    OtherVersions ..."""
    from fre_hpo.scheduling import cluster_token
    from fre_hpo.scheduling.doctor.nodes import examine_nodes

    return examine_nodes(address, cluster_token.find(token, settings.home))


def look_at_data(settings: Settings) -> dict[str, tuple[Path, bool]]:
    """The folders of the shipped recipes' data sets, and whether each is there; sets that are drawn have
    none."""
    found: dict[str, tuple[Path, bool]] = {}
    for name in recipe.shipped():
        known = recipe.find(name)
        spec = recipe.resolve(known, DEFAULT_METHOD, {}).spec
        folder = folder_of(known, spec, settings, None)
        if folder is not None:
            found[spec.dataset] = (folder, folder.is_dir() and any(folder.iterdir()))
    return found


def judge_data(found: dict[str, tuple[Path, bool]]) -> list[Row]:
    """Who does not use a set does not need it."""
    return [
        Row(f"data {name}", str(folder) if there else f"{folder}, not there", missing=not there)
        for name, (folder, there) in found.items()
    ]
