"""What was measured of a trained network once the test split was read.

It is kept in the study, one attribute a trial, so that every machine that reaches the storage can show a
table again without the pictures, the network, or another reading of the test split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna.storages import BaseStorage

from fre_hpo.study.records import now

_KEY = "measured:"


@dataclass(frozen=True)
class SourceMatrices:
    """confusion: (sources, classes, classes), pixels with the row's true class and the column's
    predicted one; in the order of ``sources``, the source images."""

    sources: tuple[str, ...]
    confusion: list[list[list[int]]]


@dataclass(frozen=True)
class Measurement:
    """One network on both splits: validation as its training measured it.  fingerprint: of the test split,
    under which its readings are recorded.  time: when it was read."""

    validation: SourceMatrices
    test: SourceMatrices
    fingerprint: str
    time: str

    @classmethod
    def made_now(
        cls, validation: SourceMatrices, test: SourceMatrices, fingerprint: str
    ) -> Measurement:
        return cls(validation, test, fingerprint, now())

    def to_plain(self) -> dict[str, Any]:
        return {
            "validation": _plain(self.validation),
            "test": _plain(self.test),
            "fingerprint": self.fingerprint,
            "time": self.time,
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Measurement:
        return cls(
            _matrices(plain["validation"]),
            _matrices(plain["test"]),
            plain["fingerprint"],
            plain["time"],
        )


def _plain(matrices: SourceMatrices) -> dict[str, Any]:
    return {"sources": list(matrices.sources), "confusion": matrices.confusion}


def _matrices(plain: dict[str, Any]) -> SourceMatrices:
    return SourceMatrices(tuple(plain["sources"]), plain["confusion"])


def save_measurement(
    storage: BaseStorage, study_id: int, number: int, measurement: Measurement
) -> None:
    """In the study, because a trial that is told takes no attribute any more."""
    storage.set_study_system_attr(study_id, f"{_KEY}{number}", measurement.to_plain())


def measurements(storage: BaseStorage, study_id: int) -> dict[int, Measurement]:
    """By the trial's number."""
    found = storage.get_study_system_attrs(study_id)
    return {
        int(key.removeprefix(_KEY)): Measurement.from_plain(plain)
        for key, plain in found.items()
        if key.startswith(_KEY)
    }
