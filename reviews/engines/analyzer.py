"""Running one analyzer over a scratch directory."""

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
"""Where analyzers are: the locked ones in Kodiai's own environment, then the system's."""


class AnalyzerFailed(Exception):
    """An analyzer could not be run, ran out of time, or printed what cannot be read. The text says why."""


Read = Callable[[bytes, Mapping[str, str], str], list[Finding]]


@dataclass(frozen=True)
class Analyzer:
    """A command that reads files and prints findings; docs/analyzers.md shows how one is added.

    `command` runs in a scratch directory that holds nothing but the files, with `.` as its last argument or, if it
    `names_files`, with their names. `read` turns its output, the files (path → text) and that directory into findings;
    it raises `ValueError` for what it cannot read.
    """

    name: str
    files: tuple[str, ...]
    """Globs: `*.py` and `Dockerfile` are names in any directory, `.github/workflows/*.yml` is a path."""
    command: tuple[str, ...]
    read: Read
    rules: Mapping[str, Severity] | None = None
    """The rules that are told, and how severe they are; None for what `read` says."""
    page: str = ""
    """The address of a rule's page, with `{rule}` in it, where `read` knows none."""
    silence: str = ""
    """The comment in the code that silences a rule, and where it goes, with `{rule}` in it, or `{name}` for the rule
    without its family: "`# noqa: {rule}` at the end of the line". Empty where it obeys none."""
    not_silenced: tuple[str, ...] = ()
    """What rules begin with that no comment silences: those of files that it could not parse."""
    names_files: bool = False
    success_codes: tuple[int, ...] = (0,)
    url: str = ""
    licence: str = ""
    """Of the tool and its rules, as SPDX writes it."""

    def reads(self, path: str) -> bool:
        name = path.rpartition("/")[2]
        return any(
            fnmatchcase(name, glob)
            if "/" not in glob
            else fnmatchcase(path, glob) and path.count("/") == glob.count("/")
            for glob in self.files
        )

    def chosen(self, finding: Finding) -> Finding | None:
        """A finding as it is told, None if it is of a rule that is not."""
        if self.rules is not None:
            if finding.rule not in self.rules:
                return None
            finding = replace(finding, severity=self.rules[finding.rule])
        return replace(
            finding,
            rule_url=finding.rule_url or self.page.format(rule=finding.rule),
            silence=self._silence(finding.rule),
        )

    def _silence(self, rule: str) -> str:
        if rule.startswith(self.not_silenced):
            return ""
        family, _, name = rule.replace("(", "/").rstrip(")").rpartition("/")
        # oxlint has a family of its own for what a comment calls by its name alone.
        full = f"{family}/{name}" if family not in ("", "eslint") else name
        return self.silence.format(rule=full, name=name)


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


def run_analyzer(analyzer: Analyzer, files: Mapping[str, str], deadline: float | None = None) -> list[Finding]:
    """Write `files` (safe path → text) into a scratch directory and run the analyzer over it until `deadline`.

    The deadline is one of `time.monotonic`; without one it has the time of a whole run. Raises `AnalyzerFailed`.
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
            raise AnalyzerFailed(f"its files could not be written: {type(error).__name__}") from error
        program = shutil.which(analyzer.command[0], path=PROGRAMS)
        if program is None:
            raise AnalyzerFailed("it is not installed")
        # "./": a name that begins with a dash is no option.
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
            raise AnalyzerFailed(f"it printed {confinement.OUTPUT_LIMIT} bytes and more")
        if status not in analyzer.success_codes:
            raise AnalyzerFailed(f"it {_how_it_ended(status)}{_last_words(errors)}")
        output.seek(0)
        try:
            found = analyzer.read(output.read(size), files, root)
            return [bounded(chosen) for finding in found if (chosen := analyzer.chosen(finding))]
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
