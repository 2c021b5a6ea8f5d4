"""What a webhook request must have before its body is read, and the signature of that body."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.conf import settings

MAX_BODY = 25 * 1024 * 1024
"""Bytes. Source: GitHub docs, "Webhook events and payloads", payload cap."""
SIGNATURE_HEADER = "X-Hub-Signature-256"
DELIVERY_HEADER = "X-Github-Delivery"
EVENT_HEADER = "X-Github-Event"

_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}")
_LENGTH = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Reply:
    """An answer to a request: status, a JSON object, and headers."""

    status: int
    content: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an answer that refuses a request, with one sentence that says why."""
    return Reply(status, {"error": reason}, headers or {})


UNSIGNED = refusal(401, "the signature is missing or wrong")


def why_refused(method: str | None, headers: Mapping[str, str]) -> Reply | None:
    """Judge a webhook by method and headers; None if its body may be read.

    The order is from what no sender can mend to what only a holder of the secret has. `headers` finds names in any
    case, or holds them as they are written here.
    """
    length = headers.get("Content-Length", "")
    content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if method != "POST":
        return refusal(405, "use POST", {"Allow": "POST"})
    if not settings.KODIAI_GITHUB_WEBHOOK_SECRET:
        return refusal(503, "no webhook secret is configured: set KODIAI_GITHUB_WEBHOOK_SECRET")
    if not _LENGTH.fullmatch(length):
        return refusal(411, "the length of the body is missing: send Content-Length")
    if int(length) > MAX_BODY:
        return refusal(413, "the body is larger than 25 MiB")
    if content_type != "application/json":
        return refusal(415, "the content type must be application/json")
    if not _SIGNATURE.fullmatch(headers.get(SIGNATURE_HEADER, "")):
        return UNSIGNED
    return None


def is_signed(body: Iterable[bytes], signature: str) -> bool:
    """Return whether the body, in pieces, was signed with one of the secrets, in a time that reveals none of them."""
    digests = [hmac.new(secret.encode(), digestmod=hashlib.sha256) for secret in settings.KODIAI_GITHUB_WEBHOOK_SECRET]
    for piece in body:
        for digest in digests:
            digest.update(piece)
    given = signature.encode(errors="replace")
    matches = [hmac.compare_digest(b"sha256=" + digest.hexdigest().encode(), given) for digest in digests]
    return any(matches)
