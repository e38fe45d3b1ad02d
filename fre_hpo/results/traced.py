"""A trial with what was recorded of its deepest feature maps while it was trained (``--trace``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fre_hpo.study.records import TrialRecord
from fre_hpo.study.spec import Spec

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class TracedTrial:
    """study: its name.  columns: of trace.csv, as ``fre_hpo.training.trace.Trace`` explains them, one
    value for each traced epoch."""

    study: str
    spec: Spec
    record: TrialRecord
    epochs: Numbers
    columns: Mapping[str, Numbers]

    @classmethod
    def of_rows(
        cls, study: str, spec: Spec, record: TrialRecord, rows: Sequence[Mapping[str, str]]
    ) -> TracedTrial:
        """rows: the lines of trace.csv, at least one."""
        columns = {name: tuple(float(row[name]) for row in rows) for name in rows[0]}
        return cls(study, spec, record, columns.pop("epoch"), columns)
