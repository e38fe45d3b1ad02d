from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.data.dividing.dealing import even_blocks, even_parts, nearest_subset, nearest_tail
from fre_hpo.data.dividing.splitting import SPLITS, Item, Rule, divide

RANDOM = Rule("random", validation=0.15, test=0.15, folds=0, fold=0, seed=0)
ORDER = replace(RANDOM, split="order")
GIVEN = replace(RANDOM, split="given")

sizes_of_groups = st.lists(st.integers(1, 30), min_size=3, max_size=25)
shares = st.floats(0.05, 0.45)
seeds = st.integers(0, 2**32 - 1)


def grouped(sizes: Sequence[int]) -> list[Item]:
    """Group g0 with its pictures, then g1 with its own, and so on."""
    return [
        Item(f"g{group}/{number}", f"g{group}", None)
        for group, size in enumerate(sizes)
        for number in range(size)
    ]


def single(count: int) -> list[Item]:
    return [Item(f"p{number}", None, None) for number in range(count)]


def said(**counts: int) -> list[Item]:
    """Pictures that say their split."""
    return [
        Item(f"{split}/{n}", None, split) for split, count in counts.items() for n in range(count)
    ]


def dealt(items: Sequence[Item], rule: Rule) -> dict[str, list[int]]:
    problems: list[str] = []
    splits = divide(items, rule, problems)
    assert problems == []
    return splits


def problems_of(items: Sequence[Item], rule: Rule) -> list[str]:
    problems: list[str] = []
    splits = divide(items, rule, problems)
    assert list(splits) == list(SPLITS)
    return problems


def names(items: Sequence[Item], splits: dict[str, list[int]]) -> dict[str, set[str]]:
    return {split: {items[place].name for place in places} for split, places in splits.items()}


def check_partition(items: Sequence[Item], splits: dict[str, list[int]]) -> None:
    """Every picture once, ascending, nothing empty, no group on two sides."""
    assert sorted(place for places in splits.values() for place in places) == list(
        range(len(items))
    )
    assert all(places == sorted(places) and places for places in splits.values())
    groups = [{items[place].group or items[place].name for place in splits[s]} for s in SPLITS]
    assert all(not one & other for one, other in combinations(groups, 2))


@given(sizes_of_groups, shares, shares, seeds, st.sampled_from(["random", "order"]))
def test_every_picture_is_in_one_split_and_no_group_in_two(
    sizes: list[int], validation: float, test: float, seed: int, split: str
) -> None:
    items = grouped(sizes)
    rule = replace(RANDOM, validation=validation, test=test, seed=seed, split=split)
    check_partition(items, dealt(items, rule))


@given(st.integers(20, 300), shares, shares, seeds, st.sampled_from(["random", "order"]))
def test_shares_of_single_pictures_are_kept_to_the_picture(
    count: int, validation: float, test: float, seed: int, split: str
) -> None:
    items = single(count)
    rule = replace(RANDOM, validation=validation, test=test, seed=seed, split=split)
    splits = dealt(items, rule)
    check_partition(items, splits)
    for name, share in (("validation", validation), ("test", test)):
        assert abs(len(splits[name]) - share * count) <= 0.5


@given(sizes_of_groups, shares, seeds)
def test_the_share_of_test_is_as_near_as_groups_allow(
    sizes: list[int], share: float, seed: int
) -> None:
    items = grouped(sizes)
    found = len(dealt(items, replace(RANDOM, test=share, seed=seed))["test"])
    sums = {sum(c) for n in (1, 2) for c in combinations(sizes, n) if n <= len(sizes) - 2}
    target = share * len(items)
    assert abs(found - target) <= min(abs(total - target) for total in sums) + 1e-9


@given(sizes_of_groups, seeds, st.randoms())
def test_the_order_of_the_files_does_not_matter(
    sizes: list[int], seed: int, chance: object
) -> None:
    items = grouped(sizes)
    shuffled = list(items)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    rule = replace(RANDOM, seed=seed)
    assert names(items, dealt(items, rule)) == names(shuffled, dealt(shuffled, rule))


def test_another_seed_divides_otherwise_and_the_same_one_alike_for_ever() -> None:
    items = single(20)
    tests = [dealt(items, replace(RANDOM, seed=seed))["test"] for seed in range(4)]
    assert len({tuple(test) for test in tests}) == 4
    assert tests[0] == [0, 1, 8]  # studies that run rely on it
    assert dealt(items, RANDOM)["validation"] == [3, 7, 16]


def test_a_further_picture_moves_hardly_any_other() -> None:
    before, after = single(200), [*single(200), Item("new", None, None)]
    old, new = names(before, dealt(before, RANDOM)), names(after, dealt(after, RANDOM))
    moved = sum(len(old[split] - new[split]) for split in SPLITS)
    assert moved <= 4


def test_pictures_without_group_that_share_a_name_stay_pictures_of_their_own() -> None:
    items = [Item("a.png", None, None)] * 10
    assert [len(places) for places in dealt(items, RANDOM).values()] == [8, 1, 1]


def test_order_makes_blocks_train_first_and_test_last() -> None:
    splits = dealt(single(20), ORDER)
    assert splits == {
        "train": [*range(14)],
        "validation": [14, 15, 16],
        "test": [17, 18, 19],
    }


def test_order_does_not_cut_a_group() -> None:
    items = grouped([10, 3, 3, 4])
    assert dealt(items, ORDER) == {
        "train": [*range(13)],
        "validation": [13, 14, 15],
        "test": [16, 17, 18, 19],
    }


def test_groups_by_name_and_pictures_by_name() -> None:
    items = [*grouped([3, 2, 2]), Item("x", None, None), Item("y", None, None)]
    splits = dealt(items, replace(RANDOM, validation=("g1", "x"), test=("g2",)))
    assert splits == {"train": [0, 1, 2, 8], "validation": [3, 4, 7], "test": [5, 6]}


def test_a_list_for_test_and_a_share_of_all_pictures_for_validation() -> None:
    items = grouped([10, 10, 10, 10])
    splits = dealt(items, replace(RANDOM, validation=0.25, test=("g2",)))
    assert splits["test"] == list(range(20, 30))
    assert len(splits["validation"]) == 10


def test_given_splits_are_kept() -> None:
    items = said(test=2, train=3, validation=1)
    assert dealt(items, GIVEN) == {"train": [2, 3, 4], "validation": [5], "test": [0, 1]}


@pytest.mark.parametrize(("absent", "kept"), [("validation", "test"), ("test", "validation")])
def test_a_split_that_nobody_is_in_is_taken_out_of_train(absent: str, kept: str) -> None:
    items = said(**{"train": 20, kept: 5})
    splits = dealt(items, GIVEN)
    assert splits[kept] == [20, 21, 22, 23, 24]
    assert len(splits[absent]) == 3
    assert max(splits[absent]) < 20


def test_a_split_that_nobody_is_in_may_be_named_by_groups() -> None:
    items = [Item(f"{g}{n}", g, "train") for g in "abc" for n in range(2)] + said(test=2)
    splits = dealt(items, replace(GIVEN, validation=("b",)))
    assert splits == {"train": [0, 1, 4, 5], "validation": [2, 3], "test": [6, 7]}


def test_given_train_alone_gives_both_others() -> None:
    splits = dealt(said(train=20), GIVEN)
    assert [len(places) for places in splits.values()] == [14, 3, 3]


@given(sizes_of_groups, st.integers(2, 6), seeds, st.sampled_from(["random", "order"]))
def test_folds_cover_all_but_test_once(sizes: list[int], folds: int, seed: int, split: str) -> None:
    items = grouped(sizes * 3)
    rule = replace(RANDOM, folds=folds, seed=seed, split=split)
    dealings = [dealt(items, replace(rule, fold=fold)) for fold in range(folds)]
    for splits in dealings:
        check_partition(items, splits)
        assert splits["test"] == dealings[0]["test"]
    parts = [place for splits in dealings for place in splits["validation"]]
    assert sorted(parts + dealings[0]["test"]) == list(range(len(items)))
    counts = [len(splits["validation"]) for splits in dealings]
    assert split == "order" or max(counts) - min(counts) <= max(sizes)


def test_folds_of_an_order_are_blocks() -> None:
    rule = replace(ORDER, test=("p9",), folds=3)
    folds = [dealt(single(10), replace(rule, fold=fold))["validation"] for fold in range(3)]
    assert folds == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_folds_of_given_splits_spare_test_and_use_validation() -> None:
    items = said(train=4, validation=2, test=2)
    folds = [dealt(items, replace(GIVEN, folds=3, fold=fold)) for fold in range(3)]
    assert all(splits["test"] == [6, 7] for splits in folds)
    assert sorted(place for splits in folds for place in splits["validation"]) == [*range(6)]


MISUSES = [
    (
        replace(RANDOM, validation=("g1", "g7")),
        ["validation names g7, but there is no such group: known are g0, g1, g2, g3"],
    ),
    (
        replace(RANDOM, test=("g0/1",)),
        [
            "test names g0/1, a picture of the group g0, which stays together: name the group",
        ],
    ),
    (
        replace(RANDOM, test=("g0",), validation=("g0",)),
        ["g0 is named in validation and in test: leave it in one"],
    ),
    (
        replace(RANDOM, test=()),
        ["test = [] names no group: name some, or set a share such as 0.15"],
    ),
    (
        replace(RANDOM, test=0.0, validation=1.5),
        [
            "data.test = 0 leaves test without pictures: set a share between 0 and 1, such as 0.15, or "
            "name groups",
            "data.validation = 1.5 leaves train without pictures: set a share between 0 and 1, such as "
            "0.15, or name groups",
        ],
    ),
    (
        replace(RANDOM, test=0.4, validation=0.6),
        ["test = 0.4 and validation = 0.6 leave no picture to train on: make them smaller"],
    ),
    (
        replace(RANDOM, folds=4),
        [
            "4 groups (g0, g1, g2, g3) cannot fill 4 folds and test, and a group is never divided: set "
            "data.folds to 3 at most, write {id} or * instead of {group} if the pictures of a group "
            "are independent, or add a group"
        ],
    ),
    (
        replace(RANDOM, folds=2, fold=2),
        [
            "fold = 2 of folds = 2 is no part: set folds to 2 or more, and fold from 0 to folds - 1",
        ],
    ),
    (
        replace(RANDOM, folds=2, validation=("g0",)),
        ["validation names groups, but folds chooses them: leave one of both out"],
    ),
    (
        replace(RANDOM, validation=("g0", "g1"), test=("g2", "g3")),
        ["no picture is left to train on: add pictures or make another split smaller"],
    ),
    (
        GIVEN,
        [
            "split is given, but not for 8 of 8 pictures (the first is g0/0): say train, validation "
            "or test for each, or set split to random"
        ],
    ),
]


@pytest.mark.parametrize(("rule", "expected"), MISUSES)
def test_what_cannot_be_done_is_said(rule: Rule, expected: list[str]) -> None:
    assert problems_of(grouped([2, 2, 2, 2]), rule) == expected


def test_too_few_pictures_are_told() -> None:
    assert problems_of(single(2), RANDOM) == [
        "2 pictures cannot fill train, validation and test: add a picture"
    ]
    assert problems_of(single(1), RANDOM) == [
        "1 picture cannot fill train, validation and test: add 2 pictures"
    ]
    assert problems_of(single(3), replace(RANDOM, folds=5)) == [
        "3 pictures cannot fill 5 folds and test: set data.folds to 2 at most, or add 3 pictures"
    ]
    assert problems_of([], RANDOM) == [
        "no picture is left to train on: add pictures or make another split smaller"
    ]


GROUPS = [
    (
        grouped([6, 6]),
        RANDOM,
        "2 groups (g0, g1) cannot fill train, validation and test, and a group is never divided: write "
        "{id} or * instead of {group} if the pictures of a group are independent, or add a group",
    ),
    (
        grouped([6, 6]),
        replace(ORDER, test=("g1",)),
        "1 group (g0) cannot fill train and validation, and a group is never divided: write {id} or * "
        "instead of {group} if the pictures of a group are independent, or add a group",
    ),
    (
        [*grouped([6]), Item("x", None, None)],
        RANDOM,
        "1 group (g0) and 1 picture without group cannot fill train, validation and test, and a group "
        "is never divided: write {id} or * instead of {group} if the pictures of a group are "
        "independent, or add a group",
    ),
    (
        grouped([1] * 9),
        replace(RANDOM, folds=20),
        "9 groups (g0, g1, g2, g3, g4, g5 and 3 more) cannot fill 20 folds and test, and a group is "
        "never divided: set data.folds to 8 at most, write {id} or * instead of {group} if the "
        "pictures of a group are independent, or add 12 groups",
    ),
]


@pytest.mark.parametrize(("items", "rule", "sentence"), GROUPS)
def test_too_few_groups_are_told_with_a_way_out(
    items: list[Item], rule: Rule, sentence: str
) -> None:
    assert problems_of(items, rule) == [sentence]


def test_the_way_out_of_a_group_is_the_callers() -> None:
    problems: list[str] = []
    divide(grouped([6, 6]), RANDOM, problems, ungroup="leave the column group out")
    assert problems == [
        "2 groups (g0, g1) cannot fill train, validation and test, and a group is never divided: leave "
        "the column group out if the pictures of a group are independent, or add a group"
    ]


def test_too_few_stacks_are_told() -> None:
    items = [Item(f"{name}[{page}]", name, "train") for name in ("a.tif", "b.tif") for page in "12"]
    assert problems_of(items, RANDOM) == [
        "2 stacks (a.tif, b.tif) cannot fill train, validation and test, and a stack is never divided: "
        'set data.split = "order", which divides stacks into blocks of neighbouring pages, or add a '
        "stack"
    ]
    assert problems_of(items[:2], GIVEN) == [
        "1 stack (a.tif) cannot fill train, validation and test, and a stack is never divided: cut "
        "stacks into several files, or add 2 stacks"
    ]


def test_one_group_in_two_given_splits_is_told() -> None:
    items = [Item("a", "m1", "train"), Item("b", "m1", "test"), Item("c", "m1", "train")]
    items += said(train=3, validation=2, test=1)
    assert problems_of(items, GIVEN) == [
        "the group m1 is in train (2 pictures) and test (1 picture): put its pictures into one split"
    ]


def test_a_group_that_is_given_elsewhere_cannot_be_named() -> None:
    items = [Item("a", "m1", "test"), *said(train=5)]
    assert problems_of(items, replace(GIVEN, validation=("m1",))) == [
        "validation names m1, which says itself that it is in another split: leave it in one"
    ]


def test_a_split_is_either_given_or_named() -> None:
    items = said(train=5, validation=2, test=1)
    assert problems_of(items, replace(GIVEN, test=("train/0",))) == [
        "test names groups, but the pictures say themselves which are in test: leave the option test "
        "out, or set split to random"
    ]


def test_groups_that_differ_in_case_are_told() -> None:
    items = [*grouped([2, 2, 2]), Item("x", "G1", None)]
    assert problems_of(items, RANDOM) == [
        "the groups g1 and G1 differ only in case: write one name for both"
    ]


def test_all_problems_come_in_one_run() -> None:
    items = [*grouped([2, 2, 2]), Item("x", "G1", None)]
    assert len(problems_of(items, replace(RANDOM, validation=("nobody",), test=2.0))) == 3


def test_a_name_among_very_many_is_not_compared_with_all() -> None:
    (problem,) = problems_of(single(5000), replace(RANDOM, test=("q",)))
    assert problem == "test names q, but there is no such group: there are 5000, such as p0"


@given(st.lists(st.integers(1, 12), min_size=2, max_size=13), st.floats(0.5, 60), st.integers(0, 2))
def test_the_nearest_sum_of_all_is_found(sizes: list[int], target: float, leave: int) -> None:
    leave = min(leave, len(sizes) - 1)
    found = nearest_subset(sizes, target, leave)
    assert 1 <= len(set(found)) == len(found) <= len(sizes) - leave
    numbers = range(1, len(sizes) - leave + 1)
    best = min(abs(sum(c) - target) for n in numbers for c in combinations(sizes, n))
    distance = abs(sum(sizes[place] for place in found) - target)
    assert distance == best or (len(sizes) > 10 and target > sum(sizes) / 2)


def test_groups_without_an_exact_sum_and_very_many_of_them() -> None:
    found = nearest_subset([2] * 20_000, 4001, leave=1)
    assert found == list(range(2000))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(1, 6))
def test_blocks_are_blocks(sizes: list[int], parts: int) -> None:
    parts = min(parts, len(sizes))
    blocks = even_blocks(sizes, parts)
    assert [place for block in blocks for place in block] == list(range(len(sizes)))
    assert len(blocks) == parts
    assert all(blocks)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(1, 6))
def test_parts_differ_by_no_more_than_the_largest_group(sizes: list[int], parts: int) -> None:
    dealt_parts = even_parts(sizes, parts)
    assert sorted(place for part in dealt_parts for place in part) == list(range(len(sizes)))
    totals = [sum(sizes[place] for place in part) for part in dealt_parts]
    assert max(totals) - min(totals) <= max(sizes)


def test_nothing_is_taken_when_all_must_remain() -> None:
    for take in (nearest_subset, nearest_tail):
        with pytest.raises(ValueError, match="2 groups, and 2 must remain"):
            take([1, 1], 1, 2)
