"""A whole Kodiai: `manage.py run` on a database of its own, beside a sandbox of GitHub."""

import json
import secrets
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings as django_settings

from sandbox import PullRequest, Sandbox, WebhookResponse, webhook_payload
from tests.support import processes
from tests.support.databases import Database, migrated_database
from tests.support.processes import ROOT, bound
from tests.support.waiting import PATIENCE, eventually

MANAGE = ROOT / "manage.py"
SMALL = {"a.py": "x = 1\n", ".kodiai.yml": "engines: {disable: [secrets, typos]}\n"}
"""The files of a repository of which many pull requests are reviewed, by one analyzer."""
LOG = 20_000
"""Characters of the log's end that a failed test shows."""


@dataclass
class Kodiai:
    """A Kodiai, its GitHub, and its database. It can be ended and started again on the same database."""

    url: str
    database: str
    github: Sandbox
    log: Path
    environment: dict[str, str]
    command: tuple[str, ...] = (str(MANAGE), "run")
    process: "subprocess.Popen[bytes]" = field(init=False)

    def start(self) -> None:
        """Start its processes, in a process group of their own, and wait until the web server answers."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                bound(sys.executable, *self.command),
                env=self.environment, cwd=self.log.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        eventually(lambda: answers(self.url) or self.process.poll() is not None, "the web server answers")
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

    def manage(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of `manage.py` to its end, with this Kodiai's settings and these."""
        return processes.python(str(MANAGE), *arguments, cwd=self.log.parent, **self.environment | settings)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Run a worker beside it during a block: for a Kodiai that has none (`workers=0`)."""
        with self.log.open("ab") as output:
            worker = subprocess.Popen(
                [sys.executable, str(MANAGE), "worker"],
                env=self.environment, cwd=self.log.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        try:
            yield
        finally:
            worker.terminate()
            worker.wait(PATIENCE)

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
        return Database(self.database).fetch(query)

    def events(self) -> list[dict[str, Any]]:
        """The log so far, one dict a line. A line whose end is not written yet is not read yet."""
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]


@contextmanager
def running_kodiai(
    folder: Path,
    *,
    workers: int = 1,
    secret: str = "e2e-secret",
    command: tuple[str, ...] = Kodiai.command,
    **environment: str,
) -> Iterator[Kodiai]:
    """A Kodiai that answers, on a database without rows and beside a sandbox; `environment` is added to its settings.

    The database is one of its own, unless `environment` has the `DATABASE_URL` of another.
    """
    with ExitStack() as stack:
        database = environment.get("DATABASE_URL") or stack.enter_context(migrated_database(folder))
        github = stack.enter_context(Sandbox(webhook_secret=secret))
        github.hook.response_seconds = PATIENCE
        defaults = {
            "DATABASE_URL": database,
            "PORT": str(free_port()),
            "KODIAI_SECRET_KEY": "e2e" * 20,
            "KODIAI_GITHUB_API_URL": github.url,
            "KODIAI_GITHUB_APP_ID": str(github.app_id),
            "KODIAI_GITHUB_PRIVATE_KEY": github.private_key,
            "KODIAI_GITHUB_WEBHOOK_SECRET": secret,
            "KODIAI_SWEEP_SECONDS": "1",
            "KODIAI_LEASE_SECONDS": "2",
            "KODIAI_MAX_ATTEMPTS": "50",
            "KODIAI_WORKERS": str(workers),
            # A Redis of several Kodiais: each has keys of its own.
            "KODIAI_TASKS_URL": django_settings.KODIAI_TASKS_URL,
            "RQ_KEY_PREFIX": uuid.uuid4().hex,
        }
        settings = processes.environment(**defaults | environment)
        running = Kodiai(
            f"http://127.0.0.1:{settings['PORT']}", database, github, folder / "kodiai.log", settings, command
        )
        try:
            running.start()
            yield running
        except AssertionError as failure:
            failure.add_note(running.log.read_text()[-LOG:])
            raise
        finally:
            running.end()


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listens, of those that no system gives to clients meanwhile."""
    while True:
        port = 12_000 + secrets.randbelow(20_000)
        with suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", port))
            return port


def answers(url: str) -> bool:
    """Return whether the web server at an address serves Kodiai."""
    try:
        return httpx.get(f"{url}/webhooks/github").status_code == 405
    except httpx.TransportError:
        return False
