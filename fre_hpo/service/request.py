"""What a start asks for: the flags of ``fre-hpo start`` in one frozen value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fre_hpo.errors import BadValue
from fre_hpo.study.part import Part

DEFAULT_METHOD = "fre"


@dataclass(frozen=True)
class Request:
    """The flags of ``fre-hpo start``; None means not given, and then the stored study's value counts, or
    the recipe's.  overrides: ``--set`` and the flags that stand for a key (epochs, seed).  enqueue: known
    points to try first.  token_file: of the cluster.  wait: seconds that its head has to appear.
    storage_patience, cluster_patience: seconds that a search waits for what it has lost.  new_home: go on
    without the files that an earlier start left in another home folder.  checkpoints: URL or folder to which
    workers write checkpoints.  notify: URL or @FILE to which messages are sent; a secret.  part: of what
    larger whole the study is to be one."""

    dataset: str
    method: str | None = None
    study: str | None = None
    trials: int | None = None
    hours: float | None = None
    data_dir: Path | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    enqueue: Sequence[Mapping[str, Any]] = ()
    parallel: int | None = None
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    executor: Literal["ray", "inline"] = "ray"
    ray_address: str | None = None
    token_file: Path | None = None
    wait: float = 0.0
    cluster_patience: float = 600.0
    gpus_per_trial: float | None = None
    retries: int = 3
    storage_patience: float = 600.0
    new_home: bool = False
    checkpoints: str | None = None
    notify: str | None = field(default=None, repr=False)
    part: Part | None = None

    def __post_init__(self) -> None:
        for name in ("trials", "hours", "parallel", "gpus_per_trial"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                flag = f"--{name.replace('_', '-')}"
                raise BadValue(key=flag, value=value, reason="it must be above 0")
