"""oxlint: JavaScript and TypeScript. Its SARIF has no fixes. The rules are in oxlint.json; "error" means major."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from reviews.engines import dialects, sarif
from reviews.engines.analyzer import Analyzer
from reviews.findings import Finding, Severity

SYNTAX = "OXL0001"
"""Rule id of a syntax error."""
UNUSED, REDECLARED = "eslint(no-unused-vars)", "eslint(no-redeclare)"
UNDEFINED, UNREACHABLE, HOOKS = "eslint(no-undef)", "eslint(no-unreachable)", "react-hooks(rules-of-hooks)"
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
    r"^\s*(?:import\b(?!\s*\()|export\b)|\brequire\s*\(|\bmodule\.exports\b|\bexports\.\w", re.MULTILINE
)
"""Signs of a module, whose names at the top are its own. Those of a classic script are for other scripts."""
_CONFIGURED = re.compile(r"/\*\s*eslint\s+([^*]{1,2000})\*/")
_OFF = re.compile(r"([\w@/-]+)\s*:\s*[\[\"']*(?:0|off)\b")
"""Rules that ESLint's configuration comment turns off. Source: ESLint docs, "Configure Rules"."""
_QUOTED_NAME = re.compile(r"['\"`]([\w$]+)['\"`]")
_MEANT = re.compile(r"[\"'`]_")
_USING = re.compile(r"^\s*(?:await\s+)?using\s")
_CONTINUED = re.compile(r"^(?:var|let|const)\b[^;]*$")
_FUNCTION = re.compile(r"^\s*(?:export\s+)?(?:async\s+)?function\b")
_TASTE = {
    # `while (match = next())`, an idiom; `if (a = 3)` is a mistake.
    "eslint(no-cond-assign)": re.compile(r"\b(?:while|for)\s*\(|\(\s*[\w.]+\s*=\s*(?:await\s+)?[\w.]+\("),
    # `console = console || {}` fills in what an old browser lacks.
    "eslint(no-global-assign)": re.compile(r"\b(\w+)\s*=\s*(?:\1\b|(?:window|self|global|globalThis)\.)"),
    # A property may do something when it is set: `image.src = image.src`.
    "eslint(no-self-assign)": re.compile(r"[\w\])][.\[][^=]*="),
    # Only NaN differs from itself.
    "eslint(no-self-compare)": re.compile(r"!=="),
}
"""Code on which a rule is a matter of taste."""
_LEAVES = re.compile(r"\s*(?:break|continue|return)\s*;?\s*(?://.*)?")
_SCRIPT_ONLY = "at the top level of a script"
"""In the message about code that is correct in a module, which one file without `import` does not show."""


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read oxlint's SARIF; syntax errors become critical findings."""
    # As in JavaScript itself, a lone carriage return ends a line.
    read = sarif.read(output, files, root, lone_returns=True)
    findings = [
        _with_severity(finding, files[finding.path]) for finding in read if not _is_noise(finding, files[finding.path])
    ]
    # oxlint reports nothing of a file that only Flow can parse.
    silent = {path for path, text in files.items() if dialects.is_flow(text)}
    findings += [dialects.unread(path, "syntax-error", "This is Flow.") for path in sorted(silent)]
    return dialects.first_errors(findings, files, ("syntax-error",), dialects.is_javascript_dialect)


def _with_severity(finding: Finding, text: str) -> Finding:
    if finding.rule == SYNTAX or finding.rule.startswith("TS("):
        internal = _SCRIPT_ONLY in finding.message
        return replace(finding, rule="syntax-error", severity=Severity.CRITICAL, internal=internal)
    # `var` in two branches is taste; a second function of one name takes the place of the first.
    is_taste = finding.rule == REDECLARED and not _FUNCTION.match(finding.snippet)
    is_taste |= finding.rule == UNUSED and (_is_a_place(finding) or _is_assigned_within(finding, text))
    is_taste |= finding.rule == UNREACHABLE and _LEAVES.fullmatch(finding.snippet) is not None
    is_taste |= finding.rule in _TASTE and _TASTE[finding.rule].search(finding.snippet) is not None
    # A story renders in a function without a name.
    is_taste |= finding.rule == HOOKS and ".stories." in finding.path
    if is_taste or finding.rule in INFO:
        return replace(finding, severity=Severity.INFO)
    if finding.rule == UNDEFINED and not _is_module(text):
        return replace(finding, severity=Severity.MINOR)  # Another script of the page may define it.
    return finding


def _is_a_place(finding: Finding) -> bool:
    """Return whether an unused name only keeps a place among others: `[key, value]`."""
    name = _QUOTED_NAME.search(finding.message)
    return (
        name is not None
        and re.search(rf"\[[^\]=]*\b{re.escape(name[1])}\b[^\]=]*\]\s*(?:=|of\b)", finding.snippet) is not None
    )


def _is_assigned_within(finding: Finding, text: str) -> bool:
    """Return whether the value of an assignment is used although its name is not: `(poll = () => {…})()`."""
    name = _QUOTED_NAME.search(finding.message)
    return name is not None and re.search(rf"\(\s*{re.escape(name[1])}\s*=(?![=>])", text) is not None


def _is_in_jsdoc(finding: Finding, text: str) -> bool:
    """Return whether a name is used as a type in a comment: `@param {Scene} scene`."""
    name = _QUOTED_NAME.search(finding.message)
    return name is not None and re.search(rf"@\w+\s*\{{[^}}\n]*\b{re.escape(name[1])}\b", text) is not None


def _is_noise(finding: Finding, text: str) -> bool:
    """Return whether a finding is about what the author intends.

    A name that begins with an underscore, is only `using` a resource or is a type in a comment of JSDoc, a global name
    of a classic script, a rule that a comment of ESLint turns off for the file, or a function `use…` that is no hook.
    """
    if any(finding.rule.endswith(f"({rule})") for rule in _OFF.findall(" ".join(_CONFIGURED.findall(text)))):
        return True
    if finding.rule == UNUSED:
        is_meant = _MEANT.search(finding.message) is not None or _USING.search(finding.snippet) is not None
        return is_meant or _is_global(finding, text) or _is_in_jsdoc(finding, text)
    # Playwright's fixtures get a function `use`, others call what is no hook `useStorage`.
    has_components = finding.path.endswith((".jsx", ".tsx")) and '"use"' not in finding.message
    return finding.rule == HOOKS and not has_components and "react" not in text.lower()


@lru_cache(maxsize=8)
def _is_module(text: str) -> bool:
    """Return whether a text is a module. A large file can have thousands of findings that ask for it."""
    return _MODULE.search(text) is not None


def _is_global(finding: Finding, text: str) -> bool:
    """Return whether a finding is about a name at the top of a classic script, which others may use."""
    if _is_module(text):
        return False
    lines = text.split("\n")[: finding.start_line]
    # A line without indentation is at the top; one with it too if it continues a declaration there.
    above = next((line for line in reversed(lines) if line[:1] not in ("", " ", "\t", "\r", "}", ")")), "")
    return above == lines[-1] or _CONTINUED.match(above) is not None


CONFIGURATION = f"{os.path.dirname(__file__)}/oxlint.json"

ANALYZER = Analyzer(
    name="oxlint",
    files=("*.js", "*.mjs", "*.cjs", "*.jsx", "*.ts", "*.mts", "*.cts", "*.tsx"),
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
    is_source=lambda text: not dialects.is_markup(text),
    # With "." it would honour .gitignore files, those above the scratch directory too.
    names_files=True,
    # 1: a finding is an error.
    success_codes=(0, 1),
    parse_error_rules=("syntax-error",),
    breakage_rules=("eslint(no-unused-vars)", "eslint(no-unreachable)"),
    only_breakage_rules=("eslint(no-undef)", "eslint(no-redeclare)"),
    distribution="oxlint",
    url="https://oxc.rs/docs/guide/usage/linter.html",
    licence="MIT",
)
