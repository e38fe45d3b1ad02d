"""`data init`: folders as laboratories leave them, and the recipe that each becomes."""

import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from drawn import COLOURS, save
from fre_hpo.data import DATASETS, phantom
from fre_hpo.data.finding.pairing import find_pairs
from fre_hpo.data.guessing import Guess, guess, recipe_text
from fre_hpo.data.guessing.folders import read
from fre_hpo.data.guessing.groups import find_groups
from fre_hpo.data.guessing.names import Pattern, between, within
from fre_hpo.errors import DataProblems

SIZE = 32
Drawn = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def cells(number: int, size: int = SIZE) -> Drawn:
    """A picture and its class indices."""
    return phantom.draw(np.random.default_rng([7, number]), phantom.Options(size=size))


def instances(number: int) -> NDArray[np.uint8]:
    """Cells as squares with a number each; how many they are differs from picture to picture."""
    mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
    for cell in range(4 + number % 3):
        row, column = divmod(cell, 3)
        mask[10 * row + 2 : 10 * row + 9, 10 * column + 2 : 10 * column + 9] = cell + 1
    return mask


def draw(
    folder: Path,
    image: str,
    mask: str,
    names: Sequence[str],
    paint: Callable[[NDArray[np.uint8]], NDArray[Any]] = lambda labels: labels,
) -> Path:
    """Pairs whose paths are the two texts with {} filled."""
    for number, name in enumerate(names):
        picture, labels = cells(number)
        save(folder / image.format(name), picture)
        save(folder / mask.format(name), paint(labels))
    return folder


def numbered(count: int) -> list[str]:
    return [f"cell{number:02}" for number in range(count)]


def white(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(labels > 0, 255, 0).astype(np.uint8)


def agrees(found: Guess, folder: Path, pairs: int) -> None:
    """What reads the data set finds as many pairs by the templates."""
    problems: list[str] = []
    leave_out = found.options.get("unlabelled") == "leave out"
    images, masks = found.options["images"], found.options["masks"]
    pairing = find_pairs(folder, images, masks, leave_out_unlabelled=leave_out, problems=problems)
    assert (len(pairing.pairs), problems) == (pairs, [])


def remarks(found: Guess) -> str:
    return "\n".join(f"{key}: {remark}" for key, remark in found.found)


def check_recipe(found: Guess) -> dict[str, Any]:
    """The text is TOML that holds the guess, and the set's own options take it."""
    document = tomllib.loads(recipe_text(found, "mine", "../pictures"))
    assert document["dataset"] == "pairs"
    assert document["data"].pop("folder") == "../pictures"
    labels = document["data"].pop("labels", {})
    lists = {k: v if isinstance(v, list) else [v] for k, v in labels.items()}
    assert lists == found.options.get("labels", {})
    assert document["data"] == {k: v for k, v in found.options.items() if k != "labels"}
    assert document["training"] == found.training
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in document["data"].items()}
    taken = {k: v if isinstance(v, int | str) else tuple(v) for k, v in labels.items()}
    DATASETS["pairs"].options(**options, labels=taken)
    return document


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "masks", "pattern"),
    [
        (["a1", "a2"], ["a2", "a1"], ("{id}", "{id}")),
        (["a1", "a2"], ["a1_masks", "a2_masks"], ("{id}", "{id}_masks")),
        (["a1", "b2"], ["mask_a1", "mask_b2"], ("{id}", "mask_{id}")),
        (["a1_0000", "b2_0000"], ["a1", "b2"], ("{id}_0000", "{id}")),
        (["img_01", "img_02"], ["mask_01", "mask_02"], ("img_{id}", "mask_{id}")),
        (["t000", "t012"], ["man_seg000", "man_seg012"], ("t{id}", "man_seg{id}")),
        (["00", "19"], ["labels00000000", "labels00000019"], ("{id}", "labels{id}")),
        (["p1_img_3", "q2_img_4"], ["p1_gt_3", "q2_gt_4"], ("{group}_img_{id}", "{group}_gt_{id}")),
        (["1_raw", "2_raw"], ["1_lab", "2_lab"], ("{id}_raw", "{id}_lab")),
    ],
)
def test_the_pattern_between_two_folders_is_found_in_the_names(
    images: list[str], masks: list[str], pattern: tuple[str, str]
) -> None:
    assert between(images, masks) == Pattern(*pattern)


def test_names_that_share_nothing_are_no_pairs() -> None:
    assert between(["anna", "bert"], ["xyz", "uvw"]) is None


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["a", "a_cp_masks", "b", "b_cp_masks"], ("{id}", "{id}_cp_masks")),
        (["a_img", "a_label", "b_img", "b_label"], ("{id}_img", "{id}_label")),
        (["mask_1", "im_1", "mask_2", "im_2"], ("im_{id}", "mask_{id}")),
        (["a1_raw", "a1", "a2_raw", "a2"], ("{id}_raw", "{id}")),
    ],
)
def test_pictures_and_masks_of_one_folder_are_told_apart_by_words(
    names: list[str], pattern: tuple[str, str]
) -> None:
    assert within(names)[0] == Pattern(*pattern)


@pytest.mark.parametrize(
    ("ids", "template", "groups"),
    [
        ([f"patient{p}_{i:02}" for p in range(5) for i in range(3)], "patient{group}_{id}", 5),
        ([f"m{m}_s{s}" for m in range(6) for s in range(9, 12)], "m{group}_s{id}", 6),
        ([f"{n}_{i}" for n in ("anna", "bert", "cleo", "dora") for i in "xyz"], "{group}_{id}", 4),
        ([f"e1_p{p}_c{c}" for p in range(4) for c in range(3)], "e1_p{group}_c{id}", 4),
    ],
)
def test_groups_are_found_where_names_are_plain(ids: list[str], template: str, groups: int) -> None:
    found = find_groups(ids)
    assert found is not None
    assert (found.template, len(found.counts), found.enough) == (template, groups, True)


def test_few_groups_are_told_but_not_enough() -> None:
    found = find_groups([f"mouse{m}_{i}" for m in (1, 2) for i in range(9)])
    assert found is not None
    assert (sorted(found.counts), found.enough) == (["1", "2"], False)


@pytest.mark.parametrize(
    "ids", [[f"cell{n:03}" for n in range(30)], [f"{n}_{9 - n}" for n in range(9)], ["a_1"]]
)
def test_plain_numbers_are_no_groups(ids: list[str]) -> None:
    assert find_groups(ids) is None


@pytest.mark.parametrize(
    ("path", "role", "template"),
    [
        ("images/train", "image", "images/{split}"),
        ("Training/GroundTruth", "mask", "{split}/GroundTruth"),
        ("train_labels", "mask", "{split}_labels"),
        ("trainannot", "mask", "{split}annot"),
        ("labelsTr", "mask", "labels{split}"),
        ("trainer/contest", "", "trainer/contest"),
        ("labels/img", "image", "labels/img"),
    ],
)
def test_folder_names_are_read(path: str, role: str, template: str) -> None:
    assert (read(path).role, read(path).template()) == (role, template)


# --- layouts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "mask", "templates"),
    [
        ("images/{}.png", "masks/{}.png", ("images/{id}.*", "masks/{id}.*")),
        ("Image/{}.png", "GroundTruth/{}.png", ("Image/{id}.*", "GroundTruth/{id}.*")),
        ("Image/{}.png", "Label/{}.png", ("Image/{id}.*", "Label/{id}.*")),
        ("img/{}.tif", "gt/{}.png", ("img/{id}.*", "gt/{id}.*")),
        ("raw/{}.tif", "labels/labels_{}.png", ("raw/{id}.*", "labels/labels_{id}.*")),
        ("images/{}.jpg", "annotations/{}.png", ("images/{id}.*", "annotations/{id}.*")),
        (
            "images/{}.png",
            "segmentations/{}_seg.png",
            ("images/{id}.*", "segmentations/{id}_seg.*"),
        ),
        ("a/b/IMAGES/{}.png", "a/b/MASKS/{}.png", ("a/b/IMAGES/{id}.*", "a/b/MASKS/{id}.*")),
        ("{}.png", "{}_mask.png", ("{id}.*", "{id}_mask.*")),
        ("{}.png", "masks/{}.png", ("{id}.*", "masks/{id}.*")),
        ("{}.jpg", "{}.png", ("{id}.jpg", "{id}.png")),
        ("scans/{}_x.png", "painted/{}.png", ("scans/{id}_x.*", "painted/{id}.*")),
        ("HE/{}.png", "binary/{}.png", ("HE/{id}.*", "binary/{id}.*")),
        ("imagesTr/{}_0000.png", "labelsTr/{}.png", ("imagesTr/{id}_0000.*", "labelsTr/{id}.*")),
    ],
)
def test_layouts_of_pairs_are_recognised(
    tmp_path: Path, image: str, mask: str, templates: tuple[str, str]
) -> None:
    found = guess(draw(tmp_path, image, mask, numbered(8)))
    assert (found.options["images"], found.options["masks"]) == templates
    assert "8 files with masks" in remarks(found)
    assert list(found.options["labels"]) == ["background", "class1", "class2"]
    assert not found.doubts
    check_recipe(found)
    agrees(found, tmp_path, 8)


@pytest.mark.parametrize("order", ["{split}/images", "images/{split}"])
def test_given_splits_are_kept_and_validation_is_taken_out_of_train(
    tmp_path: Path, order: str
) -> None:
    for offset, split in enumerate(("train", "test")):
        place = order.replace("{split}", split)
        names = [f"n{offset}{i}" for i in range(4 + offset)]
        draw(tmp_path, f"{place}/{{}}.png", f"{place.replace('images', 'masks')}/{{}}.png", names)
    for path in (tmp_path).rglob("n10.png"):  # another picture in each split
        save(path, np.asarray(Image.open(path))[::-1].copy())
    found = guess(tmp_path)
    assert found.options["images"] == f"{order}/{{id}}.*"
    assert found.options["split"] == "given"
    assert found.options["validation"] == 0.15
    assert "test" not in found.options
    agrees(found, tmp_path, 9)
    assert "there are test, train" in remarks(found)
    check_recipe(found)


def test_folders_of_patients_are_groups(tmp_path: Path) -> None:
    for number in range(5):
        place = f"patient{number}"
        draw(tmp_path, f"{place}/images/{{}}.png", f"{place}/masks/{{}}.png", numbered(3))
    found = guess(tmp_path)
    assert found.options["images"] == "{group}/images/{id}.*"
    assert found.options["masks"] == "{group}/masks/{id}.*"
    assert found.options["split"] == "random"
    assert "there are 5" in remarks(found)
    agrees(found, tmp_path, 15)


def test_two_folders_are_taken_as_one_where_names_allow_it(tmp_path: Path) -> None:
    for number, place in enumerate(("healthy", "ill")):
        names = [f"n{number}{i}" for i in range(4)]
        draw(tmp_path, f"images/{place}/{{}}.png", f"masks/{place}/{{}}.png", names)
    found = guess(tmp_path)
    assert found.options["images"] == "images/*/{id}.*"
    doubt = found.doubts[0]
    assert "only 2 groups (healthy, ill), and three splits need three: every picture" in doubt
    assert doubt.endswith("add more of them and run this again")
    assert "takes three groups or more" in dict(found.found)["split"]
    agrees(found, tmp_path, 8)


def test_frames_and_sections_are_divided_in_their_order(tmp_path: Path) -> None:
    names = [f"{number:03}" for number in range(8)]
    found = guess(draw(tmp_path, "frames/{}.png", "gt/{}.png", names))
    assert found.options["split"] == "order"


def test_patients_in_names_are_groups(tmp_path: Path) -> None:
    names = [f"patient{p}_{i:02}" for p in range(5) for i in range(3)]
    found = guess(draw(tmp_path, "images/{}.png", "masks/{}_mask.png", names))
    assert found.options["images"] == "images/patient{group}_{id}.*"
    assert found.options["masks"] == "masks/patient{group}_{id}_mask.*"
    assert "the names tell 5" in remarks(found)
    agrees(found, tmp_path, 15)
    check_recipe(found)


def test_two_animals_are_too_few_to_divide_and_it_is_said(tmp_path: Path) -> None:
    names = [f"mouse{m}_{i}" for m in (1, 2) for i in range(5)]
    found = guess(draw(tmp_path, "images/{}.png", "masks/{}.png", names))
    assert found.options["images"] == "images/{id}.*"
    (doubt,) = found.doubts
    assert "2 groups, 1 (5), 2 (5)" in doubt
    assert doubt.endswith("add a third, for each split needs one")


def test_of_three_animals_it_is_said_how_to_divide_by_them(tmp_path: Path) -> None:
    names = [f"mouse{m}_{i}" for m in (1, 2, 3) for i in range(5)]
    found = guess(draw(tmp_path, "images/{}.png", "masks/{}.png", names))
    (doubt,) = found.doubts
    assert doubt.endswith("write mouse{group}_{id} instead of {id} in data.images and data.masks")
    problems: list[str] = []
    both = (f"{place}/mouse{{group}}_{{id}}.*" for place in ("images", "masks"))
    pairing = find_pairs(tmp_path, *both, leave_out_unlabelled=False, problems=problems)
    assert ({pair.group for pair in pairing.pairs}, problems) == ({"1", "2", "3"}, [])


@pytest.mark.parametrize(
    "labels",
    [
        {"background": 0, "membrane": 1, "nucleus": 2},
        {"0": "background", "1": "membrane", "2": "nucleus"},
    ],
)
def test_nnunet_names_its_classes_and_channels(tmp_path: Path, labels: dict[str, Any]) -> None:
    draw(tmp_path, "imagesTr/{}_0000.png", "labelsTr/{}.png", numbered(6))
    draw(tmp_path, "imagesTr/{}_0001.png", "labelsTr/{}.png", numbered(6))
    document = {"labels": labels, "channel_names": {"0": "DAPI", "1": "GFP"}, "file_ending": ".png"}
    (tmp_path / "dataset.json").write_text(json.dumps(document))
    found = guess(tmp_path)
    assert found.options["images"] == "imagesTr/{id}_0000.*"
    assert found.options["labels"] == {"background": [0], "membrane": [1], "nucleus": [2]}
    assert "the first, _0000, is taken and not _0001" in remarks(found)
    assert "DAPI, GFP" in remarks(found)
    check_recipe(found)


def test_nnunet_ignore_is_no_class(tmp_path: Path) -> None:
    draw(tmp_path, "imagesTr/{}_0000.png", "labelsTr/{}.png", numbered(4))
    labels = {"background": 0, "cell": 1, "ignore": 2}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    found = guess(tmp_path)
    assert found.options["labels"] == {"background": [0], "cell": [1]}
    assert found.options["ignore"] == [2]
    check_recipe(found)


def test_cellpose_masks_are_instances(tmp_path: Path) -> None:
    for number in range(6):
        save(tmp_path / f"im{number}.png", cells(number)[0])
        save(tmp_path / f"im{number}_cp_masks.png", instances(number))
        save(tmp_path / f"im{number}_flows.tif", cells(number)[0])
    found = guess(tmp_path)
    assert (found.options["images"], found.options["masks"]) == ("{id}.png", "{id}_cp_masks.*")
    assert found.options["instances"] == "boundary"
    assert "labels" not in found.options
    assert "one per cell" in remarks(found)
    agrees(found, tmp_path, 6)
    check_recipe(found)


def test_cellposes_outlines_are_neither_pictures_nor_second_masks(tmp_path: Path) -> None:
    for number in range(6):
        save(tmp_path / f"im{number}.png", cells(number)[0])
        save(tmp_path / f"im{number}_cp_masks.png", instances(number))
        save(tmp_path / f"im{number}_cp_outlines.png", white(cells(number)[1]))
    found = guess(tmp_path)
    assert (found.options["images"], found.options["masks"]) == ("{id}.*", "{id}_cp_masks.*")


def test_few_cells_under_cellposes_name_are_instances_and_two_classes_are_not(
    tmp_path: Path,
) -> None:
    def few(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.where(instances(1) > 3, 0, instances(1))

    cellpose = guess(draw(tmp_path / "c", "{}.png", "{}_masks.png", numbered(6), few))
    assert cellpose.options["instances"] == "boundary"
    classes = guess(draw(tmp_path / "d", "{}.png", "{}_masks.png", numbered(6)))
    assert list(classes.options["labels"]) == ["background", "class1", "class2"]


def draw_movie(folder: Path, movie: str, labelled: Sequence[int]) -> None:
    for frame in range(6):
        save(folder / movie / f"t{frame:03}.tif", cells(frame + 10 * int(movie))[0])
    for frame in labelled:
        mask = instances(frame).astype(np.uint16)
        save(folder / f"{movie}_GT" / "SEG" / f"man_seg{frame:03}.tif", mask)


def test_movies_of_the_cell_tracking_challenge(tmp_path: Path) -> None:
    for movie in ("01", "02", "03"):
        draw_movie(tmp_path, movie, [1, 3, 4])
    found = guess(tmp_path)
    assert found.options["images"] == "{group}/t{id}.*"
    assert found.options["masks"] == "{group}_GT/SEG/man_seg{id}.*"
    assert found.options["unlabelled"] == "leave out"
    assert found.options["instances"] == "boundary"
    assert found.options["split"] == "random"
    agrees(found, tmp_path, 9)
    assert any("left out: 9 pictures (01/t000.tif" in doubt for doubt in found.doubts)
    check_recipe(found)


def test_of_two_movies_one_is_divided_in_its_order(tmp_path: Path) -> None:
    draw_movie(tmp_path, "01", [1, 3, 4, 5])
    draw_movie(tmp_path, "02", [2])
    found = guess(tmp_path)
    assert found.options["images"] == "01/t{id}.*"
    assert found.options["split"] == "order"
    agrees(found, tmp_path, 4)
    assert any("Movie 02 is not used" in doubt for doubt in found.doubts)


def test_one_stack_and_its_labels_are_divided_in_order(tmp_path: Path) -> None:
    drawn = [cells(number) for number in range(5)]
    save_stack(tmp_path / "train-volume.tif", [picture for picture, _ in drawn])
    save_stack(tmp_path / "train-labels.tif", [labels for _, labels in drawn])
    save(tmp_path / "test-volume.tif", drawn[0][0])
    found = guess(tmp_path)
    assert found.options["images"] == "train-volume.tif"
    assert found.options["masks"] == "train-labels.tif"
    agrees(found, tmp_path, 1)
    assert found.options["split"] == "order"
    check_recipe(found)


def save_stack(path: Path, pages: Sequence[NDArray[np.uint8]]) -> None:
    first, *more = [Image.fromarray(page) for page in pages]
    first.save(path, save_all=True, append_images=more)


def test_of_two_stacks_it_is_told_which_one_is_cut(tmp_path: Path) -> None:
    for name in ("ko", "wt"):
        drawn = [cells(len(name) + page) for page in range(10)]
        save_stack(tmp_path / f"{name}.tif", [picture for picture, _ in drawn])
        save_stack(tmp_path / f"{name}_mask.tif", [labels for _, labels in drawn])
    found = guess(tmp_path)
    assert found.options["split"] == "order"
    assert dict(found.found)["split"].endswith("; wt.tif is cut in three")


@pytest.mark.parametrize("animals", [3, 4])
def test_of_several_stacks_none_is_divided(tmp_path: Path, animals: int) -> None:
    for animal in range(animals):
        drawn = [cells(10 * animal + page) for page in range(3)]
        save_stack(tmp_path / f"animal{animal}_raw.tif", [picture for picture, _ in drawn])
        save_stack(tmp_path / f"animal{animal}_labels.tif", [labels for _, labels in drawn])
    found = guess(tmp_path)
    assert found.options["images"] == "{id}_raw.*"
    assert found.options["split"] == "random"
    assert "by stack, never divided" in dict(found.found)["split"]
    agrees(found, tmp_path, animals)


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.json"])
def test_a_manifest_is_taken_first(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path, "x/{}.png", "y/{}_z.png", numbered(6))
    splits = ["train"] * 4 + ["validation", "test"]
    rows = [
        {"image": f"x/{n}.png", "mask": f"y/{n}_z.png", "split": s}
        for n, s in zip(numbered(6), splits, strict=True)
    ]
    lines = ["image,mask,split", *(",".join(row.values()) for row in rows)]
    text = json.dumps(rows) if name.endswith("json") else "\n".join(lines)
    (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path.parent)
    found = guess(Path(tmp_path.name))
    assert found.options["manifest"] == name
    assert found.options["split"] == "given"
    assert "images" not in found.options
    check_recipe(found)


def test_a_manifest_of_which_no_row_can_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("image,mask\nx/a.png,y/a.png\n")
    with pytest.raises(DataProblems, match=r"x/a\.png"):
        guess(tmp_path)
    found = guess(draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(4)))
    assert found.options["images"] == "images/{id}.*"
    assert any("x/a.png" in doubt for doubt in found.doubts)


# --- what is left over --------------------------------------------------------------------------


def fields(folder: Path, conditions: Sequence[str], masks: Sequence[str] = ("mask",)) -> Path:
    """A folder for each picture, below one for each condition: WT/field1/dapi.png."""
    for seed, above in enumerate(conditions):
        for number in range(4):
            place = folder / above / f"field{number}"
            picture, labels = cells(10 * seed + number)
            save(place / "dapi.png", picture)
            for mask in masks:
                save(place / f"{mask}.png", labels)
    return folder


@pytest.mark.parametrize(
    ("conditions", "above"),
    [
        ([""], ""),
        (["plate"], "plate/"),
        (["WT", "KO"], "*/"),
        (["m1", "m2", "m3"], "{group}/"),
        (["WT/m1", "WT/m2", "KO/m3", "KO/m4"], "*/{group}/"),
        (["train", "test"], "{split}/"),
    ],
)
def test_a_folder_for_each_picture(tmp_path: Path, conditions: list[str], above: str) -> None:
    named = [condition or "." for condition in conditions]
    found = guess(fields(tmp_path, named))
    assert found.options["images"] == f"{above}{{id}}/dapi.png"
    assert found.options["masks"] == f"{above}{{id}}/mask.png"
    assert not found.doubts
    agrees(found, tmp_path, 4 * len(conditions))
    check_recipe(found)


def test_a_channel_beside_what_is_read_is_told(tmp_path: Path) -> None:
    for number, place in enumerate(sorted(fields(tmp_path, ["WT", "KO"]).glob("*/*"))):
        save(place / "gfp.png", cells(100 + number)[0])
        save(place / "rfp.png", cells(200 + number)[0])
        save(place / "yfp.png", cells(300 + number)[0])
    found = guess(tmp_path)
    assert found.options["images"] == "*/{id}/dapi.png"
    assert found.doubts == (
        "24 of 40 pictures are not read by these templates (the first is KO/field0/gfp.png)",
    )


def test_of_two_sets_the_other_one_is_told(tmp_path: Path) -> None:
    draw(tmp_path, "one/images/{}.png", "one/masks/{}.png", numbered(6))
    draw(tmp_path, "two/{}.tif", "two/{}_seg.tif", [f"x{n}" for n in range(5)])
    (doubt,) = guess(tmp_path).doubts
    assert doubt.startswith(
        "10 of 22 pictures are not read by these templates (the first is two/x0"
    )


def test_most_pictures_left_over_are_refused(tmp_path: Path) -> None:
    draw(tmp_path, "one/images/{}.png", "one/masks/{}.png", numbered(6))
    draw(tmp_path, "two/{}.tif", "two/{}_seg.tif", [f"x{n}" for n in range(5)])
    draw(tmp_path, "three/{}-raw.bmp", "three/{}-gt.bmp", [f"y{n}" for n in range(4)])
    with pytest.raises(DataProblems, match="18 of 30 pictures would not be read") as refused:
        guess(tmp_path)
    assert "name a folder that holds one set alone" in str(refused.value)


def test_a_pool_without_masks_beside_the_set_is_told_and_not_refused(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(4))
    for number in range(30):
        save(tmp_path / "unlabelled" / f"u{number}.png", cells(50 + number)[0])
    (doubt,) = guess(tmp_path).doubts
    assert doubt.startswith("30 of 38 pictures are not read")


def test_pictures_that_a_manifest_does_not_list_are_told(tmp_path: Path) -> None:
    draw(tmp_path, "x/{}.png", "y/{}.png", numbered(4))
    rows = [f"x/{name}.png,y/{name}.png" for name in numbered(3)]
    (tmp_path / "list.csv").write_text("\n".join(["image,mask", *rows]))
    (doubt,) = guess(tmp_path).doubts
    assert doubt == "2 of 8 pictures are not listed in list.csv (the first is x/cell03.png)"


@pytest.mark.parametrize(
    ("image", "masks", "named"),
    [
        ("{}.png", ["{}_nuclei.png", "{}_membrane.png"], "_membrane, _nuclei"),
        ("im/{}.png", ["gt/{}_nuclei.png", "gt/{}_membrane.png"], "_membrane, _nuclei"),
        ("{}_raw.png", ["{}_mask_b.png", "{}_mask_a.png"], "_mask_a, _mask_b"),
    ],
)
def test_two_masks_for_each_picture_are_refused(
    tmp_path: Path, image: str, masks: list[str], named: str
) -> None:
    for mask in masks:
        draw(tmp_path, image, mask, [f"s{number}" for number in range(1, 12)])
    with pytest.raises(DataProblems) as refused:
        guess(tmp_path)
    assert f"each picture has two masks ({named}): one file for each class" in str(refused.value)


def test_two_masks_in_the_folder_of_each_picture_are_refused(tmp_path: Path) -> None:
    fields(tmp_path, ["WT", "KO"], ["nuclei_mask", "membrane_mask"])
    with pytest.raises(DataProblems, match=r"two masks \(membrane_mask, nuclei_mask\)"):
        guess(tmp_path)


def test_our_own_contact_sheet_is_no_picture_of_the_set(tmp_path: Path) -> None:
    draw(tmp_path, "{}.png", "{}_mask.png", numbered(4))
    save(tmp_path / "mine-check.png", cells(1)[0])
    (tmp_path / "mine.toml").write_text('dataset = "pairs"')
    found = guess(tmp_path)
    assert "unlabelled" not in found.options
    assert not found.doubts


# --- labels -------------------------------------------------------------------------------------


def of_masks(folder: Path, paint: Callable[[NDArray[np.uint8]], NDArray[Any]]) -> Guess:
    found = guess(draw(folder, "images/{}.png", "masks/{}.png", numbered(6), paint))
    check_recipe(found)
    return found


def test_black_and_white_is_background_and_foreground(tmp_path: Path) -> None:
    found = of_masks(tmp_path, white)
    assert found.options["labels"] == {"background": [0], "foreground": [255]}


def test_white_around_the_cells_is_the_background(tmp_path: Path) -> None:
    found = of_masks(tmp_path, lambda labels: 255 - white(labels))
    assert found.options["labels"] == {"background": [255], "foreground": [0]}
    assert "look inverted" in remarks(found)


def test_small_numbers_look_black_on_a_screen(tmp_path: Path) -> None:
    found = of_masks(tmp_path, lambda labels: labels)
    assert found.options["labels"] == {"background": [0], "class1": [1], "class2": [2]}
    assert "look black, for they hold only 0, 1, 2" in remarks(found)


def test_white_beside_small_numbers_is_probably_ignored(tmp_path: Path) -> None:
    def paint(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        labels = labels.copy()
        labels[:3, 10:20] = 255
        return labels

    found = of_masks(tmp_path, paint)
    assert found.options["labels"] == {"background": [0], "class1": [1], "class2": [2]}
    assert found.options["ignore"] == [255]
    assert "look black" not in remarks(found)
    assert "guessed" in dict(found.found)["ignore"]


def test_the_colours_of_the_mouse_set_have_its_names(tmp_path: Path) -> None:
    found = of_masks(tmp_path, lambda labels: COLOURS[labels])
    expected = {"background": ["#000000"], "membrane": ["#ff0000"], "nucleus": ["#00ff00"]}
    assert found.options["labels"] == expected


def test_other_colours_are_called_by_their_names(tmp_path: Path) -> None:
    colours = np.array([(0, 0, 0), (255, 255, 0), (1, 2, 3)], dtype=np.uint8)
    found = of_masks(tmp_path, lambda labels: colours[labels])
    names = {"background": ["#000000"], "yellow": ["#ffff00"], "colour-010203": ["#010203"]}
    assert found.options["labels"] == names


def test_a_palette_that_differs_from_mask_to_mask_is_read_by_colour(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(6))
    for number, name in enumerate(numbered(6)):
        labels = cells(number)[1]
        order = [0, 1, 2] if number % 2 else [0, 2, 1]
        picture = Image.fromarray(np.array(order, dtype=np.uint8)[labels], mode="P")
        picture.putpalette(COLOURS[order].ravel().tolist())
        picture.save(tmp_path / "masks" / f"{name}.png")
    found = guess(tmp_path)
    assert found.options["labels"]["nucleus"] == ["#00ff00"]


def smoothed(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    small = Image.fromarray(white(labels)).resize((SIZE // 2, SIZE // 2))
    return np.asarray(small.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def test_a_few_smoothed_masks_do_not_hide_the_labels(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(10), white)
    for name in ("cell02", "cell05"):
        save(tmp_path / "masks" / f"{name}.png", smoothed(cells(int(name[-2:]))[1]))
    found = guess(tmp_path)
    assert found.options["labels"] == {"background": [0], "foreground": [255]}
    assert found.doubts == (
        "2 of 10 masks are smoothed (masks/cell02.png, masks/cell05.png): export them again without "
        "smoothing",
    )


def test_many_cells_in_some_masks_are_not_taken_for_smoothing(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(6), lambda m: instances(2))
    crowded = np.kron(np.arange(1, 65, dtype=np.uint8).reshape(8, 8), np.ones((4, 4), np.uint8))
    crowded[::4] = crowded[:, ::4] = 0
    for name in numbered(3):
        save(tmp_path / "masks" / f"{name}.png", crowded)
    found = guess(tmp_path)
    assert found.options["instances"] == "boundary"
    assert not any("smoothed" in doubt for doubt in found.doubts)


def test_the_same_few_cells_in_every_picture_may_be_classes_or_not(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(6))
    for number, name in enumerate(numbered(6)):
        mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
        for cell in range(3):
            row, column = 10 * cell + number % 3, 3 * number + cell
            mask[row : row + 7, column : column + 7] = cell + 1
        save(tmp_path / "masks" / f"{name}.png", mask)
    found = guess(tmp_path)
    assert list(found.options["labels"]) == ["background", "class1", "class2", "class3"]
    (doubt,) = found.doubts
    assert "Each number from 1 to 3 is one blob in every mask" in doubt
    assert 'instances = "boundary"' in doubt


def test_smoothed_masks_get_no_map(tmp_path: Path) -> None:
    found = guess(draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(6), smoothed))
    assert "labels" not in found.options
    assert any("export them again without smoothing" in doubt for doubt in found.doubts)
    assert "# background = 0" in recipe_text(found, "mine", "here")


def test_jpeg_masks_cannot_be_used_whatever_their_ending(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(6))
    for name in numbered(6):
        path = tmp_path / "masks" / f"{name}.png"
        Image.open(path).save(path, format="JPEG")
    found = guess(tmp_path)
    assert any("as JPEG does: 6 masks (masks/cell00.png" in doubt for doubt in found.doubts)
    assert "labels" not in found.options


# --- pictures -----------------------------------------------------------------------------------


def test_large_pictures_are_tiled_and_small_ones_are_not(tmp_path: Path) -> None:
    small = guess(draw(tmp_path / "small", "images/{}.png", "masks/{}.png", numbered(4)))
    assert small.options["tile"] == 0
    save(tmp_path / "large/images/a.png", cells(1, 640)[0])
    save(tmp_path / "large/masks/a.png", cells(1, 640)[1])
    large = guess(tmp_path / "large")
    assert large.options["tile"] == 320
    assert any("too few for three splits" in doubt for doubt in large.doubts)


@pytest.mark.parametrize(
    ("sizes", "tile", "said"),
    [
        ([(100, 90), (110, 120), (139, 100)], 0, "filled up to 139x120; 28% of that is padding"),
        ([(40, 40), (40, 400), (400, 40)], 160, "padding, which is ignored"),
        ([(1024, 1024)], 512, "tiles of 512x512, no pixel is dropped"),
        ([(600, 600)], 320, "; 12% of that is padding"),
    ],
)
def test_tiles_pad_as_little_as_can_be(
    tmp_path: Path, sizes: list[tuple[int, int]], tile: int, said: str
) -> None:
    for number, (height, width) in enumerate(sizes):
        picture, labels = cells(number, 8 * -(-max(height, width) // 8))
        save(tmp_path / "images" / f"p{number}.png", picture[:height, :width])
        save(tmp_path / "masks" / f"p{number}.png", labels[:height, :width])
    found = guess(tmp_path)
    assert found.options["tile"] == tile
    assert said in dict(found.found)["tile"]


def test_mixed_bit_depths_are_normalised_by_percentiles_and_told(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(6))
    for name in numbered(4):
        path = tmp_path / "images" / f"{name}.png"
        save(path, np.asarray(Image.open(path)).astype(np.uint16) * 9)
    found = guess(tmp_path)
    assert found.options["normalise"] == "percentile"
    (doubt,) = found.doubts
    assert doubt.startswith(
        "2 pictures (images/cell04.png, images/cell05.png) are uint8 while most are uint16"
    )


def test_masks_of_another_size_are_told(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(6))
    save(tmp_path / "masks" / "cell02.png", cells(2)[1][:30])
    expected = "(masks/cell02.png is 30x32 and images/cell02.png 32x32): give both one size"
    assert guess(tmp_path).doubts == (f"1 mask has another size than its picture {expected}",)
    save(tmp_path / "masks" / "cell04.png", cells(4)[1][:30])
    (doubt,) = guess(tmp_path).doubts
    assert doubt.startswith(
        "2 masks have another size than their pictures (the first, masks/cell02"
    )


def test_the_same_picture_twice_is_told_by_name(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(6))
    (tmp_path / "images" / "cell03.png").write_bytes(
        (tmp_path / "images" / "cell01.png").read_bytes()
    )
    expected = (
        "The same picture more than once: images/cell01.png, images/cell03.png: keep one of each"
    )
    assert guess(tmp_path).doubts == (expected,)


def test_colour_pictures_keep_their_colours_and_one_dye_its_channel(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(4))
    zeros = np.zeros((SIZE, SIZE), dtype=np.uint8)
    for number, name in enumerate(numbered(4)):
        grey = cells(number)[0]
        save(tmp_path / "images" / f"{name}.png", np.stack([zeros, zeros, grey], axis=-1))
    assert guess(tmp_path).options["channel"] == 3
    for number, name in enumerate(numbered(4)):
        grey = cells(number)[0]
        save(tmp_path / "images" / f"{name}.png", np.stack([grey, grey.T, grey[::-1]], axis=-1))
    assert guess(tmp_path).options["channel"] == "all"


def test_of_several_channels_the_first_is_guessed_and_all_are_named(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.tif", "masks/{}.png", numbered(4))
    for number, name in enumerate(numbered(4)):
        grey = cells(number)[0].astype(np.uint16)
        tifffile.imwrite(
            tmp_path / "images" / f"{name}.tif",
            np.stack([grey, grey[::-1]]),
            ome=True,
            metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}},
        )
    found = guess(tmp_path)
    assert found.options["channel"] == 1
    assert "(DAPI, GFP)" in dict(found.found)["channel"]
    assert found.options["normalise"] == "auto"


def test_files_that_mislead_are_named(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(6))
    path = tmp_path / "images" / "cell02.png"
    Image.open(path).save(path, format="TIFF")
    assert "images/cell02.png is TIFF and not PNG inside" in remarks(guess(tmp_path))


def test_a_test_folder_that_repeats_training_pictures_is_told(tmp_path: Path) -> None:
    for split in ("train", "test"):
        draw(tmp_path, f"{split}/images/{{}}.png", f"{split}/masks/{{}}.png", numbered(4))
    doubts = guess(tmp_path).doubts
    assert any("The same in test and train: 4 pictures" in doubt for doubt in doubts)


def test_files_without_a_partner_are_named(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(6))
    (tmp_path / "masks" / "cell01.png").unlink()
    (tmp_path / "images" / "cell04.png").unlink()
    found = guess(tmp_path)
    assert found.options["unlabelled"] == "leave out"
    text = "\n".join(found.doubts)
    assert "Without a mask, and left out: 1 picture (images/cell01.png)" in text
    assert "Without a picture: 1 mask (masks/cell04.png)" in text


def test_a_patient_on_both_sides_of_given_splits_is_told(tmp_path: Path) -> None:
    for split in ("train", "test"):
        names = [f"patient{p}_{i}{split[1]}" for p in range(5) for i in range(2)]
        draw(tmp_path, f"{split}/images/{{}}.png", f"{split}/masks/{{}}.png", names)
    found = guess(tmp_path)
    assert found.options["images"] == "{split}/images/{id}.*"
    assert any(
        "5 are in several splits (patient0, patient1, patient2)" in doubt for doubt in found.doubts
    )


def test_many_files_with_one_flaw_are_one_doubt(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.tif", numbered(5), lambda m: m.astype(np.float32))
    flaws = [doubt for doubt in guess(tmp_path).doubts if "float32" in doubt]
    assert len(flaws) == 1
    assert "so it is with 5 files" in flaws[0]


def test_a_text_file_with_a_pictures_name_is_told(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(6))
    (tmp_path / "images" / "cell03.png").write_text("see the other folder")
    assert any("cell03.png" in doubt for doubt in guess(tmp_path).doubts)


# --- what is no data set ------------------------------------------------------------------------


def test_a_folder_without_pairs_is_refused_with_what_lies_there(tmp_path: Path) -> None:
    save(tmp_path / "holiday" / "beach.png", cells(1)[0])
    (tmp_path / "holiday" / "notes.txt").write_text("sunny")
    with pytest.raises(DataProblems, match=r"holiday: 1 \.png, 1 \.txt") as refused:
        guess(tmp_path)
    assert "images/a.png with masks/a.png" in str(refused.value)


def test_a_mask_for_every_object_is_refused(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"id{number}" / "images" / f"x{number}.png", cells(number)[0])
        for cell in "abc":
            save(tmp_path / f"id{number}" / "masks" / f"{cell}{number}.png", cells(number)[1])
    with pytest.raises(DataProblems, match="3 folders such as id0/masks hold many masks"):
        guess(tmp_path)


def test_names_that_no_template_can_hold_are_no_pairs(tmp_path: Path) -> None:
    draw(tmp_path, "a{{b/{}.png", "masks/{}.png", numbered(4))
    with pytest.raises(DataProblems, match="can be recognised"):
        guess(tmp_path)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataProblems, match="is no folder"):
        guess(tmp_path / "nowhere")


@pytest.mark.parametrize("seed", range(40))
def test_any_folder_is_answered(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = ["images", "mask", "train", "gt", "a", "01", "x{", "*", "é", "..", "#", '"', "\\", "_"]
    endings = [".png", ".tif", ".TIF", ".ome.tif", ".jpg", ".csv", ".json", ""]
    for _ in range(rng.integers(1, 12)):
        names = ["".join(rng.choice(parts, rng.integers(1, 3))) for _ in range(rng.integers(1, 4))]
        path = tmp_path.joinpath(*(name for name in names if name != ".."))
        path = path.with_name(path.name + str(rng.choice(endings)))
        if path.exists() or any(parent.is_file() for parent in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = str(rng.choice(["PNG", "TIFF", "text", "empty"]))
        if kind in ("PNG", "TIFF"):
            shape = (8, 8, 3) if rng.integers(2) else (8, 8)
            pixels = rng.integers(0, rng.choice([2, 4, 256]), shape, dtype=np.uint8)
            Image.fromarray(pixels).save(path, format=kind)
        else:
            path.write_text("image,mask\na,b\n" if kind == "text" else "")
    try:
        text = recipe_text(guess(tmp_path), "any", "folder")
    except DataProblems as problem:
        assert str(problem)  # noqa: PT017 - either a recipe or a sentence
    else:
        assert tomllib.loads(text)["dataset"] == "pairs"


def test_nothing_is_written(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(4))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    guess(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_the_recipe_explains_itself(tmp_path: Path) -> None:
    text = recipe_text(of_masks(tmp_path, white), "mine", "../pictures")
    assert text.startswith("# mine: what was found in the folder, and what was guessed.\n")
    assert max(map(len, text.splitlines())) <= 120
    assert "the paper trains 2000" in text
    assert "most frequent value on the pictures' edges" in text


def test_one_of_a_kind_is_told_as_one(tmp_path: Path) -> None:
    draw(tmp_path, "images/{}.png", "masks/{}.png", ["a"])
    found = guess(tmp_path)
    assert dict(found.found)["training.batch_size"] == "for about 1 whole picture in all"
    draw(tmp_path, "images/{}.png", "masks/{}.png", numbered(2))
    (tmp_path / "masks" / "a.png").unlink()
    assert dict(guess(tmp_path).found)["unlabelled"] == "1 of 3 pictures has no mask"


def test_a_path_from_the_root_is_written_without_detours(tmp_path: Path) -> None:
    folder = draw(tmp_path / "labs", "images/{}.png", "masks/{}.png", numbered(4))
    (tmp_path / "w").mkdir()
    text = recipe_text(guess(folder), "mine", f"{tmp_path}/w/../labs")
    assert tomllib.loads(text)["data"]["folder"] == str(folder.resolve())
    with pytest.raises(DataProblems) as refused:
        guess(tmp_path / "labs" / ".." / "w")
    assert str(refused.value).startswith(f"{tmp_path.resolve() / 'w'} holds no pictures")


# --- real pictures ------------------------------------------------------------------------------


def test_the_stand_in_for_the_mouse_set(shared_data: Path) -> None:
    found = guess(shared_data / "dsb2018_256")
    assert found.options["images"] == "Image/{id}.*"
    assert list(found.options["labels"]) == ["background", "membrane", "nucleus"]
    assert found.options["normalise"] == "percentile"
    assert not found.doubts
    check_recipe(found)


def test_the_drosophila_sections(shared_data: Path) -> None:
    found = guess(shared_data / "drosophila")
    assert found.options["images"] == "stack1/raw/{id}.*"
    assert found.options["masks"] == "stack1/labels/labels{id}.*"
    assert found.options["labels"]["synapse"] == [223]
    assert (found.options["split"], found.options["tile"]) == ("order", 512)
    agrees(found, shared_data / "drosophila", 20)
    check_recipe(found)
