"""Where templates led to no file: sentences that say how far they came and what lies there."""

from collections.abc import Sequence
from dataclasses import dataclass

from fre_hpo.data.finding.folder import Folder
from fre_hpo.data.finding.template import Part
from fre_hpo.errors import counted


@dataclass(frozen=True)
class DeadEnd:
    """The place up to which a template fits."""

    template: str
    option: str
    """What the template is called in a recipe."""
    place: str
    folder: Part | None = None
    """The folder that is not there; None where no file fits."""
    others: int = 0
    """How many other places have no file either."""

    @property
    def named(self) -> str:
        return f'{self.option} = "{self.template}"'


def sentences(folder: Folder, ends: Sequence[DeadEnd]) -> list[str]:
    """One sentence for each; one for both templates when they end at the same place alike."""
    if len(ends) == 2:
        one, other = ends
        if one.place == other.place and (one.folder is None) == (other.folder is None):
            return [_sentence(folder, ends)]
    return [_sentence(folder, [end]) for end in ends]


def _sentence(folder: Folder, ends: Sequence[DeadEnd]) -> str:
    """The ends have their place in common, and folders are missing there or files."""
    place = ends[0].place
    there = folder.contents(place)
    templates = "templates" if len(ends) > 1 else "template"
    if folders := [end.folder for end in ends if end.folder]:
        named = " and ".join(end.named for end in ends)
        missing = _missing(folder, place, list(dict.fromkeys(folders)))
        return f"{missing} ({there}): correct the {templates} {named} or the folder"
    return (
        f"{folder / place} has no file that fits {' or '.join(end.named for end in ends)}"
        f"{_nor_others(ends[0].others)} ({there}): put pictures there as PNG or TIFF or correct the "
        f"{templates}"
    )


def _missing(folder: Folder, place: str, parts: Sequence[Part]) -> str:
    if len(parts) == 1 and parts[0].literal:
        return f"{folder / place / parts[0].text} does not exist"
    wanted = (
        f"no folder {part.text}" if part.literal else f'no folder that fits "{part.written}"'
        for part in parts
    )
    return f"{folder / place} has {' and '.join(wanted)}"


def _nor_others(others: int) -> str:
    if not others:
        return ""
    if others == 1:
        return ", nor has the other folder like it"
    return f", nor has any of {counted(others, 'other folder')} like it"
