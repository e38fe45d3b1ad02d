"""Where home and storage come from, and that no password is shown."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from fre_hpo.errors import FreHpoError, UnknownKey, UnreadableRecipe, UsageError
from fre_hpo.settings import Settings, config_file, has_password, load, masked


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration file of this test, not yet written; its folder is there."""
    path = config_file()
    assert path.is_relative_to(tmp_path)
    path.parent.mkdir(parents=True)
    return path


def refusal(kind: type[FreHpoError], **flags: str) -> str:
    with pytest.raises(kind) as caught:
        load(environ={}, **flags)
    return str(caught.value)


# --- precedence ---------------------------------------------------------------------------------


def test_without_anything_the_home_is_the_data_directory(
    tmp_path: Path,
) -> None:
    home = tmp_path / "xdg-data" / "fre-hpo"
    assert load(environ={}) == Settings(home, f"sqlite:///{home}/fre-hpo.db")
    assert not home.exists()


@pytest.mark.parametrize(
    "given_by", [c for n in range(1, 4) for c in itertools.combinations(range(3), n)]
)
@pytest.mark.parametrize("key", ["home", "storage"])
def test_flag_before_environment_before_file(
    config: Path, key: str, given_by: tuple[int, ...]
) -> None:
    values = ["/by/flag", "/by/environment", "/by/file"]
    flags = {key: values[0]} if 0 in given_by else {}
    environ = {f"FRE_HPO_{key.upper()}": values[1]} if 1 in given_by else {}
    if 2 in given_by:
        config.write_text(f'{key} = "{values[2]}"\n', encoding="utf-8")
    found = load(environ=environ, **flags)
    assert str(getattr(found, key)) == values[min(given_by)]


def test_the_environment_of_the_process_is_the_default(home: Path) -> None:
    assert os.environ["FRE_HPO_HOME"] == str(home)
    assert load().home == home


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    environ = {"FRE_HPO_STORAGE": "", "OPTUNA_STORAGE": "sqlite:///o.db", "FRE_HPO_HOME": ""}
    found = load(environ=environ)
    assert found == Settings(tmp_path / "xdg-data" / "fre-hpo", "sqlite:///o.db")


def test_our_variable_before_optunas() -> None:
    both = {"FRE_HPO_STORAGE": "sqlite:///ours.db", "OPTUNA_STORAGE": "sqlite:///optunas.db"}
    assert load(environ=both).storage == "sqlite:///ours.db"
    del both["FRE_HPO_STORAGE"]
    assert load(environ=both).storage == "sqlite:///optunas.db"


def test_the_default_storage_follows_the_home() -> None:
    found = load(home="/somewhere", environ={})
    assert found.storage == "sqlite:////somewhere/fre-hpo.db"
    assert found.study_folder("mouse-fre") == Path("/somewhere/studies/mouse-fre")
    assert found.data_folder("mouse") == Path("/somewhere/data/mouse")


def test_a_home_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    assert load(home="here", environ={}).home == tmp_path / "here"
    assert load(home="~/fre", environ={}).home == Path("/home/ada/fre")


# --- the configuration file ----------------------------------------------------------------------


def test_a_misspelt_key_is_refused_with_the_nearest(config: Path) -> None:
    config.write_text('storag = "sqlite:///x.db"\n', encoding="utf-8")
    message = refusal(UnknownKey)
    assert message == f"The key 'storag' is not known: did you mean storage? (in {config})"


@pytest.mark.parametrize("line", ["home = 3", "storage = ['a']", "home = {}"])
def test_a_value_that_is_no_text_is_refused(config: Path, line: str) -> None:
    config.write_text(line, encoding="utf-8")
    assert "must be a text in quotes" in refusal(UsageError)


@pytest.mark.parametrize("content", [b"home = ", b'home = "\xff"'])
def test_a_broken_file_is_refused_by_name(config: Path, content: bytes) -> None:
    config.write_bytes(content)
    assert str(config) in refusal(UnreadableRecipe)


# --- @FILE --------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["flag", "environment", "file"])
def test_a_storage_is_read_from_a_file(tmp_path: Path, config: Path, by: str) -> None:
    secret = tmp_path / "storage"
    secret.write_text("  postgresql://ada:pw@db/fre  \nnot this\n", encoding="utf-8")
    if by == "file":
        config.write_text(f'storage = "@{secret}"', encoding="utf-8")
    environ = {"OPTUNA_STORAGE": f"@{secret}"} if by == "environment" else {}
    flag = f"@{secret}" if by == "flag" else None
    assert load(storage=flag, environ=environ).storage == "postgresql://ada:pw@db/fre"


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert f"{missing} cannot be read" in refusal(UsageError, storage=f"@{missing}")
    assert "cannot be read" in refusal(UsageError, storage=f"@{tmp_path}")
    empty = tmp_path / "empty"
    empty.write_text(" \n", encoding="utf-8")
    assert f"{empty} is empty" in refusal(UsageError, storage=f"@{empty}")


# --- passwords ----------------------------------------------------------------------------------

SCHEMES = st.sampled_from(["postgresql", "postgresql+psycopg2", "mysql+pymysql", "postgres"])
USERS = st.sampled_from(["", "ada", "ada@server", "a.b-c", "ada%40x"])
HOSTS = st.sampled_from(["db", "localhost:5432", "[::1]:5432", "10.0.0.1", ""])
TAILS = st.sampled_from(["", "/fre", "/fre?sslmode=require", "/fre?host=a&port=1"])
# A marker, because a random letter of a password also stands elsewhere in a URL.
SECRET = "s3cr3t"
PASSWORDS = st.lists(
    st.sampled_from([SECRET, "@", ":", "/", "?", "#", "%", "&", "=", " ", "\n", "password=", "é"]),
    max_size=5,
).map(lambda parts: "".join([SECRET, *parts, SECRET]))
QUERY_PASSWORDS = PASSWORDS.map(lambda text: text.replace("&", "+"))  # & ends a parameter


@given(SCHEMES, USERS, PASSWORDS, HOSTS, TAILS)
@example("postgresql", "ada", f"{SECRET}/{SECRET}@{SECRET}", "db", "/fre")
def test_no_password_of_a_user_survives(
    scheme: str, user: str, password: str, host: str, tail: str
) -> None:
    url = f"{scheme}://{user}:{password}@{host}{tail}"
    shown = masked(url)
    assert SECRET not in shown
    assert shown == f"{scheme}://{user}:***@{host}{tail}" or "password=" in password
    assert masked(shown) == shown
    assert has_password(url)


@given(
    SCHEMES,
    st.sampled_from(["", "ada@", f"ada:{SECRET}@", f"ada:{SECRET}/{SECRET}@"]),
    st.sampled_from(["?password=", "?sslmode=require&password=", "?user=ada&sslpassword="]),
    QUERY_PASSWORDS,
    st.sampled_from(["", "&sslmode=require"]),
)
def test_no_password_of_the_query_survives(
    scheme: str, user: str, key: str, password: str, rest: str
) -> None:
    url = f"{scheme}://{user}db:5432/fre{key}{password}{rest}"
    assert SECRET not in masked(url)
    assert has_password(url)


ANYTHING = st.text("ab:@/?#&=%1[]", max_size=6)


@given(SCHEMES, ANYTHING, ANYTHING, ANYTHING)
def test_what_sqlalchemy_takes_for_the_password_is_masked(
    scheme: str, before: str, between: str, behind: str
) -> None:
    """Of whatever is written behind ://, the driver's password is in the part that is hidden."""
    url = f"{scheme}://{before}:{between}@{behind}"
    try:
        taken = make_url(url).password
    except ValueError:  # a port that is no number
        taken = None
    assume(taken)
    assert re.fullmatch(rf"{re.escape(scheme)}://[^:/]*:\*\*\*@[^@]*", masked(url))


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////home/ada/fre-hpo.db",
        "sqlite:///fre-hpo.db",
        "sqlite:////data/a:b@c/fre-hpo.db",
        "postgresql://db/fre",
        "postgresql://db:5432/fre",
        "postgresql://ada@db:5432/fre?sslmode=require",
        "postgresql://ada@[::1]:5432/fre",
        "postgresql:///fre?host=/run/postgresql&passfile=/home/ada/.pgpass",
        "",
    ],
)
def test_a_url_without_password_is_shown_as_it_is(url: str) -> None:
    assert masked(url) == url
    assert not has_password(url)


def test_the_rest_of_a_url_stays_readable() -> None:
    assert masked("postgresql://ada:p@ss@db:5432/fre") == "postgresql://ada:***@db:5432/fre"
    shown = masked("postgresql://ada@db/fre?password=secret&sslmode=require")
    assert shown == "postgresql://ada@db/fre?password=***&sslmode=require"
