"""From a signed webhook request to its answer, for any server. docs/architecture.md has the table of answers.

The front door (`kodiai.asgi`) and the view of Django (`reviews.views.webhook`) call both functions in turn; what lies
between them, how deliveries gather into a group, is theirs.
"""

import logging
from collections.abc import Mapping, Sequence

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError

from reviews.intake.inbox import accept_all
from reviews.intake.payloads import BadDelivery, ParsedDelivery, read_delivery
from reviews.intake.request_timeouts import database_time_limit
from reviews.intake.requests import DELIVERY_HEADER, EVENT_HEADER, SIGNATURE_HEADER, UNSIGNED, Reply, is_signed, refusal

logger = logging.getLogger(__name__)


def read(headers: Mapping[str, str], body: bytes) -> ParsedDelivery | Reply:
    """Return the delivery to store, or the answer if there is none: unsigned, invalid, or a ping.

    The headers have been judged (`requests.why_refused`).
    """
    if not is_signed([body], headers[SIGNATURE_HEADER]):
        return UNSIGNED
    try:
        parsed = read_delivery(headers.get(DELIVERY_HEADER), headers.get(EVENT_HEADER), body)
    except BadDelivery as error:
        return refusal(400, str(error))
    if parsed.event == "ping":
        return Reply(200, {"delivery": parsed.delivery_id, "status": "pong"})
    return parsed


def store(group: Sequence[ParsedDelivery]) -> list[Reply]:
    """Store deliveries in one transaction; return their answers after its commit, in order.

    One that the database refuses fails alone: each is stored again by itself then. If the database itself fails, they
    all do, and nobody waits for it a second time.
    """
    try:
        with database_time_limit():
            answers = accept_all(group)
    except (DatabaseError, InterfaceError) as error:
        if len(group) > 1 and isinstance(error, IntegrityError | DataError):
            return [store([parsed])[0] for parsed in group]
        for parsed in group:
            logger.exception("delivery not stored", extra={"delivery_id": parsed.delivery_id})
        return [refusal(503, "the delivery could not be stored; send it again")] * len(group)
    return [
        Reply(202, {"delivery": parsed.delivery_id, "status": status} | ({"reason": reason} if reason else {}))
        for parsed, (status, reason) in zip(group, answers, strict=True)
    ]
