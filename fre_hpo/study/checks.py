"""What is wrong with the values of a recipe, as sentences.

Each function takes what was given under dotted keys, adds its findings to ``problems`` and goes on,
so that somebody who made three mistakes reads of three.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_origin

from pydantic import BaseModel, JsonValue, ValidationError

from fre_hpo.data import DATASETS
from fre_hpo.errors import BadValue, FreHpoError, UsageError
from fre_hpo.methods import METHODS
from fre_hpo.study.space import Fixed, Range, parse, written
from fre_hpo.study.spec import TABLES, TRIALS, ModelSpec, Settings, plain_options, read_options

_ANY_NETWORK = 2**31
"""Maps to check a space with that is meant for another network than the chosen one."""


@dataclass(frozen=True)
class Given:
    """A value that somebody wrote.  origin: by whom; where: the file, as an error's last words."""

    value: Any
    origin: str
    where: str = ""


def check_texts(given: Mapping[str, Given]) -> list[FreHpoError]:
    """The keys of a recipe that are text for people and for finding files."""
    texts = [(key, given[key]) for key in ("title", "data.folder") if key in given]
    return [_bad(key, g, "it must be text") for key, g in texts if not isinstance(g.value, str)]


def check_settings(given: Mapping[str, Given], problems: list[FreHpoError]) -> Settings | None:
    """The tables that are alike for all data sets and methods; None when something is wrong."""
    document: dict[str, Any] = {
        table: _values(table, model, given) for table, model in TABLES.items()
    }
    if "seed" in given:
        document["seed"] = given["seed"].value
    try:
        return Settings.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        problems += _problems(error, "", given)
        return None


def check_options(
    dataset: str, given: Mapping[str, Given], problems: list[FreHpoError]
) -> dict[str, JsonValue]:
    """The options of a data set as plain values; empty when something is wrong."""
    values = _values("data", DATASETS[dataset].options, given)
    try:
        return plain_options(read_options(dataset, values))
    except ValidationError as error:
        problems += _problems(error, "data", given)
        return {}


def check_parameters(
    method: str, given: Mapping[str, Given], problems: list[FreHpoError]
) -> dict[str, Fixed | Range]:
    """The parameters of a method; those given to the other methods are looked at, too."""
    chosen: dict[str, Fixed | Range] = {}
    for name, parameter in ((m, p) for m in METHODS for p in METHODS[m].parameters):
        key = f"methods.{name}.{parameter.name}"
        value = given.get(key, Given(parameter.default, "default"))
        maps = _maps(method, given) if name == method else _ANY_NETWORK
        try:
            space = parse(value.value, parameter, maps)
        except BadValue as error:
            shown = parameter.name if name == method else key
            problems.append(_bad(shown, value, error.facts["reason"]))
            continue
        if name == method:
            chosen[parameter.name] = space
    return chosen


def _maps(method: str, given: Mapping[str, Given]) -> int:
    """Maps at the end of the encoder that the method builds, as far as the widths can be used."""
    try:
        values = _values("model", ModelSpec, given)
        model = ModelSpec.model_validate_json(json.dumps(values, default=str))
    except ValidationError:
        return _ANY_NETWORK
    return METHODS[method].widths(model.widths)[-1]


def check_trials(method: str, given: Mapping[str, Given], problems: list[FreHpoError]) -> int:
    """The trials wanted of a method; those of the other methods are looked at, too."""
    trials = TRIALS.get(method, 1)
    for name in METHODS:
        key = f"methods.{name}.trials"
        value = given.get(key, Given(1, "default"))
        if isinstance(value.value, bool) or not isinstance(value.value, int) or value.value < 1:
            problems.append(_bad(key, value, "it must be a whole number from 1 on"))
        elif name == method and key in given:
            trials = value.value
    return trials


def _values(table: str, model: type[BaseModel], given: Mapping[str, Given]) -> dict[str, Any]:
    """The keys of one table, without its name; unknown ones were complained of before."""
    return {
        name: _fitted(given[f"{table}.{name}"].value, field.annotation)
        for name, field in model.model_fields.items()
        if f"{table}.{name}" in given
    }


def _fitted(value: Any, annotation: Any) -> Any:
    """A single value as a list where a list is wanted, ``0,2,5-7`` as text where text is."""
    if get_origin(annotation) is tuple and not isinstance(value, list):
        return [value]
    if annotation is str and isinstance(value, int | float | list):
        return written(value)
    return value


def _problems(
    error: ValidationError, prefix: str, given: Mapping[str, Given]
) -> Iterator[FreHpoError]:
    """One problem for each key, however many of its items are wrong."""
    found: dict[str, str] = {}
    for detail in error.errors():
        names = [prefix, *(part for part in detail["loc"] if isinstance(part, str))]
        found.setdefault(_nearest_given(list(filter(None, names)), given), _reason(detail["msg"]))
    for key, reason in found.items():
        if key not in given:
            yield UsageError(problem=f"[{key}] cannot be used: {reason}{_file(key, given)}")
        elif ".." in str(given[key].value) and prefix != "data":
            reason = "it takes one value; only the parameters of a method are searched"
            yield _bad(key, given[key], reason)
        else:
            yield _bad(key, given[key], reason)


def _nearest_given(names: list[str], given: Mapping[str, Given]) -> str:
    """The key that was given and holds what is wrong, which may lie deep inside its value."""
    for length in range(len(names), 0, -1):
        if (key := ".".join(names[:length])) in given:
            return key
    return ".".join(names)


def _file(table: str, given: Mapping[str, Given]) -> str:
    """Where all that was given of a table was written, if in one place."""
    places = {value.where for key, value in given.items() if key.startswith(f"{table}.")}
    return places.pop() if len(places) == 1 else ""


def _reason(message: str) -> str:
    """Pydantic's message in the words of a person."""
    for theirs, ours in (
        ("Value error, ", ""),
        ("Input should be", "it must be"),
        ("Tuple should have", "it must have"),
        (" after validation", ""),
        ("a valid integer", "a whole number"),
        ("a valid number", "a number"),
        ("a valid boolean", "true or false"),
        ("a valid string", "text"),
    ):
        message = message.replace(theirs, ours)
    return message


def _bad(key: str, given: Given, reason: str) -> BadValue:
    return BadValue(key=key, value=written(given.value), reason=reason + given.where)
