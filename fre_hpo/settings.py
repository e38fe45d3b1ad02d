"""Where things are on this machine: flag > environment > configuration file > default.

Each default is written once, here.  The configuration file is ``fre-hpo/config.toml`` in the user's
configuration directory and may hold ``home`` and ``storage``.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from fre_hpo.errors import UnknownKey, UnreadableRecipe, UsageError, nearest

STORAGE_VARIABLES = ("FRE_HPO_STORAGE", "OPTUNA_STORAGE")
HOME_VARIABLE = "FRE_HPO_HOME"
NOTIFY_VARIABLE = "FRE_HPO_NOTIFY"
CHECKPOINTS_VARIABLE = "FRE_HPO_CHECKPOINTS"
TOKEN_VARIABLE = "FRE_HPO_TOKEN_FILE"
_KEYS = ("home", "storage")


@dataclass(frozen=True)
class Settings:
    """home: the folder that holds studies and data sets.  storage: the URL of the database, password
    included; show it through ``masked`` only."""

    home: Path
    storage: str

    def study_folder(self, study: str) -> Path:
        return self.home / "studies" / study

    @property
    def token_file(self) -> Path:
        """Of a cluster, where no other is named."""
        return self.home / "cluster-token"

    def data_folder(self, dataset: str) -> Path:
        return self.home / "data" / dataset


def load(
    home: str | None = None,
    storage: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Settings from the flags given (None: not given) and what stands behind them."""
    configured = _read_config(config_file())
    folder = home or environ.get(HOME_VARIABLE) or configured.get("home") or default_home()
    resolved = Path(folder).expanduser().absolute()
    named = storage or _from_environment(environ) or configured.get("storage")
    url = read_url(named, "storage") if named else f"sqlite:///{resolved / 'fre-hpo.db'}"
    return Settings(resolved, url)


def default_home() -> str:
    return platformdirs.user_data_dir("fre-hpo", appauthor=False)


def config_file() -> Path:
    return Path(platformdirs.user_config_dir("fre-hpo", appauthor=False)) / "config.toml"


def _from_environment(environ: Mapping[str, str]) -> str | None:
    return next((environ[name] for name in STORAGE_VARIABLES if environ.get(name)), None)


def _read_config(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableRecipe(path=path, reason=error) from error
    for key, value in config.items():
        if key not in _KEYS:
            raise UnknownKey(key=key, hint=f"{nearest(key, _KEYS)} (in {path})")
        if not isinstance(value, str):
            raise UsageError(problem=f"{key} in {path} must be a text in quotes.")
    return config


def read_url(named: str, what: str) -> str:
    """A URL as it is; ``@FILE`` is the first line of a file, which keeps a secret off the command line."""
    if not named.startswith("@"):
        return named
    path = Path(named[1:]).expanduser()
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        problem = f"The {what} file {path} cannot be read ({error}): it holds the URL in one line."
        raise UsageError(problem=problem) from error
    if not text:
        raise UsageError(problem=f"The {what} file {path} is empty: it holds the URL in one line.")
    return text.splitlines()[0].strip()


def has_password(url: str) -> bool:
    return masked(url) != url


def masked(url: str) -> str:
    """A storage URL as it may be shown: passwords are replaced by ***.

    Whatever SQLAlchemy may take for a password is one, up to the last @: people write @, / and ? in
    theirs.  A password in the query (libpq's parameters) may hold an @ as well, so that the part
    before it is masked as if it ended there.
    """
    shown = re.sub(r"([?&](?:ssl)?password=)([^&]*)", _masked_parameter, url)
    return re.sub(r"^([^:/]+://[^:/]*):.*@", r"\1:***@", shown, flags=re.DOTALL)


def _masked_parameter(match: re.Match[str]) -> str:
    return f"{match[1]}***" + ("@" if "@" in match[2] else "")
