"""oxlint: JavaScript and TypeScript. Its SARIF has no fixes. The rules are in oxlint.json; "error" means major."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from reviews.engines import dialects, sarif
from reviews.engines.analyzer import REMOVED_NAME, Analyzer
from reviews.engines.analyzers import dockerfile
from reviews.engines.kinds import may_be_script
from reviews.engines.source import MAX_CODE, Source
from reviews.findings import Finding, Severity, enumerated

SYNTAX = "OXL0001"
"""Rule id of a syntax error."""
UNUSED_PRIVATE = "eslint(no-unused-private-class-members)"
NO_SUPER, THIS_BEFORE_SUPER = "eslint(constructor-super)", "eslint(no-this-before-super)"
UNUSED, REDECLARED = "eslint(no-unused-vars)", "eslint(no-redeclare)"
NAMED, MULTILINE = "import(named)", "eslint(no-unexpected-multiline)"
UNDEFINED, UNREACHABLE, HOOKS = "eslint(no-undef)", "eslint(no-unreachable)", "react-hooks(rules-of-hooks)"
UNDEFINED_ELEMENT = "react(jsx-no-undef)"
_CLASS = re.compile(r"(?:export\s+|default\s+|abstract\s+)*class\b")
_IMPORT = re.compile(r"\s*import\b")
MAX_IMPORT = 100
"""Lines of an import."""
MAX_DECORATORS = 15
"""Lines above a class that may be its decorators."""
COMPONENTS = (".vue", ".svelte", ".astro")
"""Files of which oxlint reads the scripts, and knows no names that the markup uses or the framework defines."""
_NOT_OF_COMPONENTS = ("react", "eslint(no-self-assign)")
"""Rules of React, and `items = items`, which makes Svelte render again. Source: Svelte docs, "Updating arrays"."""
_DEFINED_ELSEWHERE = re.compile(
    r"define(?:Emits|Expose|Model|Options|Props|Slots)|withDefaults|Astro|\$[\w$]*|__\w+__"
    r"|alert|(?:cancel|request)AnimationFrame|confirm|customElements|document|getComputedStyle|history|inner(?:Height|Width)"
    r"|localStorage|location|matchMedia|navigator|prompt|sessionStorage|window"
    r"|(?:[A-Z]\w*)?(?:Element|Event|Image|Node|Observer|Reader|Request|Sheet)"
)
"""Macros of Vue, stores and runes of Svelte, constants that a build puts in, and names of browsers."""
_REACTIVE = re.compile(r"^[ \t]*\$:([^=\n]*)=", re.MULTILINE)
"""A statement of Svelte that declares what it assigns. Source: Svelte docs, "Reactive statements"."""
_OF_COMPONENT = re.compile(r"\.(?:vue|svelte|astro)[\"']")
"""A module of which oxlint does not know what it exports."""
NOTHING_READ = b"No files found to lint"
"""What oxlint prints in place of SARIF if it skips all files."""
INFO = (
    "eslint(no-async-promise-executor)",
    "eslint(no-ex-assign)",
    "eslint(no-fallthrough)",
    "eslint(no-func-assign)",
    "eslint(no-useless-catch)",
    "eslint(require-yield)",
    "oxc(double-comparisons)",
    "typescript(no-non-null-asserted-optional-chain)",
    "typescript-eslint(no-unsafe-declaration-merging)",
    "unicorn(no-single-promise-in-promise-methods)",
)
"""True, and mostly a matter of taste. oxlint itself knows only errors and warnings."""


_MODULE = re.compile(
    r"^[\ufeff \t]*(?:import\b(?!\s*\()|export\b)|\brequire\s*\(|\bmodule\.exports\b|\bexports\.\w", re.MULTILINE
)
"""Signs of a module, whose names at the top are its own. Those of a classic script are for other scripts."""
_EXPORTS_ALL = re.compile(r"\bexport\s*\*")
_CONFIGURED = re.compile(r"/\*\s*eslint\s([^*]{1,2000})\*/")
_OFF = re.compile(r"(?<![\w@/-])([\w@/-]+)\s*:\s*[\[\"']*(?:0|off)\b")
"""Rules that ESLint's configuration comment turns off. Source: ESLint docs, "Configure Rules"."""
_QUOTED_NAME = re.compile(r"['\"`]([\w$]+)['\"`]")
_NAME = re.compile(r"[\w$]+")
_ASSIGNED_WITHIN = re.compile(r"\(\s*([\w$]+)\s*=(?![=>])")
_TYPES_IN_JSDOC = re.compile(r"@\w+\s*\{([^}\n]*)")
_JSX = re.compile(r"@jsx(?:Frag)?\s+([\w$]+)")
"""The functions that JSX calls, by a comment. Source: TypeScript documentation, "JSX"."""
_PLACES = re.compile(r"\[([^\[\]=]*)\]\s*(?:=|of\b)")
_BRAND_CHECK = re.compile(r"#([\w$]+)\s+in\b")
_MEANT = re.compile(r"[\"'`]_")
_MARKUP = re.compile(r"</|/>")
_TESTS_OF_TYPES = re.compile(
    r"(?:^|/)(?:types?|typings?|tsd|dts)[-_/]?tests?\b|(?:^|/)tests?[-_/](?:types?|typings?|tsd|dts)\b|/dtslint/"
    r"|[._-]test-d\.",
    re.IGNORECASE,
)
_ASSERTS_TYPES = re.compile(
    r"\b(?:expectType|expectTypeOf|expectAssignable|assertType|expectError)\b|//\s*\$ExpectType"
)
_TEST = re.compile(r"(?:^|/)(?:tests?|__tests__|specs?|e2e)/|(?:^|[/._-])(?:tests?|spec|e2e|cy)\.\w+$")
_OF_TEST_RUNNERS = frozenset(
    (
        *("after", "afterAll", "afterEach", "assert", "before", "beforeAll", "beforeEach", "chai", "context", "cy"),
        *("describe", "expect", "fail", "fixture", "it", "jest", "pending", "setup", "sinon", "specify", "suite"),
        *("suiteSetup", "suiteTeardown", "teardown", "test", "vi", "xdescribe", "xit", "Cypress", "QUnit"),
    )
)
"""Names that Jest, Mocha, Jasmine, Vitest, QUnit, Cypress and their helpers define in tests."""
_USING = re.compile(r"\s*(?:await\s+)?using\s")
_CONTINUED = re.compile(r"^(?:var|let|const)\b[^;]*$")
_FUNCTION = re.compile(r"^\s*(?:export\s+)?(?:async\s+)?function\b")
_DECLARED_TWICE = "has already been declared"
_INNER_FUNCTION = re.compile(r"\s+(?:async\s+)?function\b")
_DECLARATION = re.compile(r"\b(let|const|class|var)\s+([\w$]+)")
_EXAMPLE = re.compile(
    r"(?:^|/)(?:docs?|documentation|www|web-?site|examples?|demos?|playground)/|\.example\.\w+$", re.IGNORECASE
)
_OF_INTERFACE = "Interfaces cannot be constructed"
"""In the message of `no-misused-new`."""
_TASTE = {
    # `while (match = next())`, an idiom; `if (a = 3)` is a mistake.
    "eslint(no-cond-assign)": re.compile(r"\b(?:while|for)\s*\(|\(\s*[\w.]+\s*=\s*(?:(?:await|new)\s+)?(?:[\w.]+\(|/)"),
    # `console = console || {}` fills in what an old browser lacks.
    "eslint(no-global-assign)": re.compile(r"\b(\w+)\s*=\s*(?:\1\b|(?:window|self|global|globalThis)\.)"),
    # `if (false)` is typed to turn something off.
    "eslint(no-constant-condition)": re.compile(r"\bif\s*\(\s*(?:true|false|0|1)\s*\)"),
    # A property may do something when it is set: `image.src = image.src`.
    "eslint(no-self-assign)": re.compile(r"[\w\])][.\[][^=]*="),
    # Only NaN differs from itself.
    "eslint(no-self-compare)": re.compile(r"!=="),
}
"""Code on which a rule is a matter of taste."""
_LEAVES = re.compile(r"\s*(?:break|continue|return)\s*(?:;\s*)?(?://.*)?")
_SCRIPT_ONLY = "at the top level of a script"
"""In the message about code that is correct in a module, which one file without `import` does not show."""


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read oxlint's SARIF; syntax errors become critical findings."""
    if output.startswith(NOTHING_READ):
        return [dialects.unread(path, "syntax-error", "oxlint skips files of this name.") for path in files]
    # As in JavaScript itself, a lone carriage return ends a line.
    read = sarif.read(output, files, root, lone_returns=True)
    if any(_EXPORTS_ALL.search(text) for text in files.values()):
        read = [finding for finding in read if finding.rule != NAMED]  # The names may be in a file that is not here.
    findings = [
        _with_severity(finding, files[finding.path])
        for finding in _without_given(read, files)
        if not _is_noise(finding, files[finding.path])
    ]
    # oxlint reports nothing of a file that only Flow can parse.
    silent = {path for path, text in files.items() if dialects.is_flow(text)}
    findings += [dialects.unread(path, "syntax-error", "This is Flow.") for path in sorted(silent)]
    findings = dialects.first_errors(
        findings,
        files,
        ("syntax-error",),
        # JSX: `style={{ width }}`
        lambda path, text, line: dialects.has_template_tag(line.replace("={{", "=")) or dialects.is_markup(text),
    )
    return _one_per_statement(findings, files)


def _without_given(findings: Sequence[Finding], files: Mapping[str, str]) -> list[Finding]:
    """Drop undefined names of components that the framework defines, or a build imports: then there are several."""
    undefined: dict[str, set[str]] = {}
    for finding in findings:
        if finding.rule == UNDEFINED and finding.path.endswith(COMPONENTS):
            name = _name(finding)
            if not (_DEFINED_ELSEWHERE.fullmatch(name) or name in _reactive(files[finding.path])):
                undefined.setdefault(finding.path, set()).add(name)
    return [
        finding
        for finding in findings
        if finding.rule != UNDEFINED
        or not finding.path.endswith(COMPONENTS)
        or undefined.get(finding.path) == {_name(finding)}
    ]


def _one_per_statement(findings: Sequence[Finding], files: Mapping[str, str]) -> list[Finding]:
    """Join the remarks about unused names of one line or import: `import { a, b } from "c"`.

    That `this` comes before `super()` is the same as that no `super()` comes.
    """
    without_super = {(finding.path, finding.start_line) for finding in findings if finding.rule == NO_SUPER}
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for number, finding in enumerate(findings):
        if finding.rule == THIS_BEFORE_SUPER and (finding.path, finding.start_line) in without_super:
            continue
        what = finding.message.partition("' is ")[2]
        is_unused = finding.rule == UNUSED and what != ""
        line = _first_line(finding.start_line, files[finding.path])
        key = (finding.path, line, finding.severity, what) if is_unused else (number,)
        alike.setdefault(key, []).append(finding)
    return [_joined(same) for same in alike.values()]


def _joined(findings: Sequence[Finding]) -> Finding:
    names = list(dict.fromkeys(f"'{_name(finding)}'" for finding in findings))
    if len(names) < 2:
        return findings[0]
    what = findings[0].message.partition("' is ")[2]
    end = max(finding.end_line for finding in findings)
    return replace(findings[0], message=f"{enumerated(names)} are {what}", end_line=end)


def _first_line(line: int, text: str) -> int:
    """The first line of the import that a line belongs to; the line itself if it belongs to none."""
    lines = _source(text).lines[max(0, line - MAX_IMPORT) : line]
    for above, code in enumerate(reversed(lines)):
        if _IMPORT.match(code):
            return line - above
        if above and (";" in code or "}" in code):
            break
    return line


@lru_cache(maxsize=8)
def _source(text: str) -> Source:
    return Source(text)


@lru_cache(maxsize=8)
def _reactive(text: str) -> frozenset[str]:
    """Names that statements of Svelte declare."""
    return _names(_REACTIVE.findall(text))


def _with_severity(finding: Finding, text: str) -> Finding:
    code = finding.snippet[:MAX_CODE]
    if finding.rule == SYNTAX or finding.rule.startswith("TS("):
        internal = (
            _SCRIPT_ONLY in finding.message
            # Vue's older tools read JSX in any script.
            or ("JSX" in finding.message and finding.path.endswith(".vue"))
            or _is_in_another_block(finding, text)
            or dialects.is_javascript_dialect(finding.path, text, code)
        )
        message = "This is XML or HTML." if dialects.is_markup(text) else finding.message
        return replace(finding, rule="syntax-error", severity=Severity.CRITICAL, message=message, internal=internal)
    # `var` in two branches is taste; a second function of one name takes the place of the first.
    is_taste = finding.rule == REDECLARED and not _FUNCTION.match(code)
    is_taste |= finding.rule == UNUSED and _name(finding) in _places(code) | _assigned_within(text)
    is_taste |= finding.rule == UNREACHABLE and _LEAVES.fullmatch(code) is not None
    # `.selectAll()` and `[modifier]("pet")` on a line of its own, as formatters break a chain.
    is_taste |= finding.rule == MULTILINE and _source(text).text(finding.start_line - 1).lstrip().startswith(".")
    is_taste |= finding.rule in _TASTE and _TASTE[finding.rule].search(code) is not None
    # A story renders in a function without a name.
    is_taste |= finding.rule == HOOKS and ".stories." in finding.path
    # What `new` of an interface says is how a class is called that another file has.
    is_taste |= _OF_INTERFACE in finding.message
    is_undefined = finding.rule in (UNDEFINED, UNDEFINED_ELEMENT)
    if is_taste or finding.rule in INFO or (is_undefined and _is_run_by_page(finding.path, text)):
        return replace(finding, severity=Severity.INFO)
    # Another script of the page may define it.
    is_script = is_undefined and not (is_module(text) or finding.path.endswith(COMPONENTS))
    return replace(finding, severity=Severity.MINOR) if is_script else finding


def _is_in_another_block(finding: Finding, text: str) -> bool:
    """Return whether a function of a block may only have the name of a `var` of another block.

    oxlint takes that for an error, JavaScript does not. Source: ECMAScript, "Static Semantics: Early Errors" of blocks.
    """
    if _DECLARED_TWICE not in finding.message:
        return False
    if len(finding.snippet) > MAX_CODE:
        return True  # Nobody knows which of so many blocks it is about, and a bundler wrote them.
    if not _INNER_FUNCTION.match(finding.snippet):
        return False
    return _declared(text).get(_name(finding)) == {"var"}


@lru_cache(maxsize=8)
def _declared(text: str) -> Mapping[str, set[str]]:
    """For each name the words that a text declares it with, functions aside."""
    declared: dict[str, set[str]] = {}
    for word, name in _DECLARATION.findall(text):
        declared.setdefault(name, set()).add(word)
    return declared


@lru_cache(maxsize=8)
def _is_run_by_page(path: str, text: str) -> bool:
    """Return whether a file is an example of documentation whose page runs it and gives it names.

    It has JSX, for which something must be there, and imports and exports nothing.
    """
    return not is_module(text) and _EXAMPLE.search(path) is not None and _MARKUP.search(text) is not None


def _name(finding: Finding) -> str:
    """The name that a finding is about; empty if it is about none."""
    name = _QUOTED_NAME.search(finding.message)
    return name[1] if name else ""


# A text of a megabyte can have thousands of findings, so each text is searched once.


@lru_cache(maxsize=8)
def _places(line: str) -> frozenset[str]:
    """Names of which some only keep a place among others: `[key, value]`."""
    return _names(_PLACES.findall(line))


@lru_cache(maxsize=8)
def _assigned_within(text: str) -> frozenset[str]:
    """Names that are assigned where the value is used although the name may not be: `(poll = () => {…})()`."""
    return frozenset(_ASSIGNED_WITHIN.findall(text))


@lru_cache(maxsize=8)
def _used_in_comments(text: str) -> frozenset[str]:
    """Names that are used as types in comments, `@param {Scene} scene`, or by JSX: `@jsx h`."""
    return _names([*_TYPES_IN_JSDOC.findall(text), *_JSX.findall(text)])


@lru_cache(maxsize=8)
def _private_names_asked_for(text: str) -> frozenset[str]:
    """Private names that only show whether an object is of the class: `#brand in object`."""
    return frozenset(_BRAND_CHECK.findall(text))


@lru_cache(maxsize=8)
def _rules_off(text: str) -> frozenset[str]:
    """Rules that comments of ESLint turn off for the file."""
    return frozenset(_OFF.findall(" ".join(_CONFIGURED.findall(text))))


@lru_cache(maxsize=8)
def _is_test_of_types(path: str, text: str) -> bool:
    """Return whether only a compiler reads a file: nobody calls its functions."""
    is_typescript = path.endswith((".ts", ".tsx", ".mts", ".cts"))
    return is_typescript and bool(_TESTS_OF_TYPES.search(path) or _ASSERTS_TYPES.search(text))


@lru_cache(maxsize=8)
def _is_about_react(text: str) -> bool:
    return "react" in text.lower()


def _names(parts: Iterable[str]) -> frozenset[str]:
    return frozenset(name for part in parts for name in _NAME.findall(part))


def _is_noise(finding: Finding, text: str) -> bool:
    """Return whether a finding is about what the author intends.

    A name that begins with an underscore, is only `using` a resource or is used in a comment, a class with a decorator,
    a global name of a classic script, a rule that a comment of ESLint turns off for the file, a function `use…` that is
    no hook, or what is right in a component of Vue, Svelte or Astro.
    """
    if finding.rule == UNUSED_PRIVATE and _name(finding).removeprefix("#") in _private_names_asked_for(text):
        return True
    if finding.rule.rpartition("(")[2].rstrip(")") in _rules_off(text):
        return True
    if finding.path.endswith(COMPONENTS) and finding.rule.startswith(_NOT_OF_COMPONENTS):
        return True
    if finding.rule == NAMED and _OF_COMPONENT.search(finding.snippet):
        return True
    if finding.rule == UNUSED:
        is_meant = _MEANT.search(finding.message) is not None or _USING.match(finding.snippet) is not None
        is_meant |= _is_test_of_types(finding.path, text) and "imported" not in finding.message
        # JSX may be compiled into calls of React, by a setting that stands elsewhere.
        is_meant |= _name(finding) == "React" and _MARKUP.search(text) is not None
        is_meant |= finding.message.startswith("Class ") and _is_decorated(finding.start_line, text)
        return is_meant or _is_global(finding, text) or _name(finding) in _used_in_comments(text)
    if finding.rule == UNDEFINED and _name(finding) in _OF_TEST_RUNNERS and _TEST.search(finding.path):
        return True
    # Playwright's fixtures get a function `use`, others call what is no hook `useStorage`.
    if finding.rule == HOOKS and _is_test_of_types(finding.path, text):
        return True
    has_components = finding.path.endswith((".jsx", ".tsx")) and '"use"' not in finding.message
    return finding.rule == HOOKS and not has_components and not _is_about_react(text)


def _is_decorated(line: int, text: str) -> bool:
    """Return whether a decorator stands above a class, which may make it known to others."""
    for above in reversed(_source(text).lines[max(0, line - 1 - MAX_DECORATORS) : line - 1]):
        code = above.strip()
        if code.startswith("@"):
            return True
        if not code or code.endswith(";") or code == "}" or _CLASS.match(code):
            return False
    return False


@lru_cache(maxsize=8)
def is_module(text: str) -> bool:
    """Return whether a text is a module: it sees no names of other files, and they see none of it."""
    return _MODULE.search(text) is not None


def _is_global(finding: Finding, text: str) -> bool:
    """Return whether a finding is about a name at the top of a classic script, which others may use."""
    return not is_module(text) and _lines_at_top(text)[finding.start_line - 1 : finding.start_line] == (True,)


@lru_cache(maxsize=8)
def _lines_at_top(text: str) -> tuple[bool, ...]:
    """For each line whether it has no indentation, or continues a declaration on a line without."""
    at_top, is_continued = [], False
    for line in text.split("\n"):
        if begins := line[:1] not in ("", " ", "\t", "\r", "}", ")"):
            is_continued = _CONTINUED.match(line) is not None
        at_top.append(begins or is_continued)
    return tuple(at_top)


_MINIFIED = re.compile(r"(?<=[._-])min(?=\.[^/]*$)")


def _unskipped(path: str) -> str:
    """The path under which oxlint reads a file: it skips `*.min.*`, `*-min.*` and `*_min.*`, in small letters.

    And files without a suffix. No other file has this path: of two that differ only in case none is read.
    """
    return f"{path}.SCRIPT.js" if may_be_script(path) else _MINIFIED.sub("MIN", path)


CONFIGURATION = f"{os.path.dirname(__file__)}/oxlint.json"

ANALYZER = Analyzer(
    name="oxlint",
    files=("*.js", "*.mjs", "*.cjs", "*.jsx", "*.ts", "*.mts", "*.cts", "*.tsx", *(f"*{end}" for end in COMPONENTS)),
    interpreters=("node", "nodejs"),
    command=(
        "oxlint",
        f"--config={CONFIGURATION}",
        "--disable-nested-config",
        "--no-ignore",
        "--format=sarif",
    ),
    read=read,
    own_files=(CONFIGURATION,),
    suppression="`// oxlint-disable-next-line {rule}` on the line before",
    is_source=lambda path, text: (
        not (dialects.is_translation(path, text) or dockerfile.is_named_after_language(path, text))
    ),
    scratch_path=_unskipped,
    # With "." it would honour .gitignore files, those above the scratch directory too.
    names_files=True,
    # 1: a finding is an error.
    success_codes=(0, 1),
    parse_error_rules=("syntax-error",),
    # An import may be of a changed file.
    compares=True,
    breakage_rules=(
        REMOVED_NAME,
        "eslint(",
        "import(",
        "oxc(",
        "react(jsx-key",
        "react(jsx-no-dup",
        "react-hooks(",
        "typescript",
        "unicorn(",
    ),
    only_breakage_rules=("eslint(no-undef)", "eslint(no-redeclare)"),
    distribution="oxlint",
    url="https://oxc.rs/docs/guide/usage/linter.html",
    licence="MIT",
)
