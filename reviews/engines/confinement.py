"""Confinement of analyzers: resource limits, namespaces where the system has them, and a kill of every process.

The analyzer is trusted, its input is not: a parser that a hostile file exploits must not reach Kodiai's secrets, the
network or the next run, and must not exhaust the machine.

Three commands from util-linux, which Debian and its slim images always have, wrap the analyzer: `setpriv`, `unshare`
and `prlimit`. Python's own way, a function between fork and exec, can deadlock in a process with threads, and the
worker has some.
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
"""Seconds that the analyzers, running in parallel, may take for one review."""
OUTPUT_LIMIT = 8 * 1024 * 1024
"""Bytes of any file that an analyzer writes, its output included: some 10,000 findings. The kernel enforces it; a
larger output fails the analyzer."""
MEMORY_LIMIT = 1024 * 1024 * 1024
"""Bytes of address space. ruff needs less than 64 MiB for three hundred small files."""
CPU_LIMIT = 60
"""Seconds of processor time per process, all of its threads together."""
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

SYSTEM_PATH = "/usr/bin:/bin"

# Killed when the worker ends, and never gains privileges from a set-uid program. For the kernel the parent is the
# thread that started the process: that thread has to wait for the end of the process, as `run` does.
_BOUND = ("setpriv", "--no-new-privs", "--pdeathsig=KILL", "--")
# Network: none, not even loopback. Processes: a namespace whose processes are all killed when the first one ends.
# User: the same, without privileges outside the namespace, so that it cannot read the worker's /proc/…/environ.
_NAMESPACES = ("--net", "--pid", "--fork", "--kill-child", "--")
_PREFIXES = (
    (*_BOUND, "unshare", "--user", "--map-current-user", *_NAMESPACES),
    (*_BOUND, "unshare", *_NAMESPACES),
    _BOUND,
)
"""From the strictest to the weakest."""


class Overrun(Exception):
    """The command timed out."""


def run(
    command: Sequence[str], directory: str, output: IO[bytes], errors: IO[bytes], seconds: float | None = None
) -> int:
    """Run a confined command in `directory` and return its exit status, negative for a signal.

    It has `seconds` (default: `TIME_LIMIT`); every process that it started is killed before this returns. `output` and
    `errors` are files, not pipes: a process that keeps them open delays nothing. Raises `Overrun` and `OSError`.
    """
    prefix = confinement()
    # Its own session and group, so that it can be killed as a whole; it inherits only the three descriptors.
    process = subprocess.Popen(
        [*prefix, *_limits(prefix), *command],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        # No token, URL or proxy setting of Kodiai's reaches a program that reads untrusted files.
        env={"PATH": SYSTEM_PATH, "HOME": directory, "LANG": "C.UTF-8", "RAYON_NUM_THREADS": str(THREADS)},
        start_new_session=True,
    )
    try:
        if not prefix:
            _limit_after_start(process.pid)
        return process.wait(TIME_LIMIT if seconds is None else seconds)
    except subprocess.TimeoutExpired as error:
        raise Overrun from error
    finally:
        # The group even if the command has exited: processes that it left behind may go on writing.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if "--pid" not in prefix:
            _kill_strays(directory)


@cache
def confinement() -> tuple[str, ...]:
    """The strictest confinement that this system supports, as a command prefix; probed once per process.

    Empty without util-linux.
    """
    prefix: tuple[str, ...]
    for prefix in _PREFIXES:
        with suppress(OSError, subprocess.TimeoutExpired):
            probe = subprocess.run(
                [*prefix, *_limits(prefix), "true"],
                capture_output=True,
                env={"PATH": SYSTEM_PATH},
                timeout=10,
                check=False,
            )
            if probe.returncode == 0:
                break
    else:
        prefix = ()
    if "--net" not in prefix:
        logger.warning("analyzers run with network access: this system does not allow namespaces")
    return prefix


def _limits(prefix: Sequence[str]) -> list[str]:
    if not prefix:
        return []
    limits = _limits_for(PROCESSES_LIMIT if "--user" in prefix else USER_PROCESSES_LIMIT)
    return ["prlimit", *(f"--{name}={_attainable(kind, limit)}" for name, (kind, limit) in limits.items()), "--"]


def _limits_for(processes: int) -> dict[str, tuple[int, int]]:
    return {
        "as": (resource.RLIMIT_AS, MEMORY_LIMIT),
        "cpu": (resource.RLIMIT_CPU, CPU_LIMIT),
        "fsize": (resource.RLIMIT_FSIZE, OUTPUT_LIMIT),
        "nofile": (resource.RLIMIT_NOFILE, FILES_LIMIT),
        "nproc": (resource.RLIMIT_NPROC, processes),
        "core": (resource.RLIMIT_CORE, 0),
    }


def _attainable(kind: int, limit: int) -> int:
    """The limit, or the hard limit of this process if that is lower: it cannot be raised."""
    hard = resource.getrlimit(kind)[1]
    return limit if hard == resource.RLIM_INFINITY else min(limit, hard)


def _limit_after_start(pid: int) -> None:
    """Set the limits without util-linux, right after the start of the process."""
    if hasattr(resource, "prlimit"):  # Linux
        for kind, limit in _limits_for(USER_PROCESSES_LIMIT).values():
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
