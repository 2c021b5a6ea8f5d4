"""Distinguish errors of the author from text that an engine cannot parse although the tool that runs it can.

Templates (Jinja, ERB, PHP), dialects (Flow, IPython, Python 2), and other languages under the same suffix. Such a file
counts as not read, and has no findings. It goes by the line of the first parse error: a template tag within a string
elsewhere in the file excuses nothing.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from reviews.engines.kinds import interpreter
from reviews.engines.source import MAX_CODE, Source
from reviews.findings import Finding, Severity

_STRINGS = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`")
_TAG = re.compile(
    r"\{%[-+~]?\s*\w|[-+~]?%\}"  # Jinja, Django, Liquid, Twig
    r"|\{\{[-~#/&!>{]?\s*[\w.][^{}:,]*\}\}"
    r"|\{\{[-~#/&>]\s*\w"
    r"|\{\{-?\s*\$\w+\s*:="  # Go
    r"|\{\{\s*(?:def|if)\s"  # jq, as Docker's official images use it
    r"|<%|<\?(?:php\b|=)"  # ERB, EJS, PHP
    r"|@@\w+@@|^\s*@@include\b|^\s*\{#[- \t][^#]*#\}\s*$"
)
_TEMPLATE_COMMENT = re.compile(r"^[ \t]*\{#[- \t][^\n#]*#\}[ \t]*$", re.MULTILINE)
"""Python reads on behind it: the error is on a later line."""
_SUBSTITUTION = re.compile(r"\$\{\w[\w.]*\}|^\s*%\s*(?:for|if|endfor|endif|while|def)\b")
"""Of `string.Template` and Mako: no code of Python has it."""
_PYTHON_2 = re.compile(
    r"^\s*(?:print\s+(?:[\"'\w%]|>>)|print\s*>>|exec\s+[\"'\w]|raise\s+[\w.]+\s*,|except\s+[\w.]+\s*,\s*\w+\s*:)"
)
_PYTHON_2_TOKENS = re.compile(r"<>|(?<![\w.])(?:0\d+|\d+[lL])\b|\bur\"")
_SHEBANG_OF_PYTHON_2 = re.compile(r"#![^\n]{0,200}\bpython2")
_IPYTHON = re.compile(r"^\s*(?:%{1,2}[a-z_]{2,}\b|![\w.~/]|[\w.]+\?{1,2}\s*$)")
_FLOW = re.compile(
    r"^[ \t]*(?:import\s+type(?:of)?\b(?!\s*from)|(?:export\s+)?(?:opaque\s+)?type\s+\w+\s*(?:<[^>\n]*>\s*)?[=:;{]"
    r"|declare\s+(?:var|function|class|module|export|type|opaque)\b)|:\s*\?[\w{(\[]",
    re.MULTILINE,
)
_FIRST_COMMENTS = re.compile(r"(?:\s+|#![^\n]*|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)*+")
_PROPOSALS = re.compile(
    r"\|>|\w::\w|=\s*do\s*\{|^\s*export\s+\w+(?:\s*,\s*\{[^}]*\})?\s+from\b"  # of TC39, which Babel compiles
    r"|^\s*#(?:target|include|includepath|script)\b"  # ExtendScript
    r"|^\s*\.(?:pragma\s+library\b|import\s+[\w\"])"  # QML
)
_TYPOSCRIPT = re.compile(r"^\s*[a-zA-Z][\w-]*(?:\.[a-zA-Z][\w-]*)*\.\d+(?:\.\w+)*\s*(?:[=<>{]|$)")
"""TYPO3's configuration, which was called `*.ts` before TypeScript was."""
_TEMPLATE_NAME = re.compile(r"\.(?:j2|jinja2?|tmpl|tpl|erb|ejs|hbs|mustache)\.\w+$")
_TRANSLATION = re.compile(
    r"\ufeff?(?:\s+|<\?[^>]*>|<!--(?:[^-]|-(?!->))*-->)*+"
    r"(?:<!doctype\s+TS\b|<TS\s+[\w:]+\s*=|<TS>\s*<(?:context|message)>)",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"\ufeff?(?:\s+|<!--(?:[^-]|-(?!->))*-->)*+<(?:\?xml\b|!doctype\b|html\b)", re.IGNORECASE)
_ZSH = re.compile(r"^[ \t]*(?:#compdef\b|autoload\s+-|setopt\s|unsetopt\s|zstyle\s|compdef\s|zmodload\s)", re.MULTILINE)

_NO_SHELLS = frozenset(
    (
        *("bun", "cargo", "deno", "elvish", "escript", "execlineb", "gawk", "groovy", "guile", "julia", "lua"),
        *("luajit", "make", "mawk", "nawk", "node", "nodejs", "nu", "osascript", "perl", "php", "powershell", "pwsh"),
        *("pypy", "python", "raku", "rscript", "ruby", "scala", "swift", "tclsh", "ts-node", "tsx", "uv", "wish"),
        "xonsh",
    )
)
_KSH_93 = re.compile(
    r"^[ \t]*(?:compound|namespace|typeset[ \t]+-[CT])\b|=\(\s{0,200}(?:compound|float|integer|typeset)\b", re.MULTILINE
)


def unread(path: str, rule: str, message: str) -> Finding:
    """An internal finding: the engine could not read a file, and the author is not to blame."""
    return Finding(path, 1, 1, Severity.INFO, rule, message, internal=True)


def first_errors(
    findings: Iterable[Finding],
    files: Mapping[str, str],
    rules: tuple[str, ...],
    excused: Callable[[str, str, str], bool],
) -> list[Finding]:
    """Keep one parse error per file, the first: the others follow from it. Make it internal if `excused`.

    An error that is excused keeps its severity: it is reported all the same if the base can be parsed.
    `rules` are prefixes of the rules of parse errors; `excused` gets path and text of the file, and the error's line.
    """
    kept: list[Finding] = []
    errors: dict[str, Finding] = {}
    for finding in findings:
        if not finding.rule.startswith(rules):
            kept.append(finding)
        elif finding.path not in errors or finding.start_line < errors[finding.path].start_line:
            errors[finding.path] = finding
    for path in files:
        if is_template_path(path):
            errors[path] = unread(path, rules[0], "This is a template.")
    for path, error in errors.items():
        line = Source(files[path]).code(error.start_line)
        is_certain = error.internal or _SHEBANG_OF_PYTHON_2.match(files[path])
        if error.internal or excused(path, files[path], line):
            errors[path] = replace(error, severity=Severity.INFO if is_certain else error.severity, internal=True)
    internal = {path for path, error in errors.items() if error.internal}
    return [*(finding for finding in kept if finding.path not in internal), *errors.values()]


def is_template_path(path: str) -> bool:
    """Return whether a path has a placeholder of cookiecutter or copier, or the suffix of a template before its own."""
    return "{{" in path or "{%" in path or _TEMPLATE_NAME.search(path) is not None


def has_template_tag(line: str) -> bool:
    """Return whether a line has a tag of a template language outside of strings."""
    return _TAG.search(_STRINGS.sub('""', line[:MAX_CODE])) is not None


def is_python_dialect(path: str, text: str, line: str) -> bool:
    """Return whether the error on this line of Python is due to a template, IPython or Python 2."""
    if has_template_tag(line) or _TEMPLATE_COMMENT.search(text) or _IPYTHON.search(line):
        return True
    if _SUBSTITUTION.search(_STRINGS.sub('""', line[:MAX_CODE])):
        return True
    # One such line in a file is a slip, several are Python 2.
    return _is_python_2(line) and (
        _SHEBANG_OF_PYTHON_2.match(text) is not None or sum(map(_is_python_2, text.split("\n"))) > 1
    )


def _is_python_2(line: str) -> bool:
    line = line[:MAX_CODE]
    return bool(_PYTHON_2.search(line) or _PYTHON_2_TOKENS.search(_STRINGS.sub('""', line)))


def is_javascript_dialect(path: str, text: str, line: str) -> bool:
    """Return whether the error on this line of JavaScript is due to Flow, QML or a proposal of TC39."""
    line = line[:MAX_CODE]
    is_front_matter = text.startswith("---\n") and not path.endswith(".astro")  # Jekyll's
    if _TYPOSCRIPT.search(line) or is_front_matter:
        return True
    is_typescript = path.endswith(("ts", ".tsx"))
    return not is_typescript and bool(_PROPOSALS.search(_STRINGS.sub('""', line)) or _FLOW.search(line))


def is_flow(text: str) -> bool:
    """Return whether a file is typed with Flow, according to its first comments."""
    found = _FIRST_COMMENTS.match(text)
    return found is not None and re.search(r"@flow\b", found[0]) is not None


def is_markup(text: str) -> bool:
    """Return whether a text is XML or HTML."""
    return _MARKUP.match(text) is not None


def is_translation(path: str, text: str) -> bool:
    """Return whether a file is one of Qt's translations, which are called `app_de.ts`. None of them is TypeScript."""
    return path.endswith(".ts") and _TRANSLATION.match(text) is not None


def is_zsh(text: str) -> bool:
    """Return whether a shell script without a shebang is for zsh."""
    return not text.startswith("#!") and _ZSH.search(text) is not None


def has_other_interpreter(text: str) -> bool:
    """Return whether a script names an interpreter in its shebang that is no shell."""
    return interpreter(text) in _NO_SHELLS


def is_ksh_93(path: str, text: str) -> bool:
    """Return whether a script is for the Korn shell, and has compound variables or types of its version of 1993."""
    is_ksh = path.endswith(".ksh") or re.match(r"#![^\n]{0,200}\bksh", text) is not None
    return is_ksh and _KSH_93.search(text) is not None
