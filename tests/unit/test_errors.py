"""Every error is a sentence, keeps its facts and survives the way from worker to coordinator."""

from __future__ import annotations

import pickle
import string
from collections.abc import Iterator

import pytest

from fre_hpo import errors
from fre_hpo.errors import DataProblems, FreHpoError, ProblemList, nearest


def kinds(base: type[FreHpoError] = FreHpoError) -> Iterator[type[FreHpoError]]:
    for kind in base.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
            yield from kinds(kind)


LISTS = [kind for kind in kinds() if issubclass(kind, ProblemList)]
SENTENCES = [kind for kind in kinds() if kind not in LISTS]


def fields(kind: type[FreHpoError]) -> list[str]:
    """The names of the facts that the docstring asks for."""
    parsed = string.Formatter().parse(kind.__doc__ or "")
    return sorted({field for _, field, _, _ in parsed if field})


def an_error(kind: type[FreHpoError]) -> FreHpoError:
    return kind(**{name: f"<{name}>" for name in fields(kind)})


def test_all_errors_are_looked_at() -> None:
    assert len(SENTENCES) > 15
    assert {kind.__name__ for kind in LISTS} == {"ProblemList", "UsageProblems", "DataProblems"}


@pytest.mark.parametrize("kind", SENTENCES)
def test_the_docstring_is_the_message(kind: type[FreHpoError]) -> None:
    text = str(an_error(kind))
    assert fields(kind), "a message without facts helps nobody"
    assert not set("{}\n") & set(text)
    assert "  " not in text
    for name in fields(kind):
        assert f"<{name}>"[:12] in text


@pytest.mark.parametrize("kind", SENTENCES)
def test_a_missing_fact_is_noticed(kind: type[FreHpoError]) -> None:
    with pytest.raises(KeyError):
        kind()


@pytest.mark.parametrize("kind", SENTENCES)
def test_an_error_survives_pickling(kind: type[FreHpoError]) -> None:
    error = an_error(kind)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.facts, copy.exit_code) == (str(error), error.facts, error.exit_code)


@pytest.mark.parametrize("kind", LISTS)
def test_one_problem_speaks_for_itself(kind: type[ProblemList]) -> None:
    assert str(kind(["The file is empty."])) == "The file is empty."


@pytest.mark.parametrize("kind", LISTS)
def test_several_problems_are_numbered(kind: type[ProblemList]) -> None:
    error = kind(["One {brace}.", "Two."])
    assert str(error).splitlines() == [
        "2 problems were found; nothing was created:",
        "  1. One {brace}.",
        "  2. Two.",
    ]


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_of_problems_survives_pickling(kind: type[ProblemList]) -> None:
    error = kind(["One.", "Two."])
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.problems) == (str(error), ["One.", "Two."])


def test_facts_may_hold_braces() -> None:
    error = errors.UsageError(problem="{not} a {field}")
    assert str(error) == "{not} a {field}"
    assert str(pickle.loads(pickle.dumps(error))) == "{not} a {field}"


def test_exit_codes_are_the_contracts() -> None:
    assert {kind.__name__: kind.exit_code for kind in kinds() if kind.exit_code != 1} == {
        "UsageError": 2,
        "UnknownDataset": 2,
        "UnknownMethod": 2,
        "UnknownKey": 2,
        "BadValue": 2,
        "OtherHome": 2,
        "OtherStorage": 2,
        "UsageProblems": 2,
        "DifferentStudy": 2,
        "NotTheStudysData": 2,
        "NoResources": 2,
        "StudyHeld": 3,
        "SearchRunning": 3,
        "StudyNotFound": 4,
        "DatasetNotFound": 4,
        "FilesElsewhere": 4,
        "StudyGone": 4,
        "StorageUnreachable": 5,
        "LockLost": 5,
        "ClusterUnreachable": 5,
        "ClusterLost": 5,
        "TokenRefused": 5,
        "NoToken": 2,
        "UnsafeToken": 2,
        "OtherVersions": 2,
        "HeadPortTaken": 2,
        "NoPorts": 2,
        "DiskFull": 75,
        "SearchFailing": 6,
        "FetchFailed": 5,
        "Unpublished": 4,
        "FolderOccupied": 2,
        "FileInTheWay": 2,
        "NameTaken": 2,
        "FolderInTheWay": 2,
        "UnknownTrial": 2,
        "NoNetwork": 4,
        "NoPredictions": 4,
        "FolderNotRecipe": 2,
        "NoStudyYet": 4,
        "PortTaken": 2,
        "CannotListen": 2,
        "UnusableToken": 2,
        "UnlikeMeasurements": 2,
        "ComparisonNotFound": 4,
        "NothingToConfirm": 2,
        "BadStore": 2,
        "OtherStore": 2,
        "StoreUnreachable": 5,
    }


KNOWN = ("mouse", "drosophila", "phantom")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("mouze", "did you mean mouse?"),
        ("fantom", "did you mean phantom?"),
        ("xyz", "known are drosophila, mouse, phantom"),
        ("", "known are drosophila, mouse, phantom"),
    ],
)
def test_nearest(word: str, hint: str) -> None:
    assert nearest(word, KNOWN) == hint
    assert nearest(word, iter(KNOWN)) == hint


def test_several_near_names_are_all_told() -> None:
    assert nearest("fre-", ["fre", "fre-fixed", "baseline"]) == "did you mean fre or fre-fixed?"


def test_many_problems_of_one_kind_hide_none_of_another() -> None:
    alike = [f"{n}.png has the unknown label {n} in {n} pixels: repaint it" for n in range(300)]
    text = str(DataProblems([*alike, "b.png is empty: put the picture there"]))
    lines = text.splitlines()
    assert lines[0] == "301 problems were found; nothing was created:"
    assert lines[20:] == [
        "  20. 19.png has the unknown label 19 in 19 pixels: repaint it",
        "  ... and 280 more like it: correct these first",
        "  301. b.png is empty: put the picture there",
    ]
    assert len(DataProblems(alike).problems) == 300
