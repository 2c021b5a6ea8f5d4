"""typos and other spelling checkers, ShellCheck, hadolint and zizmor: what they have turned off."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from reviews.config.linters.statements import ALL, MAX_ITEMS, BrokenFile, Statement, Tool, expressions, table, texts
from reviews.config.repository import MAX_CHARACTERS, load_yaml
from reviews.findings import Severity

_RANGE = re.compile(r"(?:SC)?(\d{4})(?:-(?:SC)?(\d{4}))?")
_MAX_RANGE = 3000
_OTHER_SHELLS = frozenset(("SC2039", *(f"SC3{number:03}" for number in range(100))))
_WITH_ARRAYS = ("bash", "ksh", "busybox")
_LEVELS = {"warning": Severity.MINOR, "info": Severity.INFO, "style": Severity.INFO}


def typos_statements(config: Mapping[str, Any]) -> Iterator[Statement]:
    """Yield the words and files that typos' configuration accepts."""
    for part in (table(config.get("default")), *map(table, table(config.get("type")).values())):
        for key in ("extend-words", "extend-identifiers"):
            # A word that is its own correction is right; another value is a correction.
            words = [word for word, right in table(part.get(key)).items() if word == right]
            if words:
                yield Statement(Tool.TYPOS, ("typo",), names=frozenset(word.lower() for word in words))
        for pattern in expressions(part.get("extend-ignore-words-re")):
            yield Statement(Tool.TYPOS, ("typo",), pattern=pattern)
    if patterns := texts(table(config.get("files")).get("extend-exclude")):
        yield Statement(Tool.TYPOS, (ALL,), patterns)


def codespell_statements(config: Mapping[str, Any]) -> Iterator[Statement]:
    """Yield the words and files that codespell's configuration accepts. Source: codespell's README, "Usage"."""
    yield from _spelling(_listed(config.get("ignore-words-list")), _listed(config.get("skip")))


def cspell_statements(config: Mapping[str, Any]) -> Iterator[Statement]:
    """Yield the words and files that CSpell's configuration accepts. Source: CSpell's documentation, "Settings"."""
    yield from _spelling(_accepted(config), texts(config.get("ignorePaths")))
    overrides = config.get("overrides")
    for part in map(table, overrides[:MAX_ITEMS] if isinstance(overrides, list) else ()):
        if files := texts(part.get("filename")):
            yield Statement(Tool.TYPOS, ("typo",), files, crossing=True, names=_accepted(part))


def _accepted(config: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(word.lower() for key in ("words", "ignoreWords") for word in texts(config.get(key)))


def _spelling(words: Iterable[str], files: tuple[str, ...]) -> Iterator[Statement]:
    if names := frozenset(word.lower() for word in words):
        yield Statement(Tool.TYPOS, ("typo",), names=names)
    if files:
        yield Statement(Tool.TYPOS, ("typo",), files, crossing=True)


def _listed(value: Any) -> tuple[str, ...]:
    """The items of a list, or of a text with commas."""
    return texts(re.split(r"[\s,]+", value.strip()) if isinstance(value, str) else value)


def shellcheck_statements(text: str) -> Iterator[Statement]:
    """Yield what a `.shellcheckrc` turns off: codes, ranges of codes, and warnings about another shell's syntax."""
    for line in text.splitlines():
        key, _, value = line.partition("#")[0].partition("=")
        value = value.strip().strip("\"'")
        if key.strip() == "disable":
            codes = frozenset(code for item in re.split(r"[\s,]+", value) for code in _shellcheck_codes(item))
            if codes:
                yield Statement(Tool.SHELLCHECK, codes)
        elif key.strip() == "shell" and value in _WITH_ARRAYS:
            yield Statement(Tool.SHELLCHECK, _OTHER_SHELLS)


def hadolint_statements(text: str) -> Iterator[Statement]:
    """Yield what hadolint's configuration turns off, or makes less severe. Raises `BrokenFile`."""
    config = read_yaml(text)
    if ignored := texts(config.get("ignored")):
        yield Statement(Tool.HADOLINT, ignored)
    override = table(config.get("override"))
    for level, severity in _LEVELS.items():
        if rules := texts(override.get(level)):
            yield Statement(Tool.HADOLINT, rules, severity=severity)


def zizmor_statements(text: str) -> Iterator[Statement]:
    """Yield what zizmor's configuration turns off: rules, and rules in a workflow or on a line of one.

    Raises `BrokenFile`.
    """
    for rule, settings in table(read_yaml(text).get("rules")).items():
        names = (f"zizmor/{rule}",)
        if table(settings).get("disable") is True:
            yield Statement(Tool.ZIZMOR, names)
        for entry in texts(table(settings).get("ignore")):
            file, _, rest = entry.partition(":")
            line = rest.partition(":")[0]
            if not line or line.isdecimal():
                yield Statement(Tool.ZIZMOR, names, (file,), line=int(line) if line else None)


def read_yaml(text: str) -> dict[str, Any]:
    """Parse a YAML file. Raises `BrokenFile`."""
    if len(text) > MAX_CHARACTERS:
        raise BrokenFile(f"longer than {MAX_CHARACTERS} characters")
    try:
        document = load_yaml(text)
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise BrokenFile("not valid YAML") from error
    return table(document)


def _shellcheck_codes(item: str) -> list[str]:
    if item == "all":
        return [ALL]
    found = _RANGE.fullmatch(item)
    if found is None:
        return []
    first, last = int(found[1]), int(found[2] or found[1])
    return [f"SC{code}" for code in range(first, min(last, first + _MAX_RANGE) + 1)]
