"""zizmor: GitHub Actions, offline. Reports what an attacker can use, not what a policy may require.

Kodiai reads zizmor's JSON, not its SARIF: it names the expression of an injection, and severity and confidence.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, NonNegativeInt, TypeAdapter

from reviews.engines import dialects
from reviews.engines.analyzer import Analyzer
from reviews.engines.analyzers import workflow
from reviews.engines.source import Source
from reviews.findings import Finding, Severity

AUDITS = frozenset(
    (
        *("template-injection", "dangerous-triggers", "github-env", "insecure-commands", "obfuscation"),
        *("hardcoded-container-credentials", "unsound-contains", "excessive-permissions", "bot-conditions"),
        *("cache-poisoning", "unsound-condition"),
    )
)
"""Not reported: actions not pinned by hash, `persist-credentials`, outdated versions, and what only style demands."""
SURE = frozenset(("template-injection", "hardcoded-container-credentials"))
"""Audits that show what goes wrong. The others name what is only dangerous if somebody can use it."""
WHOLE_JOB = "excessive-permissions"
DEFAULT_PERMISSIONS = "default permissions used"
"""The repository's settings may limit them already; the workflow does not show it."""
POLICY = ("dangerous-triggers", "excessive-permissions")
"""True of many workflows that are safe: what they do decides."""
INJECTION = "template-injection"
_INDEX = re.compile(r"\[\s*'([^']*)'\s*\]")
_HARMLESS = re.compile(
    r"(?!github\b).*|github\.event\.inputs\b.*"  # decided by who starts or calls the workflow
    r"|github\.(?:actor|triggering_actor|workflow|ref_type|event_path|event\.action|event\.schedule)"
    r"|github\.event\.(?!client_payload\b)[\w.*\[\]-]*\b(?:login|full_name|(?:head_)?sha|before|after)"
    r"|github\.event\.(?:[\w.]+\.)?repo(?:sitory)?\.name"
    r"|github\.event\.(?:issue|pull_request|comment|review|discussion)\.(?:html_)?url",
    re.DOTALL,
)
"""Expressions whose values cannot contain commands: names of users and repositories, commit ids, settings."""
_BY_WRITERS = re.compile(
    r"github\.(?:ref|ref_name|base_ref)"
    r"|github\.event\.(?:ref|(?:pull_request|merge_group)\.base[._]ref|merge_group\.head_ref|release\.tag_name"
    r"|release\.target_commitish|repository\.default_branch|deployment\.(?:ref|environment|task))"
)
"""Set by whoever may push a branch or tag; their names can contain commands.

All other values of an event are set by whoever causes it. Source: GitHub docs, "Secure use reference".
"""
_IN_ITS_OWN_NAME = re.compile(r"\b(?:pull_request_target|workflow_run|issue_comment)\b")
"""Triggers with which a workflow has the repository's rights, whoever causes it."""
BOT = "bot-conditions"
INVALID_YAML, INVALID_WORKFLOW, NOT_LOADED = "zizmor/invalid-yaml", "zizmor/invalid-workflow", "zizmor/not-loaded"
NO_INPUTS = 3
"""Exit status: it could load none of the files."""
NO_MODEL = 1
"""Exit status: it gave up at a job that it could not understand, and read no other file."""
WORKFLOWS = ".github/workflows/"
_OF_ACTIONS = re.compile(r"^[\"']?(?:runs|inputs|outputs)[\"']?\s*:", re.MULTILINE)
"""Keys at the top of an action's file. Source: GitHub docs, "Metadata syntax for GitHub Actions"."""
MAX_YAML = 100_000
"""Characters of a file that is parsed here."""
MAX_DEPTH = 50
"""Levels of a file whose nodes are read here: each takes stack."""
MAX_NESTING = 1_000
"""Levels after which no workflow and no action goes on; libyaml takes time with the square of them."""

Level = Literal["Informational", "Low", "Medium", "High"]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Determinations(_Part):
    confidence: Level
    severity: Level


class _Local(_Part):
    verbatim_path: str


class _Key(_Part):
    Local: _Local


class _Fragment(_Part):
    Raw: str | None = None


class _Subfeature(_Part):
    fragment: _Fragment | None = None


class _Feature(_Part):
    Subfeature: _Subfeature | None = None


class _Symbolic(_Part):
    key: _Key
    annotation: str
    kind: str
    feature_kind: str | _Feature = ""


class _Point(_Part):
    row: NonNegativeInt


class _Span(_Part):
    start_point: _Point
    end_point: _Point


class _Concrete(_Part):
    location: _Span


class _Location(_Part):
    symbolic: _Symbolic
    concrete: _Concrete


class _Audit(_Part):
    """A finding in zizmor's JSON, version 1: the fields that are read. Rows count from 0."""

    ident: str
    desc: str
    url: str = ""
    determinations: _Determinations
    locations: list[_Location]
    ignored: bool = False


_OUTPUT = TypeAdapter(list[_Audit])


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read zizmor's JSON into findings; those on a whole job are on its first line."""
    findings = []
    sources = {path: Source(text) for path, text in files.items()}
    for audit in _OUTPUT.validate_json(output) if output.strip() else ():
        primary = next((primary for primary in audit.locations if primary.symbolic.kind == "Primary"), None)
        if audit.ident not in AUDITS or audit.ignored or primary is None:
            continue
        path = primary.symbolic.key.Local.verbatim_path.removeprefix("./")
        if path not in files or DEFAULT_PERMISSIONS in primary.symbolic.annotation:
            continue
        severity = _severity_of(audit, _expression(primary), files[path])
        if severity is None:
            continue
        span = primary.concrete.location
        line = span.start_point.row + 1
        findings.append(
            Finding(
                path=path,
                start_line=line,
                # Report it if the first line of the job is changed, not any line of the job.
                end_line=line if audit.ident == WHOLE_JOB else max(line, span.end_point.row + 1),
                severity=severity,
                rule=f"zizmor/{audit.ident}",
                rule_url=audit.url,
                message=_message(audit, primary),
                snippet=sources[path].text(line),
            )
        )
    return findings


def _severity_of(audit: _Audit, expression: str, text: str) -> Severity | None:
    """zizmor's severity, lower for what people with write access set and for what a policy decides."""
    severity = _severity(audit)
    if audit.ident in POLICY or (audit.ident == BOT and not _acts_in_its_own_name(text)):
        return severity and Severity.INFO
    if audit.ident != INJECTION or severity is None or not expression:
        return severity
    # Names are read without regard to case, and an index is the same as a dot.
    value = _INDEX.sub(r".\1", expression.lower())
    return Severity.INFO if _HARMLESS.fullmatch(value) or _BY_WRITERS.fullmatch(value) else severity


@lru_cache(maxsize=8)
def _acts_in_its_own_name(text: str) -> bool:
    """Return whether a workflow names such a trigger. It can have thousands of findings that ask."""
    return _IN_ITS_OWN_NAME.search(text) is not None


def _severity(audit: _Audit) -> Severity | None:
    """zizmor's severity, lower the less it is sure; None if it is only informational."""
    determined = audit.determinations
    if determined.severity == "Informational":
        return None
    if determined.severity == "Low" or determined.confidence == "Low":
        return Severity.INFO
    is_high = determined.severity == determined.confidence == "High"
    return Severity.MAJOR if is_high and audit.ident in SURE else Severity.MINOR


def _expression(primary: _Location) -> str:
    """The expression that a finding is about; empty if it is about none."""
    feature = primary.symbolic.feature_kind
    fragment = feature.Subfeature.fragment if isinstance(feature, _Feature) and feature.Subfeature else None
    return (fragment.Raw or "").strip() if fragment is not None else ""


def _message(audit: _Audit, primary: _Location) -> str:
    expression = _expression(primary)
    if audit.ident != INJECTION or not expression:
        return f"{audit.desc}: {primary.symbolic.annotation}"
    who = (
        "whoever sets its value can run commands"
        if audit.determinations.severity == "High"
        else "if somebody else can set its value, it can contain commands"
    )
    return (
        f"`${{{{ {expression} }}}}` becomes part of the script before it runs: {who}. Put it into a variable under "
        f"`env:` and use that variable in the script."
    )


def unread(errors: bytes, files: Mapping[str, str]) -> list[Finding]:
    """Findings about files that zizmor did not complete, according to its log, and about workflows that GitHub refuses.

    Raises `ValueError` if it gave up at one of several files.
    """
    log = errors.decode(errors="replace")
    if "failed to load file" in log and len(files) > 1:
        raise ValueError("one of the files")
    findings = []
    for path, text in files.items():
        error = _yaml_error(path, text)
        if error is None and f"completed ./{path}\n" not in log:
            error = dialects.unread(path, NOT_LOADED, "zizmor could not load this file.")
        if error is not None:
            findings.append(error)
    return findings


def _yaml_error(path: str, text: str) -> Finding | None:
    """The first error of the syntax of YAML or of a workflow; None if there is none, or if the file is a template."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = deepest = 0
    source = Source(text)

    def line_of(mark: Any) -> int:
        return min(mark.line + 1 if mark else 1, len(source.lines))

    def error_at(line: int, rule: str, message: str) -> Finding:
        return Finding(path, line, line, Severity.CRITICAL, rule, message, snippet=source.text(line))

    try:
        # Events, not nodes: nesting costs no stack.
        for event in yaml.parse(text, Loader=loader) if len(text) <= MAX_YAML else ():
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            deepest = max(deepest, depth)
            if depth > MAX_NESTING:
                message = f"GitHub cannot read this file: it has more than {MAX_NESTING} levels."
                return error_at(line_of(event.start_mark), INVALID_YAML, message)
        document = yaml.compose(text, Loader=loader) if 0 < deepest <= MAX_DEPTH else None
    except yaml.MarkedYAMLError as error:
        if isinstance(error, yaml.composer.ComposerError) and error.context:
            return None  # A second document, or a second anchor of one name.
        line = line_of(error.problem_mark or error.context_mark)
        if dialects.has_template_tag(source.text(line).replace("${{", "")):
            return None
        message = f"GitHub cannot read this file, which is not valid YAML: {error.problem or error.context}."
        return error_at(line, INVALID_YAML, message)
    except (yaml.YAMLError, RecursionError):
        return None
    is_workflow = path.startswith(WORKFLOWS)
    refusal = workflow.refusal if is_workflow else workflow.refusal_of_action
    refused = None if document is None else refusal(document)
    if refused is None:
        return None
    message = f"GitHub cannot run this {'workflow' if is_workflow else 'action'}: {refused[1]}."
    return error_at(line_of(refused[0].start_mark), INVALID_WORKFLOW, message)


ANALYZER = Analyzer(
    name="zizmor",
    files=(".github/workflows/*.yml", ".github/workflows/*.yaml", "action.yml", "action.yaml"),
    # Without --quiet: it logs which files it completed.
    command=(
        "zizmor",
        "--offline",
        "--no-config",
        "--no-exit-codes",
        "--no-progress",
        "--format=json-v1",
        "--collect=all",
    ),
    read=read,
    # Ansible's roles have files of this name too.
    is_source=lambda path, text: path.startswith(WORKFLOWS) or _OF_ACTIONS.search(text) is not None,
    unread=unread,
    parse_error_rules=(INVALID_YAML, INVALID_WORKFLOW, NOT_LOADED),
    suppression="`# zizmor: ignore[{name}]` at the end of the line",
    distribution="zizmor",
    success_codes=(0, NO_MODEL, NO_INPUTS),
    url="https://docs.zizmor.sh/",
    licence="MIT",
)
