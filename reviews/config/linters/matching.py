"""Whether a statement of a configuration file, or a comment of another linter, is about a finding."""

import re
from collections.abc import Callable, Collection, Iterator

from reviews.config.linters import javascript, python
from reviews.config.linters.statements import ALL, Statement, Tool
from reviews.findings import Finding

MAX_NAME = 100
"""Characters of a name that are compared with a regular expression."""

_PYTHON = (".py", ".pyi", ".pyw")
_SCRIPT = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".vue", ".svelte", ".astro")
_SHELL = (".sh", ".bash", ".ksh", ".dash")
_COMMENTS: dict[Tool, tuple[Callable[[str, int, str], bool], ...]] = {
    Tool.RUFF: (python.disabled_by_pylint, python.disabled_by_noqa),
    Tool.OXLINT: (javascript.disabled_by_biome,),
}
_QUOTED = re.compile(r"([`'])(.*?)\1")
_SYNTAX = ("invalid-syntax", "syntax-error", "E9")


def tools_of(path: str) -> Iterator[Tool]:
    """The tools that may report something in a file of this name."""
    name = path.rpartition("/")[2].lower()
    yield Tool.TYPOS
    if name.endswith(_PYTHON):
        yield Tool.RUFF
    elif name.endswith(_SCRIPT):
        yield Tool.OXLINT
    elif name.endswith(_SHELL) or name.startswith("."):
        yield Tool.SHELLCHECK
    elif "dockerfile" in name or "containerfile" in name:
        yield Tool.HADOLINT
    elif path.startswith(".github/") or name in ("action.yml", "action.yaml"):
        yield Tool.ZIZMOR
    elif "." not in name:  # A script for any of them.
        yield from (Tool.RUFF, Tool.OXLINT, Tool.SHELLCHECK)


def tool_of(finding: Finding) -> Tool | None:
    """The tool that has reported a finding; None for secrets and the language model."""
    return Tool(finding.engine) if finding.engine in set(Tool) else None


def concerns(statement: Statement, finding: Finding) -> bool:
    """Return whether a statement about the file of a finding is about the finding."""
    return (
        statement.line in (None, finding.start_line)
        and _names_rule(statement, finding)
        and (statement.names is None or _is_about(finding, statement.names))
        and (statement.pattern is None or _matches(finding, statement.pattern))
    )


def _names_rule(statement: Statement, finding: Finding) -> bool:
    if ALL in statement.rules:
        return True
    if statement.tool is Tool.OXLINT:
        return javascript.bare_name(finding.rule) in statement.rules
    if statement.tool is not Tool.RUFF:
        return finding.rule in statement.rules
    if finding.rule == "invalid-syntax":
        return False
    off = [len(code) for code in statement.rules if finding.rule.startswith(code)]
    on = [len(code) for code in statement.except_rules if finding.rule.startswith(code)]
    return bool(off) and max(off) >= max(on, default=0)


def _is_about(finding: Finding, names: Collection[str]) -> bool:
    """Return whether all words of a finding, or the first name that it quotes, are among the names."""
    if finding.words:
        line = finding.snippet.lower()
        longer = [name for name in names if name in line]
        return all(word in names or any(word in name for name in longer) for word in map(str.lower, finding.words))
    return any(name in names for name in _quoted(finding))


def _matches(finding: Finding, pattern: re.Pattern[str]) -> bool:
    """Return whether a pattern is found in all words of a finding, or in the first name that it quotes."""
    names = finding.words or _quoted(finding)
    return bool(names) and all(pattern.search(name[:MAX_NAME]) for name in names)


def _quoted(finding: Finding) -> tuple[str, ...]:
    """The first name that a finding quotes, if it quotes one."""
    quoted = _QUOTED.search(finding.message)
    return (quoted[2],) if quoted else ()


def is_disabled_by_comment(tool: Tool, finding: Finding, text: str) -> bool:
    """Return whether another linter's comment turns a finding off, or its own on another line; never a syntax error.

    The analyzers read the comments of their own linters on the line of the finding.
    """
    if tool not in _COMMENTS or finding.rule.startswith(_SYNTAX):
        return False
    rule = javascript.bare_name(finding.rule) if tool is Tool.OXLINT else finding.rule
    return any(is_disabled(rule, finding.start_line, text) for is_disabled in _COMMENTS[tool])
