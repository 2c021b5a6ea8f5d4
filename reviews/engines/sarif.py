"""Read SARIF 2.1.0, the output format of analyzers, into findings.

It accepts what the tools print: CodeQL keeps rules in extensions and links in messages, typos has no rules and uses
Markdown for text, hadolint's regions are empty, file names come with and without %-escapes, some paths are absolute.
Numbers in brackets are sections of the OASIS standard, SARIF 2.1.0 with errata 01.
"""

import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from reviews.engines.source import Edit, Source
from reviews.findings import MAX_MESSAGE, MAX_SUGGESTION_CHARACTERS, Finding, Severity

MAX_BYTES = 10 * 1024 * 1024
"""Bytes. GitHub's limit, there compressed. Source of this and the next three: GitHub docs, "SARIF support"."""
MAX_RUNS = 20
MAX_RESULTS = 25_000
MAX_RULES = 25_000
MAX_BASE = 8
"""Nested base URIs; a circle of them would never end."""

Number = Annotated[int, Field(ge=1, le=2**31)]
Index = Annotated[int, Field(ge=-1, le=2**31)]
"""-1: none (3.4, "index properties")."""


class _Part(BaseModel):
    """The properties that are read, under SARIF's own names; others are skipped."""

    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)


class _Text(_Part):
    text: str | None = None
    markdown: str | None = None

    @property
    def content(self) -> str:
        return self.text or self.markdown or ""


class _Message(_Text):
    id: str | None = None
    arguments: list[str] = []


class _Configuration(_Part):
    level: Literal["none", "note", "warning", "error"] = "warning"


class _RuleProperties(_Part):
    security_severity: str | float | None = Field(None, alias="security-severity")


class _Rule(_Part):
    id: str = ""
    short_description: _Text | None = None
    message_strings: dict[str, _Text] = {}
    help_uri: str | None = None
    default_configuration: _Configuration = _Configuration()
    properties: _RuleProperties = _RuleProperties.model_validate({})


class _Component(_Part):
    name: str = ""
    rules: Annotated[list[_Rule], Field(max_length=MAX_RULES)] = []
    global_message_strings: dict[str, _Text] = {}


class _Tool(_Part):
    driver: _Component
    extensions: Annotated[list[_Component], Field(max_length=100)] = []


class _ComponentReference(_Part):
    index: Index = -1
    name: str | None = None


class _RuleReference(_Part):
    id: str | None = None
    index: Index = -1
    tool_component: _ComponentReference | None = None


class _Artifact(_Part):
    uri: str | None = None
    uri_base_id: str | None = None
    index: Index = -1


class _Located(_Part):
    location: _Artifact = _Artifact()


class _Region(_Part):
    start_line: Number | None = None
    start_column: Number = 1
    end_line: Number | None = None
    end_column: Number | None = None


class _Physical(_Part):
    artifact_location: _Artifact = _Artifact()
    region: _Region | None = None


class _Location(_Part):
    physical_location: _Physical | None = None


class _Replacement(_Part):
    deleted_region: _Region
    inserted_content: _Text = _Text()


class _Change(_Part):
    artifact_location: _Artifact
    replacements: list[_Replacement]


class _Fix(_Part):
    description: _Text = _Text()
    artifact_changes: list[_Change]


class _Suppression(_Part):
    status: str = "accepted"


class _Result(_Part):
    rule_id: str | None = None
    rule_index: Index = -1
    rule: _RuleReference = _RuleReference()
    kind: str = "fail"
    level: Literal["none", "note", "warning", "error"] | None = None
    message: _Message = _Message()
    locations: Annotated[list[_Location], Field(max_length=1000)] = []
    fixes: list[_Fix] | None = None
    suppressions: list[_Suppression] | None = None
    baseline_state: str | None = None


class _Run(_Part):
    tool: _Tool
    results: Annotated[list[_Result], Field(max_length=MAX_RESULTS)] | None = None
    artifacts: list[_Located] | None = None
    original_uri_base_ids: dict[str, _Artifact] = {}
    column_kind: Literal["utf16CodeUnits", "unicodeCodePoints"] | None = None


class _Log(_Part):
    version: Literal["2.1.0"]
    runs: Annotated[list[_Run], Field(max_length=MAX_RUNS)] | None = None


_LEVELS = {
    "error": Severity.MAJOR,
    "warning": Severity.MINOR,
    "note": Severity.INFO,
    "none": Severity.INFO,
}
_SECURITY = ((9.0, Severity.CRITICAL), (7.0, Severity.MAJOR), (4.0, Severity.MINOR))
"""GitHub's thresholds for `security-severity`. Source: as above."""


def read(
    document: bytes,
    files: Mapping[str, str],
    root: str = "",
    *,
    lone_returns: bool = False,
    fixes: bool = True,
) -> list[Finding]:
    """Return the findings of a SARIF document in `files` (path → text), which were written below `root`.

    Set `lone_returns` if a lone carriage return ends a line for the tool, and `fixes` if its fixes are safe enough to
    be committed with one click. Results in other files, without a line, suppressed, or not of kind `fail` are skipped.

    Raises `ValueError` for input that is not SARIF 2.1.0.
    """
    if len(document) > MAX_BYTES:
        raise ValueError("larger than GitHub's limit")
    log = _Log.model_validate_json(document.removeprefix(b"\xef\xbb\xbf"))
    sources: dict[str, Source] = {}

    def source_of(path: str) -> Source:
        return sources.get(path) or sources.setdefault(path, Source(files[path], lone_returns=lone_returns))

    findings = []
    for run in log.runs or ():
        rules = _Rules(run.tool)
        path_of = partial(_path_of, run=run, files=files, root=root)
        for result in run.results or ():
            if not _is_a_finding(result):
                continue
            rule_id, rule = rules.of(result)
            location = next(_locations(result, path_of), None)
            if location is None:
                continue
            path, region, row = location
            source = source_of(path)
            start = source.line(row)
            fix = result.fixes[0] if result.fixes and len(result.fixes) == 1 else None
            edits = _edits(fix, path, path_of, source, run.column_kind) if fix and fixes else []
            findings.append(
                Finding(
                    path=path,
                    start_line=start,
                    end_line=max(start, source.line(_last_row(region, row))),
                    severity=_severity(result, rule),
                    rule=rule_id,
                    message=_message(result.message, rule, rules.messages) or rule_id,
                    rule_url=rule.help_uri or "",
                    suggestion=source.suggestion(edits),
                    fix=_without_links(_text_of(fix.description)) if fix else "",
                    snippet=source.text(start),
                )
            )
    return findings


class _Rules:
    """The rules of a run, looked up in the ways in which a result refers to its rule (3.27.5 to 3.27.7, 3.52)."""

    def __init__(self, tool: _Tool) -> None:
        self._tool = tool
        components = (tool.driver, *tool.extensions)
        self._by_id = {rule.id: rule for component in reversed(components) for rule in component.rules}
        self.messages = tool.driver.global_message_strings

    def of(self, result: _Result) -> tuple[str, _Rule]:
        """The id under which a review reports a result's rule, and the rule's metadata."""
        name = result.rule_id or result.rule.id
        rule = self._at(result)
        if rule is None or (name is not None and not f"{name}/".startswith(f"{rule.id}/")):
            # "CA1000/1" is a hierarchical id of the rule CA1000 (3.27.5).
            rule = self._by_id.get(name or "") or self._by_id.get((name or "").rpartition("/")[0]) or _Rule()
        return name or rule.id or self._tool.driver.name or "unnamed", rule

    def _at(self, result: _Result) -> _Rule | None:
        index = result.rule.index if result.rule.index >= 0 else result.rule_index
        reference = result.rule.tool_component
        component = self._tool.driver
        if reference is not None and reference.index >= 0:
            if reference.index >= len(self._tool.extensions):
                return None
            component = self._tool.extensions[reference.index]
        elif reference is not None and reference.name is not None:
            component = next((one for one in self._tool.extensions if one.name == reference.name), component)
        return component.rules[index] if 0 <= index < len(component.rules) else None


def _is_a_finding(result: _Result) -> bool:
    suppressed = any(suppression.status == "accepted" for suppression in result.suppressions or ())
    return result.kind == "fail" and not suppressed and result.baseline_state != "absent"


def _locations(result: _Result, path_of: Any) -> Iterator[tuple[str, _Region, int]]:
    """Yield the locations of a result on lines of the files: path, region, row."""
    for location in result.locations:
        physical = location.physical_location
        if physical is None or (path := path_of(physical.artifact_location)) is None:
            continue
        if (region := physical.region) is None:
            # No region is the whole file (3.29.4).
            yield path, _Region(), 1
        elif region.start_line is not None:
            yield path, region, region.start_line


def _last_row(region: _Region, first: int) -> int:
    last = max(first, region.end_line or first)
    # An end in column 1 is the end of the previous line.
    return last - 1 if last > first and region.end_column == 1 else last


def _severity(result: _Result, rule: _Rule) -> Severity:
    """The severity by the rule's `security-severity`, else by the level of the result, the rule, or "warning"."""
    try:
        score = float(rule.properties.security_severity or "")
    except ValueError:
        return _LEVELS[result.level or rule.default_configuration.level]
    return next((severity for least, severity in _SECURITY if score >= least), Severity.INFO)


# Messages (3.11)

_PLACEHOLDER = re.compile(r"\{(\d{1,3})\}|\{\{|\}\}")
_LINK = re.compile(r"(?<!\\)\[((?:[^\\\[\]]|\\.)*)\]\(\d+\)")


def _message(message: _Message, rule: _Rule, shared: Mapping[str, _Text]) -> str:
    """The text of a message, the rule's description if it has none."""
    text = message.content
    if not text and message.id is not None:
        text = _text_of(rule.message_strings.get(message.id) or shared.get(message.id))
    # Cut before placeholders are filled in: a megabyte of placeholders may refer to an argument of a megabyte.
    text = text[:MAX_MESSAGE]
    arguments = [argument[:MAX_MESSAGE] for argument in message.arguments]

    def fill(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0]
        return arguments[int(found[1])] if int(found[1]) < len(arguments) else found[0]

    # Without arguments nothing is filled in, and braces are literal.
    filled = _without_links(_PLACEHOLDER.sub(fill, text) if arguments else text)
    return filled or _text_of(rule.short_description)


def _without_links(text: str) -> str:
    """Replace links to numbered locations, SARIF's own notation (3.11.6), by their text."""
    return _LINK.sub(r"\1", text[: 2 * MAX_MESSAGE])


def _text_of(text: _Text | None) -> str:
    return text.content if text else ""


# Paths (3.4, 3.14.14)


def _path_of(artifact: _Artifact, run: _Run, files: Mapping[str, str], root: str) -> str | None:
    """The path in `files` that an artifact location refers to, if any."""
    if artifact.uri is None and 0 <= artifact.index < len(run.artifacts or ()):
        artifact = (run.artifacts or [])[artifact.index].location
    if artifact.uri is None:
        return None
    # Many tools do not escape names, and a name may contain "%41" or "#".
    unescaped = artifact.uri.removeprefix("./")
    if unescaped in files and artifact.uri_base_id not in run.original_uri_base_ids:
        return unescaped
    parts = urlsplit(_with_base(artifact.uri, artifact.uri_base_id, run.original_uri_base_ids))
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        return None
    path = unquote(parts.path)
    if path.startswith("/"):
        path = os.path.relpath(path, root) if root else path
    path = os.path.normpath(path)
    return path if path in files else None


def _with_base(uri: str, base: str | None, bases: Mapping[str, _Artifact]) -> str:
    for _ in range(MAX_BASE):
        if base is None or base not in bases or uri.startswith(("/", "file:")):
            break
        # A base without a URI is the directory in which the tool ran (3.14.14).
        uri, base = (bases[base].uri or "") + uri, bases[base].uri_base_id
    return uri


# Fixes (3.55 to 3.57)


def _edits(fix: _Fix, path: str, path_of: Any, source: Source, columns: str | None) -> list[Edit]:
    """The edits of a fix; none if it changes other files, or if its columns are ambiguous."""
    if len(fix.artifact_changes) != 1 or path_of(fix.artifact_changes[0].artifact_location) != path:
        return []
    edits = []
    for replacement in fix.artifact_changes[0].replacements:
        region = replacement.deleted_region
        if region.start_line is None:
            return []
        end_line = region.end_line or region.start_line
        lines = source.text(region.start_line), source.text(end_line)
        # Without a column kind it is unknown how the tool counts non-ASCII text. Very long lines are never offered as
        # suggestions, so they are not counted.
        if any(len(line) > MAX_SUGGESTION_CHARACTERS or (columns is None and not line.isascii()) for line in lines):
            return []
        # The default end column is the end of the line (3.30.8).
        end_column = len(lines[1]) + 1 if region.end_column is None else _column(region.end_column, lines[1], columns)
        start = (region.start_line, _column(region.start_column, lines[0], columns))
        edits.append(Edit(start, (end_line, end_column), replacement.inserted_content.content))
    return edits


def _column(column: int, line: str, kind: str | None) -> int:
    """Convert a column to characters."""
    if kind != "utf16CodeUnits" or line.isascii():
        return column
    units = line.encode("utf-16-le", "surrogatepass")[: 2 * (column - 1)]
    past_end = max(0, column - 1 - len(line.encode("utf-16-le", "surrogatepass")) // 2)
    return len(units.decode("utf-16-le", "ignore")) + past_end + 1
