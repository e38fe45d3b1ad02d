"""Which format a file has, judged by its content, and what a file is that holds no picture."""

import re
from collections.abc import Callable

from fre_hpo.data.pictures import gif, jpeg, plain, png, tiff, webp
from fre_hpo.data.pictures.content import Content
from fre_hpo.data.pictures.error import Flaw, damaged
from fre_hpo.data.pictures.picture import Picture

_HEAD = 4096
_LFS = b"version https://git-lfs"
_PNM = re.compile(rb"P[1-6][\s#]")

# What else lies in people's folders: offset, bytes, name.
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (128, b"DICM", "DICOM"),
    (344, b"n+1\x00", "NIfTI"),
    (344, b"ni1\x00", "NIfTI"),
    (4, b"n+2\x00", "NIfTI"),
    (0, b"ZISRAWFILE", "CZI of Zeiss"),
    (0, b"\xda\xce\xbe\x0a", "ND2 of Nikon"),
    (0, b"\x70\x00\x00\x00", "LIF of Leica"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OIB, ZVI or an old Office document"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5, as .h5, .ims and new .mat files are"),
    (0, b"MATLAB 5.0", "a MATLAB file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x80\x04\x95", "a Python pickle"),
    (0, b"NRRD000", "NRRD"),
    (0, b"ics_version", "ICS"),
    (208, b"MAP ", "MRC"),
    (0, b"\x00\x00\x00\x03\x00\x00\x00", "DM3 of Gatan"),
    (0, b"\x00\x00\x00\x04\x00\x00\x00", "DM4 of Gatan"),
    (0, b"SIMPLE  =", "FITS"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"II\xbc", "JPEG XR"),
    (4, b"ftyp", "HEIC, AVIF or a film"),
    (0, b"RIFF", "a film or a sound"),
    (0, b"\x1aE\xdf\xa3", "a film"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"gimp xcf", "a GIMP document"),
    (0, b"\x00\x00\x01\x00", "an icon"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript"),
    (0, b"PK\x03\x04", "a zip archive or an Office document"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"\x1f\x8b", "a gzip archive, as .nii.gz and .tar.gz are"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ", "an xz archive"),
    (257, b"ustar", "a tar archive"),
)
_MARKUP = ((b"<svg", "SVG"), (b"<html", "HTML"), (b"<!doctype html", "HTML"))
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_CONTROLS = frozenset(range(32)) - {0x09, 0x0A, 0x0C, 0x0D}


def open_picture(content: Content) -> Picture:
    """Open whatever the first bytes say that it is; a Flaw when it is no picture."""
    head = content.start(_HEAD)
    reader = _reader(head)
    if reader is None:
        raise _stranger(head)
    return reader(content)


def _reader(head: bytes) -> Callable[[Content], Picture] | None:
    if head.startswith(tiff.SIGNATURES):
        return tiff.open_tiff
    if head.startswith(png.SIGNATURE):
        return png.open_png
    if head.startswith(jpeg.SIGNATURE):
        return jpeg.open_jpeg
    if head.startswith(gif.SIGNATURES):
        return gif.open_gif
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return webp.open_webp
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in plain.BMP_HEADERS:
        return plain.open_bmp
    return plain.open_pnm if _PNM.match(head) else None


def _stranger(head: bytes) -> Flaw:
    """What to say of a file that is no picture."""
    if not head.strip(b"\x00"):
        return damaged(f"its first {len(head)} bytes are all zero")
    if head.startswith(_LFS):
        return Flaw("is a git-lfs pointer and not the picture", "fetch that with git lfs pull")
    name = _name(head)
    if name is None and _is_text(head):
        return Flaw("is a text file", "put the picture itself there")
    seems = f" (it looks like {name})" if name else ""
    return Flaw(f"is no picture that can be read{seems}", "save it as PNG or TIFF")


def _name(head: bytes) -> str | None:
    for offset, start, name in _OTHERS:
        if head[offset : offset + len(start)] == start:
            return name
    text = head.lower()
    return next((name for mark, name in _MARKUP if mark in text), None)


def _is_text(head: bytes) -> bool:
    """UTF-16 with its mark, or UTF-8 without control characters; the head may end in a letter."""
    if head.startswith(_UTF16):
        return True
    if not _CONTROLS.isdisjoint(head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 and len(head) == _HEAD
    return True
