"""Where the token comes from."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from fre_hpo.dashboard.token import choose, same
from fre_hpo.errors import UnusableToken

GIVEN = "a-token-of-somebody_1"


def test_a_new_one_is_long_and_differs_each_time() -> None:
    first, second = choose(None, None), choose(None, "")
    assert first != second
    assert len(first) >= 43


def test_the_environments_is_used_and_the_files_before_it(tmp_path: Path) -> None:
    assert choose(None, GIVEN) == GIVEN
    assert choose(tmp_path / "token", GIVEN) != GIVEN


def test_a_missing_file_is_made_for_its_owner_alone_and_used_again(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = choose(path, None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == f"{token}\n"
    assert choose(path, None) == token


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    choose(path, None)
    path.chmod(mode)
    with pytest.raises(UnusableToken, match="chmod 600"):
        choose(path, None)


@pytest.mark.parametrize("text", ["", "\n", "2sh0rt", "has a blank in its middle", "ü" * 20])
def test_a_token_that_could_be_guessed_or_mistaken_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UnusableToken, match="16 letters") as refusal:
        choose(path, None)
    assert not text.strip() or text.strip() not in str(refusal.value)


def test_a_file_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableToken, match="name another"):
        choose(tmp_path / "none" / "token", None)
    with pytest.raises(UnusableToken, match="name another"):
        choose(tmp_path, None)


def test_tokens_are_compared_whole() -> None:
    assert same(GIVEN, GIVEN)
    for other in ("", GIVEN[:-1], f"{GIVEN}x", GIVEN.upper(), "ü", "\udc80"):
        assert not same(other, GIVEN)
