"""secrets: keys and tokens that anybody who reads the repository can use. Kodiai's own: see docs/analyzers.md."""

import sys
from collections.abc import Mapping

from pydantic import PositiveInt, TypeAdapter

from reviews.engines.analyzer import Analyzer
from reviews.engines.analyzers import secret_formats
from reviews.findings import Finding, Severity

_OUTPUT = TypeAdapter(list[tuple[str, PositiveInt, PositiveInt, str, str]])
_USABLE = (Severity.CRITICAL, "Anyone who can read the repository can use it: revoke it, then remove it.")
_OTHERS = {
    "twilio-key": (
        Severity.CRITICAL,
        "It is half of a pair, useless without the secret of the key: if that is in the repository or its history,"
        " revoke the key.",
    ),
    "aws-access-key": (
        Severity.CRITICAL,
        "It is half of a pair, useless without the secret access key: if that is in the repository or its history,"
        " deactivate the pair.",
    ),
    "google-api-key": (
        Severity.MINOR,
        "Keys of web and mobile clients (Maps, Firebase) are public by design: restrict such a key to your sites,"
        " apps and APIs. If it is a server's, revoke it, then remove it.",
    ),
}
"""Formats of which not everyone who has one can use it: severity, and what to do."""


def read(output: bytes, files: Mapping[str, str], root: str) -> list[Finding]:
    """Read the output of `secret_formats` into findings, which do not contain the secrets."""
    findings = []
    for path, line, last, name, digest in _OUTPUT.validate_json(output):
        severity, advice = _OTHERS.get(name, _USABLE)
        message = f"This looks like {secret_formats.FORMATS[name][1]}. {advice}"
        # A hash of the secret distinguishes findings without storing it in one more place.
        findings.append(Finding(path, line, last, severity, name, message, snippet=digest))
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
    own_version="3",
    url="https://docs.github.com/en/code-security/reference/secret-security/supported-secret-scanning-patterns",
    licence="MIT",
)
