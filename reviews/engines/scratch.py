"""Scratch directories: private, removed after use, and swept if the process that used one was killed.

Each is locked while it is in use. The kernel releases the lock when the process dies, however it dies, so a directory
that can be locked belongs to nobody.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

_INSTALLATION = sha256(os.fsencode(os.path.realpath(__file__))).hexdigest()[:8]
PREFIX = f"kodiai-{_INSTALLATION}-"
"""Start of the names of this installation's scratch directories, which are in the system's directory for them."""


@contextmanager
def directory() -> Iterator[str]:
    """Create a directory that only this user can enter, yield its real path, and remove it. Raises `OSError`."""
    while True:
        path = os.path.realpath(tempfile.mkdtemp(prefix=PREFIX))
        lock = _lock(path, wait=True)
        if lock is not None and os.path.isdir(path):
            break
        if lock is not None:  # Swept between its creation and its lock.
            os.close(lock)
    try:
        yield path
    finally:
        _remove(path)
        os.close(lock)


def sweep() -> int:
    """Remove the scratch directories whose processes have died; return how many there were.

    Those of other users and of other installations are left alone, and so is every one in use.
    """
    swept = 0
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = _lock(str(path), wait=False)
        if lock is not None:
            _remove(str(path))
            os.close(lock)
            swept += 1
    return swept


def _lock(path: str, *, wait: bool) -> int | None:
    """Lock a directory of this user; return the descriptor that holds the lock, None if that is impossible."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


def _remove(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if os.path.isdir(path):
        # An analyzer can take away its user's permission to list a directory.
        for top, names, _ in os.walk(path):
            for name in names:
                if not os.path.islink(inner := os.path.join(top, name)):
                    with suppress(OSError):
                        os.chmod(inner, 0o700)
        shutil.rmtree(path, ignore_errors=True)
