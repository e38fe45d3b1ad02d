"""What is kept of a trial on disk, and read back when a search goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from fre_hpo.scheduling.shared import SharedCheckpoints, newest_here
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.records import TrialRecord
from fre_hpo.study.stamp import Stamp
from fre_hpo.study.store import StoreAddress
from fre_hpo.training.trace import COLUMNS as TRACE_COLUMNS
from fre_hpo.trial import Result, curve_header, curve_row, trace_row

NETWORKS_KEPT = 5
"""Of a search so many trained networks stay; 50 would otherwise leave gigabytes (design 3.3).  Where
nothing is searched, the seeds are compared with all their networks."""

UNFINISHED = ("RUNNING", "WAITING")


@dataclass(frozen=True)
class TrialOutcome:
    """A trial that is trained to its end, told or not yet."""

    miou: float
    best_epoch: int
    epochs: int
    class_iou: dict[str, float | None]

    @property
    def facts(self) -> dict[str, Any]:
        """As a trial's record names them."""
        named = vars(self)
        return {"value": self.miou, **{name: named[name] for name in named if name != "miou"}}


class Archive:
    """The files of a study's trials.  shared: of a search whose workers write checkpoints to a store."""

    def __init__(
        self,
        folder: StudyFolder,
        classes: Sequence[str],
        networks_kept: int | None = NETWORKS_KEPT,
        shared: SharedCheckpoints | None = None,
    ) -> None:
        self._folder = folder
        self._classes = classes
        self._networks_kept = networks_kept
        self._shared = shared
        self._header = curve_header(classes)

    # --- checkpoints ----------------------------------------------------------------------------

    @property
    def store(self) -> StoreAddress | None:
        """Where workers write checkpoints."""
        return self._shared.address if self._shared else None

    def checkpoint(
        self, number: int, say: Callable[[str], None], *, first: bool = False
    ) -> bytes | None:
        """The newest checkpoint that is intact; a damaged one is set aside, and that is said.

        first: of a trial's first attempt, which needs no store.  Raises StoreUnreachable; then
        ``look_again``, and call it once more.
        """
        damaged = partial(self._note_damaged, say)
        if self._shared is None:
            return newest_here(self._folder, number, damaged)
        if first:
            self._shared.begin(number)
            return None
        return self._shared.newest(number, damaged)

    def _note_damaged(self, say: Callable[[str], None], number: int, kept: str) -> None:
        self._folder.log("checkpoint_damaged", trial=number, file=PurePosixPath(kept).name)
        say(f"A checkpoint of trial {number} is damaged and was set aside as {kept}.")

    def look_again(self) -> None:
        """Read the checkpoint that could not be read; raises StoreUnreachable."""
        if self._shared:
            self._shared.look_again()

    def save_checkpoint(self, number: int, data: bytes, stamp: Stamp | None = None) -> None:
        """stamp: where workers write to a store, but for this one."""
        if self._shared is None or stamp is None:
            self._folder.trial(number).save_checkpoint(data)
        else:
            self._shared.save(number, stamp, data)

    def accept_checkpoint(self, number: int, stamp: Stamp) -> None:
        """A worker wrote a checkpoint to the store."""
        if self._shared:
            self._shared.accept(number, stamp)

    def news(self) -> Iterable[str]:
        """What there is to say of the store."""
        return self._shared.news() if self._shared else ()

    def drop_checkpoints(self, number: int) -> None:
        self._folder.trial(number).drop_checkpoints()

    # --- curves and results ---------------------------------------------------------------------

    def cut_curve(self, number: int, epoch: int) -> None:
        """Keep a curve up to an epoch."""
        self._folder.trial(number).cut_curve(self._header, epoch)

    def append_curve(self, number: int, row: Sequence[Any]) -> None:
        self._folder.trial(number).append_curve(row)

    def points(self, number: int) -> dict[int, float]:
        """A trial's curve: epoch -> mIoU."""
        rows = self._folder.trial(number).read_curve()
        return {int(row["epoch"]): float(row["miou"]) for row in rows}

    def keep(self, number: int, result: Result) -> TrialOutcome:
        """Write all that came of a trial; its outcome last, which then holds after any crash."""
        trial = self._folder.trial(number)
        class_iou = dict(zip(self._classes, result.class_iou, strict=True))
        outcome = TrialOutcome(result.miou, result.best_epoch, result.epochs, class_iou)
        trial.write_curve(self._header, [curve_row(row) for row in result.curve])
        traced = [row for row in map(trace_row, result.curve) if row]
        if traced:
            trial.write_trace(["epoch", *TRACE_COLUMNS], traced)
        trial.save_result(result.network, result.sources, result.confusion)
        if result.predictions is not None:
            trial.save_predictions(result.predictions)
        trial.save_outcome(asdict(outcome))
        return outcome

    def outcome(self, number: int) -> TrialOutcome | None:
        """What ``keep`` wrote, if a coordinator came so far with this trial."""
        plain = self._folder.trial(number).load_outcome()
        return None if plain is None else TrialOutcome(**plain)

    def tidy(self, records: Sequence[TrialRecord]) -> None:
        """Of complete trials keep the networks of the best few, and no checkpoint."""
        complete = [r for r in records if r.complete and r.value is not None]
        ranked = sorted(complete, key=lambda r: (-(r.value or 0.0), r.number))
        for rank, record in enumerate(ranked):
            trial = self._folder.trial(record.number)
            trial.drop_checkpoints()
            if self._networks_kept is not None and rank >= self._networks_kept:
                trial.drop_network()
        if self._shared:
            ended = (r.number for r in records if r.state not in UNFINISHED)
            self._shared.settle(ended, (r.number for r in ranked[: self._networks_kept]))
