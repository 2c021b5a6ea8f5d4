"""Detect findings about names in Python that are intended: imports for a side effect, for others, for pytest.

One file does not show who uses a name; the other changed files and the usual idioms do.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache

from reviews.engines.source import Source

_NAME = re.compile(r"`([^`]+)`")
_FROM = re.compile(r"[\ufeff\x0c \t]*from\s+(\.*[\w.]*)\s+import\b")
_FOR_AVAILABILITY = "importlib.util.find_spec"
"""In ruff's message about an import in a `try` that only asks whether a package is installed."""
_REGISTERING = frozenset(
    ("checks", "handlers", "hooks", "listeners", "models", "plugins", "receivers", "routes", "signals", "tasks")
)
"""Modules that are imported so that what they define is registered."""
_SIDE_EFFECTS = frozenset(("Axes3D", "antigravity", "readline", "rlcompleter", "this"))
_REASON = re.compile(
    r"#.*\b(?:side[- ]?effects?|regist\w+|re-?export\w*|fixtures?|back\w*[- ]compat\w*|compat\w*|public|needed"
    r"|used (?:by|in)|keep)\b",
    re.IGNORECASE,
)
_TEST = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_tests?|conftest|tests?)\.py$|(?:^|/)tests?/")
_PYTHON_2_NAMES = frozenset(("basestring", "cmp", "file", "long", "raw_input", "reduce", "unichr", "unicode", "xrange"))
_PYTHON_2_OR_3 = re.compile(r"\bPY[23]\b|\bsix\b|sys\.version_info")
_OTHER_LOGGERS = re.compile(r"^\s*(?:from|import)\s+(?:loguru|structlog|logbook|eliot)\b", re.MULTILINE)
_LOGGING = re.compile(r"^\s*(?:import\s+(?:[\w.]+(?:\s+as\s+\w+)?,\s*)*logging\b|from\s+logging\b)", re.MULTILINE)
_LOGGER = re.compile(r"([\w.]+)\.(?:debug|info|warn|warning|error|critical|fatal|exception|log)\(")
_DEFINES_LATER = re.compile(r"\bdef __getattr__\(|\bglobals\(\)|\bsys\.modules\[|\bexec\(")
_NOTEBOOK = re.compile(r"^# (?:%%|In\[|COMMAND -----|MAGIC )", re.MULTILINE)
_DEFINITION, _LOOP = re.compile(r"\s*(?:async\s+)?(?:def|class)\b"), re.compile(r"\s*(?:async\s+)?(?:for|while)\b")
_EXPECTS_ERROR = re.compile(r"^\s*(?:async )?with\b.*(?:raises|warns|deprecated|assertRaises|assertWarns|suppress)")
_REGISTERED = re.compile(
    r"^\s*@(?!pytest\b|mock\b|patch\b|unittest\b|static|class|property|parametrize|skip|override"
    r"|[\w.]+\.(?:get|post|put|patch|delete|head|options|route|websocket|command|group|task)\b)"
)
"""A decorator that keeps the function under another name. The names of routes and commands must differ."""


def is_intended(rule: str, message: str, bound: str, path: str, line: int, files: Mapping[str, str]) -> bool:
    """Return whether a finding of ruff's in a file (`files`: path → text) is about what the author intends.

    `bound` is the code that the finding is on: of an import, the name that it binds.
    """
    text = files[path]
    source = Source(text)
    quoted = _NAME.search(message)
    name = quoted[1] if quoted else ""
    match rule:
        case "F401":
            for_availability = _FOR_AVAILABILITY in message or _is_in_try(source, line)
            return for_availability or _is_import_intended(name, bound, path, line, files)
        case "F811":
            return _is_redefinition_intended(name, message, source, line)
        case "F821":
            return name in _PYTHON_2_NAMES and _PYTHON_2_OR_3.search(text) is not None
        case "F841":
            return is_carried_on(name, source, line, assigned=True)
        case "B020":
            return re.search(rf"\bfor\b.*\b{re.escape(name)}[.\[].*\bin\b", source.text(line)) is not None
        case "F822":
            return _DEFINES_LATER.search(text) is not None
        case "PLE0605":
            return "(" in source.text(line)  # A call may return a list.
        case "B015" | "B018":
            # In a `try` an expression asks whether something is there.
            expects_error = _EXPECTS_ERROR.match(source.text(line - 1)) is not None or _is_in_try(source, line)
            return expects_error or _NOTEBOOK.search(text) is not None
        case "PLE1142" | "F704":
            return _NOTEBOOK.search(text) is not None
        case "PLE1205" | "PLE1206":
            # A logger of another module may format its messages in another way.
            return not _is_of_logging(source.text(line), text)
    return False


def _is_import_intended(module: str, bound: str, path: str, line: int, files: Mapping[str, str]) -> bool:
    """Return whether an unused import is there for its side effect, for another file, or for pytest."""
    text, code = files[path], Source(files[path]).text(line)
    basename = path.rpartition("/")[2]
    last = module.rpartition(".")[2]
    name = bound if bound.isidentifier() else last
    return (
        # Alembic's `env.py` imports models so that their tables are known.
        basename in ("__init__.py", "__init__.pyi", "conftest.py", "env.py")
        # `compat.py`, `_compat.py`, `py3compat.py` import for others.
        or basename.endswith("compat.py")
        or last in _SIDE_EFFECTS
        # `from . import handlers`, `from app import signals`, in `apps.py` anything that `ready` imports.
        or (name == last and (last in _REGISTERING or module.strip(".") == last != module))
        or (basename == "apps.py" and code.startswith((" ", "\t")))
        # `import plugins.check`
        or ("." in module and may_have_side_effects(module, bound, code))
        or _REASON.search(code) is not None
        or re.search(rf"#\s*type:.*\b{re.escape(name)}\b", text) is not None
        or (_TEST.search(path) is not None and name in _fixture_names(text))
        or any(_mentions(other, name, path) for other_path, other in files.items() if other_path != path)
    )


def _is_of_logging(code: str, text: str) -> bool:
    """Return whether a line calls `logging` itself, or a logger that the file takes from it."""
    if _OTHER_LOGGERS.search(text) or not _LOGGING.search(text):
        return False
    called = _LOGGER.search(code)
    name = called[1].rpartition(".")[2] if called else "logging"
    return (
        name == "logging" or re.search(rf"\b{name}\s*(?::[^=\n]+)?=[^=\n]*\b(?:getLogger|logging)\b", text) is not None
    )


def is_carried_on(name: str, source: Source, line: int, *, assigned: bool) -> bool:
    """Return whether an iteration of a loop around a line uses what an earlier one assigns.

    `assigned`: the line assigns the name, and one above uses it; else the line uses it, and one below assigns it.
    """
    used = re.compile(rf"(?<![\w.]){re.escape(name)}\b")
    assigns = re.compile(rf"\s*(?:[\w, ()*]+,\s*)?\(?{re.escape(name)}\b[\w, ()*]*(?::[^=]+)?=(?!=)")
    for first, last in _loops(source, line):
        if assigned and any(used.search(source.text(number)) for number in range(first, line)):
            return True
        if not assigned and any(assigns.match(source.text(number)) for number in range(line + 1, last + 1)):
            return True
    return False


def _loops(source: Source, line: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last lines of the loops around a line in its function, the innermost first."""
    indentation = _indentation(source.text(line))
    for number in range(line - 1, 0, -1):
        code = source.text(number)
        if not code.strip() or _indentation(code) >= indentation:
            continue
        indentation = _indentation(code)
        if _DEFINITION.match(code):
            return
        if _LOOP.match(code):
            below = range(line + 1, len(source.lines) + 1)
            texts = ((at, source.text(at)) for at in below)
            ends = (at for at, text in texts if text.strip() and _indentation(text) <= indentation)
            yield number, next(ends, len(source.lines) + 1) - 1


def _is_in_try(source: Source, line: int) -> bool:
    """Return whether a line stands right in a `try`: an import there asks whether a package is installed."""
    indentation = _indentation(source.text(line))
    above = (source.text(number) for number in range(line - 1, 0, -1))
    opened = next((text for text in above if text.strip() and _indentation(text) < indentation), "")
    return opened.strip() == "try:"


def _indentation(text: str) -> int:
    return len(text) - len(text.lstrip())


def may_be_a_module(module: str, bound: str, code: str, source: Source) -> bool:
    """Return whether `from package import name` may import a module, which is needed if it has side effects.

    One from which another line imports (`from package.name import …`) is loaded anyway.
    """
    if not bound.islower() or module.partition(".")[0] in sys.stdlib_module_names:
        return False
    imported = _FROM.match(code)
    if imported is None:
        return False
    package = imported[1] + ("" if imported[1].endswith(".") else ".")
    loaded = re.compile(rf"\s*from\s+{re.escape(package + bound)}(?:\.[\w.]+)?\s+import\b")
    return not any(loaded.match(line) for line in source.lines)


def may_have_side_effects(module: str, bound: str, code: str) -> bool:
    """Return whether an import may be needed although nothing uses its name: no click should remove it."""
    plain = code.lstrip("\ufeff\x0c \t").startswith("import ")
    return plain and bound == module and module.partition(".")[0] not in sys.stdlib_module_names


@lru_cache(maxsize=8)
def _fixture_names(text: str) -> frozenset[str]:
    """The names that pytest looks up: parameters of functions, and names in `usefixtures`."""
    parameters = re.findall(r"\bdef\s+\w+\s*\(([^)]*)\)", text)
    used = re.findall(r"usefixtures\(([^)]*)\)", text)
    return frozenset(re.findall(r"\w+", " ".join((*parameters, *used))))


def _mentions(text: str, name: str, path: str) -> bool:
    """Return whether another changed file takes a name from the module at `path`, in code or in a string."""
    *directories, basename = path.removesuffix(".py").removesuffix(".pyi").split("/")
    module = directories[-1] if basename == "__init__" and directories else basename
    if name not in text or module not in text:
        return False
    own, of = re.escape(name), re.escape(module)
    aliases = "|".join((of, *re.findall(rf"\b{of}\s+as\s+(\w+)", text)))
    listed = rf"\bfrom\s+[\w.]*\b{of}\s+import\s+(?:\([^)]*\b{own}\b|[^\n(]*\b{own}\b|\*)"
    return re.search(rf"\b(?:{aliases})\.{own}\b|{listed}", text) is not None


def _is_redefinition_intended(name: str, message: str, source: Source, line: int) -> bool:
    """Return whether what redefines a name is a parameter (a fixture), or what was first defined is registered."""
    own = re.escape(name)
    defines = rf"\b(?:def|class)\s+{own}\b|\bimport\b|^\s*(?:\w+,\s*)*{own}\s*[:=]"
    opened = next((above for above in reversed(source.lines[: line - 1]) if "(" in above), "")
    listed = "import" in opened and re.match(rf"\s+{own}\b", source.text(line))
    if not listed and not re.search(defines, source.text(line)):
        return True
    first = re.search(r"from line (\d+)", message)
    if first is None:
        return False
    if re.match(rf"\s*{own}\s*(?::[^=]+)?=\s*None\b", source.text(int(first[1]))):
        return True  # A place that is filled later.
    return int(first[1]) > 1 and _REGISTERED.match(source.text(int(first[1]) - 1)) is not None
