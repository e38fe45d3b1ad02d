"""The dashboard over a storage, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import event

from fre_hpo.errors import StudyHeld
from fre_hpo.service import read
from fre_hpo.settings import Settings
from fre_hpo.study.connection import Connection
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.lock import coordinator_lock
from fre_hpo.study.readings import STUDY, readings, record_reading
from ledgers import create, make_charter, search, tell
from postgres import PASSWORD, Postgres
from viewing import Viewer


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'studies.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def ledger(url: str) -> Ledger:
    """A study with two complete trials and one that runs."""
    found = create(url, "mouse-fre")
    search(found, 2)
    found.ask()
    return found


def changing(url: str, home: Path) -> Viewer:
    settings = Settings(home, url)
    return Viewer(url, home, allow_changes=True, delete=partial(read.delete, settings))


def trial_ids(viewer: Viewer) -> list[int]:
    return [trial["trial_id"] for trial in viewer.study()["trials"]]


# --- looking --------------------------------------------------------------------------------------


def test_a_study_is_shown_as_the_storage_has_it(url: str, ledger: Ledger, home: Path) -> None:
    ledger.publish_figure("2-curves", '{"data": []}')
    ledger.publish_figure("1-search", '{"data": [1]}')
    ledger.publish_note("# The study")
    shown = Viewer(url, home).study()
    records = ledger.records()
    assert [trial["state"] for trial in shown["trials"]] == ["Complete", "Complete", "Running"]
    assert [trial["values"][0] for trial in shown["trials"][:2]] == [r.value for r in records[:2]]
    assert [figure["id"] for figure in shown["plotly_graph_objects"]] == ["1-search", "2-curves"]
    assert shown["note"]["body"] == "# The study"
    assert shown["user_attrs"] == []


def test_a_poll_brings_what_came_after(url: str, ledger: Ledger, home: Path) -> None:
    poll = Viewer(url, home).study(after=2)
    assert [trial["number"] for trial in poll["trials"]] == [2]


def test_the_list_names_every_study(url: str, ledger: Ledger, home: Path) -> None:
    create(url, "drosophila-fre")
    listed = Viewer(url, home).ask("/api/studies").json["study_summaries"]
    assert sorted(study["study_name"] for study in listed) == ["drosophila-fre", "mouse-fre"]


def test_the_record_of_readings_is_not_listed_and_never_deleted(
    url: str, ledger: Ledger, home: Path
) -> None:
    connection = Connection(url, create=True)
    record_reading(connection, "f" * 64, "mouse-fre", 1)
    assert connection.storage is not None
    viewer, number = changing(url, home), connection.storage.get_study_id_from_name(STUDY)
    listed = viewer.ask("/api/studies").json["study_summaries"]
    assert [study["study_name"] for study in listed] == ["mouse-fre"]
    assert viewer.ask(f"/api/studies/{number}", "DELETE").status == 404
    assert len(readings(connection, "f" * 64)) == 1


def test_one_study_is_read_without_the_others(url: str, ledger: Ledger, home: Path) -> None:
    """Their notes and figures would otherwise be read at each poll."""
    create(url, "drosophila-fre").publish_note("of another study")
    viewer = Viewer(url, home)
    fetched: list[object] = []
    engine = viewer.opening.pages()._connection.engine
    event.listen(engine, "after_execute", lambda *result: fetched.append(str(result[1])))
    assert viewer.study()["name"] == "mouse-fre"
    statements = [text for text in fetched if "FROM study_system_attributes" in str(text)]
    assert statements
    assert all("WHERE" in str(text) for text in statements)


def test_head_has_gets_headers(url: str, ledger: Ledger, home: Path) -> None:
    viewer = Viewer(url, home)
    for path in ("/api/studies", "/dashboard", "/healthz"):
        get, head = viewer.ask(path), viewer.ask(path, "HEAD")
        assert (head.status, head.body) == (get.status, b"")
        assert head.headers == get.headers


def test_reading_writes_nothing(url: str, ledger: Ledger, home: Path) -> None:
    before = ledger.records()
    viewer = Viewer(url, home)
    writes: list[str] = []
    engine = viewer.opening.pages()._connection.engine
    event.listen(engine, "before_cursor_execute", lambda *call: writes.append(call[2]))
    for path in (
        "/",
        "/dashboard",
        "/dashboard/studies/1",
        "/api/meta",
        "/api/studies",
        "/api/studies/1",
        "/api/studies/1/param_importances",
        "/api/studies/1/plot/slice",
        "/csv/1",
        "/study/mouse-fre",
        "/incompatible-rdb-schema",
        "/artifacts/1/1/ab-cd",
    ):
        assert viewer.ask(path).status < 500, path
    assert not [sql for sql in writes if not sql.lstrip().upper().startswith("SELECT")]
    assert ledger.records() == before


@pytest.mark.parametrize(
    "path",
    [
        "/api/studies/99",
        "/csv/99",
        "/artifacts/99/1/ab",
        "/study/no",
        "/study/a\0b",
        "/api/studies/99999999999999999999",
        "/csv/99999999999999999999",
        "/artifacts/1/99999999999999999999/ab",
        "/api/studies/1\n",
        "/api/studies/-1",
        "//api/studies",
        "/api/llm/anything",
    ],
)
def test_what_is_not_there_is_404(url: str, ledger: Ledger, home: Path, path: str) -> None:
    viewer = Viewer(url, home)
    assert viewer.ask(path).status == 404
    assert viewer.complaints == []


@pytest.mark.parametrize("after", ["-1", "x", "1e3", ""])
def test_a_nonsensical_after_is_400(url: str, ledger: Ledger, home: Path, after: str) -> None:
    assert Viewer(url, home).ask(f"/api/studies/1?after={after}").status == 400


@pytest.mark.parametrize("path", ["/study/mouse-fre", "/study/mouse-fre/"])
def test_a_study_is_found_by_its_name(url: str, ledger: Ledger, home: Path, path: str) -> None:
    reply = Viewer(url, home).ask(path)
    assert (reply.status, reply.headers["location"]) == (303, "/dashboard/studies/1")


def test_a_slash_at_the_end_changes_nothing(url: str, ledger: Ledger, home: Path) -> None:
    viewer = Viewer(url, home)
    assert viewer.ask("/api/studies/1/").body == viewer.ask("/api/studies/1").body
    assert viewer.ask("/api/studies/1/?after=x").status == 400


def test_a_new_study_under_an_old_number_is_shown_anew(
    url: str, ledger: Ledger, home: Path
) -> None:
    """SQLite gives the number of a deleted study again; what is kept of its trials goes with it."""
    viewer = Viewer(url, home)
    assert len(viewer.study()["trials"]) == 3
    ledger.delete()
    other = create(url, "mouse-supervision")
    number = other._study_id
    search(other, 1)
    time.sleep(1.1)
    shown = viewer.study(number)
    assert (shown["name"], len(shown["trials"])) == ("mouse-supervision", 1)


# --- files ----------------------------------------------------------------------------------------


@pytest.fixture
def picture(ledger: Ledger, home: Path) -> str:
    """The path of a running trial's picture; its curve.csv is attached as well."""
    folder = StudyFolder(home / "studies" / "mouse-fre")
    folder.identify(ledger.charter.id, ledger.shown)
    folder.trial(2).save_picture(b"\x89PNG")
    folder.trial(2).write_curve(("epoch", "miou"), [(1, 0.5)])
    ledger.attach(2, "picture.png")
    ledger.attach(2, "curve.csv")
    return ledger.artifact_path(2, "picture.png")


def test_pictures_are_shown_and_tables_saved(
    url: str, ledger: Ledger, picture: str, home: Path
) -> None:
    viewer = Viewer(url, home)
    shown = viewer.ask(picture)
    assert (shown.status, shown.body) == (200, b"\x89PNG")
    assert shown.headers["content-type"] == "image/png"
    assert shown.headers["content-disposition"] == "inline"
    assert "access-control-allow-origin" not in shown.headers
    assert "sandbox" in shown.headers["content-security-policy"]
    again = viewer.ask(picture, if_none_match=shown.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    table = viewer.ask(ledger.artifact_path(2, "curve.csv"))
    assert table.text == "epoch,miou\n1,0.5\n"
    assert table.headers["content-disposition"] == 'attachment; filename="curve.csv"'


def test_a_file_on_another_machine_is_404_and_says_so(
    url: str, ledger: Ledger, picture: str, tmp_path: Path
) -> None:
    viewer = Viewer(url, tmp_path / "elsewhere")
    reply = viewer.ask(picture)
    assert reply.status == 404
    assert "--home" in reply.text
    assert viewer.complaints == []


# --- changing -------------------------------------------------------------------------------------


def test_read_only_nothing_changes(url: str, ledger: Ledger, home: Path) -> None:
    viewer = Viewer(url, home)
    trial = trial_ids(viewer)[2]
    before = ledger.records()
    for method, path, content in (
        ("DELETE", "/api/studies/1", {}),
        ("POST", f"/api/trials/{trial}/tell", {"state": "Fail"}),
        ("PUT", "/api/studies/1/note", {"version": 1, "body": "x"}),
        ("POST", "/api/studies", {"study_name": "x", "directions": ["maximize"]}),
    ):
        reply = viewer.ask(path, method, content)
        assert reply.status == 403
        assert "--allow-changes" in reply.reason
    assert (ledger.records(), ledger.note()) == (before, "")


def test_a_running_trial_is_failed_and_seen_so_at_once(
    url: str, ledger: Ledger, home: Path
) -> None:
    viewer = changing(url, home)
    trial = trial_ids(viewer)[2]
    reply = viewer.ask(f"/api/trials/{trial}/tell", "POST", {"state": "Fail", "values": None})
    assert (reply.status, reply.json) == (200, {})
    assert ledger.state(2) == "FAIL"
    assert viewer.study()["trials"][2]["state"] == "Fail"
    again = viewer.ask(f"/api/trials/{trial}/tell", "POST", {"state": "Fail"})
    assert (again.status, again.reason) == (409, "This trial has ended already.")


def test_no_value_can_be_told(url: str, ledger: Ledger, home: Path) -> None:
    viewer = changing(url, home)
    trial = trial_ids(viewer)[2]
    reply = viewer.ask(f"/api/trials/{trial}/tell", "POST", {"state": "Complete", "values": [0.99]})
    assert reply.status == 403
    assert ledger.state(2) == "RUNNING"


def test_notes_are_written_and_seen_at_once(url: str, ledger: Ledger, home: Path) -> None:
    ledger.publish_note("ours")
    viewer = changing(url, home)
    trial = trial_ids(viewer)[0]
    note = {"version": viewer.study()["note"]["version"] + 1, "body": "Ä" * 5000}
    assert viewer.ask("/api/studies/1/note", "PUT", note).status == 200
    assert viewer.study()["note"] == note
    assert ledger.note() == note["body"]
    assert viewer.ask("/api/studies/1/note", "PUT", note).status == 409  # somebody was faster
    mine = {"version": 1, "body": "mine"}
    assert viewer.ask(f"/api/studies/1/{trial}/note", "PUT", mine).status == 200
    assert viewer.study()["trials"][0]["note"] == mine


def test_a_study_is_deleted_with_its_files(
    url: str, ledger: Ledger, picture: str, home: Path
) -> None:
    viewer = changing(url, home)
    viewer.study()
    assert viewer.ask("/api/studies/1", "DELETE", {}).status == 200
    assert not (home / "studies" / "mouse-fre").exists()
    assert not Ledger.exists(Connection(url, create=False), "mouse-fre")
    assert viewer.ask("/api/studies").json == {"study_summaries": []}
    assert viewer.ask("/api/studies/1", "DELETE").status == 404


def test_a_study_that_runs_is_not_deleted(url: str, ledger: Ledger, home: Path) -> None:
    lock = coordinator_lock(ledger.url, "mouse-fre")
    assert lock.acquire()
    try:
        reply = changing(url, home).ask("/api/studies/1", "DELETE", {})
    finally:
        lock.release()
    assert reply.status == 409
    assert reply.reason.startswith("Study 'mouse-fre' is already being run by process")
    assert ledger.records()


def test_a_delete_that_fails_says_why(url: str, ledger: Ledger, home: Path) -> None:
    def held(study: str) -> None:
        raise StudyHeld(study=study, pid=1, host="lab")

    reply = Viewer(url, home, allow_changes=True, delete=held).ask("/api/studies/1", "DELETE")
    assert (reply.status, "process 1 on lab" in reply.reason) == (409, True)


# --- many viewers ---------------------------------------------------------------------------------


def test_eight_viewers_cost_one(url: str, ledger: Ledger, home: Path) -> None:
    viewer = Viewer(url, home)
    pages = viewer.opening.pages()
    calls: list[str] = []
    call = pages.call
    pages.call = lambda *asked: (calls.append(asked[1]), call(*asked))[1]  # type: ignore[method-assign]
    gate = threading.Barrier(8)

    def view() -> bytes:
        gate.wait(10)
        return viewer.ask("/api/studies/1?after=0").body

    with ThreadPoolExecutor(8) as pool:
        bodies = {answer.result(30) for answer in [pool.submit(view) for _ in range(8)]}
    assert (len(bodies), calls) == (1, ["/api/studies/1"])


def test_a_new_trial_is_seen_within_seconds(url: str, ledger: Ledger, home: Path) -> None:
    viewer = Viewer(url, home)
    assert len(viewer.study()["trials"]) == 3
    tell(ledger, ledger.ask())
    _wait_for(lambda: len(viewer.study()["trials"]) == 4, 5)


def _wait_for(found: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end
        time.sleep(0.1)


# --- a storage that is not there ------------------------------------------------------------------


def test_before_there_is_a_storage_it_says_so_and_then_shows_it(url: str, home: Path) -> None:
    viewer = Viewer(url, home)
    waiting = viewer.ask("/dashboard")
    assert (waiting.status, b'http-equiv="refresh"' in waiting.body) == (503, True)
    early = viewer.ask("/api/studies")
    assert early.status == 503
    assert early.reason.startswith("There is no study in ")
    assert viewer.ask("/healthz", authorization=None).status == 503
    Ledger.create(Connection(url, create=True), "mouse-fre", make_charter())
    _wait_for(lambda: viewer.ask("/api/studies").status == 200, 5)
    _wait_for(lambda: viewer.ask("/healthz", authorization=None).text == "ok\n", 5)
    assert PASSWORD not in waiting.text + early.text


def test_a_database_that_is_removed_and_made_anew_is_read_anew(
    request: pytest.FixtureRequest, url: str, ledger: Ledger, home: Path
) -> None:
    """What is open would otherwise show, and change, what nobody else has any more."""
    viewer = changing(url, home)
    assert viewer.study()["name"] == "mouse-fre"
    _empty(url, request)
    time.sleep(1.1)  # for so long replies are kept
    _wait_for(lambda: viewer.ask("/api/studies").status == 503, 5)
    for path in ("/api/studies", "/api/studies/1?after=0"):
        assert viewer.ask(path).reason.startswith("There is no study in ")
    note = viewer.ask("/api/studies/1/note", "PUT", {"version": 1, "body": "x"})
    assert note.status == 503
    assert viewer.complaints == []
    other = create(url, "drosophila-fre")
    _wait_for(lambda: viewer.ask("/api/studies").status == 200, 5)
    assert viewer.study(other._study_id)["name"] == "drosophila-fre"


def _empty(url: str, request: pytest.FixtureRequest) -> None:
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()
    else:
        name = url.rpartition("/")[2]
        server: Postgres = request.getfixturevalue("postgres_server")
        server.drop_database(name)
        server.create_database(name)


def test_health_is_told_to_anybody_and_nothing_else(url: str, ledger: Ledger, home: Path) -> None:
    viewer = Viewer(url, home)
    reply = viewer.ask("/healthz", authorization=None, host="10.3.4.5")
    assert (reply.status, reply.text) == (200, "ok\n")
    assert viewer.ask("/healthz", "POST", authorization=None).status == 405
    assert viewer.ask("/healthz/x", authorization=None).status == 401


def test_an_outage_is_a_sentence_and_is_over_when_it_is_over(
    postgres_url: str, postgres_server: Postgres, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ledger = create(postgres_url, "mouse-fre")
    search(ledger, 1)
    viewer = changing(postgres_url, home)
    trial = viewer.study()["trials"][0]["trial_id"]
    postgres_server.stop("immediate")
    time.sleep(1.1)
    replies = [
        viewer.ask("/api/studies/1?after=0"),
        viewer.ask("/api/studies"),
        viewer.ask("/api/studies/1/param_importances"),
        viewer.ask("/api/studies/1/note", "PUT", {"version": 1, "body": "x"}),
        viewer.ask(f"/api/trials/{trial}/tell", "POST", {"state": "Fail"}),
        viewer.ask("/api/studies/1", "DELETE", {}),
        viewer.ask("/csv/1"),
        viewer.ask("/study/mouse-fre"),
    ]
    assert [reply.status for reply in replies] == [503] * len(replies)
    assert viewer.ask("/healthz").text == "unavailable\n"
    assert all("cannot be reached" in reply.text for reply in replies)
    told = json.dumps([reply.text for reply in replies] + viewer.said + viewer.complaints)
    assert PASSWORD not in told + "".join(capfd.readouterr())
    assert "Traceback" not in told
    postgres_server.start()
    _wait_for(lambda: viewer.ask("/api/studies/1?after=0").status == 200, 10)
    _wait_for(lambda: viewer.ask("/healthz").text == "ok\n", 5)
