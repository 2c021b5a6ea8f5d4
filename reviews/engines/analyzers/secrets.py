"""secrets: keys and tokens that anybody who reads the repository can use. Kodiai's own: docs/analyzers.md says why."""

import hashlib
import sys
from collections.abc import Mapping

from pydantic import PositiveInt, TypeAdapter

from reviews.engines.analyzer import Analyzer
from reviews.engines.analyzers import secret_forms
from reviews.engines.kinds import PROSE, SETTINGS, SOURCE
from reviews.engines.source import Source
from reviews.findings import Finding, Severity

_OUTPUT = TypeAdapter(list[tuple[str, PositiveInt, str]])


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Turn what `secret_forms` prints into findings, in which the secret itself is not."""
    findings = []
    sources = {path: Source(text) for path, text in files.items()}
    for path, line, form in _OUTPUT.validate_json(output):
        # A stamp of the line, by which a finding is told from others: the secret is not to be kept in one more place.
        stamp = hashlib.sha256(sources[path].text(line).strip().encode()).hexdigest()[:32]
        what = secret_forms.FORMS[form][1]
        message = f"This looks like {what}. Whoever can read the repository can use it: revoke it, then take it out."
        findings.append(Finding(path, line, line, Severity.CRITICAL, form, message, snippet=stamp))
    return findings


ANALYZER = Analyzer(
    name="secrets",
    files=(*PROSE, *SOURCE, *SETTINGS),
    command=(sys.executable, "-I", "-S", secret_forms.__file__),
    read=read,
    silence="`gitleaks:allow` in a comment on the line",
    url="https://docs.github.com/en/code-security/reference/secret-security/supported-secret-scanning-patterns",
    licence="MIT",
)
