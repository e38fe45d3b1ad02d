"""A published data set, from the web, a zip or a folder into the place where it is looked for.

Whatever it comes from, every file is compared with its known SHA-256, and nothing else is taken.  The
set appears at its place as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fre_hpo.data.fetching.downloading import Progress, download, forget
from fre_hpo.data.fetching.origin import Place, local, opened, reading
from fre_hpo.errors import (
    DataProblems,
    DatasetNotFound,
    FetchFailed,
    FolderOccupied,
    FreHpoError,
)

LARGEST = 2**26
"""Bytes that a file of a set may have, also when it is unpacked: a section has one million."""
_PIECE = 2**20


@dataclass(frozen=True)
class Publication:
    """A published set.  url, sha256: its zip.  top: the folder that holds everything.  checksums: SHA-256
    by the file's path, which begins with ``top``.  licence: what whoever uses it must know."""

    name: str
    url: str
    sha256: str
    top: str
    checksums: Mapping[str, str]
    layout: str
    licence: str


@dataclass(frozen=True)
class Fetched:
    """folder: where the set lies.  was_there: nothing had to be done.  remarks: for people."""

    folder: Path
    was_there: bool = False
    remarks: tuple[str, ...] = ()


def drosophila() -> Publication:
    """Raw sections and labels of Gerhard et al. (figshare 856713)."""
    listed = Path(__file__).with_name("drosophila.sha256").read_text(encoding="ascii")
    return Publication(
        name="drosophila",
        url="https://github.com/unidesigner/groundtruth-drosophila-vnc/archive/refs/heads/master.zip",
        sha256="f7bd0db03c86b64440a16b60360ad60c0a4411f89e2c021c7ee2c8d6af3d7e86",
        top="stack1",
        checksums=read_checksums(listed),
        layout="a zip or a folder that holds stack1 with raw and labels",
        licence="CC BY-NC-SA 3.0; cite Gerhard, Funke, Martel, Cardona, Fetter: Segmented anisotropic "
        "ssTEM dataset of neural tissue, figshare, doi 10.6084/m9.figshare.856713",
    )


def read_checksums(text: str) -> dict[str, str]:
    """What sha256sum prints: checksum, two characters, path."""
    return {line[66:]: line[:64] for line in text.splitlines()}


PUBLICATIONS: dict[str, Callable[[], Publication]] = {"drosophila": drosophila}


def fetch(
    published: Publication, destination: Path, origin: str | None, progress: Progress
) -> Fetched:
    """Put the set into ``destination``.  origin: URL, zip or folder; None is where it is published.

    Raises FetchFailed, DatasetNotFound where nothing of it lies in the origin, DataProblems with every
    file that is wrong or missing, and FolderOccupied, all before anything is in the destination.
    """
    source = origin or published.url
    try:
        destination = destination.expanduser().resolve()
        if _is_there(published, destination):
            return Fetched(destination, was_there=True)
        if source.lower().startswith(("http://", "https://")):
            return _from_web(published, destination, source, progress)
        with opened(local(source)) as place:
            _install(published, place, destination)
    except OSError as error:
        reason = f"{error.filename or destination}: {error.strerror or error}"
        hint = "see to that, and fetch again"
        raise FetchFailed(source=source, reason=reason, hint=hint) from error
    return Fetched(destination)


def _is_there(published: Publication, destination: Path) -> bool:
    """False where nothing is; raises FolderOccupied where something else is."""
    if not os.path.lexists(destination):
        return False
    if not destination.is_dir():
        raise FolderOccupied(folder=destination, reason="it is a file")
    if not any(destination.iterdir()):
        return False
    problems = _verify(published, destination / published.top)
    if not problems:
        return True
    reason = f"{len(problems)} of the set's {len(published.checksums)} files are missing or differ"
    if len(problems) == len(published.checksums):
        reason = "it holds something else"
    raise FolderOccupied(folder=destination, reason=reason)


def _from_web(published: Publication, destination: Path, url: str, progress: Progress) -> Fetched:
    """What was downloaded is kept as long as it may be of use: after a full disk it is."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(f"{destination.name}.zip.part")
    download(url, part, progress)
    remarks = _other_zip(published, part) if url == published.url else ()
    try:
        with opened(part, url) as place:
            _install(published, place, destination)
    except FreHpoError:
        forget(part)
        raise
    forget(part)
    return Fetched(destination, remarks=remarks)


def _other_zip(published: Publication, path: Path) -> tuple[str, ...]:
    """Hosts pack a zip anew now and then; what is inside decides, file by file."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() == published.sha256:
            return ()
    return (
        f"The zip is not byte for byte the one that is known (SHA-256 {published.sha256:.12}...), but each "
        "of its files that is used here is.",
    )


# --- contents -----------------------------------------------------------------------------------


def _install(published: Publication, origin: Place, destination: Path) -> None:
    """Copy every file beside the destination, check it, and rename the whole.

    The temporary folder lies in the nearest folder that exists, so that a failure creates nothing.
    """
    top = _find_top(published, origin)
    if problems := _verify(published, top):
        raise DataProblems(problems)
    there = next(folder for folder in destination.absolute().parents if folder.is_dir())
    with tempfile.TemporaryDirectory(prefix=f".{destination.name}-", dir=there) as temporary:
        unpacked = Path(temporary) / destination.name
        for name in published.checksums:
            _copy(_file(published, top, name), unpacked / name)
        if problems := _verify(published, unpacked / published.top):
            raise DataProblems(problems)
        destination.parent.mkdir(parents=True, exist_ok=True)
        unpacked.rename(destination)


def _find_top(published: Publication, origin: Place) -> Place:
    """The set's top folder: in the origin, the origin itself, or one level further down."""
    inside = {PurePosixPath(name).parts[1] for name in published.checksums}
    below = sorted((p for p in origin.iterdir() if p.is_dir()), key=lambda p: p.name)
    for place in (origin, *below):
        for top in (place / published.top, place):
            if any((top / folder).is_dir() for folder in inside):
                return top
    raise DatasetNotFound(
        name=published.name,
        folder=origin,
        layout=published.layout,
        obtain="take it as published",
    )


def _file(published: Publication, top: Place, name: str) -> Place:
    """A file of the set, named from its top folder's parent."""
    return top / str(PurePosixPath(name).relative_to(published.top))


def _verify(published: Publication, top: Place) -> list[str]:
    """A sentence for every file that is missing or another one."""
    problems = []
    for name, checksum in published.checksums.items():
        file = _file(published, top, name)
        try:
            found = _checksum(file) if file.is_file() else None
        except Exception as error:  # decoders raise nearly anything on damaged files
            problems.append(f"{file} cannot be read ({error}): take the file as published")
            continue
        if found is None:
            problems.append(f"{file} is missing: take all of the set as published")
        elif found != checksum:
            what = f"has the SHA-256 {found:.12}... and not {checksum:.12}..."
            problems.append(f"{file} {what}: take the file as published")
    return problems


def _checksum(file: Place) -> str:
    """SHA-256, in pieces and never of more than LARGEST bytes: nothing fills the memory or the time."""
    digest, size = hashlib.sha256(), 0
    with reading(file) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            size += len(piece)
            if size > LARGEST:
                raise ValueError(f"it has more than {LARGEST:,} bytes")
    return digest.hexdigest()


def _copy(file: Place, into: Path) -> None:
    into.parent.mkdir(parents=True, exist_ok=True)
    with reading(file) as stream, into.open("wb") as copy:
        while piece := stream.read(_PIECE):
            copy.write(piece)
        copy.flush()
        os.fsync(copy.fileno())
