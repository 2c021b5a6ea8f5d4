"""Detect findings about names in Python that are intended: imports for a side effect, for others, for pytest.

One file does not show who uses a name; the other changed files and the usual idioms do.
"""

import re
import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise

from reviews.engines.source import MAX_CODE, Source

MAX_NAME = 1000
"""Characters of a name that is looked for elsewhere. Python takes seconds to compile a pattern of a million."""

_NAME = re.compile(rf"`([^`]{{1,{MAX_NAME}}})")
_WORD = re.compile(r"\w+")
_FROM = re.compile(r"[\ufeff\x0c \t]*from\s+([\w.]+)\s+import\b")
_FOR_AVAILABILITY = "importlib.util.find_spec"
"""In ruff's message about an import in a `try` that only asks whether a package is installed."""
_REGISTERING = frozenset(
    ("checks", "handlers", "hooks", "listeners", "models", "plugins", "receivers", "routes", "signals", "tasks")
)
"""Modules that are imported so that what they define is registered."""
_SIDE_EFFECTS = frozenset(("Axes3D", "antigravity", "fastentrypoints", "readline", "rlcompleter", "this"))
_REASON = re.compile(
    r"\b(?:side[- ]?effects?|regist\w+|re-?export\w*|fixtures?|back\w*[- ]compat\w*|compat\w*|public|needed"
    r"|used (?:by|in)|keep)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\s*(?:async\s+)?(?:def\s+_*(?:(?:test|check|is|can|try)_\w*(?:import|avail|install)|has_)"
    r"|with\b.*(?:raises|warn|suppress|assert))",
    re.IGNORECASE,
)
"""What stands above an import that only asks whether it works."""
_TEST = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_tests?|conftest|tests?)\.py$|(?:^|/)tests?/")
_PYTHON_2_NAMES = frozenset(("basestring", "cmp", "file", "long", "raw_input", "reduce", "unichr", "unicode", "xrange"))
_PYTHON_2_OR_3 = re.compile(
    r"\bPY[23]\b|\bsix\b|sys\.(?:version_info|hexversion)|\bpython_version|\bprint_function\b"
    r"|except \(?(?:NameError|SyntaxError)\b"
)
_OF_GETTEXT = frozenset(("_", "N_", "_n", "ngettext", "npgettext", "pgettext"))
"""Names that are built in where gettext is installed. Source: Python docs, gettext, "install"."""
_TRANSLATES = re.compile(r"(?<![\w.])_\(\s*[bBfFrRuU]{0,2}[\"']")
_BINDS_UNDERSCORE = re.compile(r"\bas\s+_(?!\w)|^_\s*=(?!=)|^def\s+_\(", re.MULTILINE)
_CONFIGURATION = re.compile(r"(?:^|/)\w*config\.py$")
_OPTION = re.compile(r"(?:c|config)\.\w")
_OTHER_LOGGERS = re.compile(r"^[ \t]*(?:from|import)[ \t]+(?:loguru|structlog|logbook|eliot)\b", re.MULTILINE)
_LOGGING = re.compile(
    r"^[ \t]*(?:import[ \t]+(?:[\w.]+(?:[ \t]+as[ \t]+\w+)?,[ \t]*)*logging\b|from[ \t]+logging\b)", re.MULTILINE
)
_LOGGER = re.compile(r"(?<![\w.])([\w.]+)\.(?:debug|info|warn|warning|error|critical|fatal|exception|log)\(")
_OF_LOGGING = re.compile(r"\b(?:getLogger|logging)\b")
_TARGET = re.compile(r"(?<!\w)(\w+)\s*(?=:|$)")
"""A name to the left of `=`, before or without an annotation."""
_ASSIGNED = re.compile(r"([\w\s,()*]*)(?::[^=]+)?=(?!=)")
_FIRST_OF_TARGET = re.compile(r"(?:^|,)[\s(*]*(\w+)")
_NOT_AN_ATTRIBUTE = re.compile(r"(?<![\w.])\w+")
_BINDS = re.compile(r"\b(?:def|class)\s+(\w+)|^\s*(?:\w+,\s*)*(\w+)\s*[:=]")
_IMPORT_AT_TOP = re.compile(r"(?:from|import)\b")
_EMPTY = re.compile(r"\s*(\w+)\s*(?::[^=]+)?=\s*None\b")
_BESIDE_CODE = re.compile(r"(?:#[ \t]*type:|^[ \t]*(?:>>>|\.\.\.)[ \t])([^\n]*)", re.MULTILINE)
"""Type comments and doctests, which ruff does not read."""
_USE = re.compile(r"(?<![\w.])(\w+)[.(](?=\w)")
_TAKES_ITEM = re.compile(r"=\s*[\w.]+\[[^\[\]]*\]\s*(?:#|$)")
"""In a `try` it asks whether the item is there."""
_ASKS_BY_ERROR = re.compile(r"\bexcept\b.*\b(?:AttributeError|IndexError|KeyError|LookupError)\b")
_IN_TRY = re.compile(r"\s*(?:try:|except\b)")
_PARAMETERS = re.compile(r"\b(?:def\s+\w+\s*|usefixtures)\(([^)]*)")
IMPORTS = re.compile(r"\bfrom\s+([\w.]+)\s+import\s+(\((?:[^()#]++|#[^\n]*+)*+|(?:[^\n\\(]++|\\\r?\n)*+)")
_NAMES_OR_ALL = re.compile(r"\w+|\*")
_ALIASES = re.compile(r"\b(\w+)\s+as\s+(\w+)")
_ATTRIBUTES = re.compile(r"(?<!\w)(\w++)\.(?=(\w+))")
_SHAPES = re.compile(r"[\[,]\s*[\"']([^\"']*)[\"']\s*\]")
"""`Float[Array, "batch dim"]` of jaxtyping."""
_JAXTYPING = re.compile(r"\bjaxtyping\b")
_DEFINES_LATER = re.compile(r"\bdef __getattr__\(|\bglobals\(\)|\bsys\.modules\[|\bexec\(")
_LOOKS_UP_NAMES = re.compile(r"(?<![\w.])(?:dir|globals|vars)\(\)")
"""`__all__ = [name for name in dir() if …]`: any name of the module may be needed."""
_NOTEBOOK = re.compile(r"^# (?:%%|In\[|COMMAND -----|MAGIC )", re.MULTILINE)
_DEFINITION, _LOOP = re.compile(r"\s*(?:async\s+)?(?:def|class)\b"), re.compile(r"\s*(?:async\s+)?(?:for|while)\b")
_EXPECTS_ERROR = re.compile(r"\s*(?:async )?with\b.*(?:raises|warns|deprecated|assertRaises|assertWarns|suppress)")
_REGISTERED = re.compile(
    r"\s*@(?!pytest\b|mock\b|patch\b|unittest\b|static|class|property|parametrize|skip|override"
    r"|[\w.]+\.(?:get|post|put|patch|delete|head|options|route|websocket|command|group|task)\b)"
)
"""A decorator that keeps the function under another name. The names of routes and commands must differ."""


class PythonSource(Source):
    """A Python file and what is looked up for its findings: read once, because a file may have thousands of them."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(text, lone_returns=True)
        self.path = path
        self._text = text
        self._found: dict[re.Pattern[str], bool] = {}

    def before(self, line: int, column: int) -> str:
        """The code before a column, as far as it is searched."""
        return self.text(line)[max(0, column - 1 - MAX_CODE) : column - 1]

    def has(self, pattern: re.Pattern[str]) -> bool:
        """Return whether a pattern is found in the text."""
        if pattern not in self._found:
            self._found[pattern] = pattern.search(self._text) is not None
        return self._found[pattern]

    @cached_property
    def beside_code(self) -> frozenset[str]:
        """The words of type comments and doctests."""
        return _words(_BESIDE_CODE.findall(self._text))

    @cached_property
    def commented_out(self) -> frozenset[str]:
        """The names that code in comments uses."""
        comments = (line.lstrip() for line in self.lines)
        return frozenset(name for line in comments if line[:1] == "#" for name in _USE.findall(line[:MAX_CODE]))

    @cached_property
    def fixtures(self) -> frozenset[str]:
        """The names that pytest looks up: parameters of functions, and names in `usefixtures`."""
        return _words(_PARAMETERS.findall(self._text))

    @cached_property
    def loggers(self) -> frozenset[str]:
        """The names that the file gives to what it takes from `logging`."""
        parts = (part for line in self.lines for part in pairwise(line[:MAX_CODE].split("=")))
        return frozenset(
            name for target, value in parts if _OF_LOGGING.search(value) for name in _TARGET.findall(target)
        )

    def loads(self, module: str) -> bool:
        """Return whether a line imports from a module, or from one inside of it."""
        positions = (bisect_left(self._imported_from, name) for name in (module, f"{module}."))
        found = [self._imported_from[position] for position in positions if position < len(self._imported_from)]
        return module in found or any(name.startswith(f"{module}.") for name in found)

    @cached_property
    def _imported_from(self) -> list[str]:
        """The modules of all `from module import name`, sorted."""
        found = (_FROM.match(line[:MAX_CODE]) for line in self.lines)
        return sorted({match[1] for match in found if match})

    @cached_property
    def used(self) -> Mapping[str, list[int]]:
        """The lines that have a name, not as an attribute."""
        return _lines_of(_NOT_AN_ATTRIBUTE.findall(line) for line in self.lines)

    @cached_property
    def assigned(self) -> Mapping[str, list[int]]:
        """The lines that begin with an assignment to a name."""
        found = (_ASSIGNED.match(line[:MAX_CODE]) for line in self.lines)
        return _lines_of(_FIRST_OF_TARGET.findall(match[1]) if match else () for match in found)

    def opening(self, line: int) -> int:
        """The nearest line above with an opening bracket; 0 if there is none, or the file has no such line."""
        return self._opening[line - 1] if line <= len(self.lines) else 0

    @cached_property
    def _opening(self) -> list[int]:
        brackets = (number if "(" in line else 0 for number, line in enumerate(self.lines, 1))
        return [0, *accumulate(brackets, max)]

    def block(self, line: int) -> int:
        """The nearest line above that is indented less; 0 if there is none, or the file has no such line."""
        return self._blocks[0][line - 1] if line <= len(self.lines) else 0

    def loops(self, line: int) -> Iterator[tuple[int, int]]:
        """Yield the first and last lines of the loops around a line in its function, the innermost first."""
        while line := self.block(line):
            if _DEFINITION.match(self.code(line)):
                return
            if _LOOP.match(self.code(line)):
                yield line, self._blocks[1][line - 1]

    def handlers(self, line: int) -> Sequence[str]:
        """The `except` clauses of the `try` on a line."""
        return self._handlers.get(line, ())

    @cached_property
    def _handlers(self) -> Mapping[int, list[str]]:
        found = defaultdict(list)
        opened: dict[int, int] = {}
        for number, line in enumerate(self.lines, 1):
            code = line[:MAX_CODE].lstrip()
            if code.startswith("try:"):
                opened[len(line) - len(line.lstrip())] = number
            elif code.startswith("except"):
                found[opened.get(len(line) - len(line.lstrip()), 0)].append(code)
        return found

    @cached_property
    def _blocks(self) -> tuple[list[int], list[int]]:
        """For each line, the nearest one above that is indented less, and the last of those below indented more."""
        above, last = [0] * len(self.lines), [len(self.lines)] * len(self.lines)
        around: list[tuple[int, int]] = []
        for number, code in enumerate(self.lines, 1):
            if not code.strip():
                continue
            indentation = len(code) - len(code.lstrip())
            while around and around[-1][1] >= indentation:
                last[around.pop()[0] - 1] = number - 1
            above[number - 1] = around[-1][0] if around else 0
            around.append((number, indentation))
        return above, last


def _words(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(word for text in texts for word in _WORD.findall(text))


def _lines_of(names: Iterable[Iterable[str]]) -> Mapping[str, list[int]]:
    lines = defaultdict(list)
    for number, found in enumerate(names, 1):
        for name in found:
            lines[name].append(number)
    return lines


def is_intended(rule: str, message: str, bound: str, line: int, source: PythonSource, taken: Collection[str]) -> bool:
    """Return whether a finding of ruff's is about what the author intends.

    `bound` is the code that the finding is on: of an import, the name that it binds. `taken` are the names that other
    changed files take from this one.
    """
    quoted = _NAME.search(message)
    name = quoted[1] if quoted else ""
    code = source.code(line)
    match rule:
        case "F401":
            for_availability = _FOR_AVAILABILITY in message or _only_asks(source, line)
            return for_availability or _is_import_intended(name, bound, line, source, taken)
        case "F811":
            return _is_redefinition_intended(name, message, source, line)
        case "F821":
            asks = code.lstrip().startswith("try:") or _is_in_try(source, line)
            return (asks and name in _PYTHON_2_NAMES) or _is_defined_by_what_runs_it(name, code, source)
        case "F841":
            asks = _TAKES_ITEM.search(code) is not None and _is_in_try(source, line)
            return asks or is_carried_on(name, source, line, assigned=True)
        case "B020":
            targets = re.search(r"\bfor\b(.*?)\bin\b", code)
            return targets is not None and re.search(rf"\b{re.escape(name)}[.\[]", targets[1]) is not None
        case "F822":
            return source.has(_DEFINES_LATER)
        case "PLE0605":
            return "(" in source.text(line)  # A call may return a list.
        case "B015" | "B018":
            # In a `try` an expression asks whether something is there.
            expects_error = _EXPECTS_ERROR.match(source.code(line - 1)) is not None or _is_in_try(source, line)
            return expects_error or source.has(_NOTEBOOK)
        case "PLE1142" | "F704":
            return source.has(_NOTEBOOK)
        case "PLE1205" | "PLE1206":
            # A logger of another module may format its messages in another way.
            return not _is_of_logging(code, source)
    return False


def imported_name(module: str, bound: str) -> str:
    """The name that an import binds, of the module that ruff names and the code that it is on."""
    return bound if bound.isidentifier() else module.rpartition(".")[2]


def _is_import_intended(module: str, bound: str, line: int, source: PythonSource, taken: Collection[str]) -> bool:
    """Return whether an unused import is there for its side effect, for another file, or for pytest."""
    path, code = source.path, source.code(line)
    basename = path.rpartition("/")[2]
    last = module.rpartition(".")[2]
    name = imported_name(module, bound)
    return (
        # Alembic's `env.py` imports models so that their tables are known.
        basename in ("__init__.py", "__init__.pyi", "conftest.py", "env.py")
        # `compat.py`, `_compat.py`, `py3compat.py` import for others.
        or basename.endswith("compat.py")
        or last in _SIDE_EFFECTS
        # unittest runs the tests that a module imports: `from .test_a import TestA`
        or (name.startswith("Test") and _TEST.search(path) is not None and ".test_" in f".{module}")
        # `from . import handlers`, `from app import signals`, in `apps.py` anything that `ready` imports.
        or (name == last and (last in _REGISTERING or module.strip(".") == last != module))
        or (basename == "apps.py" and code.startswith((" ", "\t")))
        # `import plugins.check as _check`
        or (name.startswith("_") and name != last)
        # `import plugins.check`
        or ("." in module and may_have_side_effects(module, bound, code))
        or _REASON.search(source.text(line).partition("#")[2][:MAX_CODE]) is not None
        or name in source.beside_code
        or source.has(_LOOKS_UP_NAMES)
        or (_TEST.search(path) is not None and name in source.fixtures)
        or name in taken
    )


def _is_defined_by_what_runs_it(name: str, code: str, source: PythonSource) -> bool:
    """Return whether Python 2, Sphinx, Jupyter, kernprof or jaxtyping knows a name that looks undefined."""
    return (
        (name in _PYTHON_2_NAMES and source.has(_PYTHON_2_OR_3))
        or (name == "tags" and f"/{source.path}".endswith("/conf.py"))
        or (name in ("c", "config") and bool(_OPTION.match(code) and _CONFIGURATION.search(source.path)))
        or (name == "profile" and code.strip() == "@profile")
        or (source.has(_JAXTYPING) and name in _words(_SHAPES.findall(code)))
    )


def may_be_installed(rule: str, message: str, text: str) -> bool:
    """Return whether a name that looks undefined may be one that gettext makes built in.

    So it is with `_` where a text is translated with it. The others come with it.
    """
    quoted = _NAME.search(message)
    if rule != "F821" or quoted is None or quoted[1] not in _OF_GETTEXT:
        return False
    translates, binds = _uses_underscore(text)
    return translates and (quoted[1] == "_" or not binds)


@lru_cache(maxsize=8)
def _uses_underscore(text: str) -> tuple[bool, bool]:
    """Return whether a text translates with `_`, and whether it binds the name. It may have thousands of findings."""
    return _TRANSLATES.search(text) is not None, _BINDS_UNDERSCORE.search(text) is not None


def _is_of_logging(code: str, source: PythonSource) -> bool:
    """Return whether a line calls `logging` itself, or a logger that the file takes from it."""
    if source.has(_OTHER_LOGGERS) or not source.has(_LOGGING):
        return False
    called = _LOGGER.search(code)
    name = called[1].rpartition(".")[2] if called else "logging"
    return name == "logging" or name in source.loggers


def is_carried_on(name: str, source: PythonSource, line: int, *, assigned: bool) -> bool:
    """Return whether an iteration of a loop around a line uses what an earlier one assigns.

    `assigned`: the line assigns the name, and one above uses it; else the line uses it, and one below assigns it.
    """
    numbers = (source.used if assigned else source.assigned).get(name, ())
    return any(
        _has_between(numbers, first, line - 1) if assigned else _has_between(numbers, line + 1, last)
        for first, last in source.loops(line)
    )


def _has_between(numbers: Sequence[int], first: int, last: int) -> bool:
    return bisect_left(numbers, first) < bisect_right(numbers, last)


def _is_in_try(source: PythonSource, line: int) -> bool:
    """Return whether a line stands right in a `try`: an import there asks whether a package is installed."""
    opened = source.block(line)
    return opened > 0 and source.code(opened).strip() == "try:"


def asks_by_error(source: PythonSource, line: int) -> bool:
    """Return whether a line of a `try` only asks whether an attribute or an item is there."""
    return _is_in_try(source, line) and any(map(_ASKS_BY_ERROR.match, source.handlers(source.block(line))))


def _only_asks(source: PythonSource, line: int) -> bool:
    """Return whether an unused import only asks whether it works, or stands in for one that does."""
    if _IN_TRY.match(source.code(line)):
        return True
    while line := source.block(line):
        code = source.code(line)
        if _IN_TRY.match(code) or _ASKS.match(code):
            return True
        if _DEFINITION.match(code):
            return False
    return False


def may_be_a_module(module: str, bound: str, code: str, source: PythonSource) -> bool:
    """Return whether `from package import name` may import a module, which is needed if it has side effects.

    One from which another line imports (`from package.name import …`) is loaded anyway.
    """
    if not bound.islower() or module.partition(".")[0] in sys.stdlib_module_names:
        return False
    imported = _FROM.match(code)
    if imported is None:
        return False
    name = imported[1] + ("" if imported[1].endswith(".") else ".") + bound
    return not source.loads(name)


def may_have_side_effects(module: str, bound: str, code: str) -> bool:
    """Return whether an import may be needed although nothing uses its name: no click should remove it."""
    plain = code.lstrip("\ufeff\x0c \t").startswith("import ")
    return plain and bound == module and module.partition(".")[0] not in sys.stdlib_module_names


def module_name(path: str) -> str:
    """The last part of the name under which other files import a file."""
    *directories, basename = path.removesuffix(".py").removesuffix(".pyi").split("/")
    return directories[-1] if basename == "__init__" and directories else basename


def taken_elsewhere(imported: Mapping[str, Collection[str]], files: Mapping[str, str]) -> Mapping[str, set[str]]:
    """Return, by path, those of the names that files import (`imported`, by path) which other files take from them."""
    taken: defaultdict[str, set[str]] = defaultdict(set)
    for other, text in files.items() if imported else ():
        pairs = _taken_from_modules(text)
        modules = {module for module, _ in pairs}
        for path, names in imported.items():
            module = module_name(path)
            if module in modules and path != other:
                takes_all = (module, "*") in pairs
                taken[path] |= {name for name in names if takes_all or (module, name) in pairs}
    return taken


def _taken_from_modules(text: str) -> set[tuple[str, str]]:
    """The last part of the name of a module, and a name that a text takes from it, in code or in a string."""
    modules_of = {alias: module for module, alias in _ALIASES.findall(text)}
    attributes = _ATTRIBUTES.findall(text)
    return {
        *attributes,
        *((modules_of.get(owner, owner), name) for owner, name in attributes),
        *(
            (module.rpartition(".")[2], name)
            for module, names in IMPORTS.findall(text)
            for name in _NAMES_OR_ALL.findall(names)
        ),
    }


def _is_redefinition_intended(name: str, message: str, source: PythonSource, line: int) -> bool:
    """Return whether what redefines a name is a parameter (a fixture), or what was first defined is registered."""
    code, opened = source.code(line), source.code(source.opening(line))
    is_listed = "import" in opened and (_WORD.findall(code)[:1] == [name] and code[:1].isspace())
    is_bound = re.search(r"\bimport\b", code) or any(name in match.groups() for match in _BINDS.finditer(code))
    if not is_listed and not is_bound:
        return True
    defined = _first_definition(message, source)
    if defined is None:
        return False
    empty = _EMPTY.match(source.code(defined))
    if empty is not None and empty[1] == name:
        return True  # A place that is filled later.
    return _REGISTERED.match(source.code(defined - 1)) is not None


def redefines_import(message: str, source: PythonSource) -> bool:
    """Return whether what a finding says is redefined is an import of the module, and no other definition."""
    defined = _first_definition(message, source)
    lines = () if defined is None else (defined, source.opening(defined))
    return any(_IMPORT_AT_TOP.match(source.code(line)) for line in lines)


def _first_definition(message: str, source: PythonSource) -> int | None:
    first = re.search(r"from line (\d+)", message)
    return source.line(int(first[1])) if first else None
