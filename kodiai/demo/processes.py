"""What the story is played on: the sandbox as GitHub, and Kodiai's own processes as `make run` starts them."""

import errno
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from kodiai.demo.environment import FOLDER, ROOT
from kodiai.supervisor import end_with_parent
from sandbox import Sandbox, webhook_payload

HOST = "127.0.0.1"
"""Never another: what the demo serves is for nobody but the one who watches it."""
USUAL_PORT = 8000
LOCK = FOLDER.with_suffix(".lock")
LOG = FOLDER / "kodiai.log"
START_SECONDS = 30.0
STOP_SECONDS = 30.0
"""A little longer than the supervisor gives its own children."""
LOOK_SECONDS = 0.02


class StageFailed(Exception):
    """The story cannot be told, or not to its end. The text says why, and what to do."""


@dataclass(frozen=True)
class Stage:
    """A running Kodiai at `url`, and the GitHub that it works for."""

    github: Sandbox
    url: str
    process: "subprocess.Popen[bytes]"

    @property
    def webhook_url(self) -> str:
        return f"{self.url}/webhooks/github"

    def wait_until(self, condition: Callable[[], bool], seconds: float = 20) -> bool:
        """Wait for a condition; return whether it came true in time. Raises StageFailed when Kodiai has ended."""
        deadline = time.monotonic() + seconds
        while not (true := condition()) and time.monotonic() < deadline:
            if self.process.poll() is not None:
                self.run_on()
            time.sleep(LOOK_SECONDS)
        return true

    def run_on(self) -> NoReturn:
        """Wait for what is not to happen: that Kodiai ends. Raises StageFailed then."""
        raise StageFailed(f"Kodiai ended with status {self.process.wait()}. The last lines of its log:\n{log_tail()}")


@contextmanager
def on_stage() -> Iterator[Stage]:
    """Start the sandbox, web and worker in an emptied `var/demo/`; stop them at the end, whatever happened.

    Raises StageFailed.
    """
    port = _port()
    with _only_demo():
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        with Sandbox() as github, LOG.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "run"],
                env={**os.environ, **_github_settings(github), "HOST": HOST, "PORT": str(port)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the demo, which then stops Kodiai in order.
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
            try:
                stage = Stage(github, f"http://{HOST}:{port}", process)
                stage.wait_until(lambda: _listens(port), START_SECONDS)
                ping = github.send_webhook(stage.webhook_url, "ping", webhook_payload(github.app, None, "ping"))
                if ping.status_code != 200:
                    raise StageFailed(f"Kodiai does not answer. The last lines of its log:\n{log_tail()}")
                yield stage
            finally:
                _stop(process)


def log_tail(lines: int = 15) -> str:
    """The last lines that Kodiai's processes logged."""
    logged = LOG.read_text(errors="replace").splitlines() if LOG.exists() else []
    return "\n".join(logged[-lines:]) or "(nothing was logged)"


def _github_settings(github: Sandbox) -> dict[str, str]:
    return {
        "KODIAI_GITHUB_API_URL": github.url,
        "KODIAI_GITHUB_APP_ID": str(github.app_id),
        "KODIAI_GITHUB_APP_SLUG": github.app_slug,
        "KODIAI_GITHUB_PRIVATE_KEY": github.private_key,
        "KODIAI_GITHUB_WEBHOOK_SECRET": github.webhook_secret,
    }


@contextmanager
def _only_demo() -> Iterator[None]:
    """Hold the demo's folder for this process: a second demo would empty it under the first."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StageFailed(f"Another demo is running in {FOLDER}. End it first.") from error
        yield


def _port() -> int:
    """PORT if it is set; else the usual port, or any other that is free."""
    wanted = os.environ.get("PORT", "")
    if not wanted:
        return USUAL_PORT if _free_port(USUAL_PORT) else _free_port(0)
    if not wanted.isdecimal() or not 0 < int(wanted) < 65536:
        raise StageFailed(f"PORT is {wanted!r}, which is no port. Leave it out, and the demo takes a free one.")
    if not _free_port(int(wanted)):
        raise StageFailed(f"Port {wanted} on {HOST} is not to be had. Leave PORT out, and the demo takes a free one.")
    return int(wanted)


def _free_port(port: int) -> int:
    """The port, or for 0 any free one; 0 if it is taken, or not for us."""
    with socket.socket() as listener:
        # As a server binds: connections of an earlier demo that are not quite gone are no hindrance.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return 0
            raise
        return int(listener.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # The supervisor too: its children would outlive it otherwise.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
