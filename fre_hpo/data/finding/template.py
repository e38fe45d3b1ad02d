"""Templates for file names: `images/{id}.*` says where pictures lie and what their names mean.

Two templates, one for images and one for masks, describe a folder; files whose placeholders agree
are a pair.  `{split}` takes the words of SPLIT_WORDS.  `{group}` takes as little text as it can and
`{id}` as much, so that `{group}_{id}` reads m2_cell_3 as group m2: a group too large does little
harm, one too small lets near copies into two splits.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count, pairwise

SPLITS = ("train", "validation", "test")
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "tr": "train",  # imagesTr and imagesTs of nnU-Net
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "ts": "test",
}
"""What people write for a split, in lower case -> the split."""

ENDINGS = ("png", "tif", "tiff", "jpg", "jpeg", "bmp", "gif", "pgm", "ppm", "pnm", "webp")

UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that would break a sentence in a terminal: control characters, line breaks, bytes that
are no UTF-8."""

_ENDING = re.compile(rf"(?:\.ome\.tiff?|\.(?:{'|'.join(ENDINGS)}))\Z", re.IGNORECASE)
_TOKEN = re.compile(r"(\{[^{}]*\}|\*)")
_LONGEST_FIRST = "|".join(sorted(SPLIT_WORDS, key=len, reverse=True))
_PATTERNS = {"{split}": rf"(?i:{_LONGEST_FIRST})", "{group}": ".+?", "{id}": ".+", "*": ".*?"}
_OPEN = {"{group}", "{id}", "*"}
_STAR = "star"
_NUMBERED_STAR = re.compile(rf"\{{{_STAR}[0-9]+\}}")
"""What a `*` is turned into where it tells pictures apart; nobody can write it in a template."""

Values = tuple[tuple[str, str], ...]
"""What the placeholders stood for, as it was written: (("group", "m2"), ("id", "03"))."""


class BadTemplate(ValueError):
    """A template cannot be used; the message is a clause that says what to write instead."""


@dataclass(frozen=True)
class Part:
    """One level of a template: the name of a folder, or of the file."""

    text: str
    """Without the `.*` at the end; a `*` that tells pictures apart has a number."""
    any_ending: bool = False
    """The name goes on with the ending of any picture, which is not part of `{id}`."""

    @property
    def written(self) -> str:
        """As people wrote it, for sentences; without the `.*` at the end."""
        return _NUMBERED_STAR.sub("*", self.text)

    @property
    def literal(self) -> bool:
        """Only one name fits, and nothing needs to be listed to find it."""
        return not self.any_ending and _TOKEN.search(self.text) is None

    @property
    def is_picture(self) -> bool:
        """Only names fit that end like a picture's."""
        return self.any_ending or _ENDING.search(self.text) is not None

    @property
    def literal_length(self) -> int:
        """How many characters are prescribed: of two templates that fit, the closer one has more."""
        return len(_TOKEN.sub("", self.text))

    def match(self, name: str, bound: Values = ()) -> Values | None:
        """The values with those of this name added, or None when the name does not fit.

        A placeholder that already has a value stands for that text again.
        """
        if self.any_ending:
            ending = _ENDING.search(name)
            if ending is None:
                return None
            name = name[: ending.start()]
        found = _compiled(self.text, bound).fullmatch(name)
        return bound + tuple(found.groupdict().items()) if found else None


@dataclass(frozen=True)
class Template:
    """A parsed template: the levels from the folder down to the file."""

    text: str
    parts: tuple[Part, ...]

    @property
    def placeholders(self) -> frozenset[str]:
        """The names in braces, without the braces."""
        tokens = (token for part in self.parts for token in _TOKEN.findall(part.text))
        return frozenset(token[1:-1] for token in tokens if token != "*")

    @property
    def stars(self) -> int:
        """How many `*` there are, that of the ending not counted."""
        return sum(part.written.count("*") for part in self.parts)

    def with_numbered_stars(self) -> "Template":
        """The same, but what each `*` stands for is among the values."""
        numbers = count(1)
        parts = (
            replace(part, text=re.sub(r"\*", lambda _: f"{{{_STAR}{next(numbers)}}}", part.text))
            for part in self.parts
        )
        return replace(self, parts=tuple(parts))

    def filled(self, values: Values) -> str:
        """The path that belongs to these values, for sentences: a star without value stays one."""
        path = "/".join(part.text + ".*" * part.any_ending for part in self.parts)
        for name, value in values:
            path = path.replace("{" + name + "}", value)
        return path


def parse(text: str) -> Template:
    """Read a template; raises BadTemplate."""
    _check_path(text)
    names = [name for name in text.split("/") if name != "."]
    for name in names:
        _check_name(text, name)
    *folders, file = names
    any_ending = file.endswith(".*")
    last = Part(file.removesuffix(".*") if any_ending else file, any_ending)
    if any_ending and not last.text:
        raise BadTemplate(f'"{text}" names no file: write for example "images/{{id}}.*"')
    return Template(text, (*map(Part, folders), last))


def check_templates(images: str, masks: str) -> None:
    """Raise BadTemplate unless the two can pair images with masks.

    A template is a path below the folder, with forward slashes.  An image and a mask are a pair when
    their placeholders stand for the same text:

    - `{id}` is the picture's name; it may occur twice and is the same text then.
    - `{group}` is a patient, a section, a movie: what is never divided between splits.
    - `{split}` is one of the words of SPLIT_WORDS, where the folder itself says who trains.
    - `*` is any other text, also none.  With equally many in both templates, the first `*` of one is
      the same text as the first of the other, and so on, and tells pictures apart: of
      `*/field{id}/dapi.png` and `*/field{id}/mask.png`, WT/field1 and KO/field1 are two pictures.
      With different numbers, what they stand for is of no interest; so text that differs between an
      image and its mask is written out in one of the templates at least.
    - `.*` at the end is the ending of any picture.

    Between `{id}`, `{group}` and `*` stands some text, because nothing else says where one ends.
    """
    parse_both(images, masks)


def parse_both(images: str, masks: str) -> tuple[Template, Template]:
    """The two as check_templates has them: equally many `*` have numbers.  Raises BadTemplate."""
    image, mask = parse(images), parse(masks)
    _check_both(image, mask)
    if image.stars == mask.stars:
        return image.with_numbered_stars(), mask.with_numbered_stars()
    return image, mask


def star_texts(values: Values) -> list[str]:
    """What the numbered `*` stood for, in their order."""
    return [text for name, text in values if name.startswith(_STAR)]


def _check_both(image: Template, mask: Template) -> None:
    """Files that fit can be told apart and paired."""
    if image.parts == mask.parts:
        raise BadTemplate(
            f'images and masks are both "{image.text}", so nothing tells a mask from an image: '
            f"let the two differ"
        )
    if image.placeholders != mask.placeholders:
        odd = min(image.placeholders ^ mask.placeholders)
        one, other = ("images", "masks") if odd in image.placeholders else ("masks", "images")
        raise BadTemplate(
            f"{one} has {{{odd}}} but {other} has not: both need the same placeholders, because "
            f"files are paired by them"
        )
    if "id" not in image.placeholders and (image.stars or mask.stars):
        raise BadTemplate(
            f'images = "{image.text}" and masks = "{mask.text}" have no {{id}}: write {{id}} where the '
            f'names of image and mask agree, as in "images/{{id}}.*" and "masks/{{id}}.*"'
        )


def is_picture_name(name: str) -> bool:
    """Whether the name ends like a picture's."""
    return _ENDING.search(name) is not None


def split_of(word: str) -> str | None:
    """The split that a word stands for, in any case; None when it stands for none."""
    return SPLIT_WORDS.get(word.strip().lower())


def _check_path(text: str) -> None:
    """The text is a path relative to the folder, with forward slashes."""
    example = 'for example "images/{id}.*"'
    if not text.strip():
        raise BadTemplate(f"a template is empty: write where the files lie, {example}")
    if UNSHOWABLE.search(text):
        raise BadTemplate(f"{text!r} has characters that cannot be shown: write plain text")
    if "\\" in text:
        raise BadTemplate(f'"{text}" has a backslash: write forward slashes, {example}')
    if text.startswith("/") or re.match(r"[A-Za-z]:", text):
        raise BadTemplate(f'"{text}" is no path relative to the folder: write {example}')
    names = text.split("/")
    if ".." in names:
        raise BadTemplate(
            f'"{text}" leaves the folder by "..": let data.folder name the folder above, and '
            f"write the template relative to that"
        )
    if "" in names or names[-1] == ".":
        raise BadTemplate(f'"{text}" has a level without a name: write {example}')


def _check_name(text: str, name: str) -> None:
    """One level's placeholders are known, and it is plain where each of them ends."""
    tokens = [token for token in _TOKEN.split(name.removesuffix(".*")) if token]
    for token in tokens:
        if token not in _PATTERNS and ("{" in token or "}" in token):
            raise BadTemplate(
                f'"{text}" has "{token}": the placeholders are {{id}}, {{group}}, {{split}} and *'
            )
    for one, other in pairwise(tokens):
        if one in _OPEN and other in _OPEN:
            raise BadTemplate(
                f'"{text}" has {one} and {other} side by side, so nothing says where one ends: '
                f"write the text that stands between them"
            )


@lru_cache(maxsize=4096)
def _compiled(text: str, bound: Values) -> re.Pattern[str]:
    """A level as a regular expression; a picture's ending that is spelt out may be in any case."""
    ending = _ENDING.search(text)
    stem = text[: ending.start()] if ending else text
    known = {"{" + name + "}": value for name, value in bound}
    seen: set[str] = set()
    pattern = ""
    for token in _TOKEN.split(stem):
        name = token[1:-1]
        if token in known:
            pattern += re.escape(known[token])
        elif token in seen:
            pattern += f"(?P={name})"
        elif _NUMBERED_STAR.fullmatch(token):
            pattern += f"(?P<{name}>{_PATTERNS['*']})"
        elif token in _PATTERNS and token != "*":
            pattern += f"(?P<{name}>{_PATTERNS[token]})"
            seen.add(token)
        else:
            pattern += _PATTERNS.get(token) or re.escape(token)
    return re.compile(pattern + (f"(?i:{re.escape(ending[0])})" if ending else ""), re.DOTALL)
