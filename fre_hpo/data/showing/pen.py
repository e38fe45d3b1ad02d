"""Writing and drawing on a strip of a contact sheet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from fre_hpo.data.showing.overlay import Colour, Pixels

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

PAPER, INK, PALE, ALARM = (255, 255, 255), (25, 25, 25), (105, 105, 105), (180, 60, 0)
SWATCH = 14


@dataclass(frozen=True)
class Pen:
    """A drawing on a strip of the sheet."""

    strip: Image.Image
    draw: ImageDraw.ImageDraw

    @classmethod
    def on_strip(cls, width: int, height: int) -> Pen:
        from PIL import Image, ImageDraw

        strip = Image.new("RGB", (width, height), PAPER)
        return cls(strip, ImageDraw.Draw(strip))

    def write(
        self,
        x: float,
        y: int,
        text: str,
        *,
        size: int = 16,
        ink: Colour = INK,
        to_left: bool = False,
    ) -> float:
        """Write a line, its upper left (or right) corner given; returns where it ends."""
        anchor = "ra" if to_left else "la"
        self.draw.text((x, y), text, fill=ink, font=_font(size), anchor=anchor)
        return x + length(text, size)

    def paste(self, x: int, y: int, pixels: Pixels) -> None:
        from PIL import Image

        self.strip.paste(Image.fromarray(pixels), (x, y))

    def swatch(
        self, x: float, y: int, colour: Colour | None, *, edge: Colour | None = None
    ) -> None:
        """A small square of a class's colour, empty for the background; edge: its outline's colour."""
        box = (x, y, x + SWATCH - 1, y + SWATCH - 1)
        self.draw.rectangle(box, fill=colour or PAPER, outline=edge or colour or PALE)


def shortened(text: str, room: float, size: int) -> str:
    """A text that is too long loses its middle: beginnings and ends tell file names apart."""
    kept = len(text)
    short = text
    while kept and length(short, size) > room:
        kept -= 1
        short = f"{text[: -(-kept // 2)]}...{text[len(text) - kept // 2 :]}"
    return short


def length(text: str, size: int) -> float:
    """Of a text, in pixels."""
    return float(_font(size).getlength(text))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)
