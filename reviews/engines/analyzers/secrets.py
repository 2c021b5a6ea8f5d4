"""secrets: keys and tokens that anybody who reads the repository can use. Kodiai's own: see docs/analyzers.md."""

import hashlib
import sys
from collections.abc import Mapping

from pydantic import PositiveInt, TypeAdapter

from reviews.engines.analyzer import Analyzer
from reviews.engines.analyzers import secret_formats
from reviews.engines.source import Source
from reviews.findings import Finding, Severity

_OUTPUT = TypeAdapter(list[tuple[str, PositiveInt, str]])


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read the output of `secret_formats` into findings, which do not contain the secrets."""
    findings = []
    sources = {path: Source(text) for path, text in files.items()}
    for path, line, name in _OUTPUT.validate_json(output):
        # A hash of the line distinguishes findings without storing the secret in one more place.
        digest = hashlib.sha256(sources[path].text(line).strip().encode()).hexdigest()[:32]
        what = secret_formats.FORMATS[name][1]
        message = f"This looks like {what}. Anyone who can read the repository can use it: revoke it, then remove it."
        findings.append(Finding(path, line, line, Severity.CRITICAL, name, message, snippet=digest))
    return findings


ANALYZER = Analyzer(
    name="secrets",
    files=("*",),
    reads_patches=True,
    command=(sys.executable, "-I", "-S", secret_formats.__file__),
    read=read,
    own_files=(secret_formats.__file__,),
    suppression="`gitleaks:allow` in a comment on the line",
    exact_rules=tuple(secret_formats.FORMATS),
    own_version="1",
    url="https://docs.github.com/en/code-security/reference/secret-security/supported-secret-scanning-patterns",
    licence="MIT",
)
