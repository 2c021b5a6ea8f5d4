"""Servers of PostgreSQL and Redis of the tests' own, which can be stopped, frozen and started again."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psycopg
import pytest
import redis

from tests.support.processes import bound
from tests.support.running_kodiai import free_port
from tests.support.waiting import PATIENCE, eventually

FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
"""How PostgreSQL is asked to cut its connections and end: in good order, or at once, as after a crash. Source: its
documentation, "Shutting Down the Server"."""


@cache
def postgres_binaries() -> Path | None:
    """Where `initdb` and `postgres` are; None where PostgreSQL's server is not installed."""
    folders = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    if config := shutil.which("pg_config"):
        bindir = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True).stdout.strip()
        folders.insert(0, Path(bindir))
    return next(
        (folder for folder in folders if (folder / "initdb").is_file() and (folder / "postgres").is_file()), None
    )


class PostgresServer:
    """A PostgreSQL on a free port of 127.0.0.1, with its data in `folder`. It writes to disk as it does by default."""

    def __init__(self, folder: Path, *settings: str) -> None:
        binaries = postgres_binaries()
        assert binaries is not None
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.log = folder / "postgresql.log"
        self.folder = folder
        # PostgreSQL does not run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._run(str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8")
        self._command = [
            str(binaries / "postgres"), "-D", str(folder / "data"), "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
            *(part for setting in settings for part in ("-c", setting)),
        ]  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, user=self._user, cwd=self.folder, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                bound(*self._command), user=self._user, cwd=self.folder, stdout=output, stderr=output
            )
        eventually(lambda: self._answers() or self._ended(), "PostgreSQL answers")
        assert not self._ended(), self.log.read_text()

    def stop(self, how: signal.Signals = FAST) -> None:
        """End it and wait until it has ended."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End it whatever state it is in, so that nothing of it is left."""
        if self.process is not None and self.process.poll() is None:
            self.signal_all(signal.SIGCONT)
            self.stop(IMMEDIATE)

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the server and each of its processes, as SIGSTOP to freeze the whole of it."""
        assert self.process is not None
        parent = self.process.pid
        if number == signal.SIGSTOP:
            # First, so that it starts no more of them.
            os.kill(parent, number)
        for child in _children(parent):
            with suppress(ProcessLookupError):  # It has ended since.
                os.kill(child, number)
        if number != signal.SIGSTOP:
            # Last, so that it buries none of them before they have heard.
            os.kill(parent, number)

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Execute statements as superuser, each in a transaction of its own, whatever is set for others."""
        url = f"{self.url.rpartition('/')[0]}/{database}?options=-c%20default_transaction_read_only%3Doff"
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _ended(self) -> bool:
        return self.process is None or self.process.poll() is not None


@contextmanager
def running_postgres(*settings: str) -> Iterator[PostgresServer]:
    """A PostgreSQL of one's own; the test is skipped where the server is not installed."""
    if postgres_binaries() is None:
        pytest.skip("PostgreSQL's server (initdb, postgres) is not installed here")
    # Not in pytest's folder, which other users, such as PostgreSQL's, may not enter.
    with tempfile.TemporaryDirectory(prefix="kodiai-postgres-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder), *settings)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@dataclass
class RedisServer:
    """A Redis on a free port of 127.0.0.1, that keeps nothing when it ends."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes]" = field(init=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [
            "redis-server",
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self.folder),
        ]
        self.process = subprocess.Popen(bound(*command), stdout=subprocess.DEVNULL)
        eventually(self._answers, "Redis answers")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def client(self) -> "redis.Redis":
        return redis.Redis(port=self.port)

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False


@contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    """A Redis of one's own."""
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.end()


def _children(parent: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]
