"""All that can go wrong, as sentences.

A class's docstring is its message, a template filled from keyword arguments, so that the text and the
behaviour cannot drift apart.  ``exit_code`` is what the command line returns (design: the contract's table).
"""

import difflib
import inspect
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

EXIT_DONE = 0
EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_HELD = 3
EXIT_NOT_FOUND = 4
EXIT_UNREACHABLE = 5
EXIT_INCOMPLETE = 6
EXIT_STOPPED = 75
EXIT_INTERRUPTED = 130


class FreHpoError(Exception):
    """Something went wrong."""

    exit_code: ClassVar[int] = EXIT_ERROR

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        template = inspect.cleandoc(type(self).__doc__ or "").replace("\n", " ")
        super().__init__(template.format(**facts))

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling: workers send their errors to the coordinator."""
        return _rebuild, (type(self), self.facts)


def _rebuild(kind: type[FreHpoError], facts: dict[str, Any]) -> FreHpoError:
    return kind(**facts)


def nearest(word: str, known: Iterable[str]) -> str:
    """Say what a misspelt name may have meant: "did you mean X?" or the list of all that are known."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known are {', '.join(known)}"


def counted(count: int, noun: str) -> str:
    """ "1 picture", "2 pictures"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


# --- what the user asked for (exit 2) -----------------------------------------------------------


class UsageError(FreHpoError):
    """{problem}"""

    exit_code = EXIT_USAGE


class UnknownDataset(UsageError):
    """No data set or recipe is called {name!r}: {hint}"""


class UnknownMethod(UsageError):
    """No method is called {name!r}: {hint}"""


class UnknownKey(UsageError):
    """The key {key!r} is not known: {hint}"""


class BadValue(UsageError):
    """{key} = {value} cannot be used: {reason}"""


class ProblemList(FreHpoError):
    """{text}"""

    def __init__(self, problems: Iterable[str], **_: Any) -> None:
        self.problems = list(problems)
        text = self.problems[0] if len(self.problems) == 1 else _numbered(self.problems)
        super().__init__(text=text)
        self.facts = {"problems": self.problems}


ALIKE = 20
"""So many problems of one kind are told; of the others the number is."""


def _numbered(problems: list[str]) -> str:
    """All problems as a list, so that no kind hides among many of another."""
    lines = [f"{len(problems)} problems were found; nothing was created:"]
    kinds = Counter(map(_kind, problems))
    told: Counter[str] = Counter()
    for number, problem in enumerate(problems, 1):
        kind = _kind(problem)
        told[kind] += 1
        if told[kind] <= ALIKE:
            lines.append(f"  {number}. {problem}")
        elif told[kind] == kinds[kind]:
            lines.append(f"  ... and {kinds[kind] - ALIKE} more like it: correct these first")
    return "\n".join(lines)


def _kind(problem: str) -> str:
    """What is to be done, which problems of one kind have in common."""
    return re.sub("[0-9]+", "", problem.rpartition(": ")[2])


class UsageProblems(ProblemList):
    """{text}"""

    exit_code = EXIT_USAGE


def together(problems: Sequence[FreHpoError]) -> FreHpoError:
    """All that a user got wrong as one error; a single problem speaks for itself."""
    if len(problems) == 1:
        return problems[0]
    return UsageProblems([str(problem) for problem in problems])


class DifferentStudy(UsageError):
    """Study {study!r} was started with other settings ({differences}): use those again, or give the new
    search a name of its own with --study."""


class NotTheStudysData(UsageError):
    """Study {study!r} was started on other data (fingerprint {stored:.12} there, {found:.12} here): point
    --data-dir to the same images and labels, or give the new search a name of its own with --study."""


class UnlikeMeasurements(UsageError):
    """{one} and {other} cannot be compared, for their {what} differ: compare methods that were measured on
    the same data with the same recipe."""


# --- files and data (exit 1) --------------------------------------------------------------------


class UnreadableRecipe(FreHpoError):
    """The recipe {path} cannot be read: {reason}"""


class DataProblems(ProblemList):
    """{text}"""


class BadCheckpoint(FreHpoError):
    """The checkpoint {path} is damaged ({reason})."""


class NonFiniteLoss(FreHpoError):
    """The loss was {value} in epoch {epoch}: the training diverged; a smaller training.learning_rate or
    a smaller upper bound of X usually helps."""


class NothingComplete(FreHpoError):
    """Study {study!r} has no complete trial yet: `fre-hpo status {study}` shows how far it is."""


class CoordinatorLost(FreHpoError):
    """The coordinator ended unexpectedly {times} times without getting any further, the last time
    {reason}: {hint}; the same command goes on."""


# --- not there (exit 4) -------------------------------------------------------------------------


class StudyNotFound(FreHpoError):
    """There is no study {study!r} in {storage}: {hint}"""

    exit_code = EXIT_NOT_FOUND


class DatasetNotFound(FreHpoError):
    """The data set {name!r} is not in {folder}: expected is {layout}; {obtain}"""

    exit_code = EXIT_NOT_FOUND


class FilesElsewhere(FreHpoError):
    """The files of study {study!r} are not in this home folder but in {home}: ask there, or name it with
    --home."""

    exit_code = EXIT_NOT_FOUND


class NoStudyYet(FreHpoError):
    """There is no study in {storage} yet: `fre-hpo start --dataset phantom` begins one, and it is shown here
    as soon as there is."""

    exit_code = EXIT_NOT_FOUND


# --- somebody else's, or out of reach (exits 3, 5) ------------------------------------------------


class StudyHeld(FreHpoError):
    """Study {study!r} is already being run by process {pid} on {host}: stop that one first, or wait."""

    exit_code = EXIT_HELD


class StorageUnreachable(FreHpoError):
    """The storage {storage} cannot be reached ({reason}): check the URL, the server and the password."""

    exit_code = EXIT_UNREACHABLE


class DiskFull(FreHpoError):
    """The disk is full: {path} cannot be written; make space, and start again if the search has ended."""

    exit_code = EXIT_STOPPED


class EndedElsewhere(FreHpoError):
    """Trial {number} was ended as {state} by somebody else."""


class StudyGone(FreHpoError):
    """Study {study!r} was deleted while it was running, so nothing more was written."""

    exit_code = EXIT_NOT_FOUND


class OtherHome(UsageError):
    """Study {study!r} was run with the home folder {theirs}, where its checkpoints lie, and not with {ours}:
    use that --home, or add --new-home to go on without them (unfinished trials begin anew)."""


class OtherStorage(UsageError):
    """The folder {folder} belongs to a study in {theirs}: use that --storage, or give the new search another
    --home or a name of its own with --study."""


class StorageNotOurs(FreHpoError):
    """The storage {storage} cannot be used ({reason}): name another one with --storage."""


class LockLost(FreHpoError):
    """The lock on study {study!r} was lost: another coordinator may hold it now, so nothing more was
    written; start again to go on."""

    exit_code = EXIT_UNREACHABLE


class ClusterUnreachable(FreHpoError):
    """The Ray cluster at {address} cannot be reached ({reason}): check the address, and whether `fre-hpo
    head` runs there."""

    exit_code = EXIT_UNREACHABLE


class ClusterLost(FreHpoError):
    """The Ray cluster was lost ({reason}): every trial keeps its last checkpoint; start again to go on."""

    exit_code = EXIT_UNREACHABLE


class TokenRefused(FreHpoError):
    """The cluster at {address} refuses this machine's token: {hint}."""

    exit_code = EXIT_UNREACHABLE


class NoToken(UsageError):
    """There is no cluster token in {path}: {hint}."""


class UnsafeToken(UsageError):
    """The cluster token {path} cannot be used ({reason}): {hint}."""


class OtherVersions(UsageError):
    """The cluster at {address} runs {theirs}, and this machine {ours}: install the same here, or join a
    cluster that runs it."""


class HeadPortTaken(UsageError):
    """Port {port} of {host} is taken: join what runs there by `fre-hpo worker --address {address}`, or name
    another port with --port."""


class NoPorts(UsageError):
    """No hundred ports in a row are free on {host} from {first} to {last}: name others with --ports."""


class NodeFailed(FreHpoError):
    """The node did not start ({reason}): {hint}."""


class DataDamaged(FreHpoError):
    """The data set arrived damaged on {host}."""


class BadStore(UsageError):
    """--checkpoints {store} cannot be used: {reason}."""


class OtherStore(UsageError):
    """Study {study!r} keeps its checkpoints at {theirs}, and they are not at {ours}: mount or name the right
    place with --checkpoints, or add --new-home to go on without them (unfinished trials begin anew)."""


class StoreUnreachable(FreHpoError):
    """The checkpoint store {store} cannot be reached ({reason}): check that it is mounted or up, and the
    credentials in the environment of this machine."""

    exit_code = EXIT_UNREACHABLE


class NoResources(FreHpoError):
    """{problem}"""

    exit_code = EXIT_USAGE


class SearchFailing(FreHpoError):
    """{count} trials failed alike, so the search was ended: {reason}"""

    exit_code = EXIT_INCOMPLETE


# --- getting data and writing files -------------------------------------------------------------


class FetchFailed(FreHpoError):
    """{source} could not be fetched ({reason}): {hint}."""

    exit_code = EXIT_UNREACHABLE


class Unpublished(FreHpoError):
    """The data set {name!r} cannot be fetched into {folder}: {obtain}."""

    exit_code = EXIT_NOT_FOUND


class FolderOccupied(UsageError):
    """The folder {folder} is not empty ({reason}): move it away, or name another one with --data-dir."""


class FileInTheWay(UsageError):
    """{path} is there already and {what}: {hint}."""


class CannotWrite(FreHpoError):
    """{path} cannot be written ({reason}): name another place with -o."""


class FolderNotRecipe(UsageError):
    """{folder} is a folder and no recipe: `fre-hpo data init {folder}` writes a recipe for it."""


# --- archives -------------------------------------------------------------------------------------


class BadArchive(FreHpoError):
    """{path} cannot be restored ({reason}): {hint}."""


class NameTaken(UsageError):
    """{where} holds a study {study!r} already: give the restored one another name with --study."""


class NoRoom(FreHpoError):
    """The disk has not enough space: {folder} needs {needed} and has {free}; make space, or name a place on
    another disk."""


# --- figures and reports ------------------------------------------------------------------------


class NotTraced(FreHpoError):
    """{what} was not traced: `fre-hpo start ... --trace`, with a --study name of its own, records while it
    trains what this figure shows."""


class NoPredictions(FreHpoError):
    """There are no predictions of {what} in {folder}: they are kept when a trial ends, so look at another
    trial with --trial, or ask for another --kind."""

    exit_code = EXIT_NOT_FOUND


class OtherPictures(FreHpoError):
    """The pictures in {folder} are not those of study {study!r} (fingerprint {stored:.12} there, {found:.12}
    here): name the folder that holds them with --data-dir."""


# --- the test split, comparisons ------------------------------------------------------------------


class TestLocked(FreHpoError):
    """The test split of study {study!r} stays locked until its search has ended, and {complete} of
    {wanted} trials are complete: `fre-hpo status {study}` shows how far it is{hint}."""


class SearchRunning(FreHpoError):
    """Study {study!r} is running, so its leading trials may still change: `fre-hpo status {study}` shows how
    far it is, `fre-hpo stop {study}` ends it."""

    exit_code = EXIT_HELD


class ComparisonNotFound(FreHpoError):
    """There is no comparison {name!r} in {storage}: {hint}"""

    exit_code = EXIT_NOT_FOUND


class ComparisonIncomplete(FreHpoError):
    """The comparison {name!r} is not complete ({what}): the same `fre-hpo compare` goes on with it."""


class NothingToConfirm(UsageError):
    """Study {study!r} searches nothing, so there is no winner to confirm: name the study of a search."""


# --- a trained network at work --------------------------------------------------------------------


class UnknownTrial(UsageError):
    """Study {study!r} has no trial {number}: {hint}."""


class NoNetwork(FreHpoError):
    """There is no trained network of {what} in {folder}: {hint}."""

    exit_code = EXIT_NOT_FOUND


class BadExport(FreHpoError):
    """The folder {folder} holds no network that can be used ({reason}): name a study, or a folder that
    `fre-hpo export` wrote."""


class FolderInTheWay(UsageError):
    """{path} {what}: name a new folder with --out."""


class OnnxDiffers(FreHpoError):
    """The ONNX graph differs from the network by {difference}, more than {tolerance}, so nothing was
    exported: other versions of torch, onnx and onnxruntime may agree (those in constraints.txt do)."""


class OutOfMemory(FreHpoError):
    """The memory of the device {device} does not hold a tile of {tile} pixels with its feature maps: name a
    smaller one with --tile, or another device with --device."""


# --- the dashboard --------------------------------------------------------------------------------


class PortTaken(UsageError):
    """Port {port} of {host} is taken: name another one with --port, or 0 for any that is free."""


class CannotListen(UsageError):
    """The dashboard cannot listen on port {port} of {host} ({reason}): --host names an address of this
    machine, --port a port that you may use."""


class UnusableToken(UsageError):
    """{source} cannot be used as the dashboard's token ({reason}): {hint}."""
