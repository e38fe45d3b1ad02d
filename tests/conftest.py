"""Fixtures for all tests: a clean environment, real data, a real PostgreSQL, a real Ray."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from needs import require_or_skip
from postgres import Postgres, find_binaries

REPOSITORY = Path(__file__).resolve().parents[1]

# Variables that change what the product does; FRE_HPO_TEST_* choose what the tests run on.
FOREIGN = ("FRE_HPO_", "OPTUNA_", "RAY_", "PG")
KEPT = ("FRE_HPO_TEST_",)


def pytest_configure() -> None:
    """No setting of the person who runs the tests reaches them.

    Before anything is collected, because Ray reads its environment when it is imported. With a
    token in the environment it writes none into the person's home folder.
    """
    for name in list(os.environ):
        if name.startswith(FOREIGN) and not name.startswith(KEPT):
            del os.environ[name]
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # threads of several processes share few cores
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - as the product's own Ray has it


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the test's own, not yet created; no configuration file is found either."""
    folder = tmp_path / "home"
    monkeypatch.setenv("FRE_HPO_HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg-config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg-data"))
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images, beside the checkout."""
    folder = REPOSITORY.parent / "shared" / "data"
    require_or_skip(folder.is_dir(), "needs the real images in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One PostgreSQL for the whole session; a test may crash it, the next one finds it up."""
    binaries = find_binaries()
    require_or_skip(binaries, "needs PostgreSQL: set FRE_HPO_TEST_POSTGRES_BIN or install it")
    assert binaries is not None
    server = Postgres(binaries)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """The URL of an empty database of the test's own, password included."""
    postgres_server.start()
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield postgres_server.create_database(name)
    postgres_server.start()
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A Ray of two CPUs on this machine, joined by the tests' process."""
    import ray

    folder = tempfile.mkdtemp(prefix="fre-ray-", dir="/tmp")  # socket paths: at most 107 bytes
    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=0,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=512 * 1024**2,
        _temp_dir=folder,
    )
    yield
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
