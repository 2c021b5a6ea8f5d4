"""Python: what ruff, flake8, pycodestyle and pylint have turned off, the language version, and pylint's comments."""

import configparser
import io
import re
import tokenize
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

from reviews.config.linters.statements import (
    ALL,
    MAX_ITEMS,
    BrokenFile,
    Comments,
    Statement,
    Tool,
    expressions,
    table,
    texts,
)

NEWEST, OLDEST = 15, 7
"""Minor versions of Python 3 that ruff knows. Source: `ruff check --help`, --target-version."""
_CODE = re.compile(r"[A-Z]+[0-9]*|ALL")
_BUILTIN_RULES = ("F821",)
_UNUSED_RULES = ("B007", "F811", "F841", "RUF059")
_SECTIONS = ("flake8", "pycodestyle", "pep8")
_CLAUSE = re.compile(r"(>=|==|~=|\^|~|>|===)?\s*v?3\.(\d{1,2})(?![\d])")
_TARGET = re.compile(r"py3(\d{1,2})")
_VERSION = re.compile(r"(?:^|[-v\s]|pypy)3\.(\d{1,2})\b")
_DISABLE = re.compile(r"#[^#]*?\bpylint:\s*(disable-next|disable|enable|skip-file)\b(?:\s*=\s*([\w, -]+))?")
_NOQA = re.compile(r"#\s*noqa(?!\w)(?::\s?((?:[A-Z]+[0-9]+[,\s]*)+))?", re.IGNORECASE)
"""Source: ruff documentation, "Error suppression"."""
_UNDEFINED_TO_MYPY = re.compile(r"#\s*type:\s*ignore\[[\w, -]*\bname-defined\b")
_SIGNATURE = ("def", "async", "class")
_BETWEEN = (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT)
MAX_TOKENIZED = 400_000
"""Characters of a file whose statements are looked up."""
MAX_CODES = 50
"""Rules that the comments of one statement name."""

PYLINT: dict[str, tuple[str, ...]] = {
    "assert-on-tuple W0199": ("F631",),
    "bad-except-order E0701": ("B014", "B025", "F707"),
    "bare-except W0702": ("E722",),
    "cell-var-from-loop W0640": ("B023",),
    "dangerous-default-value W0102": ("B006", "B008"),
    "duplicate-key W0109": ("F601", "F602"),
    "duplicate-value W0130": ("B033",),
    "expression-not-assigned W0106": ("B018",),
    "f-string-without-interpolation W1309": ("F541",),
    "function-redefined E0102": ("F811",),
    "keyword-arg-before-vararg W1113": ("B026",),
    "literal-comparison R0123": ("F632",),
    "lost-exception W0150": ("B012",),
    "method-cache-max-size-none W1518": ("B019",),
    "multiple-imports C0410": ("E401",),
    "multiple-statements C0321": ("E701", "E702"),
    "not-in-loop E0103": ("F701", "F702"),
    "notimplemented-raised E0711": ("F901",),
    "pointless-statement W0104": ("B015", "B018"),
    "raise-missing-from W0707": ("B904",),
    "raising-bad-type E0702": ("B016",),
    "redefined-outer-name W0621": ("F402", "F811"),
    "reimported W0404": ("F811",),
    "return-outside-function E0104": ("F706",),
    "singleton-comparison C0121": ("E711", "E712"),
    "undefined-all-variable E0603": ("F822",),
    "undefined-variable E0602": ("F821",),
    "unidiomatic-typecheck C0123": ("E721",),
    "unnecessary-lambda-assignment C3001": ("E731",),
    "unnecessary-semicolon W0301": ("E703",),
    "unused-import W0611": ("F401",),
    "unused-variable W0612": ("F841",),
    "unused-wildcard-import W0614": ("F403", "F405"),
    "used-before-assignment E0601": ("F821", "F823"),
    "wildcard-import W0401": ("F403", "F405"),
    "wrong-import-position C0413": ("E402",),
    "yield-outside-function E0105": ("F704",),
}
"""pylint's messages, by name and number, with the rules of ruff that report the same. Source: ruff's documentation of
each rule. Rules named PLE carry pylint's own numbers."""
_RULES = {name: rules for key, rules in PYLINT.items() for name in key.split()}


def read_pyproject(text: str) -> dict[str, Any]:
    """Parse a TOML file. Raises `BrokenFile`."""
    # tomllib takes quadratic time for keys of thousands of parts.
    if any(line.partition("=")[0].count(".") > 50 for line in text.splitlines()):
        raise BrokenFile("too many dots in a line")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BrokenFile("not valid TOML") from error


def ruff_statements(ruff: dict[str, Any]) -> Iterator[Statement]:
    """Yield what `[tool.ruff]` turns off. Keys at the top level and in `lint` are the same to ruff."""
    lint = table(ruff.get("lint"))
    selected = tuple(
        code for part in (ruff, lint) for key in ("select", "extend-select") for code in _codes(part.get(key))
    )
    for part in (ruff, lint):
        for key in ("ignore", "extend-ignore"):
            if codes := _codes(part.get(key)):
                yield Statement(Tool.RUFF, codes, except_rules=selected)
        for key in ("per-file-ignores", "extend-per-file-ignores"):
            for pattern, off in table(part.get(key)).items():
                if pattern.startswith("!"):
                    yield Statement(Tool.RUFF, _codes(off), (ALL, pattern), crossing=True)
                else:
                    yield Statement(Tool.RUFF, _codes(off), (pattern,), crossing=True)
        for key in ("exclude", "extend-exclude"):
            if patterns := texts(part.get(key)):
                yield Statement(Tool.RUFF, (ALL,), patterns, crossing=True)
    if names := texts(ruff.get("builtins")):
        yield Statement(Tool.RUFF, _BUILTIN_RULES, names=frozenset(names))
    for part in (ruff, lint):
        for expression in expressions(part.get("dummy-variable-rgx")):
            yield Statement(Tool.RUFF, _UNUSED_RULES, pattern=expression)


def ini_sections(text: str) -> dict[str, dict[str, str]]:
    """Parse an INI file. Raises `BrokenFile`."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise BrokenFile("not a valid INI file") from error
    return {name: {key: value or "" for key, value in parser.items(name)} for name in parser.sections()}


def flake8_statements(sections: dict[str, dict[str, str]]) -> Iterator[Statement]:
    """Yield what sections of flake8 and pycodestyle turn off. Source: flake8's documentation, "Options"."""
    for section in map(_dashed, (sections.get(name, {}) for name in _SECTIONS)):
        for key in ("ignore", "extend-ignore"):
            if codes := _codes(_words(section.get(key, ""))):
                yield Statement(Tool.RUFF, codes)
        for key in ("exclude", "extend-exclude"):
            if patterns := texts(_words(section.get(key, ""))):
                yield Statement(Tool.RUFF, (ALL,), patterns, crossing=True)
        if names := texts(_words(section.get("builtins", ""))):
            yield Statement(Tool.RUFF, _BUILTIN_RULES, names=frozenset(names))
        yield from _per_file_ignores(section.get("per-file-ignores", ""))


def _dashed(section: dict[str, str]) -> dict[str, str]:
    """flake8 knows each option with dashes and with underscores."""
    return {key.replace("_", "-"): value for key, value in section.items()}


def _per_file_ignores(text: str) -> Iterator[Statement]:
    """Yield the entries `patterns:codes`; commas, spaces and line breaks separate patterns as well as codes."""
    patterns: list[str] = []
    codes: list[str] = []
    at_codes = False
    for word in [*_words(text.replace(":", " : ")), "", ":"]:
        if word == ":" and not at_codes:
            at_codes = True
        elif at_codes and _CODE.fullmatch(word):
            codes.append(word)
        elif at_codes:
            if patterns and codes:
                yield Statement(Tool.RUFF, tuple(codes), texts(patterns), crossing=True)
            patterns, codes, at_codes = [word], [], False
        else:
            patterns.append(word)


def _words(text: str) -> list[str]:
    """Split a list of an INI file; `#` starts a comment."""
    lines = (line.partition("#")[0] for line in text.splitlines())
    return [word for line in lines for word in re.split(r"[\s,]+", line) if word][:MAX_ITEMS]


def _codes(value: Any) -> tuple[str, ...]:
    return tuple("" if code == "ALL" else code for code in texts(value) if _CODE.fullmatch(code))


# Language versions


def target_version(value: Any) -> int | None:
    """The minor version of ruff's `target-version`: 11 for "py311"."""
    found = _TARGET.fullmatch(value) if isinstance(value, str) else None
    return _clamped(int(found[1])) if found else None


def lowest_version(specifier: Any) -> int | None:
    """The lowest minor version of Python 3 that a version specifier allows; None if it has no lower bound.

    Reads PEP 440 (`>=3.11,<4`) and Poetry's notation (`^3.9 || ~3.12`).
    """
    if not isinstance(specifier, str) or len(specifier) > 200:
        return None
    alternatives = [_lower_bound(part) for part in specifier.split("|") if part.strip()]
    known = [bound for bound in alternatives if bound is not None]
    return _clamped(min(known)) if known and len(known) == len(alternatives) else None


def _lower_bound(text: str) -> int | None:
    found = [_CLAUSE.match(clause.strip()) for clause in re.split(r",|\s+(?=[<>=!~^])", text)]
    bounds = [int(match[2]) for match in found if match]
    return max(bounds, default=None)


def pinned_version(text: str) -> int | None:
    """The minor version of the first interpreter in a `.python-version` file."""
    lines = [line.partition("#")[0].strip() for line in text[:1000].splitlines()]
    found = _VERSION.search(next((line for line in lines if line), ""))
    return _clamped(int(found[1])) if found else None


def project_version(pyproject: dict[str, Any]) -> int | None:
    """The lowest minor version that `pyproject.toml` names for its project."""
    poetry = table(table(table(pyproject.get("tool")).get("poetry")).get("dependencies")).get("python")
    required = lowest_version(table(pyproject.get("project")).get("requires-python"))
    return required if required is not None else lowest_version(poetry)


def _clamped(minor: int) -> int:
    return min(max(minor, OLDEST), NEWEST)


# pylint


def pylint_statements(sections: Iterable[Any]) -> Iterator[Statement]:
    """Yield what sections of pylint's configuration turn off. Source: pylint's documentation, "Messages control"."""
    for section in map(table, sections):
        disabled = section.get("disable")
        names = _words(disabled) if isinstance(disabled, str) else texts(disabled)
        if rules := {rule for name in names for rule in _rules_of(name)}:
            yield Statement(Tool.RUFF, rules)


def _rules_of(name: str) -> tuple[str, ...]:
    """The rules of ruff that report what a message of pylint does, given by name or number."""
    return (*_RULES.get(name, ()), f"PL{name}")


def disabled_by_pylint(rule: str, line: int, text: str) -> bool:
    """Return whether a comment for pylint turns a rule of ruff off on a line, counted from 1.

    At the end of a line it counts for the line, on a separate line from there to the end of the block.
    """
    return "pylint" in text and any(_is_rule(name, rule) for name in _pylint_comments(text).names_at(line))


@lru_cache(maxsize=16)
def _pylint_comments(text: str) -> Comments:
    comments = Comments()
    for number, content in enumerate(text.split("\n"), 1):
        stripped = content.lstrip()
        indent = len(content) - len(stripped)
        if stripped and not stripped.startswith("#"):
            # A block ends at the first line that is less indented than the comment.
            comments.close(number, lambda name, depth, indent=indent: depth > indent)  # type: ignore[misc]
        found = _DISABLE.search(content[:1000]) if "pylint" in content else None
        if found is None:
            continue
        action, names = found[1], [name.strip() for name in (found[2] or "").split(",")]
        if action == "skip-file":
            comments.everywhere.add("all")
        elif action == "enable":
            comments.close(number, lambda name, depth, off=names: name in off or "all" in off)  # type: ignore[misc]
        elif action == "disable-next":
            comments.at_line(number + 1, names)
        elif stripped.startswith("#"):
            comments.open(number, indent, names)
        else:
            comments.at_line(number, names)
    return comments


def disabled_by_noqa(rule: str, line: int, text: str) -> bool:
    """Return whether a `noqa` on another line of the statement turns a rule of ruff off on a line, counted from 1.

    Formatters split lines and leave the comment behind. It counts on the first and last line of a statement, and on any
    line of a signature; what stands between others is about its own line. So does mypy's comment about a name.
    """
    if len(text) > MAX_TOKENIZED or ("noqa" not in text.lower() and "name-defined" not in text):
        return False
    return any(rule.startswith(code) for code in _noqa_comments(text).names_at(line))


@lru_cache(maxsize=16)
def _noqa_comments(text: str) -> Comments:
    comments = Comments()
    first, is_signature = 0, False
    found: list[tuple[int, str]] = []
    # What cannot be parsed ends the reading.
    with suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            row = token.start[0]
            if not first and token.type not in _BETWEEN:
                first, is_signature, found = row, token.string in _SIGNATURE, []
            if token.type == tokenize.COMMENT and first:
                found.append((row, token.string))
            elif token.type == tokenize.NEWLINE:
                kept = [comment for at, comment in found if is_signature or at in (first, row)]
                if codes := [code for comment in kept for code in _codes_of_comment(comment)][:MAX_CODES]:
                    for number in range(first, row + 1):
                        comments.at_line(number, codes)
                first = 0
    return comments


def _codes_of_comment(comment: str) -> Iterator[str]:
    """Yield the rules of ruff that a comment turns off; an empty text for all."""
    comment = comment[:1000]
    if noqa := _NOQA.search(comment):
        yield from re.findall(r"[A-Z]+[0-9]+", noqa[1].upper()) if noqa[1] else ("",)
    if _UNDEFINED_TO_MYPY.search(comment):
        yield "F821"


def _is_rule(name: str, rule: str) -> bool:
    return name == "all" or rule in _rules_of(name)
