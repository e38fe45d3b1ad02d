"""Lists beside the pictures: a manifest of pairs, and nnU-Net's names of classes."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path

from fre_hpo.data.finding.manifest import read_manifest
from fre_hpo.data.finding.pairing import Pairing
from fre_hpo.data.guessing.listing import Fit, Layout, Listing

_ENDINGS = {".csv", ".tsv", ".json"}


def manifest(folder: Path, listing: Listing) -> Layout | None:
    """The first file at the top that lists images and masks, also one of which no row can be used."""
    for name in listing.files.get("", []):
        if Path(name).suffix.lower() not in _ENDINGS or not _is_list(folder / name):
            continue
        problems: list[str] = []
        found = read_manifest(
            folder, name, allow_outside=False, leave_out_unlabelled=True, problems=problems
        )
        return _layout(folder, name, found, problems)
    return None


def _layout(folder: Path, name: str, found: Pairing, problems: list[str]) -> Layout:
    def written(path: Path) -> str:
        return str(path.relative_to(folder) if path.is_relative_to(folder) else path.absolute())

    splits = {pair.split for pair in found.pairs}
    fit = Fit(
        pairs=tuple((written(pair.image), written(pair.mask)) for pair in found.pairs),
        unlabelled=tuple(map(written, found.unlabelled)),
        unpictured=(),
        values=tuple(
            {k: v for k, v in (("split", pair.split), ("group", pair.group)) if v}
            for pair in found.pairs
        ),
    )
    options = {"split": "random" if None in splits else "given"}
    return Layout("a manifest", "", "", fit, options, doubts=tuple(problems), manifest=name)


def _is_list(path: Path) -> bool:
    """Whether a file looks like a list with an image and a mask in every row."""
    try:
        text = path.read_text(encoding="utf-8-sig")[: 1 << 16]
    except (OSError, UnicodeDecodeError):
        return False
    if path.suffix.lower() == ".json":
        return '"image"' in text.lower() and '"mask"' in text.lower()
    header = text.splitlines()[0].lower() if text.strip() else ""
    cells = next(csv.reader([header.replace(";", ",").replace("\t", ",")]), [])
    return {"image", "mask"} <= {cell.strip() for cell in cells}


def class_names(path: Path) -> dict[int, str]:
    """nnU-Net's dataset.json: {"background": 0} or {"0": "background"}; empty without such a table.

    Regions, which hold several numbers each, overlap one another and are no classes.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        labels = document["labels"]
        return dict(_number_and_name(key, value) for key, value in labels.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _number_and_name(key: str, value: object) -> tuple[int, str]:
    if isinstance(value, int):
        return value, key
    if isinstance(value, str):
        return int(key), value
    raise TypeError("a region is no class")


def channel_names(path: Path) -> Mapping[str, str]:
    """nnU-Net's dataset.json: {"0": "DAPI"}; empty where it names none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        named = document.get("channel_names") or document.get("modality") or {}
        return {str(key): str(value) for key, value in named.items()}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
