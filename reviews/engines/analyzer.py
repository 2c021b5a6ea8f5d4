"""Running one analyzer over a scratch directory."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from reviews.findings import Finding

TIME_LIMIT = 60
"""Seconds that an analyzer may take for one review."""
OUTPUT_LIMIT = 32 * 1024 * 1024
"""Bytes of output that are read; more is a failure, not a review of a thousand pages."""


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
        and "\0" not in path
        and "\\" not in path
        and ".." not in parts
        and len(path.encode(errors="replace")) <= 1024
        and all(0 < len(part.encode(errors="replace")) <= 255 for part in parts)
        and not any("\ud800" <= character <= "\udfff" for character in path)
    )


def analyse_files(analyzer: Analyzer, files: Mapping[str, str]) -> list[Finding]:
    """Write `files` (safe path → text) into a scratch directory and run the analyzer over it. Raises AnalyzerFailed."""
    with tempfile.TemporaryDirectory(prefix="kodiai-") as scratch, tempfile.TemporaryFile() as output:
        root = os.path.realpath(scratch)
        for path, text in files.items():
            target = Path(root, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            # newline="": the bytes are to be those of the repository, so that lines and columns are too.
            target.write_text(text, encoding="utf-8", newline="")
        try:
            done = subprocess.run(
                [*analyzer.command, "."],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                timeout=TIME_LIMIT,
                check=False,
                # No token, no address and no proxy of ours reaches what reads a stranger's files.
                env={"PATH": "/usr/bin:/bin", "HOME": root, "LANG": "C.UTF-8"},
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as error:
            raise AnalyzerFailed(f"it took longer than {TIME_LIMIT} seconds") from error
        except OSError as error:
            raise AnalyzerFailed(f"it could not be started: {error.strerror}") from error
        if done.returncode not in analyzer.success_codes:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise AnalyzerFailed(f"it ended with status {done.returncode}" + (f": {said[-1][:200]}" if said else ""))
        if output.tell() > OUTPUT_LIMIT:
            raise AnalyzerFailed(f"it printed more than {OUTPUT_LIMIT} bytes")
        output.seek(0)
        try:
            return analyzer.read(output.read(), files, root)
        except (ValueError, KeyError, TypeError) as error:
            raise AnalyzerFailed(f"its output cannot be read: {type(error).__name__}") from error
