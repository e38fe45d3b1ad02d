"""``--checkpoints``: where a study keeps checkpoints and results besides, tried out before anything is
created.  Loads no back end that is not used."""

from __future__ import annotations

from dataclasses import dataclass

from fre_hpo.errors import BadStore, OtherStore, StoreUnreachable
from fre_hpo.study.shelf import root_of
from fre_hpo.study.store import StoreAddress, check_root


@dataclass(frozen=True)
class Store:
    """root: as ``root_of`` gives it.  holds: whether it has the study's files."""

    root: str
    holds: bool


def find_store(
    named: str | None, recorded: str | None, study: str, study_id: str | None, *, new_home: bool
) -> Store | None:
    """The store of a start, tried out: the one that is named, else the study's own; None where there is none.

    recorded: the study's own.  study_id: of its charter, None of a new one.  Raises BadStore,
    StoreUnreachable, and OtherStore where the study's files are at another one.
    """
    root = root_of(named) if named else recorded
    if root is None:
        return None
    check_root(root)
    holds = study_id is not None and StoreAddress(root, study_id).open().is_marked()
    if recorded and not holds and not new_home:
        raise OtherStore(study=study, theirs=recorded, ours=root)
    return Store(root, holds)


def clear_store(root: str, study_id: str) -> str | None:
    """Remove what a store holds of a study that was deleted; returns what could not be done."""
    try:
        StoreAddress(root, study_id).open().clear()
    except (BadStore, StoreUnreachable) as error:
        reason = error.facts["reason"]
        return f"Its files at {root} remain ({reason}): the folder {study_id} there may be removed."
    return None
