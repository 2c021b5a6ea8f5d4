"""Web server and workers as child processes of one: started, replaced and stopped together, restarted when one dies."""

import ctypes
import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.conf import settings

from kodiai.home import CODE, IS_CHECKOUT

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
NAME = "KODIAI_SUPERVISOR"
"""The variable that names the web server's parent."""
# -P: what stands in the working directory is not imported.
MANAGE = [sys.executable, str(CODE / "manage.py")] if IS_CHECKOUT else [sys.executable, "-P", "-m", "kodiai", "manage"]
WEB = [sys.executable, "-P", "-m", "kodiai.web"]
"""The web server's command; the descriptor of its socket is appended."""


@dataclass
class _Child:
    name: str
    command: list[str]
    socket: int | None = None
    """The listening socket, for a web server, which reports when it serves."""
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
        environment = child_environment() if self.socket is None else web_environment() | {NAME: str(os.getpid())}
        self.process = subprocess.Popen(command, env=environment, pass_fds=passed, preexec_fn=end_with_parent)
        for descriptor in passed[1:]:
            os.close(descriptor)
        self.started = time.monotonic()

    def status(self) -> int | None:
        """Return its exit status; None if it runs or was not started."""
        return None if self.process is None else self.process.poll()

    def serves(self) -> bool:
        """Return whether the web server has reported that it serves."""
        try:
            return self._ready is not None and os.read(self._ready, 1) != b""
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Close the pipe on which it reports."""
        if self._ready is not None:
            os.close(self._ready)
            self._ready = None


class Supervisor:
    """Run a web server and `workers` worker processes until SIGTERM or Ctrl-C; replace them all on SIGHUP.

    It owns the listening socket, so that no connection is refused while it lives. Raises OSError if it cannot listen.
    """

    def __init__(self, *, host: str, port: int, workers: int) -> None:
        self._workers = workers
        self._socket = listen(host, port)
        self._web = self._new_web()
        self._children = [self._web, *self._new_workers()]
        self._terminating: list[tuple[subprocess.Popen[bytes], float]] = []
        self._served = False
        # The replacement in progress: its next steps, and the processes started for it.
        self._replacing: Iterator[bool] | None = None
        self._starting: list[_Child] = []
        # Flags, because a signal handler must not wait for a lock.
        self._stop_requested = self._replace_requested = False

    def run(self) -> bool:
        """Run until a stop is requested. Return False if the web server died before it ever served."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._request_stop())
        signal.signal(signal.SIGUSR1, lambda *_: self._request_replace())
        # From a terminal, SIGHUP means that the terminal was closed.
        in_terminal = sys.stdin is not None and sys.stdin.isatty()
        hung_up = self._request_stop if in_terminal else self._request_replace
        signal.signal(signal.SIGHUP, lambda *_: hung_up())
        try:
            for child in self._children:
                child.start()
            while not self._stop_requested:
                time.sleep(0.1)
                if not self._stop_requested and not self._tend():
                    return False
        finally:
            self._stop()
        return True

    def _request_stop(self) -> None:
        self._stop_requested = True

    def _request_replace(self) -> None:
        self._replace_requested = True

    def _tend(self) -> bool:
        """Restart dead processes and advance a replacement. Return False if the web server cannot start at all."""
        self._served = self._served or self._web.serves()
        now = time.monotonic()
        for child in self._children:
            if (status := child.status()) is not None:
                if child is self._web and not self._served and status > 0:
                    return False
                child.deaths = 1 if now - child.started > STABLE_SECONDS else child.deaths + 1
                shortest, longest = RESTART_SECONDS
                child.start_at = now + min(longest, shortest * 2 ** (child.deaths - 1))
                logger.error("process died, restarting it", extra={"child": child.name, "status": status})
                child.process = None
            if child.process is None and now >= child.start_at:
                child.start()
        self._reap()
        if self._replace_requested and self._replacing is None and self._served:
            self._replace_requested = False
            self._replacing = self._replace()
        if self._replacing is not None and not next(self._replacing, False):
            self._replacing = None
        return True

    def _replace(self) -> Iterator[bool]:
        """Replace all children without a gap in service; yields True while it waits.

        If the new ones cannot start, the old ones stay.
        """
        logger.info("replacing all processes")
        prepare = _Child("prepare", [*MANAGE, "run", "--prepare"])
        self._starting = [prepare]
        prepare.start()
        while (status := prepare.status()) is None:
            yield True
        if status != 0:
            logger.error("databases not prepared, the old processes stay", extra={"status": status})
            return
        web = self._new_web()
        self._starting = [web]
        web.start()
        while not web.serves():
            if web.status() is not None or time.monotonic() > web.started + READY_SECONDS:
                logger.error("new web server does not serve, the old processes stay", extra={"status": web.status()})
                self._terminate(web)
                return
            yield True
        old, self._web, self._children = self._children, web, [web, *self._new_workers()]
        self._starting = []
        for child in self._children[1:]:
            child.start()
        for child in old:
            self._terminate(child)
        logger.info("all processes were replaced")

    def _terminate(self, child: _Child) -> None:
        """Ask a child to end within the grace period."""
        child.close()
        if child.process is not None:
            child.process.terminate()
            self._terminating.append((child.process, time.monotonic() + settings.KODIAI_GRACE_SECONDS))

    def _reap(self) -> None:
        """Forget children that have ended; kill those past the grace period."""
        for process, until in self._terminating[:]:
            if process.poll() is not None:
                self._terminating.remove((process, until))
            elif time.monotonic() > until:
                logger.warning("process did not end in time, killing it", extra={"pid": process.pid})
                process.kill()

    def _stop(self) -> None:
        self._socket.close()
        for child in self._children + self._starting:
            self._terminate(child)
        while self._terminating:
            self._reap()
            time.sleep(0.02)

    def _new_web(self) -> _Child:
        return _Child("web", WEB, socket=self._socket.fileno())

    def _new_workers(self) -> list[_Child]:
        command = [*MANAGE, "worker", "--skip-checks"]
        return [_Child(f"worker-{number}", command) for number in range(1, self._workers + 1)]


def request_replacement() -> bool:
    """From the web server: let the supervisor replace all processes; return False if there is none."""
    supervisor = os.environ.get(NAME, "")
    if not supervisor or int(supervisor) != os.getppid():
        return False
    os.kill(os.getppid(), signal.SIGUSR1)
    return True


def listen(host: str, port: int) -> socket.socket:
    """Open the web server's socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    if sys.platform == "linux":
        # A stopping web server closes connections that it accepted but has not read from. With this option it accepts
        # none before there is something to read, and idle ones are left to the next web server.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, SILENT_SECONDS)
    return listening


def why_not_listening(host: str, port: int, error: OSError) -> str:
    """Say why the socket could not be opened, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is already in use. Set another one with PORT or --port."
    return f"Cannot listen on {host}:{port}: {error.strerror or error}."


def child_environment() -> dict[str, str]:
    """Return a child's environment: without `.env`, which each child reads when it starts.

    PYTHONPATH finds Kodiai from any working directory, which stays as it is for relative paths in settings.
    """
    from kodiai.settings import given_environment

    return {**given_environment, "PYTHONPATH": os.pathsep.join([str(CODE), given_environment.get("PYTHONPATH", "")])}


def web_environment() -> dict[str, str]:
    """Return the web server's environment: the same, with an allocator that returns memory after a flood of requests.

    Source: mallopt(3). Without these, glibc keeps an arena for each thread, and what was freed below what is in use.
    """
    return {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072", **child_environment()}


def end_with_parent() -> None:
    """Ask Linux to send SIGTERM to this process when its supervisor dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
