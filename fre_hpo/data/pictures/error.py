"""What can be wrong with a picture, as sentences that name the file and say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class PictureError(Exception):
    """A picture cannot be used: "<path> <what is wrong>: <what to do>"."""


class Flaw(Exception):
    """What is wrong with a picture and what to do, by code that does not know the file's name."""

    def __init__(self, finding: str, advice: str) -> None:
        super().__init__(f"{finding}: {advice}")


def damaged(reason: str) -> Flaw:
    """The flaw of a file that is not whole."""
    return Flaw(f"cannot be read ({reason})", "put an intact file there")


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong into a PictureError that begins with the path.

    Everything is caught, because decoders raise nearly anything on damaged files.
    """
    try:
        yield
    except Flaw as flaw:
        raise PictureError(f"{path} {flaw}") from flaw
    except MemoryError as error:
        raise PictureError(
            f"{path} needs more memory than there is: cut it into smaller pictures"
        ) from error
    except Exception as error:
        raise PictureError(f"{path} {_unforeseen(error)}") from error


def _unforeseen(error: Exception) -> Flaw:
    if isinstance(error, OSError) and error.errno is not None:
        return Flaw(
            f"cannot be read ({error.strerror})", "check that it is there and that you may read it"
        )
    return damaged((str(error) or type(error).__name__).splitlines()[0])
