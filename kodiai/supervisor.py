"""Web server and workers as child processes of one: started together, restarted when one dies, stopped together."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

logger = logging.getLogger(__name__)

RESTART_SECONDS = (0.2, 5.0)
"""Shortest and longest wait before a child that died is started again; it doubles with each death in a row."""
STABLE_SECONDS = 10.0
"""A child that lived for that long did start."""
PR_SET_PDEATHSIG = 1
"""Source: prctl(2)."""
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class _Child:
    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0
    start_at: float = field(default=0.0)

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, env=child_environment(), preexec_fn=end_with_parent)
        self.started = time.monotonic()


class Supervisor:
    """Runs granian and `workers` worker processes until SIGTERM or Ctrl-C."""

    def __init__(self, *, host: str, port: int, workers: int) -> None:
        self._web = _Child("web", web_command(host, port))
        self._children = [self._web] + [
            _Child(f"worker-{number}", [sys.executable, str(ROOT / "manage.py"), "worker", "--skip-checks"])
            for number in range(1, workers + 1)
        ]
        # A flag, because a signal handler must not wait for a lock.
        self._told_to_stop = False

    def run(self) -> bool:
        """Run until told to stop. Return False if the web server died before it ever served."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._be_told_to_stop())
        try:
            for child in self._children:
                child.start()
            while not self._told_to_stop:
                time.sleep(0.1)
                if not self._told_to_stop and not self._tend():
                    return False
        finally:
            self._stop()
        return True

    def _be_told_to_stop(self) -> None:
        self._told_to_stop = True

    def _tend(self) -> bool:
        """Start again what died. Return False if the web server cannot be started at all."""
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                lived = now - child.started
                if child is self._web and child.deaths == 0 and lived < STABLE_SECONDS and child.process.returncode > 0:
                    return False
                child.deaths = 1 if lived > STABLE_SECONDS else child.deaths + 1
                shortest, longest = RESTART_SECONDS
                child.start_at = now + min(longest, shortest * 2 ** (child.deaths - 1))
                logger.error(
                    "process died, it is started again",
                    extra={"child": child.name, "status": child.process.returncode},
                )
                child.process = None
            if child.process is None and now >= child.start_at:
                child.start()
        return True

    def _stop(self) -> None:
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + settings.KODIAI_GRACE_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("process did not end in time and is killed", extra={"pid": process.pid})
                process.kill()
                process.wait()


def end_with_parent() -> None:
    """Ask Linux to send SIGTERM to a child whose supervisor was killed: nobody else would stop it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def child_environment() -> dict[str, str]:
    """The environment of a child. granian finds the application on Python's path; the working directory stays."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def web_command(host: str, port: int) -> list[str]:
    """The web server: what `manage.py run` starts as a child, and `manage.py web` becomes."""
    return [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port),
        "--workers", "1", "--blocking-threads", "4", "--backpressure", "64", "--no-ws",
        "--log-level", "warning", "kodiai.wsgi:application",
    ]  # fmt: skip
