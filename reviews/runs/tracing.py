"""Traces of OpenTelemetry: one for each delivery, from the webhook through the queue to each call to GitHub.

A worker sends them after each attempt, from the attempt's row: no process hands anything to another, and what a killed
worker did is absent. They are sent where the extra `otel` is installed and OpenTelemetry's own variables name a
collector. Source of names: OpenTelemetry's semantic conventions for HTTP. docs/tracing.md
"""

import atexit
import logging
import os
import secrets
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from reviews.models.attempts import Attempt, AttemptOutcome

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import SpanContext, SpanKind

logger = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
TIMEOUT = 2.0
"""Seconds for the collector to take spans, unless OpenTelemetry's variable says otherwise: a worker that ends waits."""


def send_trace(attempt: Attempt) -> None:
    """Queue the spans of an attempt for the collector; that of the delivery once its run has ended. Never waits."""
    processor = _processor()
    if processor is None:
        return
    from opentelemetry.trace import SpanKind

    review, delivery = attempt.review, attempt.review.delivery
    digest = sha256("\0".join(delivery.identity).encode()).digest()
    trace, root = int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
    about = {
        "kodiai.delivery_id": delivery.delivery_id,
        "kodiai.event_type": delivery.event_type,
        "kodiai.repository": delivery.repo,
    }
    if review.conclusion:
        ends = {"kodiai.conclusion": review.conclusion, "kodiai.review_id": review.pk}
        span = (delivery.event_type, SpanKind.SERVER, delivery.received_at, attempt.ended_at, about | ends)
        _end(processor, _context(trace, root), None, *span)
    if (queued_at := max(delivery.received_at, delivery.queued_at or delivery.received_at)) < attempt.started_at:
        waited = ("queue", SpanKind.CONSUMER, queued_at, attempt.started_at, about)
        _end(processor, _context(trace), _context(trace, root), *waited)
    own = _context(trace)
    outcome = {"kodiai.outcome": attempt.outcome, "kodiai.reason": attempt.reason, "kodiai.worker": attempt.worker}
    error = attempt.reason if attempt.outcome == AttemptOutcome.FAILED else ""
    during = ("attempt", SpanKind.INTERNAL, attempt.started_at, attempt.ended_at, about | outcome, error)
    _end(processor, own, _context(trace, root), *during)
    for call in attempt.calls:
        at = datetime.fromisoformat(call["at"])
        answer = {"http.request.method": call["method"], "url.path": call["endpoint"]}
        answer |= {"kodiai.github.resource": call["resource"]}
        answer |= {"http.response.status_code": call["status"]} if "status" in call else {}
        failure = call.get("failure", "") or (str(call["status"]) if call.get("status", 0) >= 400 else "")
        answer |= {"error.type": failure} if failure else {}
        made = (call["method"], SpanKind.CLIENT, at, at + timedelta(milliseconds=call["duration_ms"]), answer, failure)
        _end(processor, _context(trace), own, *made)


def _end(
    processor: "BatchSpanProcessor",
    context: "SpanContext",
    parent: "SpanContext | None",
    name: str,
    kind: "SpanKind",
    started_at: datetime,
    ended_at: datetime,
    attributes: dict[str, Any],
    error: str = "",
) -> None:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Status, StatusCode

    processor.on_end(
        ReadableSpan(
            name=name,
            context=context,
            parent=parent,
            kind=kind,
            resource=_resource(),
            instrumentation_scope=InstrumentationScope("kodiai"),
            attributes=attributes,
            status=Status(StatusCode.ERROR, error) if error else Status(),
            start_time=_nanoseconds(started_at),
            end_time=_nanoseconds(ended_at),
        )
    )


def _context(trace: int, span: int = 0) -> "SpanContext":
    """The context of a span; without `span` of a new one."""
    from opentelemetry.trace import SpanContext, TraceFlags

    return SpanContext(trace, span or secrets.randbits(64) or 1, False, TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1e6) * 1000


@cache
def _processor() -> "BatchSpanProcessor | None":
    """What sends the spans, in a separate thread; None where nothing asks for traces."""
    if not any(map(os.environ.get, ENDPOINTS)) or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        logger.error(
            "no traces are sent: install the extra otel (docs/tracing.md), or unset %s", " and ".join(ENDPOINTS)
        )
        return None
    seconds = None if "OTEL_EXPORTER_OTLP_TIMEOUT" in os.environ else TIMEOUT
    processor = BatchSpanProcessor(OTLPSpanExporter(timeout=seconds))
    atexit.register(processor.force_flush)
    return processor


@cache
def _resource() -> Any:
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    return Resource({"service.name": "kodiai"}).merge(OTELResourceDetector().detect())
