"""Find secrets by the formats that their issuers document; print path, line and format of each, not the secret.

Formats, not keywords or entropy: guesses are wrong more often than right (docs/analyzers.md). It runs as a separate
program, like every analyzer, because it searches untrusted text; it uses the standard library only.
"""

import json
import os
import re
import sys
from bisect import bisect_right

FORMATS = {
    "aws-access-key": (r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b", "an access key id of AWS"),
    "azure-storage-key": (r"\bAccountKey=[A-Za-z0-9+/]{86}==", "an account key of Azure Storage"),
    "anthropic-key": (r"\bsk-ant-[a-z]+\d\d-[\w-]{80,}", "a key of Anthropic's API"),
    "digitalocean-token": (r"\bdo[opr]_v1_[a-f0-9]{64}\b", "a token of DigitalOcean"),
    "github-token": (
        r"\b(?:gh[oprsu]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b",
        "a GitHub token",
    ),
    "gitlab-token": (r"\bglpat-[\w-]{20,}", "a GitLab token"),
    "huggingface-token": (r"\bhf_[A-Za-z]{34}\b", "a token of Hugging Face"),
    "npm-token": (r"\bnpm_[A-Za-z0-9]{36}\b", "an npm token"),
    "openai-key": (r"\bsk-(?:[a-z]+-)?[\w-]{20,}T3BlbkFJ[\w-]{20,}", "a key of OpenAI's API"),
    "private-key": (
        r"-----BEGIN (?:RSA |EC |DSA |OPENSSH )?PRIVATE KEY-----(?:\\n|[\s\"'+,>|])*[A-Za-z0-9+/]{40,}",
        "a private key",
    ),
    "pypi-token": (r"\bpypi-AgE[\w-]{50,}", "a PyPI token"),
    "sendgrid-key": (r"\bSG\.[\w-]{22}\.[\w-]{43}\b", "a key of SendGrid's API"),
    "shopify-token": (r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b", "a Shopify token"),
    "slack-token": (r"\bxox[abeoprs]-(?:\d+-)+[A-Za-z0-9-]{16,}", "a Slack token"),
    "slack-webhook": (r"\bhooks\.slack\.com/services/T\w{7,}/B\w{7,}/\w{20,}", "a Slack webhook"),
    "stripe-key": (r"\b[rs]k_live_[A-Za-z0-9]{20,}", "a live key of Stripe"),
    "telegram-token": (r"(?:\b|(?<=\bbot))\d{8,10}:AA[\w-]{33}\b", "a token of a Telegram bot"),
}
"""Name → pattern, as the issuer documents the format, and description."""

MIN_CHARACTERS = 8
"""Different characters. With fewer it is a placeholder: ghp_xxxxxxxx."""
_PLACEHOLDER = re.compile(r"example|sample|placeholder|dummy|redacted|fake|1234567|abcdefg|(.)\1{5}", re.IGNORECASE)
_ALLOWED = re.compile(r"gitleaks:allow|pragma: allowlist secret")
_ONLY_FOR_TESTS = re.compile(
    r"(^|/)(tests?|testdata|fixtures?|specs?|__tests__|examples?|mocks?)(/|$)|(^|/)test_|[._-]test\."
)
_PATTERNS = {name: re.compile(pattern) for name, (pattern, _) in FORMATS.items()}


def find_secrets(path: str, text: str) -> list[tuple[str, int, str]]:
    """Find the secrets of a file: path, line (from 1), name of the format."""
    found = []
    starts = [0, *(end.end() for end in re.finditer("\n", text))]
    for name, pattern in _PATTERNS.items():
        if name == "private-key" and _ONLY_FOR_TESTS.search(path):
            continue
        for match in pattern.finditer(text):
            number = bisect_right(starts, match.start())
            start = starts[number - 1]
            line = text[start : starts[number] if number < len(starts) else len(text)]
            is_placeholder = name != "private-key" and (
                _PLACEHOLDER.search(match[0]) or len(set(match[0].rpartition("_")[2])) < MIN_CHARACTERS
            )
            if not is_placeholder and not _ALLOWED.search(line):
                found.append((path, number, name))
    return found


if __name__ == "__main__":
    everything = []
    for directory, _, files in os.walk(sys.argv[1]):
        for basename in files:
            path = os.path.join(directory, basename)
            with open(path, encoding="utf-8", newline="") as file:
                everything += find_secrets(os.path.relpath(path, sys.argv[1]), file.read())
    json.dump(everything, sys.stdout)
