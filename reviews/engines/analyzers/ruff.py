"""ruff: Python, with fixes that become suggestions.

Kodiai reads ruff's JSON, not its SARIF: only the JSON marks unsafe fixes, and an unsafe fix must not be
offered for one click. Source: ruff documentation, "Fix safety".
"""

import json
import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, PositiveInt, TypeAdapter

from reviews.config.linters import LinterSettings
from reviews.config.linters.python import NEWEST
from reviews.engines import dialects
from reviews.engines.analyzer import REMOVED_NAME, Analyzer
from reviews.engines.analyzers import dockerfile, python_names
from reviews.engines.analyzers.python_names import PythonSource
from reviews.engines.source import Edit, Position, Source
from reviews.findings import Finding, Severity, Suggestion, enumerated

CRITICAL = """
    E902 F404 F407 F621 F622 F701 F702 F704 F706 F707 F821 F823 PLE0115 PLE0117 PLE0118 PLE1142 PLE1700
"""
"""Python refuses the file, or raises an error where the line runs."""
MAJOR = """
    B002 B016 B029 B035 F501 F502 F503 F505 F506 F507 F508 F509 F521 F524 F525 F601 F602 F631 F632 F633 F634 F822
    F901 PLE0100 PLE0101 PLE0241 PLE0302 PLE0303 PLE0304 PLE0305 PLE0307 PLE0308 PLE0309 PLE0604 PLE0643 PLE1132
    PLE1300 PLE1307 PLE1507 PLE2502
"""
"""The line shows that it fails, loses a value or is always true, whatever other files have."""
MINOR = """
    B003 B005 B012 B015 B018 B020 B021 B022 B025 B030 B031 B032 B033 B039 F401 F402 F504 F522 F523 F811 F841
    PLE0116 PLE0237 PLE0605 PLE1205 PLE1206 PLE1310 PLE1519 PLE1520 PLE2510 PLE2512 PLE2513 PLE2514 PLE2515
"""
"""Suspicious: it may be meant, or another file decides. F811 of two tests is major."""
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
        r"\s*(?:except|(?:async\s+)?with)\b|\s*(?:\w+\s*=\s*)*\w+\s*(?::[^=]+)?=\s*(?:(?:await|not)\s+)*[\w.]+(?:\[[^\]]*\])?\("
    ),
    # The same module twice, which harms nobody.
    REDEFINED: re.compile(r"\s*(?:from|import)\b"),
    # An attribute may be read for what its getter does.
    "B018": re.compile(r"\s*\w[^\s#=,]*\.\w+\s*(?:#|$)"),
    # Within a function the loop has its own name.
    "F402": re.compile(r"\s+(?:async\s+)?for\b"),
    # Not a word, but a set of characters.
    "B005": re.compile(r".*strip\(\s*[bBrRuU]*([\"'])(?:\\x\w\w|\\.|[^\w\\])*\1"),
    # What the call returns is mostly None, as `__init__` must.
    "PLE0101": re.compile(r"\s*return\s+(?:await\s+)?[\w.]+\("),
}
"""Lines of code on which a rule is a matter of taste."""
_SEVERAL = {
    UNUSED_IMPORT: ("{} imported but unused", "Remove unused imports"),
    UNUSED_VARIABLE: ("Local variables {} are assigned to but never used", "Remove assignments to unused variables"),
}
"""Message and fix of a remark about several names."""
_ATTRIBUTE = "useless attribute access"
"""In the message of `B018`."""
_NO_PLACEHOLDER = "has 0 placeholder"
"""In the message of `F507`, also where a mapping follows, which may have more keys than the format asks for."""
_MAPPING = re.compile(r"\}$|%\s*(?:dict|globals|locals|vars)\([^%]*$")
_LOCAL = re.compile(r"\s+\w+\s*(?::[^=]+)?=(?!=)")
"""An assignment in a function, which leaves an import of the module as it is."""
_READS_PART = re.compile(r"=.*(?:\w\.\w|\])")
"""A value that an attribute or an item is needed for."""
_NAMED_TEST = re.compile(r"\s*(?:(?:async\s+)?def\s+test|class\s+(?:Test\w|\w+Tests?\b))")
"""Of two such functions or classes with one name, the first never runs."""
_OF_DEVELOPERS = re.compile(r"(?:\.ci|\.github|benchmarks?|docs?|examples?|scripts|tools)/")
"""Folders of programs that nobody installs: the lowest Python of the project is not theirs."""
_FRAGMENTS = re.compile(r"(?:^|/)(?:examples?|snippets?|templates?)/")
"""Folders of texts that something else completes before they run, or that are only read."""
_TOO_NEW = "(syntax was added in Python"
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
_has_template_tag = lru_cache(maxsize=1)(dialects.has_template_tag)
"""A line may have thousands of names."""


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read ruff's JSON, in which paths are absolute, into findings in `files`, which were written below `root`."""
    sources: dict[str, PythonSource] = {}
    by_path: dict[str, list[_Entry]] = {}
    for entry in _OUTPUT.validate_json(output):
        path = os.path.relpath(entry.filename, root)
        by_path.setdefault(path, []).append(entry)
        if path not in sources:
            sources[path] = PythonSource(path, files[path])
    imported = {
        path: {
            python_names.imported_name(_name(entry), _bound(entry, sources[path]))
            for entry in entries
            if entry.code == UNUSED_IMPORT
        }
        for path, entries in by_path.items()
    }
    taken = python_names.taken_elsewhere({path: names for path, names in imported.items() if names}, files)
    findings = [
        finding
        for path, entries in by_path.items()
        for finding in _findings(entries, sources[path], taken.get(path, set()))
    ]
    return dialects.first_errors(findings, files, (SYNTAX,), dialects.is_python_dialect)


def _findings(entries: Sequence[_Entry], source: PythonSource, taken: Set[str]) -> list[Finding]:
    """The findings in one file. `taken` are the names that other files take from it."""
    remarks: dict[tuple[str, int, str], list[_Entry]] = {}
    needed: set[Edit] = set()
    for entry in entries:
        rule = entry.code or SYNTAX
        line = source.line(entry.location.row)
        if rule == UNDEFINED and _has_template_tag(source.code(line)):
            rule = SYNTAX  # `{{ cookiecutter.name }}` is a set in a set for ruff.
        if python_names.is_intended(rule, entry.message, _bound(entry, source), line, source, taken):
            needed.update(_edits(entry))
            continue
        remarks.setdefault((rule, *_same(entry, line)), []).append(entry)
    return [_finding(rule, same, source, needed) for (rule, *_), same in remarks.items()]


def _same(entry: _Entry, line: int) -> tuple[int, str]:
    """What is equal in entries that are one remark."""
    if entry.code == UNUSED_VARIABLE:
        return line, ""  # `x = y = 1`
    if entry.code == UNUSED_IMPORT:
        # `import a, b`, and all names of a statement: one fix removes them.
        return min((edit.location.row for edit in entry.fix.edits), default=line) if entry.fix else line, ""
    return line, entry.message


def _finding(rule: str, entries: Sequence[_Entry], source: PythonSource, needed: Set[Edit]) -> Finding:
    """The finding of one entry, of several unused names, or of several entries with one message on one line.

    `needed` are edits that remove a name that something needs: ruff's fix of one name of an import removes all others
    of the statement that the file does not use.
    """
    first = entries[0]
    start = min(source.line(entry.location.row) for entry in entries)
    # An end in column 1 is the end of the previous line.
    end = max(source.line(entry.end_location.row) - (entry.end_location.column == 1) for entry in entries)
    code = source.code(start)
    message, fix = first.message, (first.fix.message or "") if first.fix else ""
    names = list(dict.fromkeys(f"`{_name(entry)}`" for entry in entries))
    if rule in _SEVERAL and len(names) > 1:
        message, removal = _SEVERAL[rule]
        message = message.format(enumerated(names))
        fix = removal if first.fix else ""
    return Finding(
        path=source.path,
        start_line=start,
        end_line=max(start, end),
        severity=min((_severity(entry, source) for entry in entries), key=lambda severity: severity.rank)
        if not _may_be_modules(entries, code, source)
        else Severity.INFO,
        rule=rule,
        rule_url=first.url or "",
        message=message,
        fix=fix,
        suggestion=None
        if any(_may_be_needed(entry, code, source) or not needed.isdisjoint(_edits(entry)) for entry in entries)
        else _suggestion(entries, source),
        snippet=code,
    )


def _severity(entry: _Entry, source: PythonSource) -> Severity:
    """The severity of an entry, by its rule and the code that it is on."""
    rule, line = entry.code or SYNTAX, source.line(entry.location.row)
    code = source.code(line)
    if _ATTRIBUTE in entry.message or (rule in _TASTE and _TASTE[rule].match(code)):
        return Severity.INFO
    end = entry.end_location
    if _NO_PLACEHOLDER in entry.message and _MAPPING.search(source.before(source.line(end.row), end.column)):
        return Severity.INFO
    if rule == REDEFINED and python_names.redefines_import(entry.message, source):
        return Severity.INFO if _LOCAL.match(code) else Severity.MINOR
    if rule == REDEFINED and _NAMED_TEST.match(code):
        return Severity.MAJOR
    if (
        rule == UNUSED_IMPORT
        and python_names.imported_name(_name(entry), _bound(entry, source)) in source.commented_out
    ):
        return Severity.INFO  # With the code that is commented out it comes back.
    if rule == UNDEFINED and (
        _GETTEXT in entry.message
        or _FRAGMENTS.search(source.path)
        or _UNEVALUATED.search(source.before(line, entry.location.column))
        or python_names.is_carried_on(_bound(entry, source), source, line, assigned=False)
    ):
        return Severity.MINOR  # The file does not show that the line fails when it runs.
    if rule == SYNTAX and _TOO_NEW in entry.message and _OF_DEVELOPERS.match(source.path):
        return Severity.MINOR
    if rule == UNUSED_VARIABLE and _READS_PART.search(code) and python_names.asks_by_error(source, line):
        return Severity.INFO
    if rule == REPEATED_KEY and entry.fix is not None:
        return Severity.MINOR  # ruff offers a fix where the values are equal: nothing is lost.
    return SEVERITIES.get(rule, Severity.MINOR)


def _bound(entry: _Entry, source: Source) -> str:
    """The code that an entry is on, as far as a name may reach; empty if it has several lines."""
    start, end = entry.location, entry.end_location
    code = source.text(source.line(start.row))[start.column - 1 : end.column - 1] if start.row == end.row else ""
    return code[: python_names.MAX_NAME]


def _may_be_modules(entries: Sequence[_Entry], code: str, source: PythonSource) -> bool:
    """Return whether all unused imports of a line may be modules that are imported for their side effects.

    A module of which another line imports something is loaded anyway.
    """
    return all(
        entry.code == UNUSED_IMPORT and python_names.may_be_a_module(_name(entry), _bound(entry, source), code, source)
        for entry in entries
    )


def _name(entry: _Entry) -> str:
    """The name that a message quotes: of an import, with its module."""
    return entry.message.partition("`")[2].partition("`")[0][: python_names.MAX_NAME]


def _may_be_needed(entry: _Entry, code: str, source: Source) -> bool:
    return entry.code == UNUSED_IMPORT and python_names.may_have_side_effects(_name(entry), _bound(entry, source), code)


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
    files=("*.py", "*.pyi", "*.pyw"),
    interpreters=("pypy", "python", "uv"),
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
    is_source=lambda path, text: not dockerfile.is_named_after_language(path, text),
    # With "." it would read only files of known suffixes, no scripts without one.
    names_files=True,
    compares=True,
    suppression="`# noqa: {rule}` at the end of the line",
    parse_error_rules=("invalid-syntax", "E9"),
    breakage_rules=("B0", "F", "PLE", REMOVED_NAME),
    distribution="ruff",
    url="https://docs.astral.sh/ruff/",
    licence="MIT",
)
