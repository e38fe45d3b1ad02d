import json
import os
from pathlib import Path

import pytest

import forms
from fre_hpo.data.finding import manifest
from fre_hpo.data.finding.pairing import Pair, Pairing
from fre_hpo.errors import DataProblems


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set with six images and masks, and a picture beside it."""
    for place in ("set/i", "set/m", "beside"):
        (tmp_path / place).mkdir(parents=True)
    for n in range(1, 7):
        (tmp_path / f"set/i/{n}.png").write_bytes(b"picture")
        (tmp_path / f"set/m/{n}.png").write_bytes(b"mask")
    (tmp_path / "beside/x.png").write_bytes(b"picture")
    return tmp_path / "set"


def read(
    folder: Path,
    content: str | bytes,
    *,
    name: str = "list.csv",
    allow_outside: bool = False,
    leave_out: bool = False,
) -> tuple[Pairing, list[str]]:
    """What is found, and the sentences without the manifest's own path."""
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    problems: list[str] = []
    found = manifest.read_manifest(
        folder,
        name,
        allow_outside=allow_outside,
        leave_out_unlabelled=leave_out,
        problems=problems,
    )
    return found, [problem.replace(f"{folder / name} ", "") for problem in problems]


def good(folder: Path, content: str | bytes, **options: bool) -> Pairing:
    found, problems = read(folder, content, **options)
    assert problems == []
    return found


def ids(found: Pairing) -> list[tuple[str, str | None, str | None]]:
    return [(pair.id, pair.split, pair.group) for pair in found.pairs]


TABLE = "image,mask,split,group\ni/1.png,m/1.png,Train,p1\ni/2.png,m/2.png,VAL,\n"
ENTRIES = [
    {"image": "i/1.png", "mask": "m/1.png", "split": "Train", "group": "p1"},
    {"image": "i/2.png", "mask": "m/2.png", "split": "VAL", "group": None},
]

FORMS = [
    TABLE,
    TABLE.replace(",", ";"),
    TABLE.replace(",", "\t"),
    TABLE.replace("\n", "\r\n"),
    TABLE.replace(",", " , "),
    "\n\n" + TABLE.replace("\n", "\n,,,\n\n"),
    TABLE.replace("image,mask", "IMAGE,Label"),
    '"image","mask","split","group"\n"i/1.png","m/1.png","train","p1"\n./i//2.png,./m/2.png,dev\n',
    "\ufeff" + TABLE,
    TABLE.encode("utf-16"),
    TABLE.replace(",", "\t").encode("utf-16"),
    json.dumps(ENTRIES),
    "\ufeff\n" + json.dumps({"pairs": ENTRIES, "version": 2}),
    json.dumps([dict(reversed(entry.items())) for entry in reversed(ENTRIES)]),
]


@pytest.mark.parametrize("content", FORMS)
def test_forms_of_a_manifest(folder: Path, content: str | bytes) -> None:
    found = good(folder, content)
    assert found == Pairing(
        pairs=(
            Pair("i/1.png", folder / "i/1.png", folder / "m/1.png", "train", "p1"),
            Pair("i/2.png", folder / "i/2.png", folder / "m/2.png", "validation", None),
        )
    )


def test_split_and_group_are_optional_and_the_order_is_natural(folder: Path) -> None:
    (folder / "i/10.png").write_bytes(b"picture")
    (folder / "m/10.png").write_bytes(b"mask")
    found = good(folder, "image,mask\ni/10.png,m/10.png\ni/2.png,m/2.png\ni/1.png,m/1.png\n")
    assert ids(found) == [(f"i/{n}.png", None, None) for n in (1, 2, 10)]


def test_numbers_name_groups(folder: Path) -> None:
    content = json.dumps([{"image": "i/1.png", "mask": "m/1.png", "group": 7}])
    assert ids(good(folder, content)) == [("i/1.png", None, "7")]


def test_a_manifest_in_a_folder_below_is_relative_to_itself(folder: Path) -> None:
    (folder / "i/list.csv").write_text("image,mask\n1.png,../m/1.png\n")
    problems: list[str] = []
    found = manifest.read_manifest(
        folder, "i/list.csv", allow_outside=True, leave_out_unlabelled=False, problems=problems
    )
    assert problems == []
    assert found.pairs[0].mask.resolve() == folder / "m/1.png"


def test_columns_that_mean_nothing_are_passed_over_and_said(folder: Path) -> None:
    found = good(folder, "nr,image,mask,patient\n1,i/1.png,m/1.png,anna\n")
    assert found.remarks == (
        f"{folder}/list.csv has columns that are not read: nr, patient (a column named group keeps the "
        "pictures of a patient, section or movie in one split).",
    )


@pytest.mark.parametrize("name", ["spilt", "Groups", "imag", "mask_"])
def test_columns_that_look_misspelt_are_refused(folder: Path, name: str) -> None:
    content = f"image,mask,{name}\ni/1.png,m/1.png,x\n"
    _, problems = read(folder, content)
    meant = {"s": "split", "G": "group", "i": "image", "m": "mask"}[name[0]]
    assert problems == [f'has a column "{name}": call it {meant} or otherwise']
    entries = json.dumps([{"image": "i/1.png", "mask": "m/1.png", name: "x"}] * 3)
    _, problems = read(folder, entries)
    assert problems[0] == f'has a column "{name}": call it {meant} or otherwise'
    assert len(problems) == 5  # and the files that are listed again, but the column once


def test_unlabelled_images_are_left_out_when_asked(folder: Path) -> None:
    content = "image,mask\ni/1.png,m/1.png\ni/2.png,\ni/3.png\n"
    found, problems = read(folder, content, leave_out=True)
    assert problems == []
    assert found.unlabelled == (folder / "i/2.png", folder / "i/3.png")
    found, problems = read(folder, content)
    assert problems == [
        "names no mask in line 3: add it or remove the image",
        "names no mask in line 4: add it or remove the image",
    ]
    assert found.unlabelled == ()


def test_the_sentence_about_a_missing_mask_ends_with_the_callers_advice(folder: Path) -> None:
    (folder / "list.csv").write_text("image,mask\ni/1.png,m/1.png\ni/2.png,\n")
    problems: list[str] = []
    manifest.read_manifest(
        folder,
        "list.csv",
        allow_outside=False,
        leave_out_unlabelled=False,
        problems=problems,
        advice=", or sleep",
    )
    assert problems == [
        f"{folder}/list.csv names no mask in line 3: add it or remove the image, or sleep"
    ]


def test_the_advice_of_a_recipe(tmp_path: Path) -> None:
    """With a manifest it speaks of the columns, with templates of placeholders."""
    forms.LAYOUTS["images and masks"](tmp_path)
    (tmp_path / "masks/02.png").unlink()
    for number in range(3, forms.COUNT):
        (tmp_path / f"images/{number:02}.png").unlink()
        (tmp_path / f"masks/{number:02}.png").unlink()
    rows = ["image,mask,group", "images/00.png,masks/00.png,a", "images/01.png,masks/01.png,b"]
    (tmp_path / "list.csv").write_text("\n".join([*rows, "images/02.png,,b"]))
    with pytest.raises(DataProblems) as caught:
        forms.load(tmp_path, {"manifest": "list.csv"})
    assert caught.value.problems == [
        f"{tmp_path}/list.csv names no mask in line 4: add it or remove the image, or set "
        'data.unlabelled = "leave out"',
        "2 groups (a, b) cannot fill train, validation and test, and a group is never divided: leave "
        "the column group out if the pictures of a group are independent, or add a group",
    ]
    with pytest.raises(DataProblems) as caught:
        forms.load(tmp_path, {kind: f"{kind}/0{{group}}.*" for kind in ("images", "masks")})
    assert caught.value.problems == [
        f"{tmp_path}/images/02.png has no partner masks/02.png: add that file or remove this one, or "
        'set data.unlabelled = "leave out"',
        "2 groups (0, 1) cannot fill train, validation and test, and a group is never divided: write "
        "{id} or * instead of {group} if the pictures of a group are independent, or add a group",
    ]


@pytest.mark.parametrize(("more", "words"), [(0, ""), (1, " and 1 other"), (2, " and 2 others")])
def test_rows_without_a_split_are_counted(folder: Path, more: int, words: str) -> None:
    rows = "".join(f"i/{n}.png,m/{n}.png\n" for n in range(2, 3 + more))
    _, problems = read(folder, f"image,mask,split\ni/1.png,m/1.png,train\n{rows}")
    assert problems == [
        f"says no split in line 3{words}, though it does elsewhere: say it in every row or in none"
    ]


def test_all_mistakes_come_in_one_run_with_their_lines(folder: Path) -> None:
    content = (
        "image,mask,split\n"
        "i/1.png,m/1.png,train\n"
        "i/1.png,m/2.png,train\n"
        "i/3.png,m/none.png,train\n"
        ",m/3.png,train\n"
        "i/4.png,m/4.png,holdout\n"
        "i/5.png,m/5.png,\n"
        "i/6.png,i/6.png,test\n"
        "i\\2.png,m,test\n"
        'i/2.png,m/6.png,"te\x07st"\n'
        "i/2.png,m/6.png,test,a,b\n"
    )
    found, problems = read(folder, content)
    assert problems == [
        "has characters in line 10 that cannot be shown: correct that line",
        'has 5 cells in line 11 but 3 columns: put cells that hold "," into quotation marks',
        "names i/1.png in line 3 and in line 2: list each file once",
        "names m/none.png in line 4, which does not exist: correct the path or add the file",
        "names no image in line 5: add it",
        "names i/6.png in line 8 twice: list each file once",
        "names i\\2.png in line 9, which does not exist: write / between folders",
        "names m in line 9, which is no file: name a picture",
        'has the split "holdout" in line 6: write train, validation or test',
        "says no split in line 7, though it does elsewhere: say it in every row or in none",
    ]
    assert ids(found) == [
        ("i/1.png", "train", None),
        ("i/4.png", None, None),
        ("i/5.png", None, None),
    ]


def test_entries_of_json_are_counted(folder: Path) -> None:
    content = json.dumps(
        [
            {"image": "i/1.png", "mask": "m/1.png"},
            {"image": "i/2.png", "mask": ["m/2.png"]},
            {"mask": "m/3.png"},
            {"image": "i/4.png", "mask": "m/4.png", "label": "m/5.png"},
        ]
    )
    _, problems = read(folder, content)
    assert problems == [
        "has no text for mask in entry 2: write it in quotation marks",
        'has a second column for the mask, "label": keep one',
        "names no image in entry 3: add it",
    ]


OUTSIDE = ["../beside/x.png", "i/../../beside/x.png", "link.png", "linked/x.png"]


@pytest.mark.parametrize("written", [*OUTSIDE, "ABSOLUTE"])
def test_a_path_that_leaves_the_folder_is_refused_unless_allowed(
    folder: Path, written: str
) -> None:
    (folder / "link.png").symlink_to("../beside/x.png")
    (folder / "linked").symlink_to("../beside")
    outside = written.replace("ABSOLUTE", str(folder.parent / "beside/x.png"))
    content = f"image,mask\n{outside},m/1.png\n"
    found, problems = read(folder, content)
    why = (
        "which is no path relative to it: write one, or set data.allow_outside = true"
        if written == "ABSOLUTE"
        else "which leaves its folder: put the file there, or set data.allow_outside = true"
    )
    assert problems == [f"names {outside} in line 2, {why}"]
    assert found.pairs == ()
    (pair,) = good(folder, content, allow_outside=True).pairs
    assert pair.image.samefile(folder.parent / "beside/x.png")


def test_absolute_paths_of_windows_are_refused(folder: Path) -> None:
    _, problems = read(folder, "image,mask\nC:\\data\\1.png,m/1.png\n")
    assert problems == [
        "names C:\\data\\1.png in line 2, which is no path relative to it: write one, or set "
        "data.allow_outside = true"
    ]


def test_paths_that_come_back_and_links_inside_are_used(folder: Path) -> None:
    (folder / "link.png").symlink_to("m/1.png")
    assert len(good(folder, "image,mask\ni/../i/1.png,link.png\n").pairs) == 1


def test_one_file_under_two_names_is_found(folder: Path) -> None:
    (folder / "link.png").symlink_to("i/1.png")
    _, problems = read(folder, "image,mask\ni/1.png,m/1.png\nm/../link.png,m/2.png\n")
    assert problems == ["names m/../link.png in line 3 and in line 2: list each file once"]


def test_a_relative_folder_is_no_obstacle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    found, problems = read(Path(), "image,mask\ni/1.png,m/1.png\n")
    assert problems == []
    assert found.pairs == (Pair("i/1.png", Path("i/1.png"), Path("m/1.png")),)


@pytest.mark.parametrize("name", ["../beside/list.csv", "link.csv", "ABSOLUTE"])
def test_the_manifest_itself_lies_in_the_folder_unless_allowed(folder: Path, name: str) -> None:
    outside = folder.parent / "beside/list.csv"
    outside.write_text("image,mask\n../set/i/1.png,../set/m/1.png\n")
    (folder / "link.csv").symlink_to(outside)
    name = name.replace("ABSOLUTE", str(outside))
    problems: list[str] = []
    manifest.read_manifest(
        folder, name, allow_outside=False, leave_out_unlabelled=False, problems=problems
    )
    assert problems == [
        f"{folder / name} lies outside of {folder}: put the manifest there or set data.allow_outside = true"
    ]


NO_TABLES = [
    ("", "is empty: its first line must name the columns image,mask and, if wanted, split,group"),
    (
        " \n",
        "is empty: its first line must name the columns image,mask and, if wanted, split,group",
    ),
    (
        ",,,\n",
        "has no column image and no column mask (there are ): its first line must name the columns "
        "image,mask and, if wanted, split,group",
    ),
    (
        "image;annotation\ni/1.png;m/1.png\n",
        "has no column mask (there are image, annotation): its first line must name the columns "
        "image,mask and, if wanted, split,group",
    ),
    ("image,mask\n", "lists no image with a mask: add rows with both"),
    (b"PK\x03\x04....", "is no text (perhaps a spreadsheet): save it as CSV"),
    (b"II*\0\x08\0\0\0", "is no text (perhaps a spreadsheet): save it as CSV"),
    (
        "image,mask\ni/1.png,m/1.png\nZ\xfcrich.png,m/2.png\n".encode("latin-1"),
        "has a character in line 3 that is not UTF-8: save it as UTF-8",
    ),
    (
        'image,mask\n"i/1.png,m/1.png\n',
        "is no CSV in line 2 (unexpected end of data): close the quotation marks there",
    ),
    (
        "[{]",
        "is no JSON in line 1 (Expecting property name enclosed in double quotes): correct that "
        "line",
    ),
    ("{}", 'is no list of pairs: write [{"image": "a.png", "mask": "a_mask.png"}, ...]'),
    ("[1, 2]", 'is no list of pairs: write [{"image": "a.png", "mask": "a_mask.png"}, ...]'),
    ("[]", "lists no image with a mask: add rows with both"),
    (
        '[{"image": "a", "image": "b"}]',
        "is no list of pairs (an object with two members of one name, among image): write "
        '[{"image": "a.png", "mask": "a_mask.png"}, ...]',
    ),
]


@pytest.mark.parametrize(("content", "sentence"), NO_TABLES)
def test_a_file_that_is_no_manifest_is_told_in_one_sentence(
    folder: Path, content: str | bytes, sentence: str
) -> None:
    found, problems = read(folder, content)
    assert problems == [sentence]
    assert found.pairs == ()


def test_json_of_great_depth_is_no_crash(folder: Path) -> None:
    _, (problem,) = read(folder, "[" * 100_000)
    assert problem.startswith("is no list of pairs (maximum recursion depth exceeded")


def test_no_file_is_told(folder: Path) -> None:
    problems: list[str] = []
    os.mkfifo(folder / "pipe")
    for name in ("none.csv", "i", "pipe", "x" * 300, "i/1.png/list.csv"):
        manifest.read_manifest(
            folder, name, allow_outside=False, leave_out_unlabelled=False, problems=problems
        )
    assert problems == [
        f"{folder}/none.csv is not there: correct the option manifest",
        f"{folder}/i is no ordinary file: name a CSV or JSON file with the option manifest",
        f"{folder}/pipe is no ordinary file: name a CSV or JSON file with the option manifest",
        f"{folder}/{'x' * 300} cannot be read (File name too long): give yourself permission",
        f"{folder}/i/1.png/list.csv is not there: correct the option manifest",
    ]


def test_a_huge_file_is_not_read(folder: Path) -> None:
    with (folder / "huge.csv").open("wb") as file:
        file.truncate(300 * 2**20)
    problems: list[str] = []
    manifest.read_manifest(
        folder, "huge.csv", allow_outside=False, leave_out_unlabelled=False, problems=problems
    )
    assert problems == [f"{folder}/huge.csv is larger than 256 MiB: name a CSV or JSON file"]


def test_names_that_cannot_be_files_are_told(folder: Path) -> None:
    _, problems = read(folder, f"image,mask\n{'y' * 300}.png,m/1.png\ni/1.png/z.png,m/2.png\n")
    assert problems == [
        f"names {'y' * 300}.png in line 2, which cannot be read (File name too long): correct the path "
        "or the permission",
        "names i/1.png/z.png in line 3, which does not exist: correct the path or add the file",
    ]


def test_very_many_mistakes_are_counted(folder: Path) -> None:
    _, problems = read(folder, "image,mask\n" + "no.png,none.png\n" * 500)
    assert len(problems) == 21
    assert problems[-1].startswith("980 more mistakes in")
