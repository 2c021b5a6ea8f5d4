"""ruff: Python, with fixes that become suggestions.

Kodiai reads ruff's JSON, not its SARIF: only the JSON marks unsafe fixes, and an unsafe fix must not be
offered for one click. Source: ruff documentation, "Fix safety".
"""

import json
import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set

from pydantic import BaseModel, ConfigDict, PositiveInt, TypeAdapter

from reviews.config.linters import LinterSettings
from reviews.config.linters.python import NEWEST
from reviews.engines import dialects
from reviews.engines.analyzer import Analyzer
from reviews.engines.analyzers import python_names
from reviews.engines.source import Edit, Position, Source
from reviews.findings import Finding, Severity, Suggestion

CRITICAL = """
    E902 F404 F407 F621 F622 F701 F702 F704 F706 F707 F821 F823 PLE0115 PLE0117 PLE0118 PLE1142 PLE1700
"""
"""Python refuses the file, or raises an error where the line runs."""
MAJOR = """
    B002 B003 B012 B015 B016 B029 B030 B035 F501 F502 F503 F505 F506 F507 F508 F509 F521 F524 F525 F601 F602
    F631 F632 F633 F634 F811 F822 F901 PLE0100 PLE0101 PLE0116 PLE0237 PLE0241 PLE0302 PLE0303 PLE0304 PLE0305 PLE0307
    PLE0308 PLE0309 PLE0604 PLE0605 PLE0643 PLE1132 PLE1205 PLE1206 PLE1300 PLE1307 PLE1507 PLE1519 PLE1520 PLE2502
"""
"""Most likely not what the author meant: always true, never called, a wrong number of arguments."""
MINOR = """
    B005 B018 B020 B021 B022 B025 B031 B032 B033 B039 F401 F402 F504 F522 F523 F841 PLE1310 PLE2510
    PLE2512 PLE2513 PLE2514 PLE2515
"""
INFO = "B006 B014 B017 B019 B026 B034 B904 E711 E713 E714 E721 E722 E742 E743 F541 F842 PLE0704"
"""True, and mostly a matter of taste."""
# Not reported. Style: E401, E402, E701, E702, E703, E712, E731, E741, B007, B009, B010, B011, B013, B028, B905, B911,
# B912. Noise in correct code: B004, B008 (FastAPI's and typer's defaults), B023 (closures called in the same
# iteration), B024, B027, F403, F405, F406 (star imports), F722 (jaxtyping's annotations).
SEVERITIES = {
    "invalid-syntax": Severity.CRITICAL,
    **{
        rule: severity
        for severity, rules in (
            (Severity.CRITICAL, CRITICAL),
            (Severity.MAJOR, MAJOR),
            (Severity.MINOR, MINOR),
            (Severity.INFO, INFO),
        )
        for rule in rules.split()
    },
}
BUILTINS = ("dbutils", "display", "get_config", "get_ipython", "reveal_locals", "reveal_type", "snakemake", "spark")
"""Names that notebooks, Jupyter's configuration, Snakemake, Databricks and type checkers define."""
SYNTAX, UNUSED_IMPORT, UNUSED_VARIABLE, REDEFINED, UNDEFINED = "invalid-syntax", "F401", "F841", "F811", "F821"
REPEATED_KEY = "F601"
_TASTE = {
    # The call may be wanted for what it does.
    UNUSED_VARIABLE: re.compile(
        r"\s*(?:except|(?:async\s+)?with)\b|\s*\w+\s*(?::[^=]+)?=\s*(?:(?:await|not)\s+)*[\w.]+(?:\[[^\]]*\])?\("
    ),
    # The same module twice, which harms nobody.
    REDEFINED: re.compile(r"\s*(?:from|import)\b"),
    # An attribute may be read for what its getter does.
    "B018": re.compile(r"\s*\w[^\s#=,]*\.\w+\s*(?:#|$)"),
    # What the call returns is mostly None, as `__init__` must.
    "PLE0101": re.compile(r"\s*return\s+(?:await\s+)?[\w.]+\("),
}
"""Lines of code on which a rule is a matter of taste."""
_ATTRIBUTE = "useless attribute access"
"""In the message of `B018`."""
_GETTEXT = "`_`"
"""`gettext.install` makes it a built-in name. Source: Python docs, gettext."""
_UNEVALUATED = re.compile(r"(?:->|[:\[|,(])\s*[\"'][\w.\[\], |]*$")
"""What stands before a name in a string that is an annotation."""
MAX_ARGUMENT = 100_000
"""Bytes of one argument. Linux accepts 131,072 (MAX_ARG_STRLEN, execve(2))."""


class _Location(BaseModel):
    """1-based. Columns count characters."""

    model_config = ConfigDict(strict=True, frozen=True)

    row: PositiveInt
    column: PositiveInt


class _Edit(BaseModel):
    content: str
    location: _Location
    end_location: _Location


class _Fix(BaseModel):
    applicability: str
    message: str | None = None
    edits: list[_Edit] = []


class _Entry(BaseModel):
    """A finding in ruff's JSON: the fields that are read."""

    filename: str
    location: _Location
    end_location: _Location
    code: str | None = None
    message: str
    url: str | None = None
    fix: _Fix | None = None


_OUTPUT = TypeAdapter(list[_Entry])


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read ruff's JSON, in which paths are absolute, into findings in `files`, which were written below `root`."""
    by_line: dict[tuple[str, str, int], list[_Entry]] = {}
    sources: dict[str, Source] = {}
    needed: dict[str, set[Edit]] = {}
    for entry in _OUTPUT.validate_json(output):
        path = os.path.relpath(entry.filename, root)
        source = sources.get(path) or sources.setdefault(path, Source(files[path], lone_returns=True))
        rule = entry.code or SYNTAX
        line = source.line(entry.location.row)
        if rule == UNDEFINED and dialects.has_template_tag(source.text(line)):
            rule = SYNTAX  # `{{ cookiecutter.name }}` is a set in a set for ruff.
        if python_names.is_intended(rule, entry.message, _bound(entry, source), path, line, files):
            needed.setdefault(path, set()).update(_edits(entry))
            continue
        # `import a, b` is one remark.
        key = (path, rule, line) if rule == UNUSED_IMPORT else (path, rule, -len(by_line) - 1)
        by_line.setdefault(key, []).append(entry)
    findings = [
        _finding(path, rule, entries, sources[path], needed.get(path, set()))
        for (path, rule, _), entries in by_line.items()
    ]
    return dialects.first_errors(findings, files, (SYNTAX,), dialects.is_python_dialect)


def _finding(
    path: str, rule: str, entries: Sequence[_Entry], source: Source, needed: Set[Edit] = frozenset()
) -> Finding:
    """The finding of one entry, or of several unused imports on one line.

    `needed` are edits that remove a name that something needs: ruff's fix of one name of an import removes all others
    of the statement that the file does not use.
    """
    first = entries[0]
    start, end = source.line(first.location.row), source.line(first.end_location.row)
    code = source.text(start)
    message, fix = first.message, (first.fix.message or "") if first.fix else ""
    if len(entries) > 1:
        names = [entry.message.partition("` ")[0] + "`" for entry in entries]
        message = f"{', '.join(names[:-1])} and {names[-1]} imported but unused"
        fix = "Remove unused imports" if first.fix else ""
    return Finding(
        path=path,
        start_line=start,
        # An end in column 1 is the end of the previous line.
        end_line=max(start, end - 1 if first.end_location.column == 1 else end),
        severity=_severity(first, source) if not _may_be_modules(entries, code, source) else Severity.INFO,
        rule=rule,
        rule_url=first.url or "",
        message=message,
        fix=fix,
        suggestion=None
        if any(_may_be_needed(entry, code, source) or not needed.isdisjoint(_edits(entry)) for entry in entries)
        else _suggestion(entries, source),
        snippet=code,
    )


def _severity(entry: _Entry, source: Source) -> Severity:
    """The severity of an entry, by its rule and the code that it is on."""
    rule, line = entry.code or SYNTAX, source.line(entry.location.row)
    code = source.text(line)
    if _ATTRIBUTE in entry.message or (rule in _TASTE and _TASTE[rule].match(code)):
        return Severity.INFO
    if rule == UNDEFINED and (
        _GETTEXT in entry.message
        or _UNEVALUATED.search(code[: entry.location.column - 1])
        or python_names.is_carried_on(_bound(entry, source), source, line, assigned=False)
    ):
        return Severity.MINOR  # The file does not show that the line fails when it runs.
    if rule == REPEATED_KEY and entry.fix is not None:
        return Severity.MINOR  # ruff offers a fix where the values are equal: nothing is lost.
    return SEVERITIES.get(rule, Severity.MINOR)


def _bound(entry: _Entry, source: Source) -> str:
    """The code that an entry is on; empty if it has several lines."""
    start, end = entry.location, entry.end_location
    return source.text(source.line(start.row))[start.column - 1 : end.column - 1] if start.row == end.row else ""


def _may_be_modules(entries: Sequence[_Entry], code: str, source: Source) -> bool:
    """Return whether all unused imports of a line may be modules that are imported for their side effects.

    A module of which another line imports something is loaded anyway.
    """
    return all(
        entry.code == UNUSED_IMPORT
        and python_names.may_be_a_module(_module(entry), _bound(entry, source), code, source)
        for entry in entries
    )


def _module(entry: _Entry) -> str:
    return entry.message.removeprefix("`").partition("`")[0]


def _may_be_needed(entry: _Entry, code: str, source: Source) -> bool:
    return entry.code == UNUSED_IMPORT and python_names.may_have_side_effects(
        _module(entry), _bound(entry, source), code
    )


def _suggestion(entries: Sequence[_Entry], source: Source) -> Suggestion | None:
    """The safe fixes of all entries as one suggestion."""
    edits: dict[Edit, None] = {}
    for entry in entries:
        if entry.fix is None or entry.fix.applicability != "safe":
            return None
        edits |= dict.fromkeys(_edits(entry))
    return source.suggestion(list(edits))


def _edits(entry: _Entry) -> list[Edit]:
    return [_edit(edit) for edit in entry.fix.edits] if entry.fix else []


def _edit(edit: _Edit) -> Edit:
    return Edit(_position(edit.location), _position(edit.end_location), edit.content)


def _position(location: _Location) -> Position:
    return location.row, location.column


def arguments(paths: Collection[str], settings: LinterSettings) -> tuple[str, ...]:
    """Pass the version of Python to ruff: the most common one of the files, and exceptions file by file."""
    versions = {path: settings.python_version(path) for path in paths}
    [(common, _), *others] = Counter(versions.values()).most_common() or [(NEWEST, 0)]
    named = (f"--target-version=py3{common}",)
    if not others:
        return named
    exceptions = ", ".join(f'{_pattern(path)} = "py3{minor}"' for path, minor in versions.items() if minor != common)
    argument = f"--config=per-file-target-version = {{{exceptions}}}"
    # Longer than one argument may be: the files get the version of most others.
    return (*named, argument) if len(argument.encode()) < MAX_ARGUMENT else named


def _pattern(path: str) -> str:
    """Return the pattern that matches one path, as a string of TOML. In brackets a character stands for itself."""
    # A leading "!" would negate. TOML, unlike JSON, has no unescaped U+007F.
    escaped = "./" + re.sub(r"([*?\[\]{}])", r"[\1]", path)
    return json.dumps(escaped, ensure_ascii=False).replace("\x7f", "\\u007f")


ANALYZER = Analyzer(
    name="ruff",
    files=("*.py", "*.pyi"),
    command=(
        "ruff",
        "check",
        # No configuration from the pull request or the machine. By default ruff excludes node_modules, .venv and the
        # like; changes there are analysed too.
        "--isolated",
        "--config=exclude=[]",
        "--no-respect-gitignore",
        "--no-cache",
        "--exit-zero",
        "--quiet",
        "--output-format=json",
        f"--select={','.join(rule for rule in SEVERITIES if rule != 'invalid-syntax')}",
        f"--config=builtins={list(BUILTINS)}",
    ),
    arguments=arguments,
    read=read,
    compares=True,
    suppression="`# noqa: {rule}` at the end of the line",
    parse_error_rules=("invalid-syntax", "E9"),
    breakage_rules=("F401", "F811", "F82", "F841", "F7", "PLE"),
    distribution="ruff",
    url="https://docs.astral.sh/ruff/",
    licence="MIT",
)
