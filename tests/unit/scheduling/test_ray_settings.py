"""What Ray's processes find in their environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fre_hpo.scheduling import ray_settings


def test_what_is_set_already_stays() -> None:
    environ = {"RAY_health_check_period_ms": "7", "RAY_USAGE_STATS_ENABLED": "1"}
    ray_settings.prepare(None, environ)
    assert environ["RAY_health_check_period_ms"] == "7"
    assert environ["RAY_USAGE_STATS_ENABLED"] == "1"
    assert environ["RAY_health_check_timeout_ms"] == "1500"
    assert environ["RAY_AUTH_MODE"] == "token"
    assert "RAY_AUTH_TOKEN_PATH" not in environ


def test_the_tokens_file_comes_before_what_was_there() -> None:
    environ = {"RAY_AUTH_TOKEN": "secret", "RAY_AUTH_MODE": "disabled"}
    ray_settings.prepare(Path("/home/token"), environ)
    assert "RAY_AUTH_TOKEN" not in environ
    assert environ["RAY_AUTH_TOKEN_PATH"] == "/home/token"
    assert environ["RAY_AUTH_MODE"] == "token"


def test_a_node_gets_no_secret_of_a_study_and_no_other_cluster() -> None:
    given = {
        "RAY_ADDRESS": "10.0.0.9:6379",
        "FRE_HPO_STORAGE": "postgresql://me:secret@db/x",
        "OPTUNA_STORAGE": "postgresql://me:secret@db/x",
        "FRE_HPO_NOTIFY": "https://hooks.example/secret",
        "PGPASSWORD": "secret",
        "AWS_ACCESS_KEY_ID": "for the checkpoints",
        "RAY_START_HOOK": "somebody.elses",
    }
    environ = ray_settings.of_node(Path("/token"), given)
    assert "secret" not in " ".join(environ.values())
    assert "RAY_ADDRESS" not in environ
    assert environ["AWS_ACCESS_KEY_ID"] == "for the checkpoints"
    assert environ["RAY_START_HOOK"] == "fre_hpo.scheduling.start_hook.narrow"
    assert environ["RAY_enable_metrics_collection"] == "0"
    assert given["RAY_ADDRESS"] == "10.0.0.9:6379", "the caller's own is untouched"


def test_the_package_is_found_from_anywhere(tmp_path: Path) -> None:
    environ = ray_settings.with_package({"PYTHONPATH": "/first"})
    program = "import fre_hpo.scheduling.start_hook as hook; print(hook.__file__)"
    found = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()).is_file()
    assert ray_settings.with_package(environ) == environ, "it is named once"
    assert "/first" in environ["PYTHONPATH"]


def test_ray_knows_every_setting_by_its_name() -> None:
    """A misspelt one would be ignored in silence."""
    import ray

    folder = Path(ray.__file__).parent
    server = (folder / "core/src/ray/raylet/raylet").read_bytes()
    settings = ray_settings.PLAIN | ray_settings.LOSS_DETECTION | ray_settings.NODE
    known = [name for name in settings if name.encode() in server]
    assert {name for name in settings if name[4:5].islower()} <= set(known)
    scripts = "".join(
        path.read_text(encoding="utf-8")
        for path in (
            folder / "_private/ray_constants.py",
            folder / "_private/accelerators/nvidia_gpu.py",
            folder / "_common/usage/usage_constants.py",
            folder / "dashboard/consts.py",
        )
    )
    others = set(settings) - set(known)
    assert {name for name in others if name not in scripts} <= {
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"
    }
