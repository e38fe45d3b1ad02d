"""Data sets on their own: found and checked as a start does it, shown, fetched, and described by a recipe.

Nothing here needs a storage.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fre_hpo import data
from fre_hpo.data import Dataset
from fre_hpo.data.finding.folder import sheet_name
from fre_hpo.data.showing.shares import shares
from fre_hpo.errors import CannotWrite, FileInTheWay, Unpublished, UsageError
from fre_hpo.service.request import DEFAULT_METHOD
from fre_hpo.settings import Settings
from fre_hpo.study import recipe
from fre_hpo.study.folder import write_atomically
from fre_hpo.study.recipe import Recipe
from fre_hpo.study.spec import Spec

if TYPE_CHECKING:
    from fre_hpo.data.fetching.downloading import Progress
    from fre_hpo.data.fetching.fetch import Fetched, Publication
    from fre_hpo.data.guessing import Guess

_MARK = "fre-hpo"
"""The name of the text inside a PNG that says it is a contact sheet of ours."""


@dataclass(frozen=True)
class Checked:
    """A data set that passed every check.  folder: where it lies, None if it is drawn."""

    recipe: Recipe
    spec: Spec
    folder: Path | None
    dataset: Dataset

    def plain(self) -> dict[str, Any]:
        """What people and programs are told of it; shares are of the labelled pixels, 0..1."""
        dataset = self.dataset
        found: dict[str, Any] = {}
        for name, split in dataset.splits.items():
            _, channels, height, width = split.images.shape
            share = shares(split, dataset.classes)
            found[name] = {
                "images": len(split),
                "sources": len(set(split.sources)),
                "height": height,
                "width": width,
                "channels": channels,
                "shares": share.classes,
                "ignored": share.ignored,
            }
        return {
            "dataset": dataset.name,
            "recipe": self.recipe.name,
            "folder": None if self.folder is None else str(self.folder),
            "fingerprint": dataset.fingerprint,
            "classes": list(dataset.classes),
            "splits": found,
            "remarks": list(dataset.remarks),
        }


def check(
    name: str, data_dir: Path | None, overrides: Mapping[str, Any], settings: Settings
) -> Checked:
    """Find, read and check a data set.  name: of a recipe, or its file.

    Raises what recipes and data sets raise: DataProblems holds everything that is wrong with the files.
    """
    found = recipe.find(name)
    spec = recipe.resolve(found, DEFAULT_METHOD, overrides).spec
    folder = folder_of(found, spec, settings, data_dir)
    return Checked(found, spec, folder, data.load(spec.dataset, folder, spec.options))


def folder_of(
    found: Recipe,
    spec: Spec,
    settings: Settings,
    data_dir: Path | None,
    stored: str | None = None,
) -> Path | None:
    """--data-dir, the stored study's folder, the recipe's own, or the set's place under the home."""
    if not data.find(spec.dataset).needs_folder:
        if data_dir is not None:
            problem = (
                f"The data set {spec.dataset} is drawn and has no files: leave --data-dir away."
            )
            raise UsageError(problem=problem)
        return None
    if data_dir is not None:
        return data_dir.expanduser().absolute()
    if stored:
        return Path(stored)
    return found.folder or settings.data_folder(spec.dataset)


# --- the contact sheet --------------------------------------------------------------------------


def sheet_path(name: str, given: Path | None) -> Path:
    """Where the contact sheet goes: as given, else into this folder, named after the recipe.

    Raises FileInTheWay rather than name a file that is not an earlier contact sheet.
    """
    path = given.expanduser() if given else Path(sheet_name(recipe.find(name).name))
    if path.suffix.lower() != ".png":
        problem = f"The picture is a PNG: name a file that ends with .png, and not {path.name}."
        raise UsageError(problem=problem)
    if path.exists() and not _is_sheet(path):
        hint = "name another file with -o"
        raise FileInTheWay(path=path, what="is no contact sheet of fre-hpo", hint=hint)
    return path


def _is_sheet(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return _MARK in picture.info
    except Exception:  # decoders raise nearly anything on other files
        return False


def draw(checked: Checked, path: Path) -> None:
    """Write the contact sheet; raises CannotWrite."""
    from PIL.PngImagePlugin import PngInfo

    from fre_hpo.data.showing.contact_sheet import contact_sheet

    mark = PngInfo()
    mark.add_text(_MARK, f"contact sheet of {checked.dataset.fingerprint}")
    content = io.BytesIO()
    contact_sheet(checked.dataset, checked.recipe.name).save(content, "PNG", pnginfo=mark)
    _write(path, content.getvalue())


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise CannotWrite(path=path, reason=error.strerror or error) from error


# --- fetching -----------------------------------------------------------------------------------


def published(name: str, settings: Settings) -> Publication | None:
    """What can be fetched under the name of a recipe or a set; None where nothing needs to be.

    Raises UnknownDataset, and Unpublished, which says how to come by the set otherwise.
    """
    from fre_hpo.data.fetching.fetch import PUBLICATIONS

    found = recipe.find(name)
    dataset = str(found.document.get("dataset", name))
    if dataset in PUBLICATIONS:
        return PUBLICATIONS[dataset]()
    source = data.find(dataset)
    if source.needs_folder:
        raise Unpublished(
            name=dataset,
            folder=settings.data_folder(dataset),
            obtain=f"{source.obtain}; expected is {source.layout}, and `fre-hpo data init FOLDER` "
            "writes a recipe for pictures in another form",
        )
    return None


def fetch(
    publication: Publication,
    origin: str | None,
    data_dir: Path | None,
    settings: Settings,
    progress: Progress,
) -> Fetched:
    """Put a published set where `--dataset` looks for it, or into ``data_dir``."""
    from fre_hpo.data.fetching import fetch as fetching

    destination = data_dir or settings.data_folder(publication.name)
    return fetching.fetch(publication, destination, origin, progress)


# --- a recipe for a folder ----------------------------------------------------------------------


def write_recipe(folder: Path, given: Path | None, *, force: bool) -> tuple[Path, Guess]:
    """Look at a folder and describe it in a recipe; returns the recipe's path and what was found.

    Raises FileInTheWay unless ``force``, and what guessing raises.
    """
    from fre_hpo.data.guessing import guess, recipe_text

    folder = folder.expanduser()
    path = given.expanduser() if given else Path(f"{_recipe_name(folder.resolve().name)}.toml")
    if path.suffix != ".toml":
        raise UsageError(problem=f"A recipe's file ends with .toml, and not as {path.name}.")
    if os.path.lexists(path) and not force:
        hint = "name another one with -o, or replace it with --force"
        raise FileInTheWay(path=path, what="may hold your changes", hint=hint)
    found = guess(folder)
    _write(path, recipe_text(found, path.stem, _as_written(folder, path)).encode())
    return path, found


def _recipe_name(folder: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder).strip("-.")[:40] or "pictures"


def _as_written(folder: Path, path: Path) -> str:
    """A folder's path in a recipe: relative to it, unless the user named it from the root."""
    if folder.is_absolute():
        return str(folder)
    return os.path.relpath(folder.resolve(), path.absolute().parent.resolve())
