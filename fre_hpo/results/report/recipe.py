"""A recipe that says everything: whatever the defaults of another version are, it means the same study."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fre_hpo.study.space import Fixed, written
from fre_hpo.study.spec import TABLES, Spec


def recipe(title: str, studies: Sequence[tuple[Spec, int]], seed: int) -> str:
    """TOML for studies that differ in their methods alone, each with its total of trials; seed: of all."""
    first, _ = studies[0]
    parts = [
        "\n".join(
            [
                f"dataset = {_value(first.dataset)}",
                f"title = {_value(title)}",
                f"seed = {seed}",
            ]
        ),
        _table("data", first.data),
        *(_table(name, dict(getattr(first, name))) for name in TABLES),
        *(_table(f"methods.{spec.method}", _method(spec, trials)) for spec, trials in studies),
    ]
    return "\n\n".join(parts) + "\n"


def _method(spec: Spec, trials: int) -> dict[str, Any]:
    spaces = spec.parameters.items()
    values = {n: s.value if isinstance(s, Fixed) else str(s) for n, s in spaces}
    return {"trials": trials, **values}


def _table(name: str, values: Mapping[str, Any]) -> str:
    lines = (f"{_key(key)} = {_value(value)}" for key, value in _stated(values))
    return "\n".join([f"[{name}]", *lines])


def _stated(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """TOML has no word for nothing: what is not there is left out, as its default is."""
    yield from ((key, value) for key, value in values.items() if value is not None)


def _value(value: Any) -> str:
    match value:
        case bool():
            return written(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
        case Mapping():
            return f"{{ {', '.join(f'{_key(k)} = {_value(v)}' for k, v in _stated(value))} }}"
        case _:
            return repr(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)
