"""The token of a cluster: where it is, who may read it, what is said when it is not right."""

from __future__ import annotations

from pathlib import Path

import pytest

from fre_hpo.errors import NoToken, UnsafeToken
from fre_hpo.scheduling import cluster_token


def written(path: Path, text: str = "0123456789abcdef\n", mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_flag_comes_first_then_the_environment_then_the_home(tmp_path: Path) -> None:
    environ = {"FRE_HPO_TOKEN_FILE": "/somewhere/token"}
    given = Path("/given")
    assert cluster_token.find(given, tmp_path, environ) == given
    assert cluster_token.find(None, tmp_path, environ) == Path("/somewhere/token")
    assert cluster_token.find(None, tmp_path, {}) == tmp_path / "cluster-token"


@pytest.mark.parametrize(
    ("name", "value"),
    [("RAY_AUTH_TOKEN", "x"), ("RAY_AUTH_TOKEN_PATH", "/x"), ("RAY_AUTH_MODE", "disabled")],
)
def test_what_ray_is_told_already_stays_unless_a_flag_says_otherwise(
    tmp_path: Path, name: str, value: str
) -> None:
    environ = {name: value, "FRE_HPO_TOKEN_FILE": "/somewhere/token"}
    assert cluster_token.find(None, tmp_path, environ) is None
    assert cluster_token.find(Path("/given"), tmp_path, environ) == Path("/given")
    assert cluster_token.check(None) is None
    assert cluster_token.create(None) is False


def test_a_new_token_is_for_its_owner_alone_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "home" / "cluster-token"
    assert cluster_token.create(path)
    text = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert cluster_token.check(path) == path
    assert not cluster_token.create(path)
    assert path.read_text() == text
    assert len(text.strip()) == 64
    cluster_token.create(tmp_path / "other")
    assert (tmp_path / "other").read_text() != text


def test_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnsafeToken, match="name another place with --token-file"):
        cluster_token.create(tmp_path / "file" / "cluster-token")


def test_a_missing_token_is_copied_from_the_head(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with pytest.raises(NoToken) as found:
        cluster_token.check(path, "10.0.0.1:6379")
    assert f"`scp 10.0.0.1:.local/share/fre-hpo/cluster-token {path}`" in str(found.value)
    with pytest.raises(NoToken, match="`fre-hpo head` writes it"):
        cluster_token.check(path)


@pytest.mark.parametrize("mode", [0o604, 0o606, 0o640, 0o660, 0o620, 0o602])
def test_a_token_of_ours_that_others_can_read_or_change_is_refused(
    tmp_path: Path, mode: int
) -> None:
    path = written(tmp_path / "token", mode=mode)
    with pytest.raises(UnsafeToken, match=f"type `chmod 600 {path}`"):
        cluster_token.check(path)


def test_our_group_may_read_somebody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "token", mode=0o440)
    monkeypatch.setattr("os.geteuid", lambda: path.stat().st_uid + 1)
    assert cluster_token.check(path) == path
    path.chmod(0o460)
    with pytest.raises(UnsafeToken):
        cluster_token.check(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("short", "not one word of 16"),
        ("two words that are long enough", "not one word of 16"),
    ],
)
def test_what_is_no_token_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UnsafeToken, match=reason):
        cluster_token.check(written(tmp_path / "token", text))


def test_a_binary_file_and_a_folder_are_no_tokens(tmp_path: Path) -> None:
    path = written(tmp_path / "token")
    path.write_bytes(b"\xff\xfe" * 20)
    with pytest.raises(UnsafeToken, match="it is no text"):
        cluster_token.check(path)
    with pytest.raises(UnsafeToken, match="Is a directory"):
        cluster_token.check(tmp_path)
