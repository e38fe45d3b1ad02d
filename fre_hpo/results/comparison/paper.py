"""The paper's Tables 1, 2 and 3 (Ando & Hotta 2021), to be quoted beside our own numbers.

IoU in percent, on the test images, at the epoch that validation chose; single runs without repeats or
deviations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

SOURCE: Final = "Ando & Hotta, Cell Image Segmentation by Feature Random Enhancement Module, 2021"


@dataclass(frozen=True)
class PaperRow:
    """label: as printed, shortened.  iou: percent, in the table's order of columns.  miou: as printed."""

    label: str
    method: str
    parameters: Mapping[str, int | float]
    iou: tuple[float, ...]
    miou: float


@dataclass(frozen=True)
class PaperTable:
    """columns: what the numbers mean, under the names of our data sets.  note: what a reader must know."""

    number: int
    title: str
    dataset: str
    columns: tuple[str, ...]
    rows: tuple[PaperRow, ...]
    note: str = ""

    def find(self, method: str) -> PaperRow | None:
        return next((row for row in self.rows if row.method == method), None)


_MOUSE = ("membrane", "nucleus", "background")
_MOUSE_BASELINE = PaperRow("U-Net + SEblock", "baseline", {}, (37.78, 65.75, 74.96), 59.50)

TABLES: Final = (
    PaperTable(
        1,
        "transgenic mouse cells",
        "mouse",
        _MOUSE,
        (
            _MOUSE_BASELINE,
            PaperRow(
                "U-Net + SEblock without deep layers",
                "without-deep-layers",
                {},
                (39.15, 66.84, 75.11),
                60.36,
            ),
            PaperRow(
                "U-Net + SEblock + Supervision",
                "supervision",
                {"lambda": 0.3257},
                (39.23, 64.99, 73.34),
                59.19,
            ),
            PaperRow("Dropout", "dropout", {"B": 162}, (36.44, 65.50, 75.09), 59.01),
            PaperRow("Proposed", "fre", {"B": 162, "X": 632}, (40.53, 67.58, 76.75), 61.62),
        ),
    ),
    PaperTable(
        2,
        "Drosophila",
        "drosophila",
        ("background", "membrane", "mitochondria", "synapse"),
        (
            PaperRow("U-Net + SEblock", "baseline", {}, (91.80, 76.87, 76.89, 50.46), 73.98),
            PaperRow(
                "without deep layers",
                "without-deep-layers",
                {},
                (92.32, 78.24, 76.93, 51.31),
                74.70,
            ),
            PaperRow(
                "Supervision",
                "supervision",
                {"lambda": 0.2781},
                (92.39, 77.77, 78.24, 52.21),
                75.15,
            ),
            PaperRow("Dropout", "dropout", {"B": 8}, (92.40, 77.98, 78.70, 50.23), 74.83),
            PaperRow("Proposed", "fre", {"B": 8, "X": 250}, (92.93, 78.71, 78.02, 58.14), 76.95),
        ),
        note="Table 2 heads its columns membrane, nuclear, background, synapse; by the shares of the "
        "classes its first column can only be background, and they are read as background, membrane, "
        "mitochondria, synapse.  Its first row averages 74.005, not the printed 73.98.",
    ),
    PaperTable(
        3,
        "additional experiment, ten fixed maps times 10,000",
        "mouse",
        _MOUSE,
        (
            _MOUSE_BASELINE,
            PaperRow(
                "fixed enhancement",
                "fre-fixed",
                {"B": 10, "X": 10_000},
                (40.43, 67.34, 73.71),
                60.49,
            ),
        ),
    ),
)

SYNONYMS: Final[Mapping[str, frozenset[str]]] = {
    "membrane": frozenset({"membrane", "membranes", "cell membrane", "cell membranes"}),
    "nucleus": frozenset({"nucleus", "nuclei", "nuclear", "cell nucleus", "cell nuclei"}),
    "background": frozenset({"background", "bg"}),
    "mitochondria": frozenset({"mitochondria", "mitochondrion"}),
    "synapse": frozenset({"synapse", "synapses"}),
}


def tables_for(dataset: str, classes: Sequence[str]) -> tuple[PaperTable, ...]:
    """The tables of this data set whose columns are exactly its classes, whatever their order."""
    wanted = sorted(map(_meaning, classes))
    return tuple(t for t in TABLES if t.dataset == dataset and sorted(t.columns) == wanted)


def by_class(table: PaperTable, row: PaperRow, classes: Sequence[str]) -> dict[str, float]:
    """A row's IoU in percent under a data set's own names of the classes, in its order."""
    iou = dict(zip(table.columns, row.iou, strict=True))
    return {name: iou[_meaning(name)] for name in classes}


def quoted(tables: Sequence[PaperTable], method: str) -> tuple[PaperTable, PaperRow] | None:
    """The first table that holds a method, with its row."""
    return next(((t, row) for t in tables if (row := t.find(method)) is not None), None)


def _meaning(name: str) -> str:
    """The paper's class that a name stands for; the name itself where it has none."""
    plain = " ".join(name.replace("_", " ").replace("-", " ").lower().split())
    return next((c for c, names in SYNONYMS.items() if plain in names), plain)
