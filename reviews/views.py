"""`POST /webhooks/github`: what GitHub posts is checked, stored and answered. docs/architecture.md has the table."""

import hashlib
import hmac
import logging

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from reviews.intake.inbox import accept
from reviews.intake.payloads import BadDelivery, read_delivery
from reviews.intake.request_timeouts import database_time_limit

logger = logging.getLogger(__name__)


@csrf_exempt
@require_POST
def github_webhook(request: HttpRequest) -> HttpResponse:
    """Take one delivery. 202 is answered only after what it promises is committed."""
    secrets = settings.KODIAI_GITHUB_WEBHOOK_SECRET
    if not secrets:
        return _refuse(503, "no webhook secret is configured: set KODIAI_GITHUB_WEBHOOK_SECRET")
    if request.content_type != "application/json":
        return _refuse(415, "the content type must be application/json")
    try:
        body = request.body
    except RequestDataTooBig:
        return _refuse(413, "the body is larger than 25 MiB")
    except UnreadablePostError:
        return _refuse(400, "the body ended early")
    if not _signed(body, request.headers.get("X-Hub-Signature-256", ""), secrets):
        return _refuse(401, "the signature is missing or wrong")
    try:
        parsed = read_delivery(request.headers.get("X-GitHub-Delivery"), request.headers.get("X-GitHub-Event"), body)
    except BadDelivery as error:
        return _refuse(400, str(error))
    if parsed.event == "ping":
        return JsonResponse({"delivery": parsed.delivery_id, "status": "pong"})
    try:
        with database_time_limit():
            status, reason = accept(parsed)
    except (DatabaseError, InterfaceError):
        logger.exception("delivery not stored", extra={"delivery_id": parsed.delivery_id})
        return _refuse(503, "the delivery could not be stored; send it again")
    answer = {"delivery": parsed.delivery_id, "status": status}
    if reason:
        answer["reason"] = reason
    return JsonResponse(answer, status=202)


def _signed(body: bytes, signature: str, secrets: list[str]) -> bool:
    """Return whether the body was signed with one of the secrets, in a time that tells nothing about them."""
    given = signature.encode(errors="replace")
    matches = [
        hmac.compare_digest(b"sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode(), given)
        for secret in secrets
    ]
    return any(matches)


def _refuse(status: int, reason: str) -> JsonResponse:
    return JsonResponse({"error": reason}, status=status)
