"""What the files that an operator copies say: their calls of fre-hpo, their variables, their secrets.

The checks take a folder, so that tests can show them a broken copy; each returns what is wrong, in words.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import jsonschema
import yaml

from fre_hpo.cli.main import cli

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
REPOSITORY = Path(__file__).resolve().parents[1]
TOP = ("docker-compose.yml", ".env.example", "README.md")

_CALL = re.compile(r"(?:(?<![\w./=:@-])|(?<=/bin/))fre-hpo[ \t]+(?=[a-z])")
_END = re.compile(r"[|;&`]|\s#|\)|$|\s[<>]|\s\d?>")
_OURS = re.compile(r"\b(?:FRE_HPO|OPTUNA|RAY)_\w*[A-Za-z0-9]\b")
_COMPOSE_VARIABLE = re.compile(r"\$\{([A-Z_]+)(:-((?:[^}])*))?\}")
_SECRET_NAME = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY|STORAGE")
_PASSWORD_IN_URL = re.compile(r"://[^\s/:@]+:(?!%s)[^\s/@<>]+@")


@dataclass(frozen=True)
class Call:
    """A call of fre-hpo: where it stands, and the words behind the program's name."""

    source: str
    words: tuple[str, ...]


def verbs(group: click.Group = cli, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every verb under its full name, those of a group of verbs too."""
    for name, verb in group.commands.items():
        if isinstance(verb, click.Group):
            yield from verbs(verb, f"{name} ")
        yield f"{above}{name}", verb


def files(root: Path) -> list[Path]:
    """The files that an operator copies; guides and the README too."""
    top = [root / name for name in TOP]
    return top + sorted(path for path in (root / "deploy").rglob("*") if path.is_file())


def settings(path: Path) -> dict[str, str]:
    """NAME=value, as Compose's .env and systemd's EnvironmentFile have them."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def compose(root: Path) -> dict[str, Any]:
    """docker-compose.yml with the defaults of its variables."""
    text = (root / "docker-compose.yml").read_text(encoding="utf-8")
    text = _COMPOSE_VARIABLE.sub(lambda match: match[3] or "", text)
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def manifests(root: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Every document under deploy/kubernetes."""
    folder = root / "deploy" / "kubernetes"
    return [
        (path, document)
        for path in sorted(folder.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]


def containers(document: Any) -> Iterator[dict[str, Any]]:
    """Every container in a manifest, wherever its pod is."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key in ("containers", "initContainers"):
                yield from value
            yield from containers(value)
    elif isinstance(document, list):
        for item in document:
            yield from containers(item)


def calls(root: Path) -> list[Call]:
    """Every call of fre-hpo: in commands of containers and units, in scripts, and in guides and comments."""
    found = [*_of_compose(root), *_of_manifests(root), *_of_settings(root)]
    for path in files(root):
        found += [
            Call(f"{path.relative_to(root)}:{number}", tuple(words))
            for number, code in _code(path)
            for words in _calls_in(code)
        ]
    return found


def _of_compose(root: Path) -> Iterator[Call]:
    for name, service in compose(root)["services"].items():
        command = service.get("command")
        if command and "build" in service:
            words = shlex.split(command) if isinstance(command, str) else command
            yield Call(f"docker-compose.yml, {name}", tuple(map(str, words)))


def _of_manifests(root: Path) -> Iterator[Call]:
    for path, document in manifests(root):
        for container in containers(document):
            if "fre-hpo" in container["image"]:
                where = f"{path.name}, {container['name']}"
                yield Call(where, tuple(map(str, container["args"])))


def _of_settings(root: Path) -> Iterator[Call]:
    """START holds flags of `fre-hpo start`, in settings and in the guides' examples."""
    for path in files(root):
        for number, line in _lines(path):
            match = re.match(r"\s*(?:echo ['\"])?START=(.*)", line)
            if match:
                words = shlex.split(re.split(r"['\"]\s*>", match[1])[0])
                yield Call(f"{path.relative_to(root)}:{number}", ("start", *words))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; one that ends with a backslash goes on in the next."""
    begun, first = "", 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        first = first or number
        if line.endswith("\\"):
            begun += line[:-1]
            continue
        yield first, begun + line
        begun, first = "", 0


def _code(path: Path) -> Iterator[tuple[int, str]]:
    """What is meant to be typed or run: code, and of prose what stands in `backticks` or is indented."""
    fenced = False
    for number, line in _lines(path):
        if path.suffix == ".md":
            fenced ^= line.startswith("```")
            code, prose = (line, "") if fenced else ("", line)
        else:
            code, _, prose = line.partition("--" if path.suffix == ".sql" else "#")
        yield number, code
        for span in re.findall(r"`([^`]+)`|^   (.*)", prose):
            yield number, "".join(span)


def _calls_in(line: str) -> Iterator[list[str]]:
    for match in _CALL.finditer(line):
        rest = line[match.end() :]
        end = _END.search(rest)
        text = rest[: end.start()] if end else rest
        yield [word.strip("\"',.:[]") for word in text.split()]


def wrong_calls(found: list[Call]) -> list[str]:
    """Verbs that there are not, and flags that a verb does not have."""
    known = dict(verbs())
    wrong = []
    for call in found:
        name = " ".join(call.words[:2]) if " ".join(call.words[:2]) in known else call.words[0]
        if name not in known:
            wrong.append(f"{call.source}: there is no verb {name}")
            continue
        own = {flag for parameter in known[name].params for flag in parameter.opts} | {"--help"}
        flags = FLAG.findall(" ".join(call.words))
        wrong += [f"{call.source}: {name} has no {flag}" for flag in flags if flag not in own]
    return wrong


def wrong_flags(root: Path) -> list[str]:
    """Flags that a guide names outside of a call, and that no verb has."""
    known = {flag for _, verb in verbs() for parameter in verb.params for flag in parameter.opts}
    return [
        f"{path.relative_to(root)}:{number}: no verb has {flag}"
        for path in files(root)
        if path.suffix == ".md"
        for number, code in _code(path)
        if code.startswith("--")
        for flag in FLAG.findall(code)
        if flag not in known
    ]


def unknown_variables(root: Path) -> list[str]:
    """Variables with our prefixes, or Ray's, that nothing in the product reads or sets."""
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in (REPOSITORY / "fre_hpo").rglob("*.py")
    )
    known = set(_OURS.findall(source))
    return [
        f"{path.relative_to(root)}: nothing reads {name}"
        for path in files(root)
        for name in sorted(set(_OURS.findall(path.read_text(encoding="utf-8"))) - known)
    ]


def unexplained_variables(root: Path) -> list[str]:
    """What docker-compose.yml asks for without a default, and what .env.example names in vain."""
    text = (root / "docker-compose.yml").read_text(encoding="utf-8")
    asked = [(match[1], bool(match[2])) for match in _COMPOSE_VARIABLE.finditer(text)]
    named = set(settings(root / ".env.example")) - {name for name, _ in asked}
    vain = sorted(name for name in named if not name.startswith("COMPOSE_"))
    bare = sorted({name for name, default in asked if not default})
    return [f".env.example: nothing asks for {name}" for name in vain] + [
        f"docker-compose.yml: {name} has no default" for name in bare
    ]


def bare_secrets(root: Path) -> list[str]:
    """Secrets that are not in a file or behind a reference."""
    wrong = []
    for name, service in compose(root)["services"].items():
        for variable, value in service.get("environment", {}).items():
            if _SECRET_NAME.search(variable) and not re.match("@?/run/secrets/", str(value)):
                wrong.append(f"docker-compose.yml, {name}: {variable} is no file")
    for path, document in manifests(root):
        if document["kind"] == "Secret":
            wrong.append(f"{path.name}: a Secret lies in a file")
        for container in containers(document):
            wrong += [
                f"{path.name}, {container['name']}: {variable['name']} is no reference"
                for variable in container.get("env", [])
                if _SECRET_NAME.search(variable["name"]) and "valueFrom" not in variable
            ]
    for path in files(root):
        for number, line in _lines(path):
            if _PASSWORD_IN_URL.search(line):
                wrong.append(f"{path.relative_to(root)}:{number}: a password in a URL")
    return wrong


def tool(name: str) -> str | None:
    """A linter beside this Python, or on PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.is_file() else shutil.which(name)


def complaint(command: list[str | Path], folder: Path) -> str:
    """What a linter complains of; nothing where it is content."""
    result = _run(command, folder)
    text = f"{result.stdout}{result.stderr}".strip()
    return "" if result.returncode == 0 else text or f"exit code {result.returncode}"


def said(command: list[str | Path], folder: Path) -> str:
    """All that a linter says, for one that warns and is content."""
    result = _run(command, folder)
    return f"{result.stdout}{result.stderr}"


def _run(command: list[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def refused_by_crd(document: dict[str, Any], definition: Path) -> list[str]:
    """What a resource's definition does not allow; unknown fields are refused, as by `kubectl --validate`."""
    crd = yaml.load(definition.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    version = document["apiVersion"].split("/")[1]
    schema = next(
        found["schema"]["openAPIV3Schema"]
        for found in crd["spec"]["versions"]
        if found["name"] == version
    )
    validator = jsonschema.Draft7Validator(_closed(schema))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def _closed(schema: Any) -> Any:
    """The schema with unknown fields refused wherever it names some."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if "properties" in closed and not closed.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed
