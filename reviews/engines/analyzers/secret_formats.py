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
    "anthropic-key": (r"(?<![\w-])sk-ant-[a-z]{1,20}\d\d-[\w-]{80,500}", "a key of Anthropic's API"),
    "digitalocean-token": (r"\bdo[opr]_v1_[a-f0-9]{64}\b", "a token of DigitalOcean"),
    "github-token": (
        r"\b(?:gh[oprsu]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b",
        "a GitHub token",
    ),
    "gitlab-token": (r"(?<![\w-])glpat-[\w-]{20,500}", "a GitLab token"),
    "huggingface-token": (r"\bhf_[A-Za-z]{34}\b", "a token of Hugging Face"),
    "npm-token": (r"\bnpm_[A-Za-z0-9]{36}\b", "an npm token"),
    "openai-key": (r"(?<![\w-])sk-(?:[a-z]{1,20}-)?[\w-]{20,200}T3BlbkFJ[\w-]{20,200}", "a key of OpenAI's API"),
    "private-key": (
        r"-----BEGIN (?:RSA |EC |DSA |OPENSSH |PGP )?PRIVATE KEY(?: BLOCK)?-----"
        r"(?:\\n|[\s\"'+,>|#*])*[A-Za-z0-9+/]{40,}",
        "a private key",
    ),
    "pypi-token": (r"(?<![\w-])pypi-AgE[\w-]{50,500}", "a PyPI token"),
    "sendgrid-key": (r"\bSG\.[\w-]{22}\.[\w-]{43}\b", "a key of SendGrid's API"),
    "shopify-token": (r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b", "a Shopify token"),
    "slack-token": (r"(?<![\w-])xox[abeoprs]-(?:\d{1,20}-){1,5}[A-Za-z0-9-]{16,200}", "a Slack token"),
    "slack-webhook": (r"\bhooks\.slack\.com/services/T\w{7,20}/B\w{7,20}/\w{20,60}", "a Slack webhook"),
    "stripe-key": (r"\b[rs]k_live_[A-Za-z0-9]{20,250}", "a live key of Stripe"),
    "telegram-token": (r"(?:\b|(?<=\bbot))\d{8,10}:AA[\w-]{33}\b", "a token of a Telegram bot"),
}
"""Name → pattern, as the issuer documents the format, and description. Repetitions are bounded: so is the time."""

_LITERALS: dict[str, tuple[str, ...]] = {
    "aws-access-key": ("AKIA", "ASIA"),
    "azure-storage-key": ("AccountKey=",),
    "anthropic-key": ("sk-ant-",),
    "digitalocean-token": ("_v1_",),
    "github-token": ("ghp_", "gho_", "ghr_", "ghs_", "ghu_", "github_pat_"),
    "gitlab-token": ("glpat-",),
    "huggingface-token": ("hf_",),
    "npm-token": ("npm_",),
    "openai-key": ("T3BlbkFJ",),
    "private-key": ("PRIVATE KEY",),
    "pypi-token": ("pypi-AgE",),
    "sendgrid-key": ("SG.",),
    "shopify-token": ("shpat_", "shpca_", "shppa_", "shpss_"),
    "slack-token": ("xox",),
    "slack-webhook": ("hooks.slack.com",),
    "stripe-key": ("k_live_",),
    "telegram-token": (":AA",),
}
"""Name → texts of which every secret of this format has one. To look for them takes a hundredth of the time."""
_JUNCTION = re.compile(r"[\"'][ \t]*[+.]?[ \t]*(?:\\?\r?\n[ \t]*)?[+.]?[ \t]*[a-zA-Z]{0,2}[\"']|(?<=\w)[\"'](?=\w)")
"""Between the parts of one string: `"a" "b"`, `"a" + "b"` over lines too, and in a shell `a"b"`."""

MIN_CHARACTERS = 8
"""Different characters. With fewer it is a placeholder: ghp_xxxxxxxx."""
_PLACEHOLDER = re.compile(r"example|sample|placeholder|dummy|redacted|fake|1234567|abcdefg|(.)\1{5}", re.IGNORECASE)
_ALLOWED = re.compile(r"gitleaks:allow|pragma: allowlist secret")
_ONLY_FOR_TESTS = re.compile(
    r"(^|/)(tests?|testdata|fixtures?|specs?|__tests__|examples?|mocks?)(/|$)|(^|/)test_|[._-]test\."
)
PATTERNS = {name: re.compile(pattern) for name, (pattern, _) in FORMATS.items()}


def find_secrets(path: str, text: str) -> list[tuple[str, int, str]]:
    """Find the secrets of a file: path, line (from 1), name of the format."""
    found = []
    starts = [0, *(end.end() for end in re.finditer("\n", text))]
    for start_of_secret, _, name in spans(text):
        if name == "private-key" and _ONLY_FOR_TESTS.search(path):
            continue
        number = bisect_right(starts, start_of_secret)
        start = starts[number - 1]
        line = text[start : starts[number] if number < len(starts) else len(text)]
        if not _ALLOWED.search(line):
            found.append((path, number, name))
    return found


def spans(text: str) -> list[tuple[int, int, str]]:
    """Find the places of secrets in a text: start, end, name of the format. Placeholders are none."""
    found = _spans(text)
    joined, origins = _joined(text) if formats_in(text) else (text, [])
    places = [offset for offset, _ in origins]
    known = {start for start, _, _ in found}
    for start, end, name in _spans(joined) if len(origins) > 1 else ():
        first, last = bisect_right(places, start) - 1, bisect_right(places, end - 1) - 1
        start, end = start + origins[first][1] - places[first], end + origins[last][1] - places[last]
        if first < last and start not in known:
            found.append((start, end, name))
    return found


def _spans(text: str) -> list[tuple[int, int, str]]:
    return [
        (match.start(), match.end(), name)
        for name in formats_in(text)
        for match in PATTERNS[name].finditer(text)
        if name == "private-key" or not _is_placeholder(match[0])
    ]


def formats_in(text: str) -> list[str]:
    """The names of the formats of which a text may have secrets."""
    return [name for name, literals in _LITERALS.items() if any(literal in text for literal in literals)]


def _is_placeholder(secret: str) -> bool:
    return bool(_PLACEHOLDER.search(secret)) or len(set(secret.rpartition("_")[2])) < MIN_CHARACTERS


def _joined(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without what stands between the parts of a string, and where each piece of it begins, there and here."""
    pieces, origins, length, position = [], [], 0, 0
    for junction in _JUNCTION.finditer(text):
        pieces.append(text[position : junction.start()])
        origins.append((length, position))
        length += len(pieces[-1])
        position = junction.end()
    return "".join((*pieces, text[position:])), [*origins, (length, position)]


if __name__ == "__main__":
    everything = []
    for directory, _, files in os.walk(sys.argv[1]):
        for basename in files:
            path = os.path.join(directory, basename)
            with open(path, encoding="utf-8", newline="") as file:
                everything += find_secrets(os.path.relpath(path, sys.argv[1]), file.read())
    json.dump(everything, sys.stdout)
