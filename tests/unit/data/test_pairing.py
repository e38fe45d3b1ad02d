import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fre_hpo.data.finding import pairing
from fre_hpo.data.finding.pairing import BadTemplate, Pair, Pairing, check_templates, natural_order

SIDE_BY_SIDE = ("images/{id}.*", "masks/{id}.*")


def make(folder: Path, *places: str) -> Path:
    """A folder with these files; nobody here opens one."""
    for place in places:
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"picture")
    return folder


def find(folder: Path, images: str, masks: str, *, leave_out: bool = False) -> Pairing:
    problems: list[str] = []
    found = pairing.find_pairs(
        folder, images, masks, leave_out_unlabelled=leave_out, problems=problems
    )
    assert problems == []
    return found


def problems_of(
    folder: Path, images: str, masks: str, *, leave_out: bool = False
) -> tuple[Pairing, list[str]]:
    """What was found nevertheless, and the sentences without the folder's own path."""
    problems: list[str] = []
    found = pairing.find_pairs(
        folder, images, masks, leave_out_unlabelled=leave_out, problems=problems
    )
    return found, [problem.replace(f"{folder}/", "") for problem in problems]


def places(found: Pairing, folder: Path) -> list[tuple[str, str]]:
    return [
        (p.image.relative_to(folder).as_posix(), p.mask.relative_to(folder).as_posix())
        for p in found.pairs
    ]


FORMS = [
    ("images/{id}.*", "masks/{id}.*", [("images/a.jpg", "masks/a.png", "a")]),
    ("{id}.jpg", "{id}_masks.jpg", [("a.jpg", "a_masks.jpg", "a")]),
    ("{id}.*", "{id}_masks.*", [("a.tif", "a_cp_masks.png", "a"), ("b.tif", "b_masks.tif", "b")]),
    (
        "imagesTr/{id}_0000.*",
        "labelsTr/{id}.*",
        [("imagesTr/x_1_0000.png", "labelsTr/x_1.png", "x_1")],
    ),
    (
        "raw/{id}.tif",
        "labels/labels{id}.png",
        [
            ("raw/00.tif", "labels/labels00000000.png", "00"),
            ("raw/01.tif", "labels/labels00000001.png", "01"),
            ("raw/10.tif", "labels/labels00000010.png", "10"),
        ],
    ),
    ("{id}_raw.*", "{id}.*", [("a_raw.png", "a.png", "a"), ("b_raw.png", "b.tif", "b")]),
    ("stack.tif", "labels.tif", [("stack.tif", "labels.tif", "stack")]),
    ("images/*_{id}.png", "masks/{id}_cells.png", [("images/w1_7.png", "masks/7_cells.png", "7")]),
    (
        "*/field{id}/dapi.png",
        "*/field{id}/mask.png",
        [
            ("KO/field1/dapi.png", "KO/field1/mask.png", "KO/1"),
            ("WT/field1/dapi.png", "WT/field1/mask.png", "WT/1"),
            ("WT/field2/dapi.png", "WT/field2/mask.png", "WT/2"),
        ],
    ),
    ("{id}/image_{id}.png", "{id}/mask.png", [("p1/image_p1.png", "p1/mask.png", "p1")]),
    ("./i/{id}.*", "m/{id}.*", [("i/a.ome.tif", "m/a.PNG", "a")]),
    ("i/{id}.tif", "m/{id}.tif", [("i/a.TIF", "m/a.tif", "a"), ("i/b.tif", "m/b.Tif", "b")]),
]


@pytest.mark.parametrize(("images", "masks", "expected"), FORMS)
def test_forms_that_laboratories_use(
    tmp_path: Path, images: str, masks: str, expected: list[tuple[str, str, str]]
) -> None:
    make(tmp_path, *(place for image, mask, _ in expected for place in (image, mask)))
    found = find(tmp_path, images, masks)
    assert [
        (*p, pair.id) for p, pair in zip(places(found, tmp_path), found.pairs, strict=True)
    ] == (expected)
    assert found.unread == found.unlabelled == ()


def test_cell_tracking_challenge(tmp_path: Path) -> None:
    for movie in ("01", "02"):
        make(tmp_path, *(f"{movie}/t{n:03}.tif" for n in range(4)))
        make(tmp_path, *(f"{movie}_GT/SEG/man_seg{n:03}.tif" for n in (0, 2)))
        make(tmp_path, f"{movie}_GT/TRA/man_track000.tif", f"{movie}_ST/SEG/man_seg000.tif")
    templates = ("{group}/t{id}.tif", "{group}_GT/SEG/man_seg{id}.tif")
    found = find(tmp_path, *templates, leave_out=True)
    assert [(p.group, p.id) for p in found.pairs] == [
        ("01", "01/000"),
        ("01", "01/002"),
        ("02", "02/000"),
        ("02", "02/002"),
    ]
    assert [path.name for path in found.unlabelled] == ["t001.tif", "t003.tif"] * 2
    assert {path.relative_to(tmp_path).as_posix() for path in found.unread} == {
        *("01_GT/TRA", "02_GT/TRA", "01_ST", "02_ST")
    }


@pytest.mark.parametrize("shape", ["{split}/images/{id}.*", "images/{split}/{id}.*"])
def test_splits_are_words_of_the_path(tmp_path: Path, shape: str) -> None:
    words = {"train": "Training", "validation": "val", "test": "TEST"}
    for word in words.values():
        path = shape.format(split=word, id="1").replace(".*", ".png")
        make(tmp_path, path, path.replace("images", "masks"))
    found = find(tmp_path, shape, shape.replace("images", "masks"))
    assert {pair.id: pair.split for pair in found.pairs} == {f"{s}/1": s for s in words}
    assert {pair.image.relative_to(tmp_path).as_posix() for pair in found.pairs} == {
        shape.format(split=word, id="1").replace(".*", ".png") for word in words.values()
    }


def test_words_of_a_split_may_differ_between_images_and_masks(tmp_path: Path) -> None:
    make(tmp_path, "imagesTr/a.png", "masks/train/a.png", "imagesTs/b.png", "masks/test/b.png")
    found = find(tmp_path, "images{split}/{id}.*", "masks/{split}/{id}.*")
    assert [(p.split, p.id) for p in found.pairs] == [("train", "train/a"), ("test", "test/b")]


def test_a_group_takes_as_little_of_a_name_as_it_can(tmp_path: Path) -> None:
    make(tmp_path, "i/m2_cell_3.png", "m/m2_cell_3.png", "i/m10_b_1.png", "m/m10_b_1.png")
    found = find(tmp_path, "i/{group}_{id}.*", "m/{group}_{id}.*")
    assert [(p.group, p.id) for p in found.pairs] == [("m2", "m2/cell_3"), ("m10", "m10/b_1")]


def test_a_stack_for_each_split_needs_no_id(tmp_path: Path) -> None:
    make(tmp_path, *(f"{split}/{kind}.tif" for split in ("train", "test") for kind in "vl"))
    found = find(tmp_path, "{split}/v.tif", "{split}/l.tif")
    assert [(p.id, p.split) for p in found.pairs] == [("test", "test"), ("train", "train")]


def test_pairs_are_in_natural_order(tmp_path: Path) -> None:
    names = ["cell10", "cell2", "Cell1", "cell1b"]
    make(tmp_path, *(f"{kind}/{name}.png" for kind in ("images", "masks") for name in names))
    found = find(tmp_path, *SIDE_BY_SIDE)
    assert [pair.id for pair in found.pairs] == ["Cell1", "cell1b", "cell2", "cell10"]


def test_natural_order_of_any_names() -> None:
    names = ["b", "a10", "a²", "a2", "10", "9", "a02", "a2b10", "a2b9"]
    assert sorted(names, key=natural_order) == [
        *("9", "10", "a02", "a2", "a2b9", "a2b10", "a10", "a²", "b")
    ]


def test_names_may_differ_in_case_accents_and_zeros_while_that_is_plain(tmp_path: Path) -> None:
    accent = "zürich"
    decomposed = unicodedata.normalize("NFD", accent)
    assert accent != decomposed
    make(tmp_path, "images/A.png", f"images/{accent}.png", "images/7.png")
    make(tmp_path, "masks/a.png", f"masks/{decomposed}.png", "masks/007.png")
    found = find(tmp_path, *SIDE_BY_SIDE)
    assert [pair.id for pair in found.pairs] == ["7", "A", accent]


def test_names_that_agree_exactly_are_pairs_whatever_they_resemble(tmp_path: Path) -> None:
    ids = ("01", "001", "a", "A")
    make(tmp_path, *(f"{kind}/{id}.png" for kind in ("images", "masks") for id in ids))
    found = find(tmp_path, *SIDE_BY_SIDE)
    assert all(image[6:] == mask[5:] for image, mask in places(found, tmp_path))
    assert len(found.pairs) == 4


def test_what_equally_many_stars_stand_for_tells_pictures_apart(tmp_path: Path) -> None:
    make(tmp_path, "WT/a_1.png", "WT/a_1_m.png", "WT/b_1.png", "WT/b_1_m.png", "KO/a_1.png")
    make(tmp_path, "ko/a_01_m.tif", "KO/b_2.png", "WT/b_2_m.png", "KO/_3.png", "KO/_3_m.png")
    found, problems = problems_of(tmp_path, "*/*_{id}.*", "*/*_{id}_m.*")
    assert [pair.id for pair in found.pairs] == ["KO//3", "KO/a/1", "WT/a/1", "WT/b/1"]
    assert problems == [
        "KO/b_2.png has no partner KO/b_2_m.png: add that file or remove this one",
        "WT/b_2_m.png has no partner WT/b_2.png: add that file or remove this one",
    ]


def test_stars_of_different_number_stand_for_anything(tmp_path: Path) -> None:
    make(tmp_path, "images/w1_1.png", "images/w2_2.png", "masks/1_a_x.png", "masks/2_b_.png")
    found = find(tmp_path, "images/*_{id}.*", "masks/{id}_*_*.png")
    assert [pair.id for pair in found.pairs] == ["1", "2"]
    make(tmp_path, "images/w2_1.png")
    _, problems = problems_of(tmp_path, "images/*_{id}.*", "masks/{id}_*_*.png")
    assert problems == [
        "images/w1_1.png and images/w2_1.png are images of the same name: keep or rename one"
    ]


@given(
    st.lists(
        st.tuples(*[st.text("aB01_é", max_size=3)] * 2, st.text("ab01", min_size=1, max_size=2)),
        min_size=1,
        max_size=6,
        unique=True,
    )
)
def test_every_picture_has_an_id_of_its_own(names: list[tuple[str, str, str]]) -> None:
    with TemporaryDirectory() as folder:
        top = Path(folder)
        make(top, *(f"s{a}/{b}-{c}{end}.png" for a, b, c in names for end in ("", "-m")))
        found = find(top, "s*/*-{id}.png", "s*/*-{id}-m.png")
    assert {pair.id for pair in found.pairs} == {f"{a}/{b}/{c}" for a, b, c in names}
    assert all(f"{p.image.stem}-m.png" == p.mask.name for p in found.pairs)


AMBIGUOUS = [
    (
        ["images/a.png", "images/a.tif", "masks/a.png"],
        "images/a.png and images/a.tif are images of the same name: keep or rename one",
    ),
    (
        ["images/a.png", "masks/a.png", "masks/a.bmp", "masks/a.tif"],
        "masks/a.bmp and masks/a.png (and 1 more) are masks of the same name: keep or rename one",
    ),
    (
        ["images/01.png", "images/001.png", "masks/1.png"],
        "images/001.png and images/01.png are images whose names differ only in leading zeros, case or "
        "accents: keep or rename one",
    ),
    (
        ["images/01.png", "images/001.png", "masks/01.png"],
        "images/001.png and images/01.png are images whose names differ only in leading zeros, case or "
        "accents: keep or rename one",
    ),
    (
        ["images/a.png", "masks/a.png", "masks/A.png"],
        "masks/A.png and masks/a.png are masks whose names differ only in leading zeros, case or accents: "
        "keep or rename one",
    ),
]


@pytest.mark.parametrize("leave_out", [False, True])
@pytest.mark.parametrize(("files", "sentence"), AMBIGUOUS)
def test_nothing_is_chosen_among_several(
    tmp_path: Path, files: list[str], sentence: str, leave_out: bool
) -> None:
    make(tmp_path, *files, "images/good.png", "masks/good.png")
    found, problems = problems_of(tmp_path, *SIDE_BY_SIDE, leave_out=leave_out)
    assert problems == [sentence]
    assert [pair.id for pair in found.pairs] == ["good"]


def test_files_without_partner_are_told_and_the_others_paired(tmp_path: Path) -> None:
    make(tmp_path, "images/1.png", "images/2.png", "masks/02.png", "masks/03.png")
    found, problems = problems_of(tmp_path, *SIDE_BY_SIDE)
    assert problems == [
        "images/1.png has no partner masks/01.png: add that file or remove this one",
        "masks/03.png has no partner images/3.png: add that file or remove this one",
    ]
    assert places(found, tmp_path) == [("images/2.png", "masks/02.png")]
    assert found.unlabelled == ()


def test_unlabelled_images_are_left_out_when_asked_but_no_mask_is(tmp_path: Path) -> None:
    make(tmp_path, "images/1.png", "images/2.png", "masks/2.png", "masks/x.png")
    found, problems = problems_of(tmp_path, *SIDE_BY_SIDE, leave_out=True)
    assert problems == ["masks/x.png has no partner images/x.png: add that file or remove this one"]
    assert found.unlabelled == (tmp_path / "images/1.png",)


def test_no_pair_at_all_is_a_problem_even_when_images_may_be_left_out(tmp_path: Path) -> None:
    make(tmp_path, "images/1.png", "masks/2.png")
    (tmp_path / "masks/2.png").rename(tmp_path / "masks/1.txt")
    _, problems = problems_of(tmp_path, *SIDE_BY_SIDE, leave_out=True)
    assert problems == [
        'masks has no file that fits masks = "masks/{id}.*" (there is 1.txt): put pictures there as '
        "PNG or TIFF or correct the template"
    ]


def test_no_pair_among_images_that_may_be_left_out_is_still_a_problem(tmp_path: Path) -> None:
    make(tmp_path, "images/1.png", "masks/2.png")
    found, problems = problems_of(tmp_path, *SIDE_BY_SIDE, leave_out=True)
    assert problems == ["masks/2.png has no partner images/2.png: add that file or remove this one"]
    assert found.pairs == ()


def test_the_sentence_about_an_image_without_mask_ends_with_the_callers_advice(
    tmp_path: Path,
) -> None:
    make(tmp_path, "images/1.png", "images/2.png", "masks/2.png", "masks/3.png")
    problems: list[str] = []
    pairing.find_pairs(
        tmp_path, *SIDE_BY_SIDE, leave_out_unlabelled=False, problems=problems, advice=", or sleep"
    )
    assert problems == [
        f"{tmp_path}/images/1.png has no partner masks/1.png: add that file or remove this one, or sleep",
        f"{tmp_path}/masks/3.png has no partner images/3.png: add that file or remove this one",
    ]


def test_nothing_is_left_to_count_after_one_sentence_more(tmp_path: Path) -> None:
    make(tmp_path, "masks/0.png", *(f"images/{n}.png" for n in range(22)))
    _, problems = problems_of(tmp_path, *SIDE_BY_SIDE)
    assert len(problems) == 21
    assert problems[20].startswith("images/21.png has no partner")


def test_very_many_sentences_of_one_kind_are_counted(tmp_path: Path) -> None:
    make(tmp_path, "masks/0.png", *(f"images/{n}.png" for n in range(50)))
    _, problems = problems_of(tmp_path, *SIDE_BY_SIDE)
    assert len(problems) == 21
    assert problems[20] == (
        "29 more images have no mask: add them, remove the others, or correct the template"
    )


def test_two_templates_that_fit_the_same_files_are_told(tmp_path: Path) -> None:
    make(tmp_path, "a_x.png", "b_x.png")
    _, problems = problems_of(tmp_path, "{id}.*", "{id}_*.*")
    assert problems == [
        'a_x.png and all others fit both "{id}.*" and "{id}_*.*": write templates that tell masks '
        "from images"
    ]


def test_an_image_may_itself_be_called_cp(tmp_path: Path) -> None:
    make(tmp_path, "a_cp.png", "a_cp_masks.png")
    assert [pair.id for pair in find(tmp_path, "{id}.*", "{id}_masks.*").pairs] == ["a_cp"]


def test_both_masks_of_cellpose_are_ambiguous(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "a_cp_masks.png", "a_masks.png")
    _, problems = problems_of(tmp_path, "{id}.*", "{id}_masks.*")
    assert problems == [
        "a_cp_masks.png and a_masks.png are masks of the same name: keep or rename one"
    ]


def test_what_systems_leave_behind_is_passed_over_and_the_rest_is_said(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "masks/a.png")
    for name in (".DS_Store", "._a.png", "Thumbs.db", "desktop.ini", ".hidden/b.png", "Icon\r"):
        make(tmp_path, f"images/{name}", f"masks/{name}")
    make(tmp_path, "images/__MACOSX/a.png", "images/notes.txt", "images/old/b.png")
    make(tmp_path, "masks/a.npy", "elsewhere/c.png")
    found = find(tmp_path, *SIDE_BY_SIDE)
    assert [path.relative_to(tmp_path).as_posix() for path in found.unread] == [
        "images/notes.txt",
        "images/old",
        "masks/a.npy",
    ]


def test_recipes_and_their_contact_sheets_are_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "a_masks.png", "b-check.png", "b-check_masks.png")
    make(tmp_path, "cells.toml", "cells-check.png", "my cells.toml", "my-cells-check.png")
    found = find(tmp_path, "{id}.*", "{id}_masks.*")
    assert [pair.id for pair in found.pairs] == ["a", "b-check"]
    assert found.unread == ()


def test_a_picture_like_a_contact_sheet_counts_without_its_recipe(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "a_masks.png", "cells-check.png", "cell.toml")
    _, problems = problems_of(tmp_path, "{id}.*", "{id}_masks.*")
    assert problems == [
        "cells-check.png has no partner cells-check_masks.png: add that file or remove this one"
    ]


def test_pictures_that_fit_neither_template_are_said(tmp_path: Path) -> None:
    make(tmp_path, "imagesTr/a_0000.png", "imagesTr/a_0001.png", "labelsTr/a.png")
    found = find(tmp_path, "imagesTr/{id}_0000.*", "labelsTr/{id}.*")
    assert found.unread == (tmp_path / "imagesTr/a_0001.png",)


DEAD_ENDS = [
    (
        "imgs/{id}.*",
        'imgs does not exist (there are images/, masks/): correct the template images = "imgs/{id}.*" '
        "or the folder",
    ),
    (
        "{split}/{id}.*",
        'ROOT has no folder that fits "{split}" (there are images/, masks/): correct the '
        'templates images = "{split}/{id}.*" and masks = "{split}/{id}.*x" or the folder',
    ),
    (
        "images/{id}.dcm",
        'images has no file that fits images = "images/{id}.dcm" (there are 1.png, 2.png, 3.png, '
        "4.png, 5.png, 6.png and 3 more): put pictures there as PNG or TIFF or correct the template",
    ),
    (
        "images/1.png/{id}.*",
        "images/1.png is a file, but a folder is expected there: move it away",
    ),
    (f"{'x' * 300}/{{id}}.*", f"{'x' * 300} cannot be looked into (File name too long): LOOK"),
]


@pytest.mark.parametrize(("images", "sentence"), DEAD_ENDS)
def test_a_template_that_leads_nowhere_says_how_far_it_came(
    tmp_path: Path, images: str, sentence: str
) -> None:
    make(tmp_path, *(f"{kind}/{n}.png" for kind in ("images", "masks") for n in range(1, 10)))
    masks = images.replace("images/", "masks/") + "x" if "{split}" in images else "masks/{id}.*"
    found, problems = problems_of(tmp_path, images, masks)
    sentence = sentence.replace("LOOK", "give yourself the permission or correct the path")
    assert problems[0].replace(str(tmp_path), "ROOT") == sentence
    assert len(problems) == 1
    assert found.pairs == ()


SAME_DEAD_ENDS = [
    (
        ["data/images/{id}.*", "data/masks/{id}.*"],
        'data does not exist (there are dapi/, labels/): correct the templates images = "data/images/'
        '{id}.*" and masks = "data/masks/{id}.*" or the folder',
    ),
    (
        SIDE_BY_SIDE,
        "ROOT has no folder images and no folder masks (there are dapi/, labels/): correct the "
        'templates images = "images/{id}.*" and masks = "masks/{id}.*" or the folder',
    ),
    (
        ["raw/{id}.*", "x*y/{id}.*"],
        'ROOT has no folder raw and no folder that fits "x*y" (there are dapi/, labels/): correct the '
        'templates images = "raw/{id}.*" and masks = "x*y/{id}.*" or the folder',
    ),
    (
        ["x*/{id}_i.*", "x*/{id}_m.*"],
        'ROOT has no folder that fits "x*" (there are dapi/, labels/): correct the templates images = '
        '"x*/{id}_i.*" and masks = "x*/{id}_m.*" or the folder',
    ),
    (
        ["dapi/{id}_i.*", "dapi/{id}_m.*"],
        'dapi has no file that fits images = "dapi/{id}_i.*" or masks = "dapi/{id}_m.*" (there is '
        "1.png): put pictures there as PNG or TIFF or correct the templates",
    ),
]


@pytest.mark.parametrize(("templates", "sentence"), SAME_DEAD_ENDS)
def test_both_templates_that_end_alike_are_told_in_one_sentence(
    tmp_path: Path, templates: list[str], sentence: str
) -> None:
    make(tmp_path, "dapi/1.png", "labels/1.png")
    _, problems = problems_of(tmp_path, *templates)
    assert [problem.replace(str(tmp_path), "ROOT") for problem in problems] == [sentence]


def test_templates_that_end_at_different_places_are_told_apart(tmp_path: Path) -> None:
    make(tmp_path, "images/1.txt", "labels/1.png")
    _, problems = problems_of(tmp_path, *SIDE_BY_SIDE)
    assert [problem.split(" (")[0] for problem in problems] == [
        'images has no file that fits images = "images/{id}.*"',
        "masks does not exist",
    ]


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (1, ""),
        (2, ", nor has the other folder like it"),
        (4, ", nor has any of 3 other folders like it"),
    ],
)
def test_folders_without_a_file_that_fits_are_counted(
    tmp_path: Path, folders: int, words: str
) -> None:
    make(tmp_path, "masks/0/1.png", *(f"i/{n}/1.txt" for n in range(folders)))
    _, problems = problems_of(tmp_path, "i/{group}/{id}.*", "masks/{group}/{id}.*")
    assert problems == [
        f'i/0 has no file that fits images = "i/{{group}}/{{id}}.*"{words} (there is 1.txt): put '
        "pictures there as PNG or TIFF or correct the template"
    ]


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    _, problems = problems_of(tmp_path / "none", *SIDE_BY_SIDE)
    assert len(problems) >= 2
    assert "cannot be looked into (No such file or directory)" in problems[0]


def test_links_inside_are_followed(tmp_path: Path) -> None:
    make(tmp_path, "store/a.png", "masks/a.png", "store/b.png", "masks/b.png")
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "images" / name).symlink_to(tmp_path / "store" / name)
    (tmp_path / "again").symlink_to("masks")
    assert len(find(tmp_path, "images/{id}.*", "again/{id}.*").pairs) == 2


def test_the_folder_itself_may_be_a_link_and_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "real", "images/a.png", "masks/a.png")
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    (pair,) = find(Path("link"), *SIDE_BY_SIDE).pairs
    assert pair == Pair("a", Path("link/images/a.png"), Path("link/masks/a.png"))


def test_links_that_lead_out_or_nowhere_are_told(tmp_path: Path) -> None:
    folder = make(tmp_path / "set", "images/a.png", "masks/a.png", "masks/b.png", "masks/c.png")
    make(tmp_path, "outside/b.png")
    (folder / "images/b.png").symlink_to(tmp_path / "outside/b.png")
    (folder / "images/c.png").symlink_to("nowhere.png")
    (folder / "images/d.png").symlink_to("d.png")
    found, problems = problems_of(folder, *SIDE_BY_SIDE)
    assert problems[:3] == [
        f"images/b.png leads out of {folder}, to {tmp_path}/outside/b.png: put a copy there, or list "
        "the files in a manifest with data.allow_outside = true",
        "images/c.png is a link that leads nowhere: put the file itself there or remove the link",
        "images/d.png is a link that leads nowhere: put the file itself there or remove the link",
    ]
    assert [pair.id for pair in found.pairs] == ["a"]


def test_folders_that_lead_out_or_nowhere_are_told_once(tmp_path: Path) -> None:
    folder = make(tmp_path / "set", "kept.txt")
    make(tmp_path, "outside/b.png")
    (folder / "images").symlink_to(tmp_path / "outside")
    (folder / "masks").symlink_to("nowhere")
    _, problems = problems_of(folder, *SIDE_BY_SIDE)
    assert problems == [
        f"images leads out of {folder}, to {tmp_path}/outside: put a copy there, or list the files in "
        "a manifest with data.allow_outside = true",
        "masks is a link that leads nowhere: put the file itself there or remove the link",
    ]


def test_what_is_no_file_is_told_and_never_opened(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "masks/a.png", "images/b.png/inside.txt")
    os.mkfifo(tmp_path / "masks/b.png")
    _, problems = problems_of(tmp_path, *SIDE_BY_SIDE)
    assert problems == [
        "images/b.png is a folder named like a picture: rename it",
        "masks/b.png is neither a file nor a folder: remove it",
    ]


def test_names_that_cannot_be_shown_are_told(tmp_path: Path) -> None:
    make(tmp_path, "images/a.png", "masks/a.png", "images/line\nbreak.png")
    os.close(os.open(os.fsencode(tmp_path) + b"/images/\xff.png", os.O_CREAT))
    _, problems = problems_of(tmp_path, *SIDE_BY_SIDE)
    assert problems == [
        "images has a file named 'line\\nbreak.png', with characters that cannot be shown: rename it",
        "images has a file named '\\udcff.png', with characters that cannot be shown: rename it",
    ]


WITHOUT_RIGHTS = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from fre_hpo.data.finding.pairing import find_pairs
if os.getuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
problems = []
find_pairs(Path(sys.argv[1]), "images/{id}.*", "masks/{id}.*", leave_out_unlabelled=False,
           problems=problems)
print("\\n".join(problems))
"""


def test_files_and_folders_that_may_not_be_read_are_told(tmp_path: Path) -> None:
    """In a process without root's rights, because root may read everything."""
    folder = make(Path(mkdtemp(dir="/tmp")), "images/a.png", "images/b.png", "masks/b.png")
    try:
        folder.chmod(0o755)
        (folder / "images/a.png").chmod(0)
        (folder / "masks").chmod(0)
        package = str(Path(__file__).resolve().parents[3])
        result = subprocess.run(
            [sys.executable, "-c", WITHOUT_RIGHTS, str(folder), package],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        (folder / "masks").chmod(0o755)
        shutil.rmtree(folder)
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        f"{folder}/images/a.png may not be read: give yourself the permission",
        f"{folder}/masks cannot be looked into (Permission denied): give yourself the permission or "
        "correct the path",
    ]


def test_each_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, *(f"{n}{end}" for n in range(50) for end in (".png", "_masks.png")))
    listed: list[object] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    assert len(find(tmp_path, "{id}.*", "{id}_masks.*").pairs) == 50
    assert len(listed) == 1


BAD_TEMPLATES = [
    ("", "masks/{id}.*", "a template is empty"),
    ("images/{id}.*", "images/{id}.*", "let the two differ"),
    ("images/{id}.*", "./images/{id}.*", "let the two differ"),
    ("/data/{id}.*", "masks/{id}.*", "no path relative to the folder"),
    ("C:/data/{id}.*", "masks/{id}.*", "no path relative to the folder"),
    ("../images/{id}.*", "masks/{id}.*", 'leaves the folder by ".."'),
    ("a/../images/{id}.*", "masks/{id}.*", 'leaves the folder by ".."'),
    ("images\\{id}.*", "masks/{id}.*", "write forward slashes"),
    ("images//{id}.*", "masks/{id}.*", "a level without a name"),
    ("images/{id}/", "masks/{id}/", "a level without a name"),
    ("images/{id}/.", "masks/{id}.*", "a level without a name"),
    ("images/{name}.*", "masks/{name}.*", 'has "{name}": the placeholders are {id}, {group}'),
    ("images/{id.*", "masks/{id}.*", 'has "{id": the placeholders'),
    ("images/{}.*", "masks/{id}.*", 'has "{}": the placeholders'),
    ("images/{group}{id}.*", "masks/{group}{id}.*", "{group} and {id} side by side"),
    ("images/**/{id}.*", "masks/{id}.*", "* and * side by side"),
    ("images/*{id}.*", "masks/{id}.*", "* and {id} side by side"),
    ("*/{star1}{id}.*", "*/{star1}{id}_m.*", 'has "{star1}": the placeholders'),
    ("*/a.png", "*/b.png", "have no {id}"),
    ("images/{id}.*", "masks/{group}_{id}.*", "masks has {group} but images has not"),
    ("{split}/{id}.*", "masks/{id}.*", "images has {split} but masks has not"),
    ("images/*.png", "masks/*.png", "have no {id}"),
    ("images/.*", "masks/.*", "names no file"),
    ("images/\n{id}.*", "masks/{id}.*", "characters that cannot be shown"),
]


@pytest.mark.parametrize(("images", "masks", "words"), BAD_TEMPLATES)
def test_templates_that_cannot_pair_are_refused(
    tmp_path: Path, images: str, masks: str, words: str
) -> None:
    with pytest.raises(BadTemplate) as caught:
        check_templates(images, masks)
    assert words in str(caught.value)
    assert ": " in str(caught.value)
    with pytest.raises(BadTemplate):
        pairing.find_pairs(tmp_path, images, masks, leave_out_unlabelled=False, problems=[])


@pytest.mark.parametrize(("images", "masks", "_"), FORMS)
def test_templates_that_can_pair_are_accepted(images: str, masks: str, _: object) -> None:
    check_templates(images, masks)


def test_the_published_sections(shared_data: Path) -> None:
    folder = shared_data / "drosophila" / "stack1"
    found = find(folder, "raw/{id}.tif", "labels/labels{id}.png")
    assert [pair.id for pair in found.pairs] == [f"{n:02}" for n in range(20)]
    assert all(int(p.mask.stem.removeprefix("labels")) == int(p.id) for p in found.pairs)


def test_the_published_nuclei(shared_data: Path) -> None:
    found = find(shared_data / "dsb2018_256", "Image/{id}.*", "GroundTruth/{id}.*")
    assert len(found.pairs) == len(list((shared_data / "dsb2018_256" / "Image").glob("*.png")))
