"""What a study is, written once when it is created and compared whenever it is started again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fre_hpo.errors import DifferentStudy, NotTheStudysData
from fre_hpo.study.part import Part
from fre_hpo.study.spec import Spec, differences

CHARTER = "charter"
"""The study attribute that holds it."""


@dataclass(frozen=True)
class Charter:
    """id: tells the study from any other of its name.  spec: all that decides the result.  overrides:
    the ``--set`` values, flags included, that led from the recipe to it; a later start that does not
    repeat them means them too.  fingerprint: of the data.  recipe, data_folder: where they were found,
    for a start from elsewhere.  versions: of the libraries that created the study.  part: of what larger
    whole it is one study, None for one that stands alone."""

    id: str
    spec: Spec
    overrides: dict[str, Any]
    fingerprint: str
    classes: tuple[str, ...]
    recipe: str
    data_folder: str | None
    versions: dict[str, str]
    created_at: str
    part: Part | None = None

    def to_plain(self) -> dict[str, Any]:
        part = self.part.to_plain() if self.part else None
        plain = {"spec": self.spec.to_json(), "classes": list(self.classes), "part": part}
        return {**vars(self), **plain}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Charter:
        spec, classes = Spec.from_json(plain["spec"]), tuple(plain["classes"])
        part = Part.from_plain(plain.get("part"))
        return cls(**{**plain, "spec": spec, "classes": classes, "part": part})

    def refuse_other_spec(self, study: str, asked: Spec) -> None:
        """Raise DifferentStudy, which names every difference, unless ``asked`` is this study's."""
        found = differences(self.spec, asked)
        if found:
            raise DifferentStudy(study=study, differences="; ".join(found))

    def refuse_other_data(self, study: str, fingerprint: str) -> None:
        if fingerprint != self.fingerprint:
            raise NotTheStudysData(study=study, stored=self.fingerprint, found=fingerprint)
