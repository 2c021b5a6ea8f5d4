"""Files of SQLite that only Kodiai's user may read, whatever the umask."""

import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

FILE_MODE, FOLDER_MODE = 0o600, 0o700


class PrivateConnection(sqlite3.Connection):
    """A connection that makes a missing database file, and its folder, readable by their owner alone.

    SQLite gives the -wal and -shm files the mode of the database. Source: SQLite's os_unix.c, findCreateFileMode.
    """

    def __init__(self, database: Any, *args: Any, **kwargs: Any) -> None:
        name = os.fspath(database)
        if name and name != ":memory:" and not name.startswith("file:"):
            make_private_file(Path(name))
        super().__init__(database, *args, **kwargs)


def make_private_file(path: Path) -> None:
    """Make an empty file, and its folders, if they are missing. Whatever fails, SQLite says it better."""
    with suppress(OSError):
        if not path.parent.exists():
            make_private_folder(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))


def why_unusable(path: Path) -> str:
    """Make the folder of a database file if it is missing; return why that file cannot be there, empty if it can."""
    try:
        if not path.parent.exists():
            make_private_folder(path.parent)
        if not path.parent.is_dir() or path.is_dir():
            return f"{path if path.is_dir() else path.parent} is {'a' if path.is_dir() else 'no'} folder"
    except OSError as error:
        return f"the folder {path.parent} cannot be made ({error.strerror})"
    return ""


def make_private_folder(path: Path) -> None:
    """Make a folder, and its missing parents with the usual mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(FOLDER_MODE)


def loose_files(path: Path) -> list[Path]:
    """Which of a database's files other users may read or write, and its folder if they may write there.

    They are named, not changed: somebody may have given a group its access on purpose.
    """
    files = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]
    loose = [file for file in files if _mode(file) & 0o077]
    return loose + ([path.parent] if _mode(path.parent) & 0o022 and not _mode(path.parent) & stat.S_ISVTX else [])


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0
