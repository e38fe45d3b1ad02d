"""How pictures and their masks are called: patterns found in the names themselves.

Labs call a mask ``a_masks``, ``mask-a``, ``a.label`` or ``man_seg012``, so no list would do.  Two names
that belong together share a text, and what is left over is the same for every pair: each pair votes
for the pattern it obeys, and the pattern that pairs most names wins.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TypeVar

T = TypeVar("T")

MASK_WORDS = frozenset(
    (
        "mask", "masks", "label", "labels", "lbl", "groundtruth", "truth", "gt", "annotation",
        "annotations", "annot", "seg", "segs", "segmentation", "segmentations", "segmented",
        "target", "targets", "manual", "labelled", "labeled", "class", "classes",
    )
)  # fmt: skip
IMAGE_WORDS = frozenset(
    (
        "image", "images", "img", "imgs", "im", "raw", "picture", "pictures", "photo", "photos",
        "input", "inputs", "original", "originals", "orig", "scan", "scans", "volume", "data",
    )
)  # fmt: skip
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""One word of a name; GroundTruth and cellMask are two."""

_SAMPLE = 60
_CANDIDATES = 12
_ENDS = 6
"""Files of one picture; more are pictures whose names begin alike."""


@dataclass(frozen=True)
class Pattern:
    """Templates of a picture's and its mask's name without ending, such as {id} and {id}_mask."""

    image: str
    mask: str

    def pairs(self, images: Iterable[str], masks: Iterable[str]) -> list[tuple[str, str]]:
        """The names that belong together."""
        partners = {key: name for name in masks if (key := identity(self.mask, name))}
        keyed = ((identity(self.image, name), name) for name in images)
        return [(name, partners[key]) for key, name in keyed if key in partners]

    @property
    def words(self) -> tuple[set[str], set[str]]:
        """The words that tell a picture from its mask: the picture's, then the mask's."""
        image, mask = (words(re.sub(r"\{\w+\}", " ", text)) for text in (self.image, self.mask))
        return image, mask

    def turned(self) -> "Pattern":
        """The picture's name for the mask's."""
        return Pattern(self.mask, self.image)


def words(name: str) -> set[str]:
    """The words of a name in small letters; of two neighbours also the compound: groundtruth."""
    parts = [word.lower() for word in WORD.findall(name)]
    return {*parts, *(a + b for a, b in pairwise(parts))}


def even(items: Sequence[T], count: int) -> list[T]:
    """At most so many of them, evenly spread."""
    if len(items) <= count:
        return list(items)
    return [items[place * len(items) // count] for place in range(count)]


def identity(template: str, name: str) -> tuple[str, ...] | None:
    """The texts that a name has for the template's placeholders, numbers without leading zeros."""
    match = _compiled(template).fullmatch(name)
    return match and tuple(_canonical(text) for text in match.groups())


def _compiled(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)  # placeholders at odd places
    holes = {"id": "(.+)", "group": "(.+?)"}
    return re.compile("".join(holes[p] if i % 2 else re.escape(p) for i, p in enumerate(parts)))


def _canonical(text: str) -> str:
    return text.lstrip("0") or "0" if text.isdecimal() else text


def between(images: Sequence[str], masks: Sequence[str]) -> Pattern | None:
    """The pattern that pairs most names of two folders; None if no two belong together."""
    same = Pattern("{id}", "{id}")
    if set(images) & set(masks) == set(images):
        return same
    votes: Counter[Pattern] = Counter()
    inner, outer = set(images), set(masks)
    for name in even(masks, _SAMPLE):
        votes.update(Pattern("{id}", _around(affix)) for affix in affixes(name, inner))
    for name in even(images, _SAMPLE):
        votes.update(Pattern(_around(affix), "{id}") for affix in affixes(name, outer))
    partners = _by_numbers(images)
    for name in even(masks, _SAMPLE):
        for image in partners.get(_numbers(name), [])[:2]:
            votes.update(_shared(image, name))
    return _best([same, *(p for p, _ in votes.most_common(_CANDIDATES))], images, masks)


def within(names: Sequence[str]) -> list[Pattern]:
    """Patterns by which names of one folder may be pictures and masks, the likely ones first.

    Which of the two is the mask follows from the words; where these say nothing, the longer name
    or the one that comes first in the alphabet is a mere guess.
    """
    there = set(names)
    votes: Counter[Pattern] = Counter()
    for name in even(names, _SAMPLE):
        votes.update(
            Pattern("{id}", _around(affix))
            for affix in affixes(name, there)
            if re.search("[A-Za-z]", "".join(affix))
        )
    votes.update(_swapped(names))
    votes.update(_ended(names))
    patterns = [_oriented(pattern) for pattern, _ in votes.most_common(_CANDIDATES)]
    return sorted(patterns, key=lambda pattern: not is_oriented(pattern))


def is_oriented(pattern: Pattern) -> bool:
    """Whether the words say which one is the mask."""
    image, mask = pattern.words
    return bool(mask & MASK_WORDS) or bool(image & IMAGE_WORDS)


def _oriented(pattern: Pattern) -> Pattern:
    image, mask = pattern.words
    turn = (image & MASK_WORDS and not mask & MASK_WORDS) or (
        mask & IMAGE_WORDS and not (mask & MASK_WORDS or image & IMAGE_WORDS)
    )
    return pattern.turned() if turn else pattern


def _around(affix: tuple[str, str]) -> str:
    return f"{affix[0]}{{id}}{affix[1]}"


def affixes(name: str, others: set[str]) -> Iterator[tuple[str, str]]:
    """What a name has before or after another name that it contains; no number is cut in two."""
    for cut in range(1, len(name)):
        if name[cut - 1 : cut + 1].isdecimal():
            continue
        if name[cut:] in others:
            yield name[:cut], ""
        if name[:cut] in others:
            yield "", name[cut:]


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"[0-9]+", name)))


def _by_numbers(names: Sequence[str]) -> dict[tuple[int, ...], list[str]]:
    found = defaultdict(list)
    for name in names:
        found[_numbers(name)].append(name)
    return found


def _shared(image: str, mask: str) -> Iterator[Pattern]:
    """The patterns of two names whose end, beginning, or both are alike."""
    end = re.sub(r"^[\W_]+", "", _common(image[::-1], mask[::-1])[::-1])
    start = re.sub(r"[\W_]+$", "", _common(image, mask))
    before = [name[: len(name) - len(end)] for name in (image, mask)]
    after = [name[len(start) :] for name in (image, mask)]
    if end:
        if end[0].isdecimal():  # zeros of 00000012 belong to the number
            before = [re.sub("[0-9]+$", "", text) for text in before]
        yield Pattern(*(f"{text}{{id}}" for text in before))
    if start and not any(text[:1].isdecimal() for text in after):
        yield Pattern(*(f"{{id}}{text}" for text in after))
    if start and end and max(len(start), len(end)) < min(len(image), len(mask)) - len(end):
        middle = [text[len(start) :] for text in before]
        if all(middle):
            yield Pattern(*(f"{{group}}{text}{{id}}" for text in middle))


def _common(one: str, other: str) -> str:
    """The characters with which both begin."""
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return one[:length]


def _swapped(names: Sequence[str]) -> Counter[Pattern]:
    """Votes for names that differ in one word alone, such as a_img and a_mask."""
    seen: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for name in names:
        for word in WORD.finditer(name):
            seen[name[: word.start()], name[word.end() :]].add(word[0])
    votes: Counter[Pattern] = Counter()
    for (before, after), found in seen.items():
        for one in sorted(found):
            votes.update(
                _holed(before, one, other, after) for other in sorted(found) if one < other
            )
    return votes


def _ended(names: Sequence[str]) -> Counter[Pattern]:
    """Votes for names that differ in what follows a common beginning, such as a_raw and a_mask_nuclei."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        for separator in re.finditer(r"[_ .-]+(?=[A-Za-z])", name):
            seen[name[: separator.start()]].add(name[separator.start() :])
    votes: Counter[Pattern] = Counter()
    for start, ends in seen.items():
        if start and len(ends) <= _ENDS:
            pairs = combinations(sorted(ends), 2)
            votes.update(Pattern(f"{{id}}{one}", f"{{id}}{other}") for one, other in pairs)
    return votes


def _holed(before: str, one: str, other: str, after: str) -> Pattern:
    """The pattern of two words at one place of a name."""
    left, right = (bool(re.search("[A-Za-z0-9]", text)) for text in (before, after))
    start = re.sub(r"[\W_]+$", "", before)
    end = re.sub(r"^[\W_]+", "", after)
    glue = before[len(start) :], after[: len(after) - len(end)]
    if left and right:
        return Pattern(*(f"{{group}}{glue[0]}{word}{glue[1]}{{id}}" for word in (one, other)))
    if left:
        return Pattern(*(f"{{id}}{glue[0]}{word}{after}" for word in (one, other)))
    return Pattern(*(f"{before}{word}{glue[1]}{{id}}" for word in (one, other)))


def _best(patterns: list[Pattern], images: Sequence[str], masks: Sequence[str]) -> Pattern | None:
    counted = [(len(pattern.pairs(images, masks)), pattern) for pattern in patterns]
    count, best = max(counted, key=lambda row: row[0])
    return best if count else None
