"""One analyzer: its definition, and its run over a scratch directory."""

import os
import shutil
import signal
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

from reviews.engines import confinement
from reviews.engines.confinement import Overrun, run
from reviews.findings import Finding, Severity, bounded
from reviews.redaction import storable

PROGRAMS = f"{os.path.dirname(sys.executable)}:{confinement.SYSTEM_PATH}"
"""Search path for analyzers: the locked ones in Kodiai's own environment, then the system's."""


class AnalyzerFailed(Exception):
    """An analyzer could not be run, timed out, or printed invalid output. The text gives the reason."""


Read = Callable[[bytes, Mapping[str, str], str], list[Finding]]


@dataclass(frozen=True)
class Analyzer:
    """A command that reads files and prints findings; docs/analyzers.md shows how one is added.

    `command` runs in a scratch directory that contains only the files, with `.` as its last argument or, if
    `names_files` is set, with their names. `read` turns its output, the files (path → text) and that directory into
    findings; it raises `ValueError` for invalid output.
    """

    name: str
    files: tuple[str, ...]
    """Globs: `*.py` and `Dockerfile` match names in any directory, `.github/workflows/*.yml` matches a path."""
    command: tuple[str, ...]
    read: Read
    rules: Mapping[str, Severity] | None = None
    """Severities of the rules that are reported; None: all rules, with the severities that `read` gives."""
    page: str = ""
    """URL of a rule's page, with `{rule}` as placeholder, for findings to which `read` gives none."""
    suppression: str = ""
    """The code comment that suppresses a rule, and where to put it: "`# noqa: {rule}` at the end of the line".

    `{rule}` stands for the rule, `{name}` for the rule without its family. Empty if the analyzer supports none.
    """
    not_suppressible: tuple[str, ...] = ()
    """Prefixes of rules that no comment suppresses: those for files that cannot be parsed."""
    names_files: bool = False
    success_codes: tuple[int, ...] = (0,)
    url: str = ""
    licence: str = ""
    """SPDX identifier of the licence of the tool and its rules."""

    def reads(self, path: str) -> bool:
        """Return whether the analyzer reads files of this name."""
        name = path.rpartition("/")[2]
        return any(
            fnmatchcase(name, glob)
            if "/" not in glob
            else fnmatchcase(path, glob) and path.count("/") == glob.count("/")
            for glob in self.files
        )

    def configured(self, finding: Finding) -> Finding | None:
        """Give a finding its rule's severity, page and suppression comment; None if its rule is not reported."""
        if self.rules is not None:
            if finding.rule not in self.rules:
                return None
            finding = replace(finding, severity=self.rules[finding.rule])
        return replace(
            finding,
            rule_url=finding.rule_url or self.page.format(rule=finding.rule),
            suppression=self._suppression(finding.rule),
        )

    def _suppression(self, rule: str) -> str:
        if rule.startswith(self.not_suppressible):
            return ""
        family, _, name = rule.replace("(", "/").rstrip(")").rpartition("/")
        # oxlint reports core rules in the family `eslint`, and comments name them without it.
        full = f"{family}/{name}" if family not in ("", "eslint") else name
        return self.suppression.format(rule=full, name=name)


def safe_path(path: str) -> bool:
    """Return whether a path of a repository can be written below a scratch directory, and only there."""
    parts = PurePosixPath(path).parts
    return (
        bool(parts)
        and not path.startswith("/")
        # git has no names like "a//b" and "./a", and analyzers would report such files under other names.
        and str(PurePosixPath(path)) == path
        and "\0" not in path
        and "\\" not in path
        and ".." not in parts
        and len(path.encode(errors="replace")) <= 1024
        and all(0 < len(part.encode(errors="replace")) <= 255 for part in parts)
        and not any("\ud800" <= character <= "\udfff" for character in path)
    )


def clashing(paths: Iterable[str]) -> set[str]:
    """The paths that cannot be in one directory tree with the others.

    A file that another path uses as a directory, and names that differ only in case or Unicode normalisation, which
    some file systems treat as equal.
    """
    by_name: dict[str, set[str]] = {}
    for path in paths:
        by_name.setdefault(_normalised(path), set()).add(path)
    directories = {_normalised(str(parent)) for path in paths for parent in PurePosixPath(path).parents}
    return {path for name, same in by_name.items() if len(same) > 1 or name in directories for path in same}


def _normalised(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def run_analyzer(analyzer: Analyzer, files: Mapping[str, str], deadline: float | None = None) -> list[Finding]:
    """Write `files` (safe path → text) into a scratch directory and run the analyzer over it until `deadline`.

    `deadline` is a value of `time.monotonic()`; by default the analyzer has `confinement.TIME_LIMIT`. Raises
    `AnalyzerFailed`.
    """
    if deadline is None:
        deadline = time.monotonic() + confinement.TIME_LIMIT
    with (
        tempfile.TemporaryDirectory(prefix="kodiai-", ignore_cleanup_errors=True) as scratch,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
    ):
        root = os.path.realpath(scratch)
        try:
            _write(files, root)
        except (OSError, UnicodeEncodeError) as error:
            raise AnalyzerFailed(f"its input files could not be written: {type(error).__name__}") from error
        program = shutil.which(analyzer.command[0], path=PROGRAMS)
        if program is None:
            raise AnalyzerFailed("it is not installed")
        # "./": a name that starts with a dash must not be read as an option.
        names = [f"./{path}" for path in files] if analyzer.names_files else ["."]
        try:
            left = max(0.0, deadline - time.monotonic())
            status = run([program, *analyzer.command[1:], *names], root, output, errors, left)
        except Overrun as error:
            raise AnalyzerFailed(f"it took longer than {confinement.TIME_LIMIT} seconds") from error
        except OSError as error:
            raise AnalyzerFailed(f"it could not be started: {error.strerror}") from error
        size = os.fstat(output.fileno()).st_size
        if size >= confinement.OUTPUT_LIMIT:
            raise AnalyzerFailed(f"its output exceeds {confinement.OUTPUT_LIMIT} bytes")
        if status not in analyzer.success_codes:
            raise AnalyzerFailed(f"it {_describe_exit(status)}{_last_line(errors)}")
        output.seek(0)
        try:
            found = analyzer.read(output.read(size), files, root)
            return [bounded(reported) for finding in found if (reported := analyzer.configured(finding))]
        except (ValueError, KeyError, TypeError) as error:
            raise AnalyzerFailed(f"its output is invalid: {type(error).__name__}") from error


def _write(files: Mapping[str, str], root: str) -> None:
    for path, text in files.items():
        target = Path(root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        # newline="": the bytes must be those of the repository, so that lines and columns are too.
        # "x": a name that this file system treats as an existing one is an error, not another file's findings.
        with target.open("x", encoding="utf-8", newline="") as file:
            file.write(text)


def _describe_exit(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def _last_line(errors: IO[bytes]) -> str:
    """The last line of standard error, as the end of a sentence."""
    errors.seek(max(0, os.fstat(errors.fileno()).st_size - 4096))
    lines = errors.read(4096).decode(errors="replace").strip().splitlines()
    # `unshare` prints an error of its own if a signal killed the command.
    lines = [line for line in lines if not line.startswith("unshare: ")]
    return f": {storable(lines[-1], 200)}" if lines else ""
