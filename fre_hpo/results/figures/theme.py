"""The two colours that depend on the ground, for each ground."""

from __future__ import annotations

from dataclasses import dataclass

from fre_hpo.results.figures.description import FAINT, INK


@dataclass(frozen=True)
class Theme:
    """ink: words, axes and marks; faint: what stands behind; grid: lines behind everything; ground: what
    is under a label, half transparent, and under everything (in CSS's notation)."""

    ink: str
    faint: str
    grid: str
    halo: str
    ground: str

    def colour(self, name: str) -> str:
        return {INK: self.ink, FAINT: self.faint}.get(name, name)


PRINT = Theme("#222222", "#8c8c8c", "#ececec", "rgba(255,255,255,0.7)", "#ffffff")
"""Dark on white."""
PAGE = Theme("#858585", "#858585", "rgba(133,133,133,0.22)", "rgba(0,0,0,0)", "rgba(0,0,0,0)")
"""On a page whose ground is white or nearly black, as whoever looks has chosen."""
