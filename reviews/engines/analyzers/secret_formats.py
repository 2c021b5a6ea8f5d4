"""Find secrets by the formats that their issuers document; print path, line, format and hash of each, not the secret.

Formats, not keywords or entropy: guesses are wrong more often than right (docs/analyzers.md). It runs as a separate
program, like every analyzer, because it searches untrusted text; it uses the standard library only.
"""

import hashlib
import json
import os
import re
import sys
from bisect import bisect_right
from itertools import pairwise
from typing import NamedTuple

_ARMOR_HEADER = r"(?:Version|Comment|MessageID|Hash|Charset): [^\n\\]{0,200}+"
"""Stands before the body of a PGP key. Source: RFC 9580, section 6.2.2."""
_LINE_ENDS = r"(?:\\{1,2}[nr]|[\s\"'+,>|#*])*"
"""What stands between the lines of a key, also within a string."""
FORMATS = {
    "age-key": (r"\bAGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}\b", "a secret key of age"),
    "anthropic-key": (r"(?<![\w-])sk-ant-[a-z]{1,20}\d\d-[\w-]{80,500}", "a key of Anthropic's API"),
    "atlassian-token": (r"\bATATT3x[\w=-]{100,300}", "an API token of Atlassian"),
    # Not in the scope of a signed request, which names the key to its receiver. Source: AWS documentation, "Signature
    # Version 4 signing process".
    "aws-access-key": (
        r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b(?!(?:\\*/|%2[Ff])20\d{6}(?:\\*/|%2[Ff])[\w-])",
        "an access key id of AWS",
    ),
    "azure-storage-key": (r"\bAccountKey=[A-Za-z0-9+/]{86}==", "an account key of Azure Storage"),
    "brevo-key": (r"\bxkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}\b", "a key of Brevo's API"),
    "databricks-token": (r"\bdapi[a-f0-9]{32}(?:-\d)?\b", "a token of Databricks"),
    "digitalocean-token": (r"\bdo[opr]_v1_[a-f0-9]{64}\b", "a token of DigitalOcean"),
    "discord-token": (
        # It begins with the digits of the bot's id in base64.
        r"(?<![\w-])(?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){5,6}(?:[MNO](?:[AQgw]|[DTjz][AEIMQUYcgk]))?"
        r"\.[\w-]{6}\.[\w-]{27,38}(?![\w-])",
        "a token of a Discord bot",
    ),
    "discord-webhook": (
        r"\bdiscord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/\d{17,20}/[\w-]{60,80}",
        "a Discord webhook",
    ),
    "docker-token": (r"\bdckr_[op]at_[\w-]{27,200}", "an access token of Docker Hub"),
    "github-token": (
        r"\b(?:gh[oprsu]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b",
        "a GitHub token",
    ),
    "gitlab-token": (
        r"(?<![\w-])gl(?:agent|cbt|dt|ffct|ft|imt|oas|pat|ptt|rtr?|soat)-[\w-]{20,500}(?:\.[0-9a-z]{2}\.?[0-9a-z]{7}\b)?",
        "a GitLab token",
    ),
    "google-api-key": (r"(?<![\w-])AIza[\w-]{35}(?![\w-])", "an API key of Google"),
    "google-oauth-secret": (r"\bGOCSPX-[\w-]{28}(?![\w-])", "a secret of an OAuth client of Google"),
    "grafana-token": (
        r"\b(?:glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}\b|glc_eyJ[A-Za-z0-9+/]{60,400})",
        "a token of Grafana",
    ),
    "groq-key": (r"\bgsk_[A-Za-z0-9]{52}\b", "a key of Groq's API"),
    "huggingface-token": (r"\bhf_[A-Za-z]{34}\b", "a token of Hugging Face"),
    "linear-key": (r"\blin_(?:api_[A-Za-z0-9]{40}|oauth_[a-f0-9]{64})\b", "a key of Linear's API"),
    "mailgun-key": (r"(?<![\w-])key-[a-f0-9]{32}\b", "a key of Mailgun's API"),
    "newrelic-key": (r"\bNRAK-[A-Z0-9]{27}\b", "a user key of New Relic's API"),
    "notion-token": (r"\bntn_\d{11}[A-Za-z0-9]{35}\b", "a token of Notion"),
    "npm-token": (r"\bnpm_[A-Za-z0-9]{36}\b", "an npm token"),
    "openai-key": (r"(?<![\w-])sk-(?:[a-z]{1,20}-)?[\w-]{20,200}T3BlbkFJ[\w-]{20,200}", "a key of OpenAI's API"),
    "planetscale-token": (r"\bpscale_(?:oauth|pw|tkn)_[\w.=-]{32,64}", "a credential of PlanetScale"),
    "postman-key": (r"\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}\b", "a key of Postman's API"),
    "private-key": (
        r"-----BEGIN (?:RSA |EC |DSA |OPENSSH |PGP )?PRIVATE KEY(?: BLOCK)?-----"
        rf"{_LINE_ENDS}(?:{_ARMOR_HEADER}{_LINE_ENDS}){{0,5}}[A-Za-z0-9+/]{{40,}}",
        "a private key",
    ),
    "pulumi-token": (r"\bpul-[a-f0-9]{40}\b", "an access token of Pulumi"),
    "pypi-token": (r"(?<![\w-])pypi-AgE[\w-]{50,500}", "a PyPI token"),
    "replicate-token": (r"\br8_[A-Za-z0-9]{37}\b", "a token of Replicate"),
    "rubygems-key": (r"\brubygems_[a-f0-9]{48}\b", "a key of RubyGems"),
    "sendgrid-key": (r"\bSG\.[\w-]{22}\.[\w-]{43}(?![\w-])", "a key of SendGrid's API"),
    "sentry-token": (r"\bsntry(?:u_[a-f0-9]{64}\b|s_eyJpYXQiO[\w+/=-]{80,400})", "a token of Sentry"),
    "shopify-token": (r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b", "a Shopify token"),
    "slack-token": (
        r"(?<![\w-])(?:xox[abceoprs]-(?:\d{1,20}-){1,5}[A-Za-z0-9-]{16,200}"
        r"|xapp-\d-[A-Z0-9]{8,20}-\d{8,20}-[a-f0-9]{64}\b)",
        "a Slack token",
    ),
    "slack-webhook": (
        r"\bhooks\.slack(?:-gov)?\.com/(?:services/T\w{7,20}/B\w{7,20}|workflows/T\w{7,20}/A\w{7,20}/\d{10,25}"
        r"|triggers/[ET]\w{7,20}/\d{10,25})/\w{20,60}",
        "a Slack webhook",
    ),
    "square-token": (
        r"(?<![\w-])sq0(?:atp-[\w-]{22}|csp-[\w-]{43})(?![\w-])",
        "an access token or application secret of Square",
    ),
    "stripe-key": (r"\b[rs]k_live_[A-Za-z0-9]{20,250}", "a live key of Stripe"),
    "supabase-token": (r"\bsbp_[a-f0-9]{40}\b", "an access token of Supabase"),
    "tailscale-key": (r"\btskey-(?:api|auth|client)-[A-Za-z0-9]{8,24}-[A-Za-z0-9]{20,40}\b", "a key of Tailscale"),
    "telegram-token": (r"(?:\b|(?<=\bbot))\d{8,10}:AA[\w-]{33}(?![\w-])", "a token of a Telegram bot"),
    "terraform-token": (r"\b[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,70}(?![\w-])", "a token of HCP Terraform"),
    "twilio-key": (r"\bSK[a-f0-9]{32}\b", "the SID of an API key of Twilio"),
    "vault-token": (
        r"(?<![\w-])hv[bs]\.(?:(?=[A-Za-z]{0,23}\d)[A-Za-z0-9]{24}|[\w-]{90,300})(?![\w-])",
        "a token of HashiCorp Vault",
    ),
    "webhook-secret": (r"\bwhsec_[A-Za-z0-9+/]{32,64}", "a secret that signs webhooks, as of Stripe"),
    "xai-key": (r"\bxai-[A-Za-z0-9]{80}\b", "a key of xAI's API"),
}
"""Name → pattern, as the issuer documents the format, and description. Repetitions are bounded: so is the time."""

_LITERALS: dict[str, tuple[str, ...]] = {
    "age-key": ("AGE-SECRET-KEY-1",),
    "anthropic-key": ("sk-ant-",),
    "atlassian-token": ("ATATT3x",),
    "aws-access-key": ("AKIA", "ASIA"),
    "azure-storage-key": ("AccountKey=",),
    "brevo-key": ("xkeysib-",),
    "databricks-token": ("dapi",),
    "digitalocean-token": ("_v1_",),
    "discord-token": (".",),
    "discord-webhook": ("/webhooks/",),
    "docker-token": ("dckr_pat_", "dckr_oat_"),
    "github-token": ("ghp_", "gho_", "ghr_", "ghs_", "ghu_", "github_pat_"),
    "gitlab-token": (
        *("glpat-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-"),
        *("glft-", "glffct-", "glimt-", "glagent-", "gloas-", "glsoat-"),
    ),
    "google-api-key": ("AIza",),
    "google-oauth-secret": ("GOCSPX-",),
    "grafana-token": ("glsa_", "glc_eyJ"),
    "groq-key": ("gsk_",),
    "huggingface-token": ("hf_",),
    "linear-key": ("lin_api_", "lin_oauth_"),
    "mailgun-key": ("key-",),
    "newrelic-key": ("NRAK-",),
    "notion-token": ("ntn_",),
    "npm-token": ("npm_",),
    "openai-key": ("T3BlbkFJ",),
    "planetscale-token": ("pscale_tkn_", "pscale_pw_", "pscale_oauth_"),
    "postman-key": ("PMAK-",),
    "private-key": ("PRIVATE KEY",),
    "pulumi-token": ("pul-",),
    "pypi-token": ("pypi-AgE",),
    "replicate-token": ("r8_",),
    "rubygems-key": ("rubygems_",),
    "sendgrid-key": ("SG.",),
    "sentry-token": ("sntryu_", "sntrys_"),
    "shopify-token": ("shpat_", "shpca_", "shppa_", "shpss_"),
    "slack-token": ("xox", "xapp-"),
    "slack-webhook": ("hooks.slack",),
    "square-token": ("sq0atp-", "sq0csp-"),
    "stripe-key": ("k_live_",),
    "supabase-token": ("sbp_",),
    "tailscale-key": ("tskey-",),
    "telegram-token": (":AA",),
    "terraform-token": (".atlasv1.",),
    "twilio-key": ("SK",),
    "vault-token": ("hvs.", "hvb."),
    "webhook-secret": ("whsec_",),
    "xai-key": ("xai-",),
}
"""Name → texts of which every secret of this format has one. To look for them takes a hundredth of the time."""
_GAP = r"(?:\s++(?:(?:#|//|--)[^\n]{0,120}+\n)?+|/\*[^*]{0,120}+\*/|\\\r?\n){0,8}+"
"""Blanks, empty lines and comments. Possessive and bounded: hostile text takes no more time than other text."""
_JUNCTION = re.compile(
    rf"[\"'`]{_GAP}(?:(?:\+\+?|\.\.?|&|\|\||<>|~|\.concat\(){_GAP})?(?:u8|[bcflru]{{1,2}}|[$@]{{1,2}})?[\"'`]"
    r"|[\"'](?<=[\w.-].)(?<!(?<!\w)[bcflru].)(?<!(?<!\w)[bfru]{2}.)(?<!(?<!\w)u8.)(?=[\w.-])"
    r"|\\(?<=[\w.-].)\r?\n[ \t]*+(?=[\w.-])",
    re.IGNORECASE,
)
"""Between the parts of one string: `"a" "b"`, `f"a" + f"b"` over lines too, `a"b"` in a shell, a line that goes on."""
_JOINED_LIST = re.compile(
    r"\[[^][]{0,1000}+\]\s{0,20}+\.join\(\s{0,20}+(?:\"\"|''|``)|(?:\"\"|'')\.join\(\s{0,20}+[\[(][^][()]{0,1000}+"
)
"""A list whose items are put together: `["a", "b"].join("")`."""

MIN_CHARACTERS = 8
"""Different characters. With fewer it is a placeholder: ghp_xxxxxxxx."""
_PLACEHOLDER = re.compile(r"example|sample|placeholder|dummy|redacted|fake|1234567|abcdefg|(.)\1{5}", re.IGNORECASE)
_OF_EMULATORS = re.compile(r"AccountKey=(?:Eby8vdM02xNOcqFl|C2y6yDjf5/R\+ob0N)")
"""The keys that every emulator of Azure's storage and Cosmos DB has. Source: Microsoft Learn, Azurite and emulator."""
_ALLOWED = re.compile(r"gitleaks:allow|pragma: allowlist secret")
_KEY = re.compile(rf"-----[A-Z ]+-----((?:{_ARMOR_HEADER}|[A-Za-z0-9+/]{{8,}}+|\\{{1,2}}[nr]|[\s\"'+,>|#*=])*+)")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{8,}")
PATTERNS = {name: re.compile(pattern) for name, (pattern, _) in FORMATS.items()}


class Secret(NamedTuple):
    """A secret in a text: where it begins, its format, and the parts of the string that it is put together from."""

    start: int
    name: str
    parts: tuple[str, ...]
    written: str
    """The text from its beginning to its end, with what stands between the parts."""


def find_secrets(path: str, text: str) -> list[tuple[str, int, int, str, str]]:
    """Find the secrets of a file: path, first and last line (from 1), name of the format, hash."""
    starts = [0, *(end.end() for end in re.finditer("\n", text))]
    allowed = {bisect_right(starts, comment.start()) for comment in _ALLOWED.finditer(text)}
    found = []
    for secret in secrets_of(text):
        line = bisect_right(starts, secret.start)
        if line not in allowed:
            value, length = _value(secret, text)
            # The same secret is no other because its line is written in another way.
            digest = hashlib.sha256(value.encode(errors="replace")).hexdigest()[:32]
            found.append((path, line, bisect_right(starts, secret.start + length - 1), secret.name, digest))
    return found


def secrets_of(text: str) -> list[Secret]:
    """Find the secrets of a text. Placeholders are none."""
    found = [Secret(start, name, (secret,), secret) for start, name, secret in _matches(text)]
    known = {secret.start for secret in found}
    joined, origins = _joined(text)
    places = [offset for offset, _ in origins]
    for at, name, secret in _matches(joined) if len(origins) > 1 else ():
        first, last = bisect_right(places, at) - 1, bisect_right(places, at + len(secret) - 1) - 1
        cuts = [at, *places[first + 1 : last + 1], at + len(secret)]
        start, end = (there + origins[piece][1] - places[piece] for there, piece in ((at, first), (cuts[-1], last)))
        if first < last and start not in known:
            parts = tuple(joined[one:other] for one, other in pairwise(cuts))
            found.append(Secret(start, name, parts, text[start:end]))
    return found


def formats_in(text: str) -> list[str]:
    """The names of the formats of which a text may have secrets."""
    return [name for name, literals in _LITERALS.items() if any(literal in text for literal in literals)]


def _matches(text: str) -> list[tuple[int, str, str]]:
    return [
        (match.start(), name, match[0])
        for name in formats_in(text)
        for match in PATTERNS[name].finditer(text)
        if name == "private-key" or not _is_placeholder(name, match[0])
    ]


def _is_placeholder(name: str, secret: str) -> bool:
    own = secret
    for literal in _LITERALS[name]:
        own = own.replace(literal, "")
    is_public = _PLACEHOLDER.search(secret) or _OF_EMULATORS.match(secret)
    return bool(is_public) or len(set(own)) < MIN_CHARACTERS


def _joined(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without what stands between the parts of a string, and where each piece of it begins, there and here."""
    pieces, origins, length, position = [], [], 0, 0
    # As many characters as before: the places stay.
    for junction in _JUNCTION.finditer(_JOINED_LIST.sub(lambda found: found[0].replace(",", "+"), text)):
        pieces.append(text[position : junction.start()])
        origins.append((length, position))
        length += len(pieces[-1])
        position = junction.end()
    return "".join((*pieces, text[position:])), [*origins, (length, position)]


def _value(secret: Secret, text: str) -> tuple[str, int]:
    """What distinguishes a secret from others, and its length in the text. Keys of one kind begin alike."""
    if secret.name == "private-key" and (key := _KEY.match(text, secret.start)):
        return "".join(_BASE64.findall(re.sub(r"\\[nr]", " ", key[1]))), len(key[0].rstrip())
    return "".join(secret.parts), len(secret.written)


if __name__ == "__main__":
    everything = []
    for directory, _, files in os.walk(sys.argv[1]):
        for basename in files:
            path = os.path.join(directory, basename)
            with open(path, encoding="utf-8", newline="") as file:
                everything += find_secrets(os.path.relpath(path, sys.argv[1]), file.read())
    json.dump(everything, sys.stdout)
