"""The home folder and the token of a cluster."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from fre_hpo.errors import NoToken, UnsafeToken
from fre_hpo.scheduling import cluster_token
from fre_hpo.scheduling.doctor.checks import Row
from fre_hpo.scheduling.doctor.disks import Disk, is_seen, look_at_disk, size

CHECKPOINT = 93_000_000
"""Bytes of the paper's network with its optimiser; a running trial has up to three."""
ROOM_NEEDED = 40 * CHECKPOINT
"""For a dozen trials at once, the networks of the best, pictures and curves."""


@dataclass(frozen=True)
class Home:
    """The home folder; ``disk`` tells of the nearest folder above it where it is not there."""

    path: Path
    exists: bool
    disk: Disk


def look_at_folders(home: Path, token: Path | None) -> tuple[Home, Token]:
    """token: the file that was named, None for the one that a cluster looks for."""
    return look_at_home(home), look_at_token(cluster_token.find(token, home))


def judge_folders(found: tuple[Home, Token]) -> list[Row]:
    home, token = found
    return [*judge_home(home), judge_token(token)]


def look_at_home(path: Path) -> Home:
    return Home(path, is_seen(path), look_at_disk(path))


def judge_home(found: Home) -> list[Row]:
    return [_folder(found), room_row("disk of home", found.disk, ROOM_NEEDED)]


def _folder(found: Home) -> Row:
    if not found.disk.writable:
        hint = "Name a folder that you may write, with `--home DIR` or FRE_HPO_HOME."
        return Row("home", f"{found.path}, cannot be written", hint)
    if not found.exists:
        return Row("home", f"{found.path}, not there yet", missing=True)
    return Row("home", str(found.path))


def room_row(check: str, disk: Disk, needed: int) -> Row:
    """Room on a disk, in checkpoints."""
    kind = f" ({disk.kind})" if disk.kind else ""
    value = f"{size(disk.free)} of {size(disk.total)} free{kind}"
    if disk.free >= needed:
        return Row(check, value)
    hint = (
        f"Checkpoints have {CHECKPOINT // 10**6} MB each, so {size(needed)} should be free: "
        f"`du -xsh {disk.existing}/* | sort -h` shows what takes the room."
    )
    return Row(check, value, hint)


# --- the token ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Token:
    """The file that lets a machine into a cluster; never what is in it.  path: None where Ray's own
    variables take its place.  mode: None where there is no file.  trouble, hint: why it cannot be used."""

    path: Path | None
    mode: int | None = None
    trouble: str = ""
    hint: str = ""


def look_at_token(path: Path | None) -> Token:
    """path: as ``cluster_token.find`` tells it."""
    if path is None:
        return Token(None)
    try:
        cluster_token.check(path)
    except NoToken:
        return Token(path)
    except UnsafeToken as error:
        return Token(path, _mode(path), str(error.facts["reason"]), str(error.facts["hint"]))
    return Token(path, _mode(path))


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def judge_token(found: Token) -> Row:
    check = "cluster token"
    if found.path is None:
        return Row(check, "told by Ray's own variables (RAY_AUTH_...)")
    if found.mode is None:
        return Row(check, f"{found.path}, not there: only a cluster needs one", missing=True)
    value = f"{found.path}, mode {found.mode:o}"
    if not found.trouble:
        return Row(check, value)
    return Row(check, f"{value}: {found.trouble}", f"{found.hint[:1].upper()}{found.hint[1:]}.")
