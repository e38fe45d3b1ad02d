"""A study as tables and figures need it: read once, then looked at without the storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fre_hpo.study.records import TrialRecord
from fre_hpo.study.spec import Spec


@dataclass(frozen=True)
class StudyView:
    """records: every trial, by number.  curves: trial number -> epoch -> validation mIoU, the points
    that the storage keeps.  wanted: the total of complete trials that was asked for."""

    name: str
    spec: Spec
    classes: tuple[str, ...]
    records: tuple[TrialRecord, ...]
    curves: Mapping[int, Mapping[int, float]]
    wanted: int
