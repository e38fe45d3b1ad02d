"""How a camera was held: a mark beside the pixels that half of all programs ignore."""

import struct

from fre_hpo.data.pictures.error import Flaw, damaged

_ORIENTATION = 274
_BYTE_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}


def check_upright(orientation: int) -> None:
    """Refuse a picture that is to be turned or mirrored before it is shown: its mask may have been
    drawn in one sense and be read in the other, and nothing would tell."""
    if orientation > 8:
        raise damaged(f"it has the orientation {orientation}")
    if orientation > 1:
        raise Flaw(
            f"is stored turned or mirrored (orientation {orientation})",
            "save it upright, and its mask in the same way",
        )


def exif_orientation(block: bytes) -> int:
    """The orientation that an EXIF block states, 1 (upright) if none."""
    order = _BYTE_ORDERS.get(block[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        entries = (
            struct.unpack_from(f"{order}HHIH", block, start + 2 + 12 * i) for i in range(count)
        )
        return next((value for tag, _, _, value in entries if tag == _ORIENTATION), 1)
    except struct.error:
        return 1
