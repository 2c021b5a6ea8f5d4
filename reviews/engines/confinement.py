"""What holds an analyzer in: limits of the kernel, namespaces where the system has them, and an end for all it started.

The analyzer is trusted, what it reads is not: a parser that a hostile file takes over must not reach Kodiai's secrets,
the network or the next run, and must not use up the machine.

Everything is set by three commands before the analyzer's own, `setpriv`, `unshare` and `prlimit`: they are in
util-linux, which Debian and its slim images always have. Python's own way, a function between fork and exec, can
deadlock in a process with threads, and the worker has some.
"""

import logging
import os
import resource
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

logger = logging.getLogger(__name__)

TIME_LIMIT = 60
"""Seconds that the analyzers, side by side, may take for one review."""
OUTPUT_LIMIT = 8 * 1024 * 1024
"""Bytes of any file that an analyzer writes, its output included: some 10,000 findings. The kernel holds it to that
while it runs; more is a failure, not a review of a thousand pages."""
MEMORY_LIMIT = 1024 * 1024 * 1024
"""Bytes of address space. ruff needs less than 64 MiB for three hundred small files."""
CPU_LIMIT = 60
"""Seconds of processor time of each process, all of its threads together."""
FILES_LIMIT = 256
"""Open files of each process. ruff is content with 8."""
PROCESSES_LIMIT = 64
"""Processes and threads, where they are counted for the analyzer alone: in a user namespace of its own."""
USER_PROCESSES_LIMIT = 4096
"""The same where the kernel counts all that the user runs, other containers included: a fork bomb ends there, and
nobody's everyday is near. (Too low a limit would be worse than none: ruff without threads waits for ever.) For root
this limit does not exist, one more reason to run Kodiai as anybody else."""
THREADS = 4
"""Threads that an analyzer written in Rust starts, so that a machine of a hundred cores does not meet the limits."""

SYSTEM_PATH = "/usr/bin:/bin"

# Ends with the worker, however that ends, and gains no rights by a set-uid program. To the kernel the worker is the
# thread that started it: that thread has to wait for its end, as `run` does.
_BOUND = ("setpriv", "--no-new-privs", "--pdeathsig=KILL", "--")
# Network: none, not even the machine's own addresses. Processes: numbered anew, and when the first ends all others do.
# User: the same one, without any right over what is outside, so that the worker's /proc/…/environ is closed to it.
_NAMESPACES = ("--net", "--pid", "--fork", "--kill-child", "--")
_WAYS = (
    (*_BOUND, "unshare", "--user", "--map-current-user", *_NAMESPACES),
    (*_BOUND, "unshare", *_NAMESPACES),
    _BOUND,
)
"""From the best to the least."""


class Overrun(Exception):
    """The command ran out of time."""


def run(
    command: Sequence[str], directory: str, output: IO[bytes], errors: IO[bytes], seconds: float | None = None
) -> int:
    """Run a command confined to its limits, in `directory`, until it and all that it started is gone.

    It has `seconds`, or the time of a whole run. Returns its exit status, negative for a signal. `output` and `errors`
    are files, not pipes, so that nobody who holds them open is waited for. Raises `Overrun` and `OSError`.
    """
    way = confinement()
    # A session and group of its own, so that it can be ended as a whole; no descriptor of ours but the three given.
    process = subprocess.Popen(
        [*way, *_limits(way), *command],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        # No token, no address and no proxy of ours reaches what reads a stranger's files.
        env={"PATH": SYSTEM_PATH, "HOME": directory, "LANG": "C.UTF-8", "RAYON_NUM_THREADS": str(THREADS)},
        start_new_session=True,
    )
    try:
        if not way:
            _limit_late(process.pid)
        return process.wait(TIME_LIMIT if seconds is None else seconds)
    except subprocess.TimeoutExpired as error:
        raise Overrun from error
    finally:
        # Its group also when it ended by itself: what it left behind may write on.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if "--pid" not in way:
            _end_strays(directory)


@cache
def confinement() -> tuple[str, ...]:
    """How this system lets an analyzer be held in, as the beginning of a command; found by trying, once a process.

    Empty where there is no util-linux.
    """
    way: tuple[str, ...]
    for way in _WAYS:
        with suppress(OSError, subprocess.TimeoutExpired):
            tried = subprocess.run(
                [*way, *_limits(way), "true"],
                capture_output=True,
                env={"PATH": SYSTEM_PATH},
                timeout=10,
                check=False,
            )
            if tried.returncode == 0:
                break
    else:
        way = ()
    if "--net" not in way:
        logger.warning("analyzers run with access to the network: this system lets Kodiai make no namespaces")
    return way


def _limits(way: Sequence[str]) -> list[str]:
    if not way:
        return []
    wanted = _wanted(PROCESSES_LIMIT if "--user" in way else USER_PROCESSES_LIMIT)
    return ["prlimit", *(f"--{name}={_possible(kind, limit)}" for name, (kind, limit) in wanted.items()), "--"]


def _wanted(processes: int) -> dict[str, tuple[int, int]]:
    return {
        "as": (resource.RLIMIT_AS, MEMORY_LIMIT),
        "cpu": (resource.RLIMIT_CPU, CPU_LIMIT),
        "fsize": (resource.RLIMIT_FSIZE, OUTPUT_LIMIT),
        "nofile": (resource.RLIMIT_NOFILE, FILES_LIMIT),
        "nproc": (resource.RLIMIT_NPROC, processes),
        "core": (resource.RLIMIT_CORE, 0),
    }


def _possible(kind: int, limit: int) -> int:
    """The limit, or what Kodiai itself was given if that is less: it could not be raised."""
    hard = resource.getrlimit(kind)[1]
    return limit if hard == resource.RLIM_INFINITY else min(limit, hard)


def _limit_late(pid: int) -> None:
    """Set the limits where there is no util-linux: a moment after the start, but before much can happen."""
    if hasattr(resource, "prlimit"):  # Linux
        for kind, limit in _wanted(USER_PROCESSES_LIMIT).values():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, kind, (_possible(kind, limit),) * 2)


def _end_strays(directory: str) -> None:
    """End processes that left the group and live on: those whose home or working directory is the scratch directory.

    Where the analyzer has its own process namespace there are none; the kernel has ended them with the first.
    """
    home = b"HOME=" + os.fsencode(directory)
    for _ in range(100):
        strays = [process for process in Path("/proc").glob("[0-9]*") if _belongs(process, directory, home)]
        if not strays:
            return
        for process in strays:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(int(process.name), signal.SIGKILL)
    logger.error("processes of an analyzer could not be ended", extra={"directory": directory})


def _belongs(process: Path, directory: str, home: bytes) -> bool:
    try:
        return home in (process / "environ").read_bytes().split(b"\0") or os.readlink(process / "cwd") == directory
    except OSError:
        # It ended meanwhile, or is another user's.
        return False
