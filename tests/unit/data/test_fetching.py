"""A published set: from a folder, a zip and a web server, whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import io
import socket
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from drawn import draw_drosophila_set
from fre_hpo.data.fetching import fetch as fetching
from fre_hpo.data.fetching.fetch import Fetched, Publication, fetch
from fre_hpo.errors import DataProblems, DatasetNotFound, FetchFailed, FolderOccupied, FreHpoError
from postgres import free_port
from serving import Behaviour, Server

Files = dict[str, bytes]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Two sections with their labels, drawn."""
    folder = draw_drosophila_set(tmp_path / "drawn", sections=2)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def published(files: Files) -> Publication:
    return Publication(
        name="drosophila",
        url="http://127.0.0.1:9/set.zip",
        sha256=hashlib.sha256(zipped(files)).hexdigest(),
        top="stack1",
        checksums={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        layout="a zip or a folder that holds stack1",
        licence="none",
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the set shall be; neither it nor its parent is there yet."""
    return tmp_path / "home" / "data" / "drosophila"


def zipped(files: Mapping[str, bytes], inside: str = "master/") -> bytes:
    """A zip with the same bytes each time."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(f"{inside}{name}"), data)
    return content.getvalue()


def laid_out(files: Mapping[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def read_back(folder: Path) -> Files:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def silent(received: int, total: int | None) -> None:
    """No progress is shown."""


def run(published: Publication, place: Path, origin: Path | str | None) -> Fetched:
    return fetch(published, place, None if origin is None else str(origin), silent)


def refused(published: Publication, place: Path, origin: Path | str | None) -> FreHpoError:
    """The error of a fetch that leaves nothing."""
    with pytest.raises(FreHpoError) as caught:
        run(published, place, origin)
    assert not place.exists()
    hidden = [path for path in place.parents[2].rglob(".*") if path.is_dir()]
    assert hidden == []
    return caught.value


# --- folders and zips ---------------------------------------------------------------------------


@pytest.mark.parametrize("inside", ["", "master/"])
@pytest.mark.parametrize("named", ["its parent", "the stack itself"])
def test_from_a_folder(
    published: Publication, place: Path, files: Files, tmp_path: Path, inside: str, named: str
) -> None:
    laid_out(files, tmp_path / "there" / inside)
    origin = tmp_path / "there" / (f"{inside}stack1" if named == "the stack itself" else "")
    assert run(published, place, origin) == Fetched(place)
    assert read_back(place) == files
    assert (tmp_path / "there").is_dir()


@pytest.mark.parametrize("inside", ["", "master/"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_from_a_zip(
    published: Publication, place: Path, files: Files, tmp_path: Path, inside: str, scheme: str
) -> None:
    more = {**files, "README.md": b"more", "stack2/raw/00.tif": b"of it"}
    path = tmp_path / "a set.zip"
    path.write_bytes(zipped(more, inside))
    origin = path.as_uri() if scheme else path
    assert run(published, place, origin) == Fetched(place)
    assert read_back(place) == files, "only what is known by its checksum is taken"
    assert path.is_file()


def test_other_people_may_read_it(published: Publication, place: Path, tmp_path: Path) -> None:
    expected = tmp_path / "ordinary"
    expected.mkdir()
    run(published, place, tmp_path / "drawn")
    assert stat.S_IMODE(place.stat().st_mode) == stat.S_IMODE(expected.stat().st_mode)


def test_what_is_there_already_is_left_alone(
    published: Publication, place: Path, tmp_path: Path
) -> None:
    run(published, place, tmp_path / "drawn")
    (place / "README.md").write_text("mine")
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    assert run(published, place, None) == Fetched(place, was_there=True)
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


def test_an_empty_folder_is_filled(
    published: Publication, place: Path, files: Files, tmp_path: Path
) -> None:
    place.mkdir(parents=True)
    run(published, place, tmp_path / "drawn")
    assert read_back(place) == files


@pytest.mark.parametrize("other", ["something else", "a part", "a file"])
def test_other_content_is_never_replaced(
    published: Publication, place: Path, files: Files, tmp_path: Path, other: str
) -> None:
    if other == "a file":
        laid_out({"drosophila": b"mine"}, place.parent)
    else:
        mine = dict(list(files.items())[:3]) if other == "a part" else {"thesis.tex": b"mine"}
        laid_out(mine, place)
    before = read_back(place.parent)
    words = {"a part": "1 of the set's 4 files", "something else": "something else"}
    with pytest.raises(FolderOccupied, match=words.get(other, "it is a file")):
        run(published, place, tmp_path / "drawn")
    assert read_back(place.parent) == before


def damaged(files: Files) -> Files:
    """One file changed, two missing."""
    names = list(files)
    changed = files[names[0]][:-1] + b"?"
    return {names[0]: changed, names[3]: files[names[3]]}


@pytest.mark.parametrize("form", ["folder", "zip", "web"])
def test_every_wrong_and_missing_file_is_named(
    published: Publication, place: Path, files: Files, tmp_path: Path, form: str
) -> None:
    wrong = damaged(files)
    laid_out(wrong, tmp_path / "wrong")
    (tmp_path / "wrong.zip").write_bytes(zipped(wrong))
    with Server(Behaviour(zipped(wrong))) as server:
        origins = {"folder": tmp_path / "wrong", "zip": tmp_path / "wrong.zip", "web": server.url}
        error = refused(published, place, origins[form])
    assert isinstance(error, DataProblems)
    names = list(files)
    assert [name for problem in error.problems for name in names if name in problem] == names[:3]
    assert "has the SHA-256" in error.problems[0]
    assert ["is missing" in problem for problem in error.problems] == [False, True, True]
    assert not list(tmp_path.rglob("*.part*")), "what arrived is of no use"


def test_a_damaged_entry_is_named(
    published: Publication, place: Path, files: Files, tmp_path: Path
) -> None:
    content = bytearray(zipped(files))
    name = list(files)[1]
    at = content.index(name.encode()) + len(name) + 20
    content[at : at + 9] = b"\x00" * 9
    path = tmp_path / "damaged.zip"
    path.write_bytes(content)
    error = refused(published, place, path)
    assert isinstance(error, DataProblems)
    assert len(error.problems) == 1
    assert name in error.problems[0]
    assert "cannot be read" in error.problems[0]


@pytest.mark.parametrize("name", ["../../evil.txt", "/etc/evil.txt", "master\\..\\..\\evil.txt"])
def test_a_path_that_leads_out_of_the_zip_is_refused(
    published: Publication, place: Path, files: Files, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "evil.zip"
    path.write_bytes(zipped({**files, name: b"evil"}, inside=""))
    assert "leads out of its folder" in str(refused(published, place, path))
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_link_in_a_zip_is_refused(
    published: Publication, place: Path, files: Files, tmp_path: Path
) -> None:
    path = tmp_path / "links.zip"
    path.write_bytes(zipped(files))
    link = zipfile.ZipInfo("master/stack1/raw/00.tif")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo("master/passwd"), "x")
        link.filename = "master/home"
        archive.writestr(link, "/etc")
    assert "master/home is a link" in str(refused(published, place, path))


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_file_that_is_far_too_large_is_not_unpacked(
    published: Publication,
    place: Path,
    files: Files,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    monkeypatch.setattr(fetching, "LARGEST", 2**16)
    huge = {**files, next(iter(files)): bytes(2**22)}
    (tmp_path / "huge.zip").write_bytes(zipped(huge))
    laid_out(huge, tmp_path / "huge")
    error = refused(published, place, tmp_path / ("huge.zip" if form == "zip" else "huge"))
    assert "it has more than 65,536 bytes" in str(error)


def test_a_zip_that_is_none(published: Publication, place: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.zip"
    path.write_text("<html>Sign in</html>")
    error = refused(published, place, path)
    assert isinstance(error, FetchFailed)
    assert "it is no intact zip" in str(error)


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_where_nothing_of_it_lies(
    published: Publication, place: Path, tmp_path: Path, form: str
) -> None:
    laid_out({"README.md": b"?"}, tmp_path / "other")
    (tmp_path / "other.zip").write_bytes(zipped({"README.md": b"?"}))
    error = refused(published, place, tmp_path / ("other.zip" if form == "zip" else "other"))
    assert isinstance(error, DatasetNotFound)
    assert "holds stack1" in str(error)


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("nowhere.zip", "there is no such file or folder"),
        ("ftp://host/set.zip", "such addresses are not read"),
        ("file://host/set.zip", "such addresses are not read"),
        ("data:application/zip,x", "there is no such file"),
        ("http://", "no host given"),
        ("https://[broken/set.zip", "could not be fetched"),
    ],
)
def test_what_cannot_be_an_origin(
    published: Publication, place: Path, origin: str, words: str
) -> None:
    error = refused(published, place, origin)
    assert isinstance(error, FetchFailed)
    assert words in str(error)
    assert "\n" not in str(error)


def test_a_parent_that_is_a_file(published: Publication, place: Path, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(FetchFailed, match=r"\(.*: (Not a directory|File exists)\)"):
        run(published, place, tmp_path / "drawn")
    assert (tmp_path / "home").read_text() == "a file"


# --- the web ------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True])
def test_from_a_server(published: Publication, place: Path, files: Files, chunked: bool) -> None:
    content = zipped(files)
    seen: list[tuple[int, int | None]] = []
    with Server(Behaviour(content, chunked=chunked)) as server:
        fetch(published, place, server.url, lambda *now: seen.append(now))
    assert read_back(place) == files
    total = None if chunked else len(content)
    assert seen[0] == (0, total)
    assert seen[-1] == (len(content), total)
    assert [path.name for path in place.parent.iterdir()] == ["drosophila"]


@pytest.mark.parametrize("chunked", [False, True])
def test_after_a_cut_the_same_command_goes_on(
    published: Publication, place: Path, files: Files, chunked: bool
) -> None:
    content = zipped(files)
    server_does = Behaviour(content, cut=1000, chunked=chunked)
    with Server(server_does) as server:
        first = str(refused(published, place, server.url))
        assert "the connection was cut at" in first
        assert first.endswith("the same command goes on from there.")
        kept = place.with_name("drosophila.zip.part").stat().st_size
        assert kept == 1000
        server_does.cut = None
        run(published, place, server.url)
    assert read_back(place) == files
    assert server_does.asked == [None, f"bytes={kept}-"]
    assert [path.name for path in place.parent.iterdir()] == ["drosophila"]


@pytest.mark.parametrize("why", ["no ranges", "no version", "another version", "another address"])
def test_where_a_server_cannot_continue_it_begins_anew(
    published: Publication, place: Path, files: Files, why: str
) -> None:
    content = zipped(files)
    behaviour = Behaviour(content, cut=1000, ranges=why != "no ranges")
    if why == "no version":
        behaviour.etag = None
    with Server(behaviour) as server:
        error = str(refused(published, place, server.url))
        assert ("begins anew" in error) == (why == "no version")
        behaviour.cut = None
        if why == "another version":
            behaviour.etag = '"two"'
        url = f"{server.url}?2" if why == "another address" else server.url
        run(published, place, url)
    assert read_back(place) == files
    asks = why in ("no ranges", "another version")
    assert behaviour.asked == [None, "bytes=1000-" if asks else None]


def test_a_complete_part_is_not_downloaded_again(
    published: Publication,
    place: Path,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    behaviour = Behaviour(zipped(files))
    with Server(behaviour) as server:
        with monkeypatch.context() as patched:
            patched.setattr(fetching, "_install", full_disk)
            assert "No space left on device" in str(refused(published, place, server.url))
        run(published, place, server.url)
    assert behaviour.asked == [None, f"bytes={len(behaviour.content)}-"]
    assert read_back(place) == files


def full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device", "there")


@pytest.mark.parametrize("same", [True, False])
def test_the_published_zip_is_compared_with_its_checksum(
    published: Publication, place: Path, files: Files, same: bool
) -> None:
    """One that was packed anew will do if every file in it is the right one, and that is said."""
    content = zipped(files) if same else zipped({**files, "NEWS": b"packed anew"})
    with Server(Behaviour(content)) as server:
        here = Publication(**{**vars(published), "url": server.url})
        fetched = run(here, place, None)
    assert read_back(place) == files
    assert len(fetched.remarks) == (0 if same else 1)
    assert same or published.sha256[:12] in fetched.remarks[0]


@pytest.mark.parametrize(
    ("status", "location", "words"),
    [
        (404, None, "the server answered 404 Not Found"),
        (503, None, "the server answered 503"),
        (302, "file:///etc/passwd", "the server answered 302"),
        (302, "ftp://127.0.0.1/set.zip", "ftp"),
        (302, "", "the server answered 302"),
    ],
)
def test_what_else_a_server_may_answer(
    published: Publication, place: Path, status: int, location: str | None, words: str
) -> None:
    with Server(Behaviour(b"", status=status, location=location)) as server:
        error = refused(published, place, server.url)
    assert isinstance(error, FetchFailed)
    assert words in str(error)
    assert "\n" not in str(error)
    assert not list(place.parent.glob("*"))


def test_a_server_that_is_not_there(published: Publication, place: Path) -> None:
    error = refused(published, place, f"http://127.0.0.1:{free_port()}/set.zip")
    assert "Connection refused" in str(error)
    assert "--from" in str(error)
    assert error.exit_code == 5


def test_a_silent_server(
    published: Publication, place: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fre_hpo.data.fetching.downloading.SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/set.zip"
        assert "timed out" in str(refused(published, place, url))


def test_a_download_without_end(
    published: Publication, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fre_hpo.data.fetching.downloading._PIECE", 1000)
    monkeypatch.setattr("fre_hpo.data.fetching.downloading.LARGEST", 5000)
    with Server(Behaviour(bytes(9000))) as server:
        error = refused(published, place, server.url)
    assert "it has more than" in str(error)
    assert not list(place.parent.glob("*"))


def test_two_fetches_at_once(published: Publication, place: Path, files: Files) -> None:
    place.parent.mkdir(parents=True)
    part = place.with_name("drosophila.zip.part")
    with Server(Behaviour(zipped(files))) as server, part.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert "another fetch is writing" in str(refused(published, place, server.url))


# --- the real set -------------------------------------------------------------------------------


def test_the_checksums_name_every_section_and_its_labels() -> None:
    names = [f"stack1/raw/{n:02}.tif" for n in range(20)]
    names += [f"stack1/labels/labels{n:08}.png" for n in range(20)]
    checksums = fetching.drosophila().checksums
    assert list(checksums) == names
    assert all(len(bytes.fromhex(checksum)) == 32 for checksum in checksums.values())
    assert len(set(checksums.values())) == 40


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_the_real_sections(shared_data: Path, place: Path, tmp_path: Path, form: str) -> None:
    origin = shared_data / "drosophila"
    if form == "zip":
        origin = tmp_path / "master.zip"
        with zipfile.ZipFile(origin, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted((shared_data / "drosophila").rglob("*")):
                name = path.relative_to(shared_data / "drosophila").as_posix()
                archive.write(path, f"groundtruth-drosophila-vnc-master/{name}")
    assert run(fetching.drosophila(), place, origin) == Fetched(place)
    assert len(read_back(place)) == 40
    assert run(fetching.drosophila(), place, None).was_there
