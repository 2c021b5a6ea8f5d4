"""What an analyzer sees of the file system, and the ways to show it no more than that."""

import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reviews.engines import landlock, scratch

SYSTEM_PATH = "/usr/bin:/bin"
BOUND = ("setpriv", "--no-new-privs", "--pdeathsig=KILL", "--")
"""Killed when the thread that started it ends, and never gains privileges from a set-uid program."""

_LIBRARIES = ("/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/nix/store")
_LINKER_CACHE = "/etc/ld.so.cache"
_DEVICES = ("/dev/null", "/dev/urandom", "/dev/zero")


@dataclass(frozen=True)
class View:
    """The command and all that it sees: what it reads or executes, some devices, and the directory that it writes."""

    command: tuple[str, ...]
    readable: tuple[str, ...]
    directory: str

    @classmethod
    def of(cls, command: Sequence[str], directory: str, reads: Sequence[str]) -> "View":
        """Add what the program needs: the system's libraries, and Python's own if the program is Python."""
        # Its real path: in a virtual environment Python is a symbolic link.
        program = os.path.realpath(command[0])
        python = _python_libraries() if program == os.path.realpath(sys.executable) else ()
        paths = (*_libraries(), *python, program, *reads)
        return cls((program, *command[1:]), _outermost(paths), directory)

    def restrict_thread(self) -> None:
        """Let the calling thread and its processes see nothing else, for good. Raises `OSError`."""
        tools = [tool for name in ("setpriv", "prlimit") if (tool := _tool(name))]
        landlock.restrict_thread((*self.readable, *tools), (self.directory, *_DEVICES))


def in_bubblewrap(view: View, limits: Sequence[str]) -> list[str]:
    """Return the command in its own file system. `limits` is the command that sets them and runs another.

    They are set inside: the kernel counts the processes of a user namespace by themselves.
    """
    wrapped = [*BOUND, "bwrap", "--unshare-user", "--unshare-all", "--die-with-parent", "--disable-userns"]
    wrapped += ["--cap-drop", "ALL"]
    for link, target in _links():
        wrapped += ["--symlink", target, link]
    for path in (*view.readable, _tool("prlimit")):
        wrapped += ["--ro-bind", path, path]
    for path in _DEVICES:
        wrapped += ["--dev-bind", path, path]
    wrapped += ["--bind", view.directory, view.directory, "--remount-ro", "/", "--chdir", view.directory, "--"]
    return [*wrapped, *limits, *view.command]


_MOUNT_AND_ENTER = """
root=$1 directory=$2; shift 2
mount --all --fstab "$root/etc/fstab" &&
exec unshare --root="$root" --wd="$directory" -- "$@"
"""


def in_namespaces(view: View, limits: Sequence[str], stack: ExitStack) -> list[str]:
    """Return the command in its own file system, made by util-linux. It exists until `stack` is closed.

    Who can only change the root can leave it again as long as it has the capability to change it: `setpriv` drops all.
    """
    root = stack.enter_context(scratch.directory())
    dropping = [_tool("setpriv"), "--bounding-set=-all", "--inh-caps=-all", "--"]
    read_only = (*view.readable, _tool("setpriv"), _tool("prlimit"))
    _lay_out(root, (*read_only, *_DEVICES, view.directory))
    # The root itself first: what is mounted on it later is not covered.
    mounts = [(root, root, "ro"), *((path, root + path, "ro") for path in read_only)]
    mounts += [(path, root + path, "rw") for path in (*_DEVICES, view.directory)]
    lines = [f"{_escaped(path)} {_escaped(mounted)} none bind,nosuid,{mode} 0 0\n" for path, mounted, mode in mounts]
    Path(root, "etc/fstab").write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
    namespaces = ("--user", "--map-root-user", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child")
    wrapped = [*BOUND, "unshare", *namespaces, "--", "sh", "-c", _MOUNT_AND_ENTER, "sh", root, view.directory]
    return [*wrapped, *dropping, *_absolute(limits), *view.command]


def _lay_out(root: str, paths: Sequence[str]) -> None:
    """Make an empty file or directory for each path, to mount it there."""
    Path(root, "etc").mkdir()
    for link, target in _links():
        os.symlink(target, root + link)
    for path in paths:
        mounted = Path(root + path)
        if os.path.isdir(path):
            mounted.mkdir(parents=True, exist_ok=True)
        else:
            mounted.parent.mkdir(parents=True, exist_ok=True)
            mounted.touch()


def _escaped(path: str) -> str:
    """A path as fstab(5) writes it."""
    return "".join(f"\\{ord(character):03o}" if character in " \t\n\\" else character for character in path)


def _absolute(command: Sequence[str]) -> list[str]:
    return [_tool(command[0]), *command[1:]]


@cache
def _tool(name: str) -> str:
    """Where a program of the system is; empty if it is not installed."""
    return shutil.which(name, path=SYSTEM_PATH) or ""


@cache
def _libraries() -> tuple[str, ...]:
    found = [path for path in _LIBRARIES if os.path.isdir(path) and not os.path.islink(path)]
    return (*found, _LINKER_CACHE) if os.path.exists(_LINKER_CACHE) else tuple(found)


@cache
def _links() -> tuple[tuple[str, str], ...]:
    """Links to directories of libraries, with their targets: `/lib` → `usr/lib`."""
    return tuple((path, os.readlink(path)) for path in _LIBRARIES if path.count("/") == 1 and os.path.islink(path))


@cache
def _python_libraries() -> tuple[str, ...]:
    """The standard library and libpython; no package that Kodiai has installed in a virtual environment."""
    prefixes = {sys.base_prefix, str(Path(sys.executable).resolve().parent.parent)}
    names = {"lib", sys.platlibdir}
    return tuple(sorted(path for prefix in prefixes for name in names if os.path.isdir(path := f"{prefix}/{name}")))


def _outermost(paths: Sequence[str]) -> tuple[str, ...]:
    """The paths that are below no other one, each once."""
    return tuple(
        path
        for index, path in enumerate(paths)
        if path not in paths[:index] and not any(path.startswith(other + "/") for other in paths)
    )
