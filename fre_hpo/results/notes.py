"""What the dashboard's note panes say about a study and about a trial, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fre_hpo import data, methods
from fre_hpo.errors import counted
from fre_hpo.results.markdown import bold, code, code_block, image, link, table, text
from fre_hpo.results.numbers import NOTHING, between, duration, four
from fre_hpo.results.study_view import StudyView
from fre_hpo.study.charter import Charter
from fre_hpo.study.records import TrialRecord, best_of, params_text, short
from fre_hpo.study.space import written
from fre_hpo.study.spec import TABLES, Spec, plain_options

BEST = 5
WIDE = 8
"""Classes that a table has side by side; more stand below one another."""
ALWAYS = (
    "model.widths",
    "model.norm",
    "model.upsample",
    "training.epochs",
    "training.batch_size",
    "training.eval_bn",
    "training.class_weights",
    "sampler.startup_trials",
    "sampler.multivariate",
    "sampler.constant_liar",
)
"""Settings that are told even where they have their defaults: people ask for them."""


# --- a study ------------------------------------------------------------------------------------


def study_note(
    view: StudyView,
    charter: Charter,
    *,
    state: str,
    picture_url: str | None,
    resume: str,
    splits: Mapping[str, int] | None = None,
) -> str:
    """The note of a study; what changes comes first.

    state: of the live view.  picture_url: of the best trial's picture.  resume: the command that goes on
    with the study.  splits: images of each split, where they are known.
    """
    best = best_of(view.records)
    parts = [
        f"## {text(view.name)}",
        _subject(charter),
        f"{_progress(view, state)} {_headline(best)}" if best else _progress(view, state),
        *(_of_best(view, best, picture_url) if best else []),
        _commands(view.name, resume),
        "### Data and settings",
        _data(charter, splits),
        _settings(view.spec),
        _made_with(charter),
    ]
    return "\n\n".join(parts)


def _subject(charter: Charter) -> str:
    """What the study is, in one line."""
    spec = charter.spec
    searched = " and ".join(spec.searched)
    what = f"Search of **{text(searched)}**" if searched else "One setting with several seeds"
    summary = text(methods.get(spec.method).summary)
    return f"{what} on {bold(_data_name(charter))}, method {text(spec.method)} ({summary})."


def _data_name(charter: Charter) -> str:
    """What people call their data: the recipe, for their own images are all of one kind."""
    return Path(charter.recipe).stem


def _progress(view: StudyView, state: str) -> str:
    complete = sum(record.counts for record in view.records)
    kinds = {"running": "RUNNING", "waiting": "WAITING", "failed": "FAIL"}
    counts = {word: sum(r.state == kind for r in view.records) for word, kind in kinds.items()}
    rest = "".join(f", {count} {word}" for word, count in counts.items() if count)
    done = f"{complete} of {counted(view.wanted, 'trial')} complete"
    return f"{bold(state.capitalize())}: {done}{rest}."


def _headline(best: TrialRecord) -> str:
    return f"Best: {bold(f'trial {best.number}')} with {_outcome(best)}"


def _of_best(view: StudyView, best: TrialRecord, picture_url: str | None) -> list[str]:
    return [_best_table(view), *([_picture(best, picture_url)] if picture_url else [])]


def _best_table(view: StudyView) -> str:
    """The best five trials, the best first; the earlier of equals."""
    done = [r for r in view.records if r.complete and r.value is not None]
    rows = sorted(done, key=lambda r: (-(r.value or 0.0), r.number))[:BEST]
    names = list(view.spec.searched)
    classes = view.classes if len(view.classes) <= WIDE else ()
    columns = ["trial", *(names or ["seed"]), "mIoU", "best epoch", *classes]
    return table([text(column) for column in columns], [_row(r, names, classes) for r in rows])


def _row(record: TrialRecord, names: Sequence[str], classes: Sequence[str]) -> list[str]:
    params = [short(record.params[n]) if n in record.params else NOTHING for n in names]
    return [
        str(record.number),
        *(params if names else [_or_nothing(record.seed)]),
        bold(four(record.value)),
        _or_nothing(record.best_epoch),
        *(four(record.class_iou.get(name)) for name in classes),
    ]


def _commands(name: str, resume: str) -> str:
    """Only what can be copied as it is; the storage is named by the environment, for its URL may hold
    a password."""
    block = code_block([resume, f"fre-hpo watch {name}", f"fre-hpo plot {name}"])
    where = "To go on, to watch and to draw (`FRE_HPO_STORAGE` names a database outside the home):"
    return f"{where}\n\n{block}"


def _data(charter: Charter, splits: Mapping[str, int] | None) -> str:
    sizes = ", ".join(f"{name} {count}" for name, count in (splits or {}).items())
    folder = charter.data_folder
    parts = [
        f"Data set {bold(_data_name(charter))}, fingerprint {code(charter.fingerprint[:12])}",
        f"images: {sizes}" if sizes else "",
        f"classes: {', '.join(map(text, charter.classes))}",
        f"folder {code(folder)}" if folder else "",
        f"recipe {code(charter.recipe)}",
    ]
    return "; ".join(filter(None, parts)) + "."


def _settings(spec: Spec) -> str:
    """The search space, the settings that people ask for, and whatever differs from its default."""
    known = _defaults(spec)
    rows = [[code(n), code(str(space)), ""] for n, space in spec.parameters.items()]
    for key, value in spec.flat().items():
        if key in known and (key in ALWAYS or value != known[key]):
            default = "" if value == known[key] else code(written(known[key]))
            rows.append([code(key), code(written(value)), default])
    rows.append([code("seed"), code(str(spec.seed)), ""])
    return table(["setting", "value", "instead of the default"], rows, left=3)


def _defaults(spec: Spec) -> dict[str, Any]:
    """By dotted key."""
    options = plain_options(data.find(spec.dataset).options())
    tables = {"data": options, **{name: dict(kind()) for name, kind in TABLES.items()}}
    return {f"{name}.{key}": value for name, keys in tables.items() for key, value in keys.items()}


def _made_with(charter: Charter) -> str:
    versions = ", ".join(f"{text(name)} {text(v)}" for name, v in charter.versions.items())
    created = f"{charter.created_at[:16].replace('T', ' ')} UTC"
    return f"Created {created} with {versions}."


# --- a trial ------------------------------------------------------------------------------------


def trial_note(
    record: TrialRecord,
    *,
    picture_url: str | None,
    curve_url: str | None,
    classes: Sequence[str],
    study: str = "STUDY",
) -> str:
    """The note of a trial that has ended, as its record says.  study: for the commands."""
    parts = [_outcome(record) if record.complete else _end(record)]
    if picture_url:
        parts.append(_picture(record, picture_url))
    if record.complete:
        parts.append(_classes(record, classes))
    elif record.state == "FAIL":
        parts.append(_what_to_do(record, study))
    curve = f"every epoch: {link('curve.csv', curve_url)}" if curve_url else ""
    return "\n\n".join([*parts, "; ".join([*_facts(record), *filter(None, [curve])]) + "."])


def _end(record: TrialRecord) -> str:
    """How a trial ended that has no value; the reason stands by itself, because it may be long."""
    ended = "failed" if record.state == "FAIL" else f"ended as {record.state.lower()}"
    after = f" after {counted(record.epochs, 'epoch')}" if record.epochs else ""
    reason = f"\n\n{_sentence(record.reason)}" if record.reason else ""
    return f"{bold(_what(record))}: this trial {bold(ended)}{after}.{reason}"


def _sentence(reason: str) -> str:
    """A reason is a clause or a whole sentence."""
    return f"{text(reason[:1].upper() + reason[1:]).rstrip('.')}."


def _classes(record: TrialRecord, classes: Sequence[str]) -> str:
    """The mean and the IoU of each class, at the best epoch."""
    values = [four(record.class_iou.get(name)) for name in classes]
    if len(classes) <= WIDE:
        columns = ["mIoU", *map(text, classes)]
        return table(columns, [[bold(four(record.value)), *values]])
    rows = [[text(name), value] for name, value in zip(classes, values, strict=True)]
    return table(["class", "IoU"], rows, left=1)


def _what_to_do(record: TrialRecord, study: str) -> str:
    look = code(f"fre-hpo logs {study} --trial {record.number}")
    advice = f"The search puts another trial in its place. {look} tells what happened."
    if "out of memory" in (record.reason or ""):
        return f"{advice} A study with a smaller {code('training.batch_size')} needs less memory."
    return advice


def _facts(record: TrialRecord) -> Iterable[str]:
    """Who trained it, how long, and how often it was begun."""
    if record.worker:
        yield f"Trained by {code(record.worker)}"
    seconds = between(record.started_at, record.finished_at)
    if seconds is not None:
        yield f"{duration(seconds)} from start to end"
    yield counted(record.attempts, "attempt")
    if record.seed is not None:
        yield f"seed {record.seed}"


# --- both ---------------------------------------------------------------------------------------


def _what(record: TrialRecord) -> str:
    """What the trial tried: its parameters, or its seed where nothing is searched."""
    return params_text(record.params) if record.params else f"seed {_or_nothing(record.seed)}"


def _outcome(record: TrialRecord) -> str:
    """Of a complete trial."""
    epoch = "" if record.best_epoch is None else f" at epoch {record.best_epoch}"
    of = f" of {record.epochs}" if epoch and record.epochs else ""
    return f"{bold(_what(record))}: validation mIoU {bold(four(record.value))}{epoch}{of}."


def _picture(record: TrialRecord, url: str) -> str:
    return image(f"Trial {record.number}: input, truth, prediction, errors", url)


def _or_nothing(value: int | None) -> str:
    return NOTHING if value is None else str(value)
