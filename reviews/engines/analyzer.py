"""Running one analyzer over a scratch directory."""

import os
import shutil
import signal
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from reviews.engines import confinement
from reviews.engines.confinement import Overrun, run
from reviews.findings import Finding, bounded
from reviews.redaction import storable


class AnalyzerFailed(Exception):
    """An analyzer could not be run, ran out of time, or printed what cannot be read. The text says why."""


@dataclass(frozen=True)
class Analyzer:
    """A command that reads files and prints findings.

    `command` gets the scratch directory as its working directory and `.` as its last argument. `read` turns its
    output, the files (path → text) and that directory into findings; it raises `ValueError` for what it cannot read.
    """

    name: str
    suffixes: tuple[str, ...]
    command: tuple[str, ...]
    read: Callable[[bytes, Mapping[str, str], str], list[Finding]]
    success_codes: tuple[int, ...] = (0,)

    def reads(self, path: str) -> bool:
        return path.endswith(self.suffixes)


def safe_path(path: str) -> bool:
    """Tell whether a path of a repository can be written below a scratch directory and nowhere else."""
    parts = PurePosixPath(path).parts
    return (
        bool(parts)
        and not path.startswith("/")
        # "a//b" and "./a" are no names that git has, and analyzers would call those files by another.
        and str(PurePosixPath(path)) == path
        and "\0" not in path
        and "\\" not in path
        and ".." not in parts
        and len(path.encode(errors="replace")) <= 1024
        and all(0 < len(part.encode(errors="replace")) <= 255 for part in parts)
        and not any("\ud800" <= character <= "\udfff" for character in path)
    )


def clashing(paths: Iterable[str]) -> set[str]:
    """Those of `paths` that cannot lie in one directory tree with the others.

    A file that another path takes for a directory, and names that differ in nothing but case or in how their letters
    are composed, which some file systems take for one.
    """
    by_name: dict[str, set[str]] = {}
    for path in paths:
        by_name.setdefault(_folded(path), set()).add(path)
    directories = {_folded(str(parent)) for path in paths for parent in PurePosixPath(path).parents}
    return {path for name, same in by_name.items() if len(same) > 1 or name in directories for path in same}


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def analyse_files(analyzer: Analyzer, files: Mapping[str, str]) -> list[Finding]:
    """Write `files` (safe path → text) into a scratch directory and run the analyzer over it. Raises AnalyzerFailed."""
    with (
        tempfile.TemporaryDirectory(prefix="kodiai-", ignore_cleanup_errors=True) as scratch,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
    ):
        root = os.path.realpath(scratch)
        try:
            _write(files, root)
        except (OSError, UnicodeEncodeError) as error:
            raise AnalyzerFailed(f"its files could not be written: {type(error).__name__}") from error
        if shutil.which(analyzer.command[0], path=confinement.SYSTEM_PATH) is None:
            raise AnalyzerFailed("it is not installed")
        try:
            status = run([*analyzer.command, "."], root, output, errors)
        except Overrun as error:
            raise AnalyzerFailed(f"it took longer than {confinement.TIME_LIMIT} seconds") from error
        except OSError as error:
            raise AnalyzerFailed(f"it could not be started: {error.strerror}") from error
        size = os.fstat(output.fileno()).st_size
        if size >= confinement.OUTPUT_LIMIT:
            raise AnalyzerFailed(f"it printed {confinement.OUTPUT_LIMIT} bytes and more")
        if status not in analyzer.success_codes:
            raise AnalyzerFailed(f"it {_how_it_ended(status)}{_last_words(errors)}")
        output.seek(0)
        try:
            return [bounded(finding) for finding in analyzer.read(output.read(size), files, root)]
        except (ValueError, KeyError, TypeError) as error:
            raise AnalyzerFailed(f"its output cannot be read: {type(error).__name__}") from error


def _write(files: Mapping[str, str], root: str) -> None:
    for path, text in files.items():
        target = Path(root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        # newline="": the bytes are to be those of the repository, so that lines and columns are too.
        # "x": a name that this file system takes for one that is there is an error, not another file's findings.
        with target.open("x", encoding="utf-8", newline="") as file:
            file.write(text)


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _last_words(errors: IO[bytes]) -> str:
    """The last line that it printed on standard error."""
    errors.seek(max(0, os.fstat(errors.fileno()).st_size - 4096))
    said = errors.read(4096).decode(errors="replace").strip().splitlines()
    # `unshare` has a complaint of its own where a signal ended the command.
    said = [line for line in said if not line.startswith("unshare: ")]
    return f": {storable(said[-1], 200)}" if said else ""
