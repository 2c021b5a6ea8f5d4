"""The timeline of a delivery: what happened to it, when, and how each step ended. Read by people, in the admin."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from reviews.findings import Report
from reviews.models import (
    Attempt,
    AttemptOutcome,
    CheckRunReport,
    CommandOutcome,
    Delivery,
    DeliveryStatus,
    LanguageModelUsage,
    MissedDelivery,
    Review,
)
from reviews.redaction import visible
from telemetry.models import Conclusion, DegradationPath, Execution, RateLimitEvent

GOOD, WARN, BAD, BUSY, NEUTRAL = "good", "warn", "bad", "busy", "neutral"
"""Kinds of entries, which decide their colour."""
_OF_CONCLUSION = {Conclusion.SUCCESS: GOOD, Conclusion.PARTIAL: WARN, Conclusion.ERROR: BAD, Conclusion.TIMEOUT: BAD}
_OF_OUTCOME = {AttemptOutcome.FAILED: BAD, AttemptOutcome.DEFERRED: WARN}


@dataclass(frozen=True)
class Entry:
    """One thing that happened. `calls` are those of an attempt; `output` is a traceback."""

    at: datetime
    title: str
    kind: str = NEUTRAL
    text: str = ""
    link: str = ""
    """An address on GitHub."""
    row: RateLimitEvent | Execution | None = None
    calls: tuple[dict[str, Any], ...] = ()
    calls_made: int = 0
    output: str = ""
    since: timedelta = timedelta()
    """Time since the delivery was received."""


@dataclass(frozen=True)
class Timeline:
    """The entries in order, and what the delivery waits for now."""

    entries: list[Entry]
    state: str
    state_kind: str
    waits: str = ""
    telemetry: str = ""
    """Why the telemetry store could not be read; empty if it could."""
    took: timedelta | None = None
    """From the webhook to the published review."""
    review: Review | None = None


def timeline_of(delivery: Delivery) -> Timeline:
    """Return the timeline of a delivery. Makes a fixed number of queries."""
    review = Review.objects.filter(delivery=delivery).first()
    entries = [*_of_delivery(delivery)]
    unreadable = ""
    if review is not None:
        entries += [*_of_attempts(review), *_of_steps(review), *_of_outcome(review)]
        try:
            entries += _of_telemetry(delivery, review)
        except (DatabaseError, InterfaceError) as error:
            unreadable = f"The telemetry store could not be read: {error}"
    entries.sort(key=lambda entry: entry.at)
    received = delivery.received_at
    timed = [replace(entry, since=max(timedelta(), entry.at - received)) for entry in entries]
    state, kind, waits = _state(delivery, review)
    published = review.published_at if review is not None else None
    return Timeline(timed, state, kind, waits, unreadable, published - received if published else None, review)


def _of_delivery(delivery: Delivery) -> Iterator[Entry]:
    text = f"{delivery.event_type} by {visible(delivery.sender) or 'unknown'}"
    if delivery.command:
        text += f", who asked for “{visible(delivery.command)}”"
    yield Entry(delivery.received_at, "Webhook received", text=text)
    if delivery.status == DeliveryStatus.IGNORED:
        yield Entry(delivery.received_at, "Not acted on", text=delivery.ignore_reason)
    for missed in MissedDelivery.objects.filter(delivery_id=delivery.delivery_id, event_type=delivery.event_type):
        if missed.requested_at is not None:
            text = f"{missed.requests} times so far" if missed.requests > 1 else ""
            yield Entry(missed.requested_at, "GitHub asked to send it again", text=text)
    if delivery.failure:
        ended = delivery.finished_at or delivery.queued_at or delivery.received_at
        last_line = delivery.failure.strip().rpartition("\n")[2]
        yield Entry(ended, "The last failure", BAD, visible(last_line)[:300], output=delivery.failure)


def _of_attempts(review: Review) -> Iterator[Entry]:
    for number, attempt in enumerate(Attempt.objects.filter(review=review).order_by("pk"), 1):
        seconds = (attempt.ended_at - attempt.started_at).total_seconds()
        outcome = AttemptOutcome(attempt.outcome)
        text = f"{seconds:,.1f} s" + (f": {visible(attempt.reason)}" if attempt.reason else "")
        calls = tuple(_call(call) for call in attempt.calls)
        yield Entry(
            attempt.started_at,
            f"Attempt {number} {outcome.label.lower()}",
            _OF_OUTCOME.get(outcome, NEUTRAL),
            text,
            calls=calls,
            calls_made=attempt.calls_made,
        )


def _call(call: dict[str, Any]) -> dict[str, Any]:
    status = call.get("status")
    return {
        "remaining": None,
        "answer": status or call.get("failure", ""),
        **call,
        "at": datetime.fromisoformat(call["at"]),
        "path": visible(call["endpoint"]),
        "kind": BAD if status is None or status >= 500 else WARN if status >= 400 else NEUTRAL,
    }


def _of_steps(review: Review) -> Iterator[Entry]:
    """What the time stamps of the run say, step by step."""
    if review.loaded_at:
        author = f", by {visible(review.pr_author)}" if review.pr_author else ""
        text = f"head {review.head_sha[:12]}, base {visible(review.base_ref)}{author}"
        yield Entry(review.loaded_at, "Pull request read", GOOD, text)
    if review.enriched_at:
        yield _enriched(review, review.enriched_at)
    if review.analysed_at:
        yield _analysed(review, review.analysed_at)
    if review.publishing_at and not review.published_at:
        yield Entry(review.publishing_at, "Review posted, not confirmed yet", WARN)
    if review.published_at:
        yield Entry(review.published_at, "Review published", GOOD, link=_on_github(review))


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _enriched(review: Review, at: datetime) -> Entry:
    degraded = review.degradation_path != DegradationPath.NONE
    parts = [f"tier {review.author_tier or 'unknown'}", f"{review.cache_hit_rate * 100:.0f} % of Search from the cache"]
    parts += [f"{_counted(review.skipped_queries, 'query', 'queries')} skipped"] if review.skipped_queries else []
    parts += [_counted(review.retry_attempts, "retry", "retries")] if review.retry_attempts else []
    title = f"Author looked up, degraded: {review.degradation_path}" if degraded else "Author looked up"
    return Entry(at, title, WARN if degraded else GOOD, ", ".join(parts))


def _analysed(review: Review, at: datetime) -> Entry:
    try:
        report = Report.from_json(review.report)
    except ValueError:
        return Entry(at, "Files analysed", WARN, "another version of Kodiai stored the report")
    read = [file for file in report.coverage.files if file.read_by]
    counted = _counted(len(report.findings), "finding", "findings")
    text = f"{counted} in {len(read)} of {len(report.coverage.files)} changed files"
    failed = [f"{visible(engine)}: {visible(why)}" for engine, why in report.engine_failures]
    if failed:
        text += f"; failed: {'; '.join(failed)}"
    return Entry(at, "Files analysed", WARN if failed else GOOD, text)


def _of_outcome(review: Review) -> Iterator[Entry]:
    for outcome in CommandOutcome.objects.filter(review=review):
        if outcome.applied_at:
            yield Entry(outcome.applied_at, "Command took effect", GOOD)
        if outcome.answered_at:
            yield Entry(outcome.answered_at, "Command answered", GOOD)
    for used in LanguageModelUsage.objects.filter(review=review, reserved_at__isnull=False):
        if used.reserved_at:
            yield Entry(used.reserved_at, "Language model asked", text=f"paid ${used.paid_usd:,.4f}")
    if review.finished_at:
        conclusion = review.conclusion
        yield Entry(
            review.finished_at,
            f"Run finished: {conclusion}",
            _OF_CONCLUSION.get(Conclusion(conclusion), NEUTRAL) if conclusion in Conclusion.values else NEUTRAL,
            visible(review.conclusion_reason),
        )
    for report in CheckRunReport.objects.filter(review=review):
        if report.reported_at:
            yield Entry(report.reported_at, "Check run reported", GOOD)
        if report.due_at:
            yield Entry(report.due_at, "Check run due", BUSY)


def _of_telemetry(delivery: Delivery, review: Review) -> list[Entry]:
    """The telemetry rows of the identity, and what is pending."""
    entries = []
    identity = {"delivery_id": delivery.delivery_id, "event_type": delivery.event_type}
    event, execution = RateLimitEvent.objects.filter(**identity).first(), Execution.objects.filter(**identity).first()
    if event is not None:
        at = review.rate_limit_event_recorded_at or event.created_at or delivery.received_at
        entries.append(Entry(at, "Rate-limit event recorded", GOOD, row=event))
    elif review.enriched_at and review.telemetry_enabled:
        title = "Rate-limit event removed" if review.rate_limit_event_recorded_at else "Rate-limit event pending"
        entries.append(Entry(review.rate_limit_event_tried_at or review.enriched_at, title, WARN))
    if execution is not None:
        at = review.execution_recorded_at or execution.created_at or delivery.received_at
        entries.append(Entry(at, "Execution recorded", GOOD, row=execution))
    elif review.finished_at and review.telemetry_enabled:
        title = "Execution removed" if review.execution_recorded_at else "Execution pending"
        entries.append(Entry(review.finished_at, title, WARN))
    return entries


def _on_github(review: Review) -> str:
    return review.github_review_url if review.github_review_url.startswith(("https://", "http://")) else ""


def _state(delivery: Delivery, review: Review | None) -> tuple[str, str, str]:
    """How the delivery stands now: a word, its kind, and what it waits for."""
    if delivery.status in (DeliveryStatus.DONE, DeliveryStatus.FAILED):
        conclusion = (review.conclusion if review is not None else "") or delivery.status
        kind = BAD if delivery.status == DeliveryStatus.FAILED else GOOD
        return conclusion, _OF_CONCLUSION.get(conclusion, kind), ""  # type: ignore[call-overload]
    if delivery.status == DeliveryStatus.RUNNING:
        return "running", BUSY, f"by {review.lease_owner}" if review is not None else ""
    if delivery.status == DeliveryStatus.IGNORED:
        return "ignored", NEUTRAL, delivery.ignore_reason
    if delivery.queued_at is not None and delivery.queued_at > timezone.now():
        return "deferred", WARN, f"until {delivery.queued_at:%Y-%m-%d %H:%M:%S} UTC"
    return "waiting", BUSY, "for a worker, or for its author's other runs"
