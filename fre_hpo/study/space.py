"""The notation of a search space: a range is searched, a plain value is fixed.

``1..100`` is a range on a linear scale, ``1..1000:log`` on a logarithmic one; as an upper bound the
word ``maps`` stands for the number of feature maps at the end of the encoder.  A range of one value
is a fixed value.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fre_hpo.errors import BadValue
from fre_hpo.methods import MAPS, Parameter

Number = int | float

_RANGE = re.compile(r"\s*(?P<low>[^:]+?)\s*\.\.\s*(?P<high>[^:]+?)\s*(?P<log>:\s*log\s*)?")
_NUMBER = re.compile(r"[+-]?{0}(\.{0})?([eE][+-]?[0-9]+)?".format("[0-9](_?[0-9])*"))
_NOTATION = "write one number, a range low..high, or low..high:log for a log scale"


@dataclass(frozen=True)
class Fixed:
    """A parameter that every trial of the study gets the same value of."""

    value: Number

    def __str__(self) -> str:
        return written(self.value)


@dataclass(frozen=True)
class Range:
    """A parameter that is searched; both bounds belong to the range."""

    low: Number
    high: Number
    log: bool
    integer: bool

    def __str__(self) -> str:
        return f"{written(self.low)}..{written(self.high)}" + (":log" if self.log else "")


def parse(given: object, parameter: Parameter, maps: int) -> Fixed | Range:
    """Read a parameter's value or range, in the notation above, for a network of so many maps.

    Raises BadValue, which names the parameter, what was given and the reason.
    """
    try:
        match = _RANGE.fullmatch(given) if isinstance(given, str) else None
        if match is None:
            return Fixed(_checked(_number(given), parameter, maps))
        return _range(match, parameter, maps)
    except ValueError as error:
        raise BadValue(key=parameter.name, value=written(given), reason=str(error)) from None


def written(value: Any) -> str:
    """A value as one writes it behind ``--set KEY=``; ``parse`` reads numbers back exactly."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, list | tuple):
        return ",".join(map(written, value)) or "[]"
    if isinstance(value, Mapping):
        return _inline(value)
    return str(value) if value != "" else '""'


def _inline(value: Any) -> str:
    """A value inside a table, in TOML's own notation."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _range(match: re.Match[str], parameter: Parameter, maps: int) -> Fixed | Range:
    low = _checked(_number(match["low"]), parameter, maps)
    high = _checked(_upper_bound(match["high"], parameter, maps), parameter, maps)
    if low > high:
        raise ValueError(f"the lower bound {written(low)} is above the upper bound {written(high)}")
    if match["log"] and low <= 0:
        raise ValueError("a log scale needs a lower bound above 0")
    if low == high:
        return Fixed(low)
    return Range(low, high, log=match["log"] is not None, integer=parameter.kind == "int")


def _upper_bound(text: str, parameter: Parameter, maps: int) -> Number:
    if text == MAPS and parameter.high == MAPS:
        return maps
    return _number(text)


def _number(given: object) -> Number:
    if isinstance(given, str) and _NUMBER.fullmatch(given.strip()):
        return _read_number(given)
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueError(_NOTATION)
    return given


def _read_number(text: str) -> Number:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _checked(value: Number, parameter: Parameter, maps: int) -> Number:
    """The number in the parameter's own type; refused when it is outside the parameter's limits."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it is not a finite number")
    if value < parameter.low:
        raise ValueError(f"the smallest {parameter.name} is {written(parameter.low)}")
    if value > parameter.upper(maps):
        raise ValueError(_too_large(parameter, maps))
    if parameter.kind == "float":
        return float(value) + 0.0  # + 0.0 makes -0.0 a plain zero
    if value != int(value):
        raise ValueError(f"{parameter.name} is a whole number")
    return int(value)


def _too_large(parameter: Parameter, maps: int) -> str:
    if parameter.high == MAPS:
        return f"the network has {maps} feature maps at the end of its encoder"
    return f"the largest {parameter.name} is {written(parameter.high)}"
