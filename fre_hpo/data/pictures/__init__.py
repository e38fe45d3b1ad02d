"""Pictures of any lab -> arrays.

A file is judged by its content, never by its ending, and read strictly: checksums, lengths and
counts have to agree.  Whatever is wrong is a PictureError, a sentence that names the file and says
what to do; nothing is repaired in silence.  Reading changes no global state and may be done in many
threads.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fre_hpo.data.pictures import channels
from fre_hpo.data.pictures.channels import Channel
from fre_hpo.data.pictures.content import opened
from fre_hpo.data.pictures.error import PictureError, named
from fre_hpo.data.pictures.formats import open_picture
from fre_hpo.data.pictures.picture import Header

__all__ = [
    "Channel",
    "Header",
    "PictureError",
    "look",
    "read_colours",
    "read_image",
    "read_numbers",
]


def look(path: Path) -> Header:
    """Size and kind of a picture; its structure is checked, but no pixel is decoded.

    A small file that claims to be huge is answered at once: ask Header.nbytes before reading.
    """
    with named(path), opened(path) as content:
        return open_picture(content).header


def read_image(path: Path, channel: Channel = "grey") -> NDArray[Any]:
    """An image as displayed, (pages, channels, height, width).

    uint8, uint16 or another type of integers as stored, or float32.  Palettes are resolved, zero is
    black, alpha is dropped.  "grey" is the only channel, or the luminance of red, green and blue.
    """
    with named(path), opened(path) as content:
        return channels.image(open_picture(content), channel)


def read_numbers(path: Path) -> NDArray[Any]:
    """A mask's numbers as stored, (pages, height, width), unsigned.

    Of a palette the index, of one bit 0 or 1; zero is zero also where zero is white.
    """
    with named(path), opened(path) as content:
        return channels.numbers(open_picture(content))


def read_colours(path: Path) -> NDArray[np.uint8]:
    """A mask's colours as displayed, (pages, height, width, 3)."""
    with named(path), opened(path) as content:
        return channels.colours(open_picture(content))
