from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from fre_hpo.data.assembly.examination import PageFacts, examine

CLASSES = ("background", "membrane", "nucleus")
ALL = (90, 6, 4)
Named = tuple[str, PageFacts]


def facts(digest: str, counts: Sequence[int] = ALL, ignored: int = 0, **more: bool) -> PageFacts:
    """What was seen of a picture with so many pixels of the classes."""
    every = [0] * 256
    every[: len(counts)] = counts
    every[255] = ignored
    labels = digest + "!" * more.get("relabelled", False)
    return PageFacts(digest, labels, more.get("constant", False), tuple(every))


def examined(**splits: Sequence[Named]) -> tuple[list[str], list[str]]:
    """Problems and remarks about three splits, each with one picture where nothing is said."""
    pages: Mapping[str, Sequence[Named]] = {
        split: splits.get(split, [(f"{split}.png", facts(split))])
        for split in ("train", "validation", "test")
    }
    problems: list[str] = []
    remarks: list[str] = []
    examine(CLASSES, pages, problems, remarks)
    return problems, remarks


def test_nothing_is_wrong() -> None:
    assert examined() == ([], [])


def test_a_class_may_be_spread_over_pictures() -> None:
    train = [("a.png", facts("a", (100, 0, 0))), ("b.png", facts("b", (50, 25, 25)))]
    assert examined(train=train) == ([], [])


def test_a_class_absent_from_train_cannot_be_learned() -> None:
    problems, remarks = examined(train=[("a.png", facts("a", (90, 10, 0)))])
    assert problems == [
        "train has no pixel of the class nucleus (0 of 100), so it cannot be learned: move a picture "
        "that shows it into train, or take the class out of the label map"
    ]
    assert remarks == []


def test_ignored_pixels_count_for_no_class() -> None:
    problems, _ = examined(train=[("a.png", facts("a", (90, 10, 0), ignored=900))])
    assert "(0 of 100)" in problems[0]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_without_a_labelled_pixel_is_refused(split: str) -> None:
    problems, _ = examined(**{split: [("a.png", facts("a", (), ignored=64))]})
    assert problems == [
        f"{split} has no labelled pixel (64 are ignored): give it pictures with labels"
    ]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_without_pictures_is_refused(split: str) -> None:
    problems, _ = examined(**{split: []})
    assert problems[0].startswith(f"{split} has no labelled pixel")


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_class_absent_elsewhere_is_left_out_of_the_mean(split: str) -> None:
    problems, remarks = examined(**{split: [("a.png", facts("a", (90, 10, 0)))]})
    assert problems == []
    assert remarks == [
        f"{split} has no pixel of nucleus: the mean of the {split} mIoU leaves it out."
    ]
    _, remarks = examined(**{split: [("a.png", facts("a", (100, 0, 0)))]})
    assert remarks == [
        f"{split} has no pixel of membrane and nucleus: the mean of the {split} mIoU leaves them out, "
        "and one class alone tells no trial from another: divide the pictures otherwise (split_seed, "
        "larger shares, or groups by name)."
    ]


def test_one_content_in_two_splits_is_refused_once_for_each_repetition() -> None:
    problems, remarks = examined(
        train=[("a.png", facts("x")), ("b.png", facts("y"))],
        validation=[("c.tif", facts("y"))],
        test=[("d.png", facts("x")), ("e.png", facts("y"))],
    )
    assert problems == [
        f"{name} in {split} has the same content as {other} in train: take one of them away, with its "
        "mask"
        for name, split, other in (
            ("c.tif", "validation", "b.png"),
            ("d.png", "test", "a.png"),
            ("e.png", "test", "b.png"),
        )
    ]
    assert remarks == []


def test_one_content_twice_in_a_split_is_remarked() -> None:
    problems, remarks = examined(train=[("a.png", facts("x")), ("b.png", facts("x"))])
    assert problems == []
    assert remarks == ["b.png and a.png, both in train, have the same content."]


def test_one_content_with_two_masks_is_remarked_as_such() -> None:
    train = [("a.png", facts("a")), ("b.png", facts("a", relabelled=True))]
    _, remarks = examined(train=train)
    assert remarks == [
        "b.png and a.png, both in train, have the same content but different masks: keep the right one."
    ]


def test_blank_pictures_are_remarked_and_may_be_alike() -> None:
    blank = facts("blank", constant=True)
    problems, remarks = examined(
        train=[("a.png", facts("a")), ("b.png", blank), ("c.png", blank), ("d.png", blank)],
        test=[("e.png", blank)],
    )
    assert problems == []
    assert remarks == [
        "b.png and 2 more in train hold one value everywhere: such a picture shows nothing.",
        "e.png in test hold one value everywhere: such a picture shows nothing.",
    ]
