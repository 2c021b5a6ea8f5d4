"""Disks of the tests' own, small enough to be filled."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own at `folder`, in memory; a mere folder where none may be mounted (`fill` then skips)."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Other files take all the space that the disk has. Skips the test where it is no disk of its own."""
    if not disk.is_mount():
        pytest.skip("a disk of its own may be mounted by root alone, and is what this test fills")
    ballast = disk / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            # The last pieces are as small as the system's pages.
            for size in (1 << 20, 4096):
                _fill(file.fileno(), size)
        yield
    finally:
        ballast.unlink()


def _fill(file: int, size: int) -> None:
    while True:
        try:
            os.write(file, b"\0" * size)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return
