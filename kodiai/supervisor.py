"""Web server and workers as child processes of one: started, replaced and stopped together, restarted when one dies."""

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

logger = logging.getLogger(__name__)

RESTART_SECONDS = (0.2, 5.0)
"""Shortest and longest wait before a child that died is started again; it doubles with each death in a row."""
STABLE_SECONDS = 10.0
"""A child that lived for that long did start."""
READY_SECONDS = 60.0
"""The longest that a new web server may take until it serves; then the old one stays."""
BACKLOG = 1024
"""Connections that may wait in the socket."""
SILENT_SECONDS = 60
"""How long a connection on which nothing was sent waits in the socket; then a web server takes it all the same."""
PR_SET_PDEATHSIG = 1
"""Source: prctl(2)."""
ROOT = Path(__file__).resolve().parent.parent
MANAGE = [sys.executable, str(ROOT / "manage.py")]
WEB = [sys.executable, "-m", "kodiai.web"]
"""What serves; the descriptor of its socket comes after it."""


@dataclass
class _Child:
    name: str
    command: list[str]
    socket: int | None = None
    """The socket that it serves, if it is a web server. Then it says when it does."""
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    deaths: int = 0
    start_at: float = field(default=0.0)
    _ready: int | None = None

    def start(self) -> None:
        command: list[str] = self.command
        passed: list[int] = []
        if self.socket is not None:
            self.close()
            self._ready, ready = os.pipe()
            os.set_blocking(self._ready, False)
            passed = [self.socket, ready]
            command = [*command, *map(str, passed)]
        self.process = subprocess.Popen(command, env=child_environment(), pass_fds=passed, preexec_fn=end_with_parent)
        for descriptor in passed[1:]:
            os.close(descriptor)
        self.started = time.monotonic()

    def status(self) -> int | None:
        """The status with which it ended; None if it did not, or was not started."""
        return None if self.process is None else self.process.poll()

    def serves(self) -> bool:
        """Tell whether a web server has just said that it serves."""
        try:
            return self._ready is not None and os.read(self._ready, 1) != b""
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Listen no more to what it says."""
        if self._ready is not None:
            os.close(self._ready)
            self._ready = None


class Supervisor:
    """Runs a web server and `workers` worker processes until SIGTERM or Ctrl-C; replaces them all on SIGHUP.

    It opens the socket itself and keeps it open, so that no connection is refused while it lives; raises OSError if it
    cannot.
    """

    def __init__(self, *, host: str, port: int, workers: int) -> None:
        self._workers = workers
        self._socket = listen(host, port)
        self._web = self._new_web()
        self._children = [self._web, *self._new_workers()]
        self._leaving: list[tuple[subprocess.Popen[bytes], float]] = []
        self._served = False
        # Of a replacement that is under way: its next steps, and what was started for it.
        self._replacing: Iterator[bool] | None = None
        self._coming: list[_Child] = []
        # Flags, because a signal handler must not wait for a lock.
        self._told_to_stop = self._told_to_replace = False

    def run(self) -> bool:
        """Run until told to stop. Return False if the web server died before it ever served."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._be_told_to_stop())
        # In a terminal it means that the terminal was closed.
        in_terminal = sys.stdin is not None and sys.stdin.isatty()
        hung_up = self._be_told_to_stop if in_terminal else self._be_told_to_replace
        signal.signal(signal.SIGHUP, lambda *_: hung_up())
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

    def _be_told_to_replace(self) -> None:
        self._told_to_replace = True

    def _tend(self) -> bool:
        """Start again what died, and go on replacing. Return False if the web server cannot be started at all."""
        self._served = self._served or self._web.serves()
        now = time.monotonic()
        for child in self._children:
            if (status := child.status()) is not None:
                if child is self._web and not self._served and status > 0:
                    return False
                child.deaths = 1 if now - child.started > STABLE_SECONDS else child.deaths + 1
                shortest, longest = RESTART_SECONDS
                child.start_at = now + min(longest, shortest * 2 ** (child.deaths - 1))
                logger.error("process died, it is started again", extra={"child": child.name, "status": status})
                child.process = None
            if child.process is None and now >= child.start_at:
                child.start()
        self._see_off()
        if self._told_to_replace and self._replacing is None and self._served:
            self._told_to_replace = False
            self._replacing = self._replace()
        if self._replacing is not None and not next(self._replacing, False):
            self._replacing = None
        return True

    def _replace(self) -> Iterator[bool]:
        """Replace all children by new ones, without a moment in which nobody serves; yields True while it waits.

        What cannot be started replaces nothing: the old ones stay.
        """
        logger.info("all processes are to be replaced")
        prepare = _Child("prepare", [*MANAGE, "run", "--prepare"])
        self._coming = [prepare]
        prepare.start()
        while (status := prepare.status()) is None:
            yield True
        if status != 0:
            logger.error("databases not prepared, the old processes stay", extra={"status": status})
            return
        web = self._new_web()
        self._coming = [web]
        web.start()
        while not web.serves():
            if web.status() is not None or time.monotonic() > web.started + READY_SECONDS:
                logger.error("new web server does not serve, the old processes stay", extra={"status": web.status()})
                self._let_go(web)
                return
            yield True
        old, self._web, self._children = self._children, web, [web, *self._new_workers()]
        self._coming = []
        for child in self._children[1:]:
            child.start()
        for child in old:
            self._let_go(child)
        logger.info("all processes were replaced")

    def _let_go(self, child: _Child) -> None:
        """Tell a child to end, within the grace period."""
        child.close()
        if child.process is not None:
            child.process.terminate()
            self._leaving.append((child.process, time.monotonic() + settings.KODIAI_GRACE_SECONDS))

    def _see_off(self) -> None:
        """Forget those that have ended, kill those that did not end in time."""
        for process, until in self._leaving[:]:
            if process.poll() is not None:
                self._leaving.remove((process, until))
            elif time.monotonic() > until:
                logger.warning("process did not end in time and is killed", extra={"pid": process.pid})
                process.kill()

    def _stop(self) -> None:
        self._socket.close()
        for child in self._children + self._coming:
            self._let_go(child)
        while self._leaving:
            self._see_off()
            time.sleep(0.02)

    def _new_web(self) -> _Child:
        return _Child("web", WEB, socket=self._socket.fileno())

    def _new_workers(self) -> list[_Child]:
        command = [*MANAGE, "worker", "--skip-checks"]
        return [_Child(f"worker-{number}", command) for number in range(1, self._workers + 1)]


def listen(host: str, port: int) -> socket.socket:
    """Open the socket of the web server. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    if sys.platform == "linux":
        # A web server that is told to end closes what it took and has read nothing of. So it takes nothing before
        # there is something to read, and what is not used until then is left to the next web server.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, SILENT_SECONDS)
    return listening


def child_environment() -> dict[str, str]:
    """The environment of a child: as it was given, because each reads `.env` itself, as it is when the child starts.

    Python finds Kodiai wherever it is started; the working directory stays, for relative paths in settings.
    """
    from kodiai.settings import given_environment

    return {**given_environment, "PYTHONPATH": os.pathsep.join([str(ROOT), given_environment.get("PYTHONPATH", "")])}


def end_with_parent() -> None:
    """Ask Linux to send SIGTERM to a child whose supervisor was killed: nobody else would stop it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
