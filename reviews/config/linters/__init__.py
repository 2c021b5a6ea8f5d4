"""What the base's own linter configuration settles, read as data: Kodiai does not contradict it.

Only keys of a short list are read (docs/configuration.md, "Settings of other linters"); they turn findings off or make
them less severe. Nothing reaches an analyzer but a validated version of Python. Files come from the base, never from a
pull request; comments in a pull request's code turn off neither secrets nor syntax errors.
"""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from reviews.config.linters import javascript, others, python
from reviews.config.linters.matching import concerns, is_disabled_by_comment, tool_of, tools_of
from reviews.config.linters.statements import ALL, BrokenFile, Statement, Tool, matches_any, table
from reviews.findings import Finding
from reviews.redaction import visible

__all__ = ["MAX_PATHS", "NO_SETTINGS", "LinterSettings", "parse", "paths_for"]

MAX_PATHS = 60
"""Configuration files that are fetched for one review, those of the root and of the nearest directories first."""
MAX_CHARACTERS = 128 * 1024
"""Characters of a file. A longer one is not read."""
MAX_STATEMENTS = 200
"""Statements of a file, and patterns in them. Each is compared with each file and its findings."""
MAX_EXTENDS = 5

_RUFF_FILES = (".ruff.toml", "ruff.toml", "pyproject.toml")
_PYLINT_FILES = (".pylintrc", "pylintrc")
_CSPELL_FILES = (
    *("cspell.json", ".cspell.json", "cSpell.json", "cspell.config.json", "cspell.config.jsonc", ".vscode/cspell.json"),
    *("cspell.yaml", "cspell.yml", ".cspell.yaml", ".cspell.yml", "cspell.config.yaml", "cspell.config.yml"),
)
_ESLINT_FILES = (".eslintrc.json", ".eslintrc", ".eslintrc.yml", ".eslintrc.yaml")
_NESTED: dict[Tool, tuple[str, ...]] = {
    Tool.RUFF: _RUFF_FILES,
    Tool.OXLINT: (".oxlintrc.json", ".eslintrc.json"),
    Tool.SHELLCHECK: (".shellcheckrc",),
}
_ROOT: dict[Tool, tuple[str, ...]] = {
    Tool.RUFF: (*_RUFF_FILES, "setup.cfg", "tox.ini", ".flake8", ".python-version", *_PYLINT_FILES),
    Tool.OXLINT: (".oxlintrc.json", *_ESLINT_FILES, "package.json", "biome.json", "biome.jsonc"),
    Tool.SHELLCHECK: (".shellcheckrc", "shellcheckrc"),
    Tool.HADOLINT: (".hadolint.yaml", ".hadolint.yml"),
    Tool.ZIZMOR: (".github/zizmor.yml", ".github/zizmor.yaml", "zizmor.yml", "zizmor.yaml"),
    Tool.TYPOS: (
        *("typos.toml", "_typos.toml", ".typos.toml", "pyproject.toml", "Cargo.toml", "package.json", ".codespellrc"),
        *_CSPELL_FILES,
    ),
}
_NEAREST = (Tool.SHELLCHECK,)
"""Tools that read only the nearest of several files. (ruff too, see `_ruff_scope`; the statements of others add up.)"""
_VERSION_FILES = (*_RUFF_FILES, "setup.cfg", ".python-version")
_VERSION_LINE = re.compile(
    r"^\+\s*(?:(?:[\w.]+\.)?(?:requires-python|python_requires|python|target-version)\s*=\s*[\"']?|(?=3\.\d))([^\"'#\n]+)",
    re.MULTILINE,
)


def paths_for(changed: Iterable[str]) -> list[str]:
    """The configuration files that may count for changed files, to be fetched from the base; at most `MAX_PATHS`."""
    root: dict[str, None] = {}
    nested: dict[str, None] = {}
    for path in changed:
        for tool in tools_of(path):
            root |= dict.fromkeys(_ROOT[tool])
            nested |= {f"{directory}/{name}": None for directory in _above(path)[:-1] for name in _NESTED.get(tool, ())}
    nearest_first = sorted(nested, key=lambda path: path.count("/"))
    return [*root, *nearest_first][:MAX_PATHS]


@dataclass(frozen=True)
class _Scope:
    """The statements of one configuration file, which count for files below `directory`."""

    directory: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class LinterSettings:
    """What configuration files of the base turn off, and the versions of Python that they name."""

    scopes: Mapping[Tool, tuple[_Scope, ...]] = field(default_factory=dict)
    ruff_scopes: Mapping[str, tuple[_Scope, ...]] = field(default_factory=dict)
    """By directory: ruff reads the nearest file, and those that it extends."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """Minor versions of Python 3 by directory; the nearest counts."""
    problems: tuple[str, ...] = ()
    """The files that could not be read, one sentence each."""
    _cache: dict[tuple[Tool, str], tuple[Statement, ...]] = field(default_factory=dict, repr=False, compare=False)

    def apply(self, finding: Finding, text: str) -> Finding | None:
        """Return a finding as the settings and the comments in its file (`text`) leave it; None if they turn it off."""
        tool = tool_of(finding)
        if tool is None:
            return finding
        off = False
        for statement in self._statements(tool, finding.path):
            if not concerns(statement, finding):
                continue
            if ALL in statement.rules:
                return None
            if statement.severity is None:
                off = not statement.on
            elif statement.severity.rank > finding.severity.rank:
                finding = replace(finding, severity=statement.severity)
        return None if off or is_disabled_by_comment(tool, finding, text) else finding

    def split(self, findings: Iterable[Finding], texts: Mapping[str, str]) -> tuple[list[Finding], list[Finding]]:
        """Return the findings that stay, as `apply` leaves them, and those that are turned off."""
        kept: list[Finding] = []
        off: list[Finding] = []
        for finding in findings:
            applied = self.apply(finding, texts[finding.path])
            (off if applied is None else kept).append(applied or finding)
        return kept, off

    def python_version(self, path: str) -> int:
        """The minor version of Python 3 for a file: the lowest that its project supports, the newest if unknown."""
        return next(
            (self.versions[directory] for directory in _above(path) if directory in self.versions), python.NEWEST
        )

    def with_raised_versions(self, patches: Mapping[str, str]) -> "LinterSettings":
        """Return the settings with the versions of Python that a change (path → patch) raises.

        It is the change that needs them. Nothing else of its settings counts.
        """
        versions = dict(self.versions)
        for path, patch in patches.items():
            directory, _, name = path.rpartition("/")
            for text in _VERSION_LINE.findall(patch) if name in _VERSION_FILES and directory in versions else ():
                version = python.target_version(text.strip()) or python.lowest_version(text) or 0
                versions[directory] = max(version, versions[directory])
        return replace(self, versions=versions)

    def _statements(self, tool: Tool, path: str) -> tuple[Statement, ...]:
        """The statements about a file. Patterns are compared once for each file: it may have thousands of findings."""
        if (tool, path) not in self._cache:
            self._cache[tool, path] = tuple(self._matching(tool, path))
        return self._cache[tool, path]

    def _matching(self, tool: Tool, path: str) -> Iterator[Statement]:
        found = (scope for scope in self.scopes.get(tool, ()) if _is_below(path, scope.directory))
        # The nearest last: it has the last word.
        scopes = sorted(found, key=lambda scope: len(scope.directory))
        if tool in _NEAREST and scopes:
            nearest = max(len(scope.directory) for scope in scopes)
            scopes = [scope for scope in scopes if len(scope.directory) == nearest]
        if tool is Tool.RUFF:
            scopes += next((self.ruff_scopes[above] for above in _above(path) if above in self.ruff_scopes), ())
        for scope in scopes:
            below = path.removeprefix(f"{scope.directory}/") if scope.directory else path
            for statement in scope.statements:
                if not statement.files or matches_any(below, statement.files, crossing=statement.crossing):
                    yield statement


NO_SETTINGS = LinterSettings()


def parse(files: Mapping[str, str]) -> LinterSettings:
    """Read configuration files (path → text) of the base; never raises. A broken file is a problem, without effect."""
    reader = _Reader()
    for path, text in files.items():
        try:
            if len(text) > MAX_CHARACTERS:
                raise BrokenFile(f"longer than {MAX_CHARACTERS} characters")
            reader.read(path, text)
        except BrokenFile as error:
            name = visible(path).replace("`", "\N{REPLACEMENT CHARACTER}")
            reader.problems.append(f"`{name}` has no effect: {error}.")
    return reader.settings()


class _Reader:
    """Collects what the files say."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._scopes: defaultdict[Tool, list[_Scope]] = defaultdict(list)
        self._ruff: dict[str, dict[str, Any]] = {}
        self._pylint: list[Statement] = []
        self._versions: list[dict[str, int]] = [{}, {}, {}, {}]
        """By rank: ruff's own, the project's, `setup.cfg`, `.python-version`."""

    def read(self, path: str, text: str) -> None:
        """Read one file. Raises `BrokenFile`."""
        directory, _, name = path.rpartition("/")
        if name in _RUFF_FILES:
            self._read_toml(path, directory, python.read_pyproject(text))
        elif name in ("typos.toml", "_typos.toml", ".typos.toml"):
            self._add(Tool.TYPOS, directory, others.typos_statements(python.read_pyproject(text)))
        elif name in _PYLINT_FILES:
            self._pylint += python.pylint_statements(python.ini_sections(text).values())
        elif name == ".codespellrc":
            self._add(
                Tool.TYPOS, directory, others.codespell_statements(python.ini_sections(text).get("codespell", {}))
            )
        elif path in _CSPELL_FILES:
            config = others.read_yaml(text) if name.endswith(("yaml", "yml")) else javascript.read_json(text)
            self._add(Tool.TYPOS, "", others.cspell_statements(config))
        elif name == "Cargo.toml":
            cargo = python.read_pyproject(text)
            for part in (table(cargo.get("package")), table(cargo.get("workspace"))):
                self._add(
                    Tool.TYPOS, directory, others.typos_statements(table(table(part.get("metadata")).get("typos")))
                )
        elif name in ("setup.cfg", "tox.ini", ".flake8"):
            sections = python.ini_sections(text)
            self._add(Tool.RUFF, directory, python.flake8_statements(sections))
            self._add(Tool.TYPOS, directory, others.codespell_statements(sections.get("codespell", {})))
            self._pylint += python.pylint_statements(sections[key] for key in sections if key.startswith("pylint"))
            required = sections.get("options", {}).get("python_requires")
            self._version(2, directory, python.lowest_version(required) if name == "setup.cfg" else None)
        elif name == ".python-version":
            self._version(3, directory, python.pinned_version(text))
        elif name in (".shellcheckrc", "shellcheckrc"):
            self._add(Tool.SHELLCHECK, directory, others.shellcheck_statements(text))
        elif name in _ROOT[Tool.HADOLINT]:
            self._add(Tool.HADOLINT, directory, others.hadolint_statements(text))
        elif path in _ROOT[Tool.ZIZMOR]:
            self._add(Tool.ZIZMOR, "", others.zizmor_statements(text))
        elif name in ("biome.json", "biome.jsonc"):
            self._add(Tool.OXLINT, directory, javascript.biome_statements(javascript.read_json(text)))
        elif name == "package.json":
            package = javascript.read_json(text)
            self._add(Tool.OXLINT, directory, javascript.eslint_statements(table(package.get("eslintConfig"))))
            self._add(Tool.TYPOS, directory, others.cspell_statements(table(package.get("cspell"))))
        else:
            # `.eslintrc` without an ending is JSON or YAML.
            is_yaml = name in _ESLINT_FILES[1:] and not text.lstrip().startswith(("{", "/"))
            config = others.read_yaml(text) if is_yaml else javascript.read_json(text)
            self._add(Tool.OXLINT, directory, javascript.eslint_statements(config))

    def _read_toml(self, path: str, directory: str, document: dict[str, Any]) -> None:
        tools = table(document.get("tool"))
        ruff: Any = document
        if path.endswith("pyproject.toml"):
            ruff = tools.get("ruff")
            self._add(Tool.TYPOS, directory, others.typos_statements(table(tools.get("typos"))))
            self._add(Tool.TYPOS, directory, others.codespell_statements(table(tools.get("codespell"))))
            pylint = table(tools.get("pylint")) if not directory else {}
            self._pylint += python.pylint_statements([pylint, *pylint.values()])
            self._version(1, directory, python.project_version(document))
        if isinstance(ruff, dict):
            self._ruff[path] = ruff

    def _add(self, tool: Tool, directory: str, statements: Iterable[Statement]) -> None:
        if found := tuple(_bounded(statements)):
            self._scopes[tool].append(_Scope(directory, found))

    def _version(self, rank: int, directory: str, version: int | None) -> None:
        if version is not None:
            self._versions[rank][directory] = version

    def settings(self) -> LinterSettings:
        """Return what was read."""
        if not self._ruff and Tool.RUFF not in self._scopes:
            # Where ruff or flake8 is configured, pylint's messages are often off because the other one reports them.
            self._add(Tool.RUFF, "", self._pylint)
        ruff_scopes: dict[str, tuple[_Scope, ...]] = {}
        for path in sorted(self._ruff, key=lambda path: _RUFF_FILES.index(path.rpartition("/")[2])):
            # The first of several in a directory counts. Source: ruff documentation, "Config file discovery".
            directory = path.rpartition("/")[0]
            if directory not in ruff_scopes:
                ruff_scopes[directory] = tuple(self._ruff_scopes(path))
                self._version(0, directory, self._target_version(path))
        versions: dict[str, int] = {}
        for directory in {directory for ranked in self._versions for directory in ranked}:
            versions[directory] = next(ranked[directory] for ranked in self._versions if directory in ranked)
        return LinterSettings(
            {tool: tuple(scopes) for tool, scopes in self._scopes.items()}, ruff_scopes, versions, tuple(self.problems)
        )

    def _extended(self, path: str) -> Iterator[str]:
        """Yield a file of ruff and those that it extends, as far as they were fetched."""
        for _ in range(MAX_EXTENDS):
            if path not in self._ruff:
                return
            yield path
            extended = self._ruff[path].get("extend")
            if not isinstance(extended, str):
                return
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), extended))

    def _ruff_scopes(self, path: str) -> Iterator[_Scope]:
        for file in self._extended(path):
            yield _Scope(file.rpartition("/")[0], tuple(_bounded(python.ruff_statements(self._ruff[file]))))

    def _target_version(self, path: str) -> int | None:
        named = (python.target_version(self._ruff[file].get("target-version")) for file in self._extended(path))
        return next((version for version in named if version is not None), None)


def _bounded(statements: Iterable[Statement]) -> Iterator[Statement]:
    patterns = 0
    for statement in islice(statements, MAX_STATEMENTS):
        patterns += len(statement.files)
        if patterns <= MAX_STATEMENTS:
            yield statement


def _above(path: str) -> list[str]:
    """The directories above a file, the nearest first, the root (empty) last."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts), -1, -1)]


def _is_below(path: str, directory: str) -> bool:
    return not directory or path.startswith(f"{directory}/")
