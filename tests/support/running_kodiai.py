"""A whole Kodiai: `manage.py run` on a database of its own, beside a sandbox of GitHub."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from django.conf import settings as django_settings

from sandbox import PullRequest, Sandbox, WebhookResponse, webhook_payload
from tests.support.waiting import PATIENCE, eventually

ROOT = Path(__file__).resolve().parent.parent.parent
POSTGRES_URL = os.environ.get("KODIAI_TEST_POSTGRES_URL", "")


@dataclass
class Kodiai:
    """A Kodiai, its GitHub, and its database. It can be ended and started again on the same database."""

    url: str
    database: str
    github: Sandbox
    log: Path
    environment: dict[str, str]
    process: "subprocess.Popen[bytes]" = field(init=False)

    def start(self) -> None:
        """Start `manage.py run` and wait until its web server answers."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "run"],
                env=self.environment, cwd=self.log.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        eventually(lambda: _answers(self.url) or self.process.poll() is not None, "the web server answers")
        assert self.process.poll() is None, self.log.read_text()

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal and return the status with which it ended; it is killed if it does not end."""
        self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()

    def send(self, pull: PullRequest, action: str = "opened", **options: Any) -> WebhookResponse:
        return self.github.send_webhook(self.webhooks, "pull_request", webhook_payload(pull, action), **options)

    def workers(self) -> list[int]:
        """The worker processes, which are children of the supervisor."""
        return self._children("manage.py worker")

    def web_servers(self) -> list[int]:
        """The processes that serve, or are about to end: one, but for the time of a replacement."""
        return self._children("kodiai.web")

    def _children(self, command: str) -> list[int]:
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid), "-f", command], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]

    @property
    def webhooks(self) -> str:
        return f"{self.url}/webhooks/github"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the database, read behind Kodiai's back."""
        if self.database.startswith("postgres"):
            with psycopg.connect(self.database) as connection:
                return list(connection.execute(query).fetchall())  # type: ignore[arg-type]
        with closing(sqlite3.connect(self.database.removeprefix("sqlite:///"))) as connection:
            return connection.execute(query).fetchall()

    def events(self) -> list[dict[str, Any]]:
        """The log so far, one dict a line. A line whose end is not written yet is not told yet."""
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]


@contextmanager
def running_kodiai(folder: Path, *, workers: int = 1, **environment: str) -> Iterator[Kodiai]:
    """A Kodiai that answers, on an empty database and beside a sandbox; `environment` is added to its settings.

    The database is one of its own, unless `environment` has the `DATABASE_URL` of another.
    """
    with ExitStack() as stack:
        database = environment.get("DATABASE_URL") or stack.enter_context(empty_database(folder))
        github = stack.enter_context(Sandbox(webhook_secret="e2e-secret"))
        kept = {key: value for key, value in os.environ.items() if not key.startswith("KODIAI_")}
        settings = kept | {
            "DATABASE_URL": database,
            "PORT": str(free_port()),
            "KODIAI_ENV_FILE": os.devnull,
            "KODIAI_SECRET_KEY": "e2e" * 20,
            "KODIAI_GITHUB_API_URL": github.url,
            "KODIAI_GITHUB_APP_ID": str(github.app_id),
            "KODIAI_GITHUB_PRIVATE_KEY": github.private_key,
            "KODIAI_GITHUB_WEBHOOK_SECRET": "e2e-secret",
            "KODIAI_SWEEP_SECONDS": "1",
            "KODIAI_LEASE_SECONDS": "2",
            "KODIAI_MAX_ATTEMPTS": "50",
            "KODIAI_WORKERS": str(workers),
            # A Redis of several Kodiais: each has keys of its own.
            "KODIAI_TASKS_URL": django_settings.KODIAI_TASKS_URL,
            "RQ_KEY_PREFIX": uuid.uuid4().hex,
            "DJANGO_SETTINGS_MODULE": "kodiai.settings",
            **environment,
        }
        running = Kodiai(f"http://127.0.0.1:{settings['PORT']}", database, github, folder / "kodiai.log", settings)
        try:
            running.start()
            yield running
        finally:
            running.end()


@contextmanager
def empty_database(folder: Path) -> Iterator[str]:
    """The URL of an empty database that exists for as long as the block: a file in `folder`, or one of the server."""
    name = f"kodiai_{uuid.uuid4().hex}"
    if not POSTGRES_URL:
        yield f"sqlite:///{folder / name}.sqlite3"
        return
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    try:
        yield f"{POSTGRES_URL.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/webhooks/github").status_code == 405
    except httpx.TransportError:
        return False
