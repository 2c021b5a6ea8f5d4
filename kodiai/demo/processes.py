"""The processes of the demo: the sandbox, and a Kodiai that is started as `make run` does."""

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
"""The demo listens on no other address."""
DEFAULT_PORT = 8000
LOCK = FOLDER.with_suffix(".lock")
LOG = FOLDER / "kodiai.log"
START_SECONDS = 120.0
"""Six seconds on an idle machine; Kodiai that ends is noticed at once."""
STEP_SECONDS = 120.0
"""Until what a chapter waits for is a failed check. Seconds on an idle machine."""
STOP_SECONDS = 30.0
"""Longer than the supervisor waits for its own children."""
POLL_SECONDS = 0.02


class DemoError(Exception):
    """The demo cannot start or go on. The message says why, and what to do."""


@dataclass(frozen=True)
class RunningKodiai:
    """A running Kodiai at `url`, and the simulated GitHub that it works for."""

    github: Sandbox
    url: str
    process: "subprocess.Popen[bytes]"

    @property
    def webhook_url(self) -> str:
        """The URL that receives webhooks."""
        return f"{self.url}/webhooks/github"

    def wait_until(self, condition: Callable[[], bool], seconds: float = STEP_SECONDS) -> bool:
        """Wait for a condition; return False after `seconds`. Raises DemoError if Kodiai ends."""
        deadline = time.monotonic() + seconds
        while not (value := condition()) and time.monotonic() < deadline:
            if self.process.poll() is not None:
                self.wait_for_exit()
            time.sleep(POLL_SECONDS)
        return value

    def wait_for_exit(self) -> NoReturn:
        """Wait until Kodiai ends, then raise DemoError."""
        raise DemoError(f"Kodiai ended with status {self.process.wait()}. The last lines of its log:\n{log_tail()}")


@contextmanager
def start_kodiai() -> Iterator[RunningKodiai]:
    """Start the sandbox and Kodiai in an empty `var/demo/`, and stop both at the end. Raises DemoError."""
    port = _port()
    with _exclusive_folder():
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(0o700, parents=True)
        with Sandbox() as github, LOG.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "run"],
                env={**os.environ, **_github_settings(github), "HOST": HOST, "PORT": str(port)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches the demo only, which then stops Kodiai.
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
            try:
                kodiai = RunningKodiai(github, f"http://{HOST}:{port}", process)
                ping = webhook_payload(github.app, None, "ping")

                def answers() -> bool:
                    return github.send_webhook(kodiai.webhook_url, "ping", ping).status_code == 200

                # Also while the port is closed, or the first answer takes longer than GitHub waits.
                if not kodiai.wait_until(answers, START_SECONDS):
                    raise DemoError(f"Kodiai does not respond. The last lines of its log:\n{log_tail()}")
                yield kodiai
            finally:
                _stop(process)


def log_tail(lines: int = 15) -> str:
    """Return the last lines of Kodiai's log."""
    logged = LOG.read_text(errors="replace").splitlines() if LOG.exists() else []
    return "\n".join(logged[-lines:]) or "(the log is empty)"


def _github_settings(github: Sandbox) -> dict[str, str]:
    return {
        "KODIAI_GITHUB_API_URL": github.url,
        "KODIAI_GITHUB_APP_ID": str(github.app_id),
        "KODIAI_GITHUB_APP_SLUG": github.app_slug,
        "KODIAI_GITHUB_PRIVATE_KEY": github.private_key,
        "KODIAI_GITHUB_WEBHOOK_SECRET": github.webhook_secret,
    }


@contextmanager
def _exclusive_folder() -> Iterator[None]:
    """Lock the demo's folder: a second demo would empty it while the first one runs."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoError(f"Another demo is running in {FOLDER}. End it first.") from error
        yield


def _port() -> int:
    """Return PORT if it is set, else the default port if it is free, else any free port."""
    wanted = os.environ.get("PORT", "")
    if not wanted:
        return DEFAULT_PORT if _free_port(DEFAULT_PORT) else _free_port(0)
    if not wanted.isdecimal() or not 0 < int(wanted) < 65536:
        raise DemoError(f"PORT={wanted!r} is not a port number. Without PORT, the demo uses a free port.")
    if not _free_port(int(wanted)):
        raise DemoError(f"Port {wanted} on {HOST} is already in use. Without PORT, the demo uses a free port.")
    return int(wanted)


def _free_port(port: int) -> int:
    """Return the port (for 0: any free port), or 0 if it is in use or not permitted."""
    with socket.socket() as listener:
        # As servers do: closed connections of an earlier demo do not keep the port in use.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return 0
            raise
        return int(listener.getsockname()[1])


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # The whole session: otherwise the children would outlive the supervisor.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
