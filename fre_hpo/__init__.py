"""fre-hpo: a search service for the Feature Random Enhancement module (Ando & Hotta, 2021).

The Python API has the command line's words: ``fre_hpo.start("phantom", trials=8)`` and
``fre_hpo.open_study("phantom-fre").best()``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fre_hpo.service.start import Ended
    from fre_hpo.settings import Settings

__version__ = "0.1.0"
__all__ = ["Study", "__version__", "open_study", "restore", "start"]


def start(
    dataset: str,
    *,
    home: str | Path | None = None,
    storage: str | None = None,
    settings: dict[str, Any] | None = None,
    **flags: Any,
) -> Ended:
    """Run a search, or go on with one, as ``fre-hpo start`` does; returns how it ended.

    settings: what ``--set`` takes, such as ``{"training.epochs": 40, "B": "1..64:log"}``.  flags: the
    command line's, with underscores (method, trials, hours, study, data_dir, parallel, device, executor,
    ray_address, token_file, gpus_per_trial, enqueue, retries, checkpoints, notify).  Raises the errors of
    ``fre_hpo.errors``.
    """
    from fre_hpo.scheduling.observer import Silent
    from fre_hpo.service.request import Request
    from fre_hpo.service.start import start as start_search
    from fre_hpo.settings import CHECKPOINTS_VARIABLE, NOTIFY_VARIABLE

    flags.setdefault("notify", os.environ.get(NOTIFY_VARIABLE))
    flags.setdefault("checkpoints", os.environ.get(CHECKPOINTS_VARIABLE))
    request = Request(dataset=dataset, overrides=settings or {}, **flags)
    return start_search(request, _settings(home, storage), Silent())


def open_study(name: str, *, home: str | Path | None = None, storage: str | None = None) -> Study:
    """A study to look at; raises StudyNotFound."""
    from fre_hpo.service.read import open_ledger

    settings = _settings(home, storage)
    open_ledger(settings, name)
    return Study(name, settings)


def restore(
    path: str | Path,
    *,
    study: str | None = None,
    home: str | Path | None = None,
    storage: str | None = None,
) -> Study:
    """Make a study of a file that ``Study.archive`` wrote, under its own name or another one, as ``fre-hpo
    archive --restore`` does."""
    from fre_hpo.service.restoring import restore as make

    settings = _settings(home, storage)
    return Study(make(settings, Path(path), study).study, settings)


@dataclass(frozen=True)
class Study:
    """A study by name.  Every call reads the storage anew and returns plain values, the same that the
    verb of its name prints as JSON."""

    name: str
    settings: Settings

    def status(self) -> dict[str, Any]:
        from fre_hpo.service import read

        return read.status(self.settings, self.name)

    def trials(self) -> list[dict[str, Any]]:
        from fre_hpo.service import read

        return read.trials(self.settings, self.name)

    def best(self) -> dict[str, Any]:
        from fre_hpo.service import read

        return read.best(self.settings, self.name)

    def predict(
        self, images: Iterable[str | Path], out: str | Path, **flags: Any
    ) -> dict[str, Any]:
        """Segment files, folders and globs into the folder ``out`` by the best network, as ``fre-hpo
        predict`` does; flags: device, tile, overlay, form.  Returns the folder, the counts of images and
        pages, and the share of each class."""
        from fre_hpo.service.predict import PredictRequest, predict

        names = tuple(str(image) for image in images)
        request = PredictRequest(self.name, names, Path(out), **flags)
        return vars(predict(self.settings, request, lambda done, total: None))

    def export(self, out: str | Path, *, trial: int | None = None) -> dict[str, Any]:
        """Write the best network, or that of a trial, into a new folder, as ``fre-hpo export`` does;
        returns the folder, its files and remarks."""
        from fre_hpo.service.export import export

        return vars(export(self.settings, self.name, Path(out), trial).exported)

    def archive(self, out: str | Path, *, force: bool = False) -> dict[str, Any]:
        """Write the study into one file, for a colleague or another storage, as ``fre-hpo archive`` does;
        returns the file, its size and what is in it."""
        from fre_hpo.service.archiving import archive

        return vars(archive(self.settings, self.name, Path(out), force=force))

    def pause(self) -> None:
        from fre_hpo.service.control import give_order
        from fre_hpo.study.order import Wish

        give_order(self.settings, self.name, Wish.PAUSE)

    def resume(self) -> None:
        from fre_hpo.service.control import give_order
        from fre_hpo.study.order import Wish

        give_order(self.settings, self.name, Wish.RUN)

    def stop(self, *, now: bool = False) -> dict[str, Any]:
        """Returns the status once no coordinator runs the study any more."""
        from fre_hpo.service.control import give_order, wait_until_ended
        from fre_hpo.study.order import Wish

        give_order(self.settings, self.name, Wish.STOP_NOW if now else Wish.STOP)
        return wait_until_ended(self.settings, self.name)

    def delete(self) -> None:
        from fre_hpo.service import read

        read.delete(self.settings, self.name)


def _settings(home: str | Path | None, storage: str | None) -> Settings:
    from fre_hpo.settings import load

    return load(home=None if home is None else str(home), storage=storage)
