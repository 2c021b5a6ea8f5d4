"""One analyzer: its definition, and its run over a scratch directory."""

import os
import shutil
import signal
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import IO

from reviews.config.linters import LinterSettings
from reviews.engines import confinement, scratch
from reviews.engines.confinement import NoWall, Overrun, run
from reviews.engines.kinds import interpreter, may_be_script
from reviews.engines.walls import SYSTEM_PATH
from reviews.findings import Finding, Severity, bounded
from reviews.redaction import storable

PROGRAMS = f"{os.path.dirname(sys.executable)}:{SYSTEM_PATH}"
"""Search path for analyzers: the locked ones in Kodiai's own environment, then the system's."""

REMOVED_NAME = "removed-name"
"""Rule about names that a change removes and still uses. No analyzer has it: see `analysis.removed_names`."""


class AnalyzerFailed(Exception):
    """An analyzer could not be run, timed out, or printed invalid output. The text gives the reason.

    `whatever_it_reads`: it would fail on any file, for example because it is not installed.
    """

    def __init__(self, reason: str, *, whatever_it_reads: bool = False) -> None:
        super().__init__(reason)
        self.whatever_it_reads = whatever_it_reads


Read = Callable[[bytes, Mapping[str, str], str], list[Finding]]
Unread = Callable[[bytes, Mapping[str, str]], list[Finding]]


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
    own_files: tuple[str, ...] = ()
    """Files of Kodiai's that the command reads, such as its configuration; it sees no others."""
    excluded: tuple[str, ...] = ()
    """Globs of names among `files` that are of another kind: `Dockerfile.md`."""
    interpreters: tuple[str, ...] = ()
    """Programs in the shebangs of the scripts without a suffix that the analyzer reads, without their versions."""
    is_source: Callable[[str, str], bool] | None = None
    """Whether a text can be of the kind that its path says: a `*.ts` file may be a translation in XML."""
    scratch_path: Callable[[str], str] | None = None
    """The path under which a file is written, if the command skips files of some names: another one for each file."""
    parse_error_rules: tuple[str, ...] = ()
    """Prefixes of the rules that mean that the analyzer could not parse the whole file. No comment suppresses them."""
    accepts: Callable[[str], bool] | None = None
    """Whether what the file is for accepts a text, as far as that is sure, although the analyzer cannot parse it."""
    unread: Unread | None = None
    """Turns standard error and the files into findings about files that the analyzer could not load."""
    variants: Callable[[str], tuple[str, ...]] | None = None
    """Options for a text. Files with different options are read by separate commands."""
    rules: Mapping[str, Severity] | None = None
    """Severities of the rules that are reported; None: all rules, with the severities that `read` gives."""
    page: str = ""
    """URL of a rule's page, with `{rule}` as placeholder, for findings to which `read` gives none."""
    suppression: str = ""
    """The code comment that suppresses a rule, and where to put it: "`# noqa: {rule}` at the end of the line".

    `{rule}` stands for the rule, `{name}` for the rule without its family. Empty if the analyzer supports none.
    """
    breakage_rules: tuple[str, ...] = ()
    """Prefixes of rules that a change can violate on another line: a renamed name that is still used there.

    A finding of these rules, and of `parse_error_rules`, is reported although its line is unchanged.
    """
    only_breakage_rules: tuple[str, ...] = ()
    """Prefixes of rules that are right only about a line that did not violate them before: on a new line, a name that
    looks undefined may be defined by another file."""
    reads_patches: bool = False
    """The lines of a patch are enough: it reads files of which nothing else is fetched, too."""
    exact_rules: tuple[str, ...] = ()
    """Prefixes of rules of which a changed line with an equal message is a new finding: another secret."""
    distribution: str = ""
    """The Python distribution that installs the command; empty for Kodiai's own analyzers."""
    own_version: str = ""
    """The version of an analyzer of Kodiai's own."""
    arguments: Callable[[Collection[str], LinterSettings], tuple[str, ...]] | None = None
    """Further arguments, for the files of these names and the settings of the repository's linters."""
    compares: bool = False
    """Whether its findings in a file depend on the other files."""
    names_files: bool = False
    success_codes: tuple[int, ...] = (0,)
    url: str = ""
    licence: str = ""
    """SPDX identifier of the licence of the tool and its rules."""

    def with_settings(self, settings: LinterSettings, paths: Collection[str]) -> "Analyzer":
        """Return the analyzer as the settings of the repository's linters ask for it."""
        if self.arguments is None:
            return self
        return replace(self, command=(*self.command, *self.arguments(paths, settings)))

    def reads(self, path: str, text: str | None = None) -> bool:
        """Return whether the analyzer reads files of this name and, if it is known, of this text.

        What is in a file without a suffix only its text shows.
        """
        if not _is_named(path, self.files, self.excluded):
            return text is not None and may_be_script(path) and interpreter(text) in self.interpreters
        return text is None or self.is_source is None or self.is_source(path, text)

    @property
    def version(self) -> str:
        """The installed version; `system` if it is the system's own command."""
        return _installed(self.distribution) if self.distribution else self.own_version

    def is_parse_error(self, finding: Finding) -> bool:
        """Return whether a finding means that the analyzer could not parse the whole file."""
        return finding.engine == self.name and _has_prefix(finding.rule, self.parse_error_rules)

    def is_only_breakage(self, finding: Finding) -> bool:
        """Return whether a finding is right only about a line that did not violate its rule before."""
        return _has_prefix(finding.rule, self.only_breakage_rules)

    def is_breakage(self, finding: Finding) -> bool:
        """Return whether a finding is reported although its line is unchanged."""
        rules = (*self.breakage_rules, *self.only_breakage_rules, *self.parse_error_rules)
        return _has_prefix(finding.rule, rules)

    def is_exact(self, finding: Finding) -> bool:
        """Return whether another line with an equal message is another finding."""
        return _has_prefix(finding.rule, self.exact_rules)

    def configured(self, finding: Finding) -> Finding | None:
        """Give a finding its rule's severity, page and suppression comment; None if its rule is not reported."""
        finding = replace(finding, engine=self.name)
        if self.rules is not None and not finding.internal:
            if finding.rule not in self.rules:
                return None
            finding = replace(finding, severity=self.rules[finding.rule])
        return replace(
            finding,
            rule_url=finding.rule_url or self.page.format(rule=finding.rule),
            suppression=self._suppression(finding.rule),
        )

    def _suppression(self, rule: str) -> str:
        if _has_prefix(rule, self.parse_error_rules):
            return ""
        family, _, name = rule.replace("(", "/").rstrip(")").rpartition("/")
        # oxlint reports core rules in the family `eslint`, and comments name them without it.
        full = f"{family}/{name}" if family not in ("", "eslint") else name
        return self.suppression.format(rule=full, name=name)


@cache
def _installed(distribution: str) -> str:
    """Return the version of an installed package; `system` if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "system"


@lru_cache(maxsize=4096)
def _is_named(path: str, globs: tuple[str, ...], excluded: tuple[str, ...]) -> bool:
    name = path.rpartition("/")[2]
    if any(fnmatchcase(name, glob) for glob in excluded):
        return False
    return any(
        fnmatchcase(name, glob) if "/" not in glob else fnmatchcase(path, glob) and path.count("/") == glob.count("/")
        for glob in globs
    )


def _has_prefix(rule: str, prefixes: tuple[str, ...]) -> bool:
    return bool(prefixes) and rule.startswith(prefixes)


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


def run_analyzer(analyzer: Analyzer, files: Mapping[str, str], seconds: float | None = None) -> list[Finding]:
    """Write `files` (safe path → text) into a scratch directory and run the analyzer over it.

    It has `seconds` (default: `confinement.TIME_LIMIT`). Raises `AnalyzerFailed`.
    """
    end = time.monotonic() + (confinement.TIME_LIMIT if seconds is None else seconds)
    by_options: dict[tuple[str, ...], dict[str, str]] = {}
    for path, text in files.items():
        by_options.setdefault(analyzer.variants(text) if analyzer.variants else (), {})[path] = text
    return [finding for options, own in by_options.items() for finding in _run_command(analyzer, options, own, end)]


def _run_command(analyzer: Analyzer, options: Sequence[str], files: Mapping[str, str], end: float) -> list[Finding]:
    paths = {analyzer.scratch_path(path) if analyzer.scratch_path else path: path for path in files}
    written = {name: files[path] for name, path in paths.items()}
    with (
        scratch.directory() as root,
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
    ):
        try:
            _write(written, root)
        except (OSError, UnicodeEncodeError) as error:
            raise AnalyzerFailed(f"its input files could not be written: {type(error).__name__}") from error
        program = shutil.which(analyzer.command[0], path=PROGRAMS)
        if program is None:
            raise AnalyzerFailed("it is not installed", whatever_it_reads=True)
        # "./": a name that starts with a dash must not be read as an option.
        names = [f"./{name}" for name in written] if analyzer.names_files else ["."]
        try:
            left = max(0.0, end - time.monotonic())
            command = [program, *analyzer.command[1:], *options, *names]
            status = run(command, root, output, errors, left, analyzer.own_files)
        except Overrun as error:
            raise AnalyzerFailed("it took too long") from error
        except NoWall as error:
            reason = "it must be confined (`KODIAI_CONFINEMENT`), and this system has no way to do so"
            raise AnalyzerFailed(reason, whatever_it_reads=True) from error
        except OSError as error:
            raise AnalyzerFailed(f"it could not be started: {error.strerror}", whatever_it_reads=True) from error
        size = os.fstat(output.fileno()).st_size
        if size >= confinement.OUTPUT_LIMIT:
            raise AnalyzerFailed(f"its output exceeds {confinement.OUTPUT_LIMIT} bytes")
        if status not in analyzer.success_codes:
            raise AnalyzerFailed(f"it {_describe_exit(status)}{_last_line(errors)}")
        output.seek(0)
        try:
            found = analyzer.read(output.read(size), written, root)
            if analyzer.unread is not None:
                errors.seek(0)
                found += analyzer.unread(errors.read(confinement.OUTPUT_LIMIT), written)
            found = [replace(finding, path=paths[finding.path]) for finding in found]
            # Once, for an engine that reports each column of a line.
            return list(
                dict.fromkeys(bounded(reported) for finding in found if (reported := analyzer.configured(finding)))
            )
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
    # `unshare` prints its own error if a signal killed the command.
    lines = [line for line in lines if not line.startswith("unshare: ")]
    return f": {storable(lines[-1], 200)}" if lines else ""
