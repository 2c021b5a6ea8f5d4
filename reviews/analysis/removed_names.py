"""Names that a change removes or renames and still uses, where no engine looks for them.

Only what is sure: each mention that is left in the file is a use, and nothing shows that the name may come from
elsewhere. Of functions in shell, types in TypeScript and variables of a Dockerfile, only what a hunk renames counts:
what was removed alone may have stood in for a command, a type of the library, or a variable of the image.
"""

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import NamedTuple

from reviews import engines
from reviews.analysis.file_selection import FileSelection, path_in_base
from reviews.engines.analyzer import REMOVED_NAME
from reviews.engines.analyzers.oxlint import COMPONENTS, UNDEFINED
from reviews.engines.analyzers.python_names import IMPORTS
from reviews.engines.source import Source
from reviews.findings import Finding, Severity
from reviews.github.patches import Hunk
from reviews.github.schemas import ChangedFile

MAX_NAMES = 20
"""Names of a review of which the uses are searched, and findings about imports."""
MAX_CHARACTERS = 100_000
"""Of a text that is searched."""

_BEFORE_COMMAND = r"(?:(?:^|[;&|({)!`])|\b(?:do|elif|else|if|then|until|while))[ \t]*"
_NO_PATTERN = r"(?![ \t]*(?:\(|\)|\|[^\n;&()]{0,200}\)))"
"""Behind a name that is no function's definition and no pattern of a `case`."""
_SCRIPT = r"(?:^|/)[^./]+$"
"""A file without a suffix, of which an engine says what it is."""
_TYPESCRIPT = re.compile(r"\.[cm]?tsx?$")
_JAVASCRIPT = re.compile(r"\.[cm]?jsx?$")
_TYPE = r"(?:[:<|&,]|=>|\b(?:as|extends|implements|is|keyof|readonly|satisfies))\s*(NAME)\b(?!\s*\.)"
"""A type. `React.FC` may be of a library's global namespace."""
_JS_COMMENT = re.compile(r"//[^\n]*|/\*(?:[^*]++|\*(?!/))*+(?:\*/|\Z)")
_GLOBAL_TYPES = re.compile(r"^/// *<reference|\bdeclare[ \t]+global\b", re.MULTILINE)
_OF_LIBRARY = re.compile(
    r"\w*(?:Array|Element|Error|Event)|[A-Z]|Attr|Awaited|Blob|Cache|Client|Clients|Comment|Crypto|Date|Document"
    r"|Exclude|Extract|File|FileList|FormData|Headers|History|Image|Iterator|Location|Lock|Map|Navigator|Node"
    r"|NodeList|Notification|Omit|Option|Parameters|Partial|Performance|Pick|Plugin|Position|Promise|Range|Readonly"
    r"|Record|Request|Required|Response|ReturnType|Screen|Selection|Set|Storage|Text|Touch|Window|Worker"
)
_FROM = r"(?:(?:import|export)\b[^;'\"]{0,2000}?\bfrom|import)\s*['\"](\.[^'\"]+)['\"]"
_AT_LINE, _IN_COMPONENT = re.compile(f"^{_FROM}", re.MULTILINE), re.compile(rf"^[ \t]*{_FROM}", re.MULTILINE)
_IMPORT_OF_JS = re.compile(r"^import\b([^;'\"]{1,2000}?)\bfrom\s*['\"]", re.MULTILINE)


def _named(pattern: re.Pattern[str], text: str) -> dict[str, None]:
    return {match[match.lastindex or 0]: None for match in pattern.finditer(text)}


def _imported_types(text: str) -> dict[str, None]:
    """The names that a module of TypeScript imports, each of which may be a type."""
    parts = (part for match in _IMPORT_OF_JS.finditer(text) for part in re.split(r"[{},]", match[1]))
    # Of `type A as B` the last word; of the end of a statement none.
    return {words[-1]: None for part in parts if (words := part.split())}


class _Kind(NamedTuple):
    """A kind of names. Comments and what `unread` matches are no mentions; where `foreign` matches, nothing is sure."""

    engine: str
    paths: re.Pattern[str]
    declared: Callable[[str], Mapping[str, None]]
    use: str
    unread: re.Pattern[str]
    foreign: re.Pattern[str]
    known: re.Pattern[str]
    """Names that exist anyway."""
    only_renamed: bool


_RENAMED_TYPES = _Kind(
    "oxlint",
    _TYPESCRIPT,
    partial(
        _named,
        re.compile(
            r"^[ \t]*(?:export[ \t]+)?(?:default[ \t]+)?(?:declare[ \t]+)?(?:interface|type)[ \t]+([\w$]+)", re.M
        ),
    ),
    _TYPE,
    _JS_COMMENT,
    _GLOBAL_TYPES,
    _OF_LIBRARY,
    only_renamed=True,
)
_KINDS = (
    _Kind(
        "shellcheck",
        re.compile(rf"\.(?:ba|da|k)?sh$|{_SCRIPT}"),
        partial(
            _named,
            re.compile(r"^[ \t]*(?:function[ \t]+)?([\w:.-]+)[ \t]*\(\)|^[ \t]*function[ \t]+([\w:.-]+)", re.MULTILINE),
        ),
        rf"{_BEFORE_COMMAND}(NAME)(?=[ \t;&|]|$){_NO_PATTERN}|\$\([ \t]*(NAME)\)",
        re.compile(
            r"(?<!\S)#[^\n]*|<<-?[ \t]*[\"'\\]?(\w+)[^\n]*+(?:\n(?:(?![ \t]*\1$)[^\n]*\n)*+(?:[ \t]*\1$|\Z))?",
            re.MULTILINE,
        ),
        re.compile(r"^[ \t]*(?:source|\.)[ \t]|\beval\b|\balias\b", re.MULTILINE),
        re.compile(
            r"(?!(?:die|fail|main|run|warn)$)[a-z]{1,4}|ansible|brew|cargo|cmake|composer|docker|echo|ffmpeg|flutter|gradle|kubectl|maven|mysql|nginx"
            r"|podman|poetry|printf|psql|pytest|python3?|readlink|realpath|rsync|sleep|sudo|swift|terraform|timeout|which"
            r"|xargs"
        ),
        only_renamed=True,
    ),
    _RENAMED_TYPES,
    _RENAMED_TYPES._replace(declared=_imported_types, only_renamed=False),
    _Kind(
        "hadolint",
        re.compile(r"(?:^|/)(?:Docker|Container)file[^/]*$|\.(?:docker|container)file$", re.IGNORECASE),
        partial(_named, re.compile(r"^[ \t]*(?:ARG|ENV)[ \t]+(\w+)", re.MULTILINE | re.IGNORECASE)),
        r"\$(?:\{(?=\w+[}:]))?(NAME)\b",
        re.compile(r"^[ \t]*#[^\n]*", re.MULTILINE),
        re.compile(r"(?!)"),
        re.compile(r"(?:TARGET|BUILD)\w+|\w+_PROXY|HOME|HOSTNAME|LANG|PATH|PWD|SHELL|USER|\w+_VERSION", re.IGNORECASE),
        only_renamed=True,
    ),
    _Kind(
        "ruff",
        re.compile(rf"\.py$|{_SCRIPT}"),
        partial(_named, re.compile(r"^[ \t]+(?:async[ \t]+)?def[ \t]+(\w+)\(", re.MULTILINE)),
        r"\bself\.(NAME)\(",
        re.compile(r"#[^\n]*"),
        # What a class inherits, or what is set by name.
        re.compile(r"^[ \t]*class\b[^\n(:]*\((?!\s*(?:object\s*)?\))|__getattr|\bsetattr\(|\b__dict__\b", re.MULTILINE),
        re.compile(r"__\w+__"),
        only_renamed=False,
    ),
)
_AT_TOP = re.compile(r"^(?:(?:async[ \t]+)?def|class)[ \t]+(\w+)|^(\w+)[ \t]*(?::[^=\n]*)?=(?!=)", re.MULTILINE)
_DYNAMIC = re.compile(r"\bimport[ \t]*\*|\b__getattr__\b|\bglobals\(\)|\bexec\(|\bsys\.modules\b|\bsetattr\(")
_WORD = re.compile(r"\w+")
_IMPORTED = re.compile(r"#[^\n]*|\b(\w+)(?:\s+as\s+\w+)?")
"""A comment, or a name that a statement imports."""


def find_removed_names(
    files: Sequence[ChangedFile], selection: FileSelection, introduced: Iterable[Finding]
) -> list[Finding]:
    """Find uses of names that the change removes: in the same file, and imports of other changed files.

    `files` are all changed files, also removed ones. `introduced` are findings of engines; what they call undefined is
    not found twice.
    """
    undefined = {(finding.path, finding.message.split("'")[1]) for finding in introduced if finding.rule == UNDEFINED}
    removed = (
        (kind, path, name, new)
        for path, text in selection.texts.items()
        for kind in _KINDS
        if len(text) <= MAX_CHARACTERS
        and kind.paths.search(path)
        and kind.engine in engines.readers(path, text, ())
        and (base := selection.bases[path].text)
        and not kind.foreign.search(text)
        for name, new in _removed(kind, base, text, selection.hunks[path]).items()
        if (path, name) not in undefined
    )
    uses = (_first_use(*one, selection.texts) for one in islice(removed, MAX_NAMES))
    broken = chain(_broken_imports(selection), _imports_of_removed_files(files, selection))
    return [*filter(None, uses), *islice(broken, MAX_NAMES)]


def _first_use(kind: _Kind, path: str, name: str, new: Sequence[str], texts: Mapping[str, str]) -> Finding | None:
    """Return a finding on the first use of a name in its file; None if not all mentions are uses."""
    code = _without(kind.unread, texts[path])
    uses = [use.end() for use in re.finditer(kind.use.replace("NAME", re.escape(name)), code, re.MULTILINE)]
    mentions = re.findall(rf"(?<!\w){re.escape(name)}(?!\w)", code)
    others = (text for other, text in texts.items() if other != path and kind.paths.search(other))
    if not uses or len(uses) != len(mentions) or any(name in text for text in others):
        return None
    became = f": this change has `{new[0]}` in its place" if len(new) == 1 else ""
    return _finding(kind.engine, path, texts[path], uses[0], f"`{name}` is not defined any more{became}.")


def _removed(kind: _Kind, base: str, text: str, hunks: Sequence[Hunk]) -> dict[str, list[str]]:
    """The names that are declared no more, with those that the same hunk declares anew."""
    before, after, source = kind.declared(base), kind.declared(text), Source(text)
    if not kind.only_renamed:
        return {name: [] for name in before if name not in after and not kind.known.fullmatch(name)}
    removed: dict[str, list[str]] = {}
    for hunk in hunks:
        added = "\n".join(source.text(line) for line in sorted(hunk.added))
        new = [name for name in kind.declared(added) if name not in before]
        for name in kind.declared("\n".join(hunk.removed)):
            if name not in after and new and not kind.known.fullmatch(name):
                removed[name] = new
    return removed


def _broken_imports(selection: FileSelection) -> Iterator[Finding]:
    """Find imports from a changed file of Python of what it has defined before, and now does not even mention."""
    removed: dict[str, dict[str, set[str]]] = {}
    for path, text in selection.texts.items():
        base, name = selection.bases[path].text, path.rpartition("/")[2].removesuffix(".py")
        if not path.endswith(".py") or not base or name == "__init__" or _DYNAMIC.search(text):
            continue
        if gone := _named(_AT_TOP, base).keys() - set(_WORD.findall(text)):
            removed.setdefault(name, {})[path] = gone
    for path, text in selection.texts.items() if removed else ():
        for statement in _imports(path, text):
            for other, gone in removed.get(statement[1].rpartition(".")[2], {}).items():
                taken = _IMPORTED.finditer(text, *statement.span(2)) if _is_module(statement[1], path, other) else ()
                for lost in (one for one in taken if one[1] in gone):
                    message = f"`{other}` does not define `{lost[1]}` any more."
                    yield _finding("ruff", path, text, lost.end(1), message)


def _imports_of_removed_files(files: Sequence[ChangedFile], selection: FileSelection) -> Iterator[Finding]:
    """Find imports of modules and components that the change removes, and has nowhere else."""
    present = {file.path for file in files if file.status != "removed"}
    removed = [path for file in files if (path := path_in_base(file)) not in present]
    # What git ignores from now on is written by a build.
    if not removed or any(path.rpartition("/")[2] == ".gitignore" for path in present):
        return
    for path, text in selection.texts.items():
        for found, lost in _lost_modules(path, text, removed, present):
            yield _finding("ruff", path, text, found.end(1), f"This change removes `{lost}`.")
        for found, lost in _lost_scripts(path, text, removed, present):
            yield _finding("oxlint", path, text, found.end(1), f"This change removes `{lost}`.")


def _lost_modules(
    path: str, text: str, removed: Sequence[str], present: Collection[str]
) -> Iterator[tuple[re.Match[str], str]]:
    """The statements of a file of Python that import removed files, and these."""
    # Without an `__init__.py` a package is one of its other files.
    modules = [one for one in removed if one.endswith(".py") and not one.endswith("__init__.py")]
    for statement in _imports(path, text) if modules else ():
        module = statement[1]
        # A name alone may be a library's.
        lost = [one for one in modules if "." in module and _is_module(module, path, _module_of(one))]
        if lost and not any(_is_module(module, path, _module_of(other)) for other in present):
            yield from ((statement, one) for one in lost)


def _lost_scripts(
    path: str, text: str, removed: Sequence[str], present: Collection[str]
) -> Iterator[tuple[re.Match[str], str]]:
    """The statements of a script or component that import removed files of its kind, or components, and these."""
    is_component, is_javascript = path.endswith(COMPONENTS), _JAVASCRIPT.search(path) is not None
    if not (is_component or is_javascript or _TYPESCRIPT.search(path)):
        return
    others = (_JAVASCRIPT, _TYPESCRIPT) if is_component else (_JAVASCRIPT if is_javascript else _TYPESCRIPT,)
    scripts = [one for one in removed if one.endswith(COMPONENTS) or any(kind.search(one) for kind in others)]
    statement = _IN_COMPONENT if is_component else _AT_LINE
    for found in statement.finditer(_without(_JS_COMMENT, text)) if scripts else ():
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[1]))
        # A module of TypeScript names others as the compiler writes them.
        named = {target, f"{target}/index", *([] if is_javascript else [_stem(target)])}
        lost = [one for one in scripts if one == target or _stem(one) in named]
        if lost and not any(other.startswith((f"{_stem(target)}.", f"{target}.", f"{target}/")) for other in present):
            yield from ((found, one) for one in lost)


def _stem(path: str) -> str:
    return re.sub(r"\.\w+$", "", path)


def _without(unread: re.Pattern[str], text: str) -> str:
    """The text with as many blanks in place of what is not read: the places stay."""
    return unread.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def _imports(path: str, text: str) -> Iterator[re.Match[str]]:
    """The statements of a module of Python that import names, but for those in blocks: in a `try` one may fail."""
    for statement in IMPORTS.finditer(text) if "ruff" in engines.readers(path, text, ()) else ():
        if not statement.start() or text[statement.start() - 1] == "\n":
            yield statement


def _module_of(path: str) -> str:
    """The path without what is no part of a module's name, whatever it is written in."""
    return re.sub(r"(?:/__init__)?\.\w+$", "", path) + ".py"


def _is_module(module: str, importer: str, path: str) -> bool:
    """Return whether a file is surely the module that an import names: relative, or with its package, or below it."""
    target, name = path.removesuffix(".py"), module.lstrip(".")
    if dots := len(module) - len(name):
        return target == "/".join([*importer.split("/")[:-dots], *name.split(".")])
    name = name.replace(".", "/")
    root = target.removesuffix(name)
    if not target.endswith(name) or (root and not root.endswith("/")):
        return False
    package, _, inside = name.partition("/")
    # Of two packages of one name the importer means the one that it is in.
    is_in_another = f"/{package}/" in f"/{importer}" and not importer.startswith(f"{root}{package}/")
    return not is_in_another if inside else importer.startswith(root)


def _finding(engine: str, path: str, text: str, end: int, message: str) -> Finding:
    line = text.count("\n", 0, end) + 1
    return Finding(
        path, line, line, Severity.MAJOR, REMOVED_NAME, message, snippet=Source(text).text(line), engine=engine
    )
