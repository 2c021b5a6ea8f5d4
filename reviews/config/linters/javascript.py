"""JavaScript and TypeScript: what oxlint, ESLint and Biome have turned off, and Biome's comments."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from reviews.config.linters.statements import ALL, BrokenFile, Comments, Statement, Tool, table, texts

MAX_OVERRIDES = 100
_OFF = ("off", "allow", 0, "0")
_GLOBAL_RULES = ("no-undef", "jsx-no-undef", "no-global-assign")
_NOT_CODE = re.compile(r'("(?:\\.|[^"\\])*+(?:"|\\?\Z))|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_COMMA = re.compile(r'("(?:\\.|[^"\\])*+(?:"|\\?\Z))|,(?=\s*[}\]])')
_IGNORE = re.compile(r"(?://|/\*+)\s*biome-ignore(-all|-start|-end)?\s+lint(?:/\w+/(\w+))?\b")
_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

BIOME = {
    "noAssignInExpressions": "no-cond-assign",
    "noCatchAssign": "no-ex-assign",
    "noConstantCondition": "no-constant-condition",
    "noConstantBinaryExpressions": "no-constant-binary-expression",
    "noDuplicateClassMembers": "no-dupe-class-members",
    "noDuplicateElseIf": "no-dupe-else-if",
    "noDuplicateJsxProps": "jsx-no-duplicate-props",
    "noDuplicateObjectKeys": "no-dupe-keys",
    "noEmptyCharacterClassInRegex": "no-empty-character-class",
    "noFallthroughSwitchClause": "no-fallthrough",
    "noFunctionAssign": "no-func-assign",
    "noGlobalObjectCalls": "no-obj-calls",
    "noInvalidBuiltinInstantiation": "no-new-native-nonconstructor",
    "noInvalidConstructorSuper": "constructor-super",
    "noMisleadingInstantiator": "no-misused-new",
    "noNonNullAssertedOptionalChain": "no-non-null-asserted-optional-chain",
    "noPrecisionLoss": "no-loss-of-precision",
    "noSparseArray": "no-sparse-arrays",
    "noUndeclaredVariables": "no-undef",
    "noUnreachableSuper": "no-this-before-super",
    "noUnsafeFinally": "no-unsafe-finally",
    "noUnusedVariables": "no-unused-vars",
    "noVoidElementsWithChildren": "void-dom-elements-no-children",
    "useGetterReturn": "getter-return",
    "useHookAtTopLevel": "rules-of-hooks",
    "useIsNan": "use-isnan",
    "useJsxKeyInIterable": "jsx-key",
    "useValidForDirection": "for-direction",
    "useValidTypeof": "valid-typeof",
    "useYield": "require-yield",
}
"""Rules of Biome whose name is not that of ESLint's in another case. Source: Biome's documentation, "Rules sources"."""


def read_json(text: str) -> dict[str, Any]:
    """Parse a JSON file with comments and trailing commas. Raises `BrokenFile`."""
    kept = _NOT_CODE.sub(lambda found: found[1] or " ", text.removeprefix("\ufeff"))
    try:
        document = json.loads(_COMMA.sub(lambda found: found[1] or "", kept))
    except (ValueError, RecursionError) as error:
        raise BrokenFile("not valid JSON") from error
    if not isinstance(document, dict):
        raise BrokenFile("not an object")
    return document


def eslint_statements(config: Mapping[str, Any]) -> Iterator[Statement]:
    """Yield what a configuration of ESLint or oxlint, which has the same keys, turns off."""
    yield from _rules(config.get("rules"))
    for part in _overrides(config):
        if files := texts(part.get("files")):
            excluded = tuple(f"!{pattern}" for pattern in texts(part.get("excludedFiles")))
            yield from _rules(part.get("rules"), (*files, *excluded))
    if patterns := texts(config.get("ignorePatterns")):
        yield Statement(Tool.OXLINT, (ALL,), patterns)
    if names := table(config.get("globals")):
        yield Statement(Tool.OXLINT, _GLOBAL_RULES, names=frozenset(names))


def biome_statements(config: Mapping[str, Any]) -> Iterator[Statement]:
    """Yield what a configuration of Biome turns off."""
    linter = table(config.get("linter"))
    if linter.get("enabled") is False:
        yield Statement(Tool.OXLINT, (ALL,))
    yield from _biome_rules(linter.get("rules"))
    for part in _overrides(config):
        if files := texts(part.get("includes")) or texts(part.get("include")):
            yield from _biome_rules(table(part.get("linter")).get("rules"), files)
    for part in (table(config.get("files")), linter):
        excluded = [pattern.lstrip("!") for pattern in texts(part.get("includes")) if pattern.startswith("!")]
        if patterns := (*texts(part.get("ignore")), *excluded):
            yield Statement(Tool.OXLINT, (ALL,), patterns)
    if names := texts(table(config.get("javascript")).get("globals")):
        yield Statement(Tool.OXLINT, _GLOBAL_RULES, names=frozenset(names))


def disabled_by_biome(rule: str, line: int, text: str) -> bool:
    """Return whether a comment for Biome turns a rule off on a line, counted from 1.

    It counts for the next line of code, `-all` for the file, and `-start` up to `-end`.
    """
    return "biome-ignore" in text and not {rule, "all"}.isdisjoint(_biome_comments(text).names_at(line))


@lru_cache(maxsize=16)
def _biome_comments(text: str) -> Comments:
    comments = Comments()
    following: list[str] = []
    for number, content in enumerate(text.split("\n"), 1):
        found = _IGNORE.search(content[:1000]) if "biome-ignore" in content else None
        if found is None:
            if following and content.strip() and not content.lstrip().startswith(("//", "/*", "*")):
                comments.at_line(number, following)
                following = []
            continue
        name = eslint_name(found[2]) if found[2] else "all"
        match found[1]:
            case "-all":
                comments.everywhere.add(name)
            case "-start":
                comments.open(number, 0, [name])
            case "-end":
                comments.close(number, lambda opened, depth, name=name: opened == name)  # type: ignore[misc]
            case _:
                following.append(name)
    return comments


def eslint_name(biome: str) -> str:
    """The name that ESLint has for a rule of Biome."""
    return BIOME.get(biome) or _CASE.sub("-", biome).lower()


def bare_name(rule: str) -> str:
    """A rule's name without its plugin: `no-debugger` for `eslint(no-debugger)` and `eslint/no-debugger`."""
    return rule.rstrip(")").rpartition("(")[2].rpartition("/")[2]


def _rules(rules: Any, files: tuple[str, ...] = ()) -> Iterator[Statement]:
    yield from _states({bare_name(rule): _level(value) for rule, value in table(rules).items()}, files)


def _biome_rules(groups: Any, files: tuple[str, ...] = ()) -> Iterator[Statement]:
    rules = [item for group in table(groups).values() for item in table(group).items()]
    yield from _states({eslint_name(rule): _level(value) for rule, value in rules}, files)


def _states(levels: Mapping[str, Any], files: tuple[str, ...]) -> Iterator[Statement]:
    off = tuple(rule for rule, level in levels.items() if level in _OFF)
    on = tuple(rule for rule, level in levels.items() if level is not None and level not in _OFF)
    if off:
        yield Statement(Tool.OXLINT, off, files)
    if on:
        yield Statement(Tool.OXLINT, on, files, on=True)


def _overrides(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    overrides = config.get("overrides")
    return [table(part) for part in overrides[:MAX_OVERRIDES]] if isinstance(overrides, list) else []


def _level(value: Any) -> Any:
    """The level of a rule: alone, first in a list, or the key `level`. `off` is False to PyYAML, a text to ESLint."""
    level = value[0] if isinstance(value, list) and value else value.get("level") if isinstance(value, dict) else value
    return level if isinstance(level, str | int) and level is not True else None
