"""Confinement of analyzers: limits, a view of the files that they need and no others, and a kill of every process.

The analyzer is trusted, its input is not: a parser that a hostile file exploits must not reach Kodiai's files, the
network, other processes or the next run, and must not exhaust the machine.

Programs that Debian has (bubblewrap; `setpriv`, `unshare` and `prlimit` of util-linux) wrap the analyzer, or the thread
that starts it is restricted. Python's own way, a function between fork and exec, can deadlock in a process with
threads, and the worker has some.
"""

import logging
import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import IO

from reviews.engines import landlock, walls
from reviews.engines.walls import SYSTEM_PATH, View

logger = logging.getLogger(__name__)

TIME_LIMIT = 60
"""Seconds that the analyzers, running in parallel, may take for one review."""
OUTPUT_LIMIT = 8 * 1024 * 1024
"""Bytes of any file that an analyzer writes, its output included: some 10,000 findings. The kernel enforces it; a
larger output fails the analyzer."""
MEMORY_LIMIT = 1024 * 1024 * 1024
"""Bytes of address space. ruff needs less than 64 MiB for three hundred small files."""
CPU_LIMIT = 60
"""Seconds of processor time per process, all of its threads together."""
MIN_CPU_LIMIT, CPU_BYTES = 3, 10_000
"""Less for few files: so many seconds, and one for each so many bytes. A small file that stalls holds up others for no
longer. Of 66 public scripts from 8 kB to 1.3 MB none took ShellCheck, the slowest, a fifth of that."""
FILES_LIMIT = 256
"""Open files per process. ruff needs 8."""
PROCESSES_LIMIT = 64
"""Processes and threads in a user namespace, where only the analyzer's own count."""
USER_PROCESSES_LIMIT = 4096
"""Processes and threads without a user namespace, where the kernel counts all of the user's, other containers included.

High enough for normal use, and it stops a fork bomb. (A limit that is too low is worse than none: without threads ruff
hangs.) It does not apply to root, one more reason not to run Kodiai as root."""
THREADS = 4
"""Threads that an analyzer written in Rust starts, so that it stays within the limits on a machine with many cores."""


class Reach(StrEnum):
    """What an analyzer that was taken over may try to reach."""

    FILES = "files outside its scratch directory"
    METADATA = "names, sizes and dates of other files"
    NETWORK = "the network"
    SOCKETS = "sockets of local services"
    MEMORY = "memory and environment of other processes"
    SIGNALS = "signals to other processes"
    DAEMONS = "processes that hide and outlive it"


@dataclass(frozen=True)
class Confinement:
    """A way to confine analyzers. Memory, time, output and processes are limited by all but `NONE`."""

    name: str
    stops: tuple[Reach, ...]

    @property
    def lacks(self) -> tuple[Reach, ...]:
        """What an analyzer that was taken over can still reach."""
        return tuple(reach for reach in Reach if reach not in self.stops)

    @property
    def is_wall(self) -> bool:
        """Return whether it keeps secrets in: no files, no memory of others, no network and no sockets."""
        return {Reach.FILES, Reach.MEMORY, Reach.NETWORK, Reach.SOCKETS} <= set(self.stops)


BUBBLEWRAP = Confinement("bubblewrap", tuple(Reach))
"""Its own files, network and processes, by bubblewrap."""
NAMESPACES = Confinement("namespaces", tuple(Reach))
"""The same by util-linux alone."""
LANDLOCK = Confinement(
    "landlock",
    (
        Reach.FILES,
        *((Reach.NETWORK, Reach.SOCKETS) if landlock.can_filter() else ()),
        Reach.MEMORY,
        *((Reach.SIGNALS,) if landlock.version() >= landlock.SIGNALS_VERSION else ()),
    ),
)
"""Landlock and a filter of system calls, where namespaces are forbidden, as in most containers."""
LIMITS = Confinement("limits", ())
"""Nothing but the limits."""
NONE = Confinement("none", ())
"""Not even all limits: a system without util-linux, such as macOS."""
WAYS = (BUBBLEWRAP, NAMESPACES, LANDLOCK, LIMITS)
"""From the strictest to the weakest."""


class Overrun(Exception):
    """The command timed out."""


class NoWall(Exception):
    """`KODIAI_CONFINEMENT` is `required`, and no wall works on this system."""


def run(
    command: Sequence[str],
    directory: str,
    output: IO[bytes],
    errors: IO[bytes],
    seconds: float | None = None,
    reads: Sequence[str] = (),
) -> int:
    """Run a confined command in `directory` and return its exit status, negative for a signal.

    Behind a wall it sees that directory, its program, the system's libraries, the files that it `reads`, and nothing
    else. It has `seconds` (default: `TIME_LIMIT`); every process that it started is killed before this returns.
    `output` and `errors` are files, not pipes: a process that keeps them open delays nothing. Raises `Overrun`,
    `NoWall` and `OSError`.
    """
    if is_required() and not in_force().is_wall:
        raise NoWall
    return _run(in_force(), command, directory, output, errors, TIME_LIMIT if seconds is None else seconds, reads)


@cache
def in_force() -> Confinement:
    """Return the strictest confinement that works on this system; probed, by an attempt to break out, once per process.

    Logs a warning if it is no wall: at the start of a worker, which asks for it.
    """
    way = next((way for way in WAYS if works(way)), NONE)
    if not way.is_wall:
        logger.warning(
            "analyzers are not confined: a file that takes one over can do what this user can; install bubblewrap, or "
            "allow user namespaces or Landlock",
            extra={"confinement": way.name, "not_stopped": ", ".join(way.lacks)},
        )
    return way


def is_required() -> bool:
    """Return whether analyzers must not run without a wall. A local review has no settings."""
    try:
        from django.conf import settings
    except ImportError:  # `kodiai review` is installed without the server
        return False
    return settings.configured and getattr(settings, "KODIAI_CONFINEMENT", "auto") == "required"


def works(way: Confinement) -> bool:
    """Return whether this system supports a way: a shell can write, but only here, and read nothing beside."""
    attempt = ': > here && ! (: > "$1/there") && ! (: < "$1/secret")' if way.is_wall else ": > here"
    with (
        tempfile.TemporaryDirectory() as beside,
        tempfile.TemporaryDirectory() as directory,
        Path(os.devnull).open("r+b") as ignored,
    ):
        Path(beside, "secret").touch()
        command = ["/bin/sh", "-c", attempt, "sh", os.path.realpath(beside)]
        try:
            return _run(way, command, os.path.realpath(directory), ignored, ignored, 10) == 0
        except (OSError, Overrun):
            return False


def _run(
    way: Confinement,
    command: Sequence[str],
    directory: str,
    output: IO[bytes],
    errors: IO[bytes],
    seconds: float,
    reads: Sequence[str] = (),
) -> int:
    view = View.of(command, directory, reads)
    # Before the start: the command may make files and remove them meanwhile.
    size = sum(file.lstat().st_size for file in Path(directory).rglob("*"))
    cpu_seconds = min(CPU_LIMIT, MIN_CPU_LIMIT + size // CPU_BYTES)
    restrict: Callable[[], None] | None = None
    with ExitStack() as stack:
        if way == BUBBLEWRAP:
            wrapped = walls.in_bubblewrap(view, _limits(PROCESSES_LIMIT, cpu_seconds))
        elif way == NAMESPACES:
            wrapped = walls.in_namespaces(view, _limits(PROCESSES_LIMIT, cpu_seconds), stack)
        elif way == NONE:
            wrapped = [*view.command]
        else:
            wrapped = [*walls.BOUND, *_limits(USER_PROCESSES_LIMIT, cpu_seconds), *view.command]
            restrict = view.restrict_thread if way == LANDLOCK else None
        # A thread for this command alone: it keeps its restriction until it ends, and hands it on to what it starts.
        # For the kernel it is the parent, whose end kills the process (`--pdeathsig`), so it waits for the process.
        thread = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="confinement"))
        process = thread.submit(_start, restrict, wrapped, directory, output, errors).result()
        try:
            if way == NONE:
                _limit_after_start(process.pid, cpu_seconds)
            status = thread.submit(process.wait).result(max(0.0, seconds))
            # bubblewrap reports a signal as a shell does.
            return 128 - status if way == BUBBLEWRAP and status > 128 else status
        except TimeoutError as error:
            raise Overrun from error
        finally:
            # The group even if the command has exited: processes that it left behind may go on writing.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if Reach.DAEMONS in way.lacks:
                _kill_strays(directory)


def _start(
    restrict: Callable[[], None] | None, command: Sequence[str], directory: str, output: IO[bytes], errors: IO[bytes]
) -> "subprocess.Popen[bytes]":
    if restrict is not None:
        restrict()
    # Its own session and group, so that it can be killed as a whole; it inherits only the three descriptors.
    return subprocess.Popen(
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        # No token, URL or proxy setting of Kodiai's reaches a program that reads untrusted files.
        env={"PATH": SYSTEM_PATH, "HOME": directory, "LANG": "C.UTF-8", "RAYON_NUM_THREADS": str(THREADS)},
        start_new_session=True,
    )


def _limits(processes: int, cpu_seconds: int) -> list[str]:
    limits = _limits_for(processes, cpu_seconds)
    return ["prlimit", *(f"--{name}={_attainable(kind, limit)}" for name, (kind, limit) in limits.items()), "--"]


def _limits_for(processes: int, cpu_seconds: int) -> dict[str, tuple[int, int]]:
    return {
        "as": (resource.RLIMIT_AS, MEMORY_LIMIT),
        "cpu": (resource.RLIMIT_CPU, cpu_seconds),
        "fsize": (resource.RLIMIT_FSIZE, OUTPUT_LIMIT),
        "nofile": (resource.RLIMIT_NOFILE, FILES_LIMIT),
        "nproc": (resource.RLIMIT_NPROC, processes),
        "core": (resource.RLIMIT_CORE, 0),
    }


def _attainable(kind: int, limit: int) -> int:
    """The limit, or the hard limit of this process if that is lower: it cannot be raised."""
    hard = resource.getrlimit(kind)[1]
    return limit if hard == resource.RLIM_INFINITY else min(limit, hard)


def _limit_after_start(pid: int, cpu_seconds: int) -> None:
    """Set the limits without util-linux, right after the start of the process."""
    if hasattr(resource, "prlimit"):  # Linux
        for kind, limit in _limits_for(USER_PROCESSES_LIMIT, cpu_seconds).values():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, kind, (_attainable(kind, limit),) * 2)


def _kill_strays(directory: str) -> None:
    """Kill processes that left the group: those whose home or working directory is the scratch directory.

    Not needed in a process namespace, where the kernel has killed them.
    """
    home = b"HOME=" + os.fsencode(directory)
    for _ in range(100):
        strays = [process for process in Path("/proc").glob("[0-9]*") if _belongs(process, directory, home)]
        if not strays:
            return
        for process in strays:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(int(process.name), signal.SIGKILL)
    logger.error("processes of an analyzer could not be killed", extra={"directory": directory})


def _belongs(process: Path, directory: str, home: bytes) -> bool:
    try:
        return home in (process / "environ").read_bytes().split(b"\0") or os.readlink(process / "cwd") == directory
    except OSError:
        # It has ended meanwhile, or belongs to another user.
        return False
