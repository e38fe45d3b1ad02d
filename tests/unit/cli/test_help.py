"""The help: every verb with an example, every flag with words, colours only where they are wanted."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from fre_hpo import __version__
from fre_hpo.cli.main import cli, run

Captured = pytest.CaptureFixture[str]


def verbs(group: click.Group = cli, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every verb as it is typed; those of `data` have two words."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from verbs(command, f"{name} ")
        else:
            yield f"{before}{name}", command


VERBS = dict(verbs())


@pytest.mark.parametrize("verb", [*VERBS, "data"])
def test_every_verb_has_an_example(verb: str, capsys: Captured) -> None:
    assert run([*verb.split(), "--help"]) == 0
    out, err = capsys.readouterr()
    assert f"Example:  fre-hpo {verb} " in out
    assert err == ""


@pytest.mark.parametrize("verb", VERBS)
def test_every_flag_says_what_it_does(verb: str) -> None:
    options = [p for p in VERBS[verb].params if isinstance(p, click.Option)]
    assert [o.name for o in options if not o.help] == []
    assert {"--storage", "--home", "--quiet", "--verbose", "--debug"} <= {
        name for option in options for name in option.opts
    }


def test_without_a_verb_the_help_is_shown(capsys: Captured) -> None:
    assert run([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert all(verb in err for verb in cli.commands)


def test_version(capsys: Captured) -> None:
    assert run(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


def test_a_password_on_the_command_line_is_warned_of_unless_quiet(
    capsys: Captured,
) -> None:
    url = "postgresql://me:s3cret-9@127.0.0.1:1/x"
    assert run(["list", "--storage", url]) == 5
    warned = capsys.readouterr().err
    assert warned.startswith("Warning: ")
    assert run(["list", "--storage", url, "-q"]) == 5
    quiet = capsys.readouterr().err
    assert "Warning" not in quiet
    assert "s3cret-9" not in warned + quiet
    assert "me:***@127.0.0.1:1/x" in quiet
