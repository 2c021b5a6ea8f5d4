"""Notify the operator when something is wrong, once, and when it is over.

A row (`Notification`) for each kind remembers which channel has heard of it, so that a channel that fails is tried
again in the next round and the others are not. Only the process that holds the periodic task sends; one that dies
between sending and storing sends again, under the same id.
"""

import logging
from collections import Counter
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Min, Q
from django.utils import timezone

from reviews.maintenance import channels
from reviews.maintenance.channels import Message, NotSent
from reviews.models import (
    PENDING_EXECUTION,
    PENDING_RATE_LIMIT_EVENT,
    Delivery,
    DeliveryStatus,
    GitHubOutage,
    Notification,
    NotificationKind,
    Review,
)
from reviews.redaction import visible
from telemetry.models import Conclusion, DegradationPath

logger = logging.getLogger(__name__)

WINDOW = timedelta(hours=1)
"""Time that is looked at for failed and degraded runs. What is wrong is over when nothing was for so long."""
GITHUB_AWAY_AFTER = timedelta(minutes=5)
MIN_REVIEWS = 10
"""Reviews of an hour from which on a share of them says something."""
MAX_REASON = 300
END_KEPT = timedelta(days=1)
"""Time for which channels that fail are tried with the end."""


def notify() -> dict[str, int]:
    """Look at what is wrong, and send what a channel has not heard; return how many messages were sent, and not."""
    _update(_problems())
    outcomes: Counter[str] = Counter()
    # A channel that fails is left alone until the next round: it may take seconds each time.
    usable = dict(channels.configured())
    for row in Notification.objects.order_by("since"):
        for name, send in list(usable.items()):
            field = _field_to_send(row, name)
            if field is None:
                continue
            try:
                send(_message(row))
            except NotSent as reason:
                del usable[name]
                outcomes["failed"] += 1
                logger.warning("notification not sent", extra={"kind": row.kind, "channel": name, "error": str(reason)})
                Notification.objects.filter(pk=row.pk).update(failure=f"{name}: {reason}")
            else:
                outcomes["sent"] += 1
                getattr(row, field).append(name)
                Notification.objects.filter(pk=row.pk).update(**{field: getattr(row, field)})
        if row.ended_at is not None and _is_known_to_be_over(row, row.ended_at):
            row.delete()
    return {"notifications sent": outcomes["sent"], "notifications failed": outcomes["failed"]}


def _problems() -> dict[NotificationKind, str]:
    """Return what is wrong now, each with a text for people."""
    now = timezone.now()
    problems = {
        NotificationKind.RUNS_FAILED: _failed_runs(now),
        NotificationKind.GITHUB_AWAY: _github_away(now),
        NotificationKind.REVIEWS_DEGRADED: _degraded(now),
        NotificationKind.TELEMETRY_PENDING: _telemetry_pending(now),
    }
    return {kind: text for kind, text in problems.items() if text}


def _failed_runs(now: datetime) -> str:
    failed = Delivery.objects.filter(status=DeliveryStatus.FAILED, finished_at__gte=now - WINDOW)
    count = failed.count()
    last = Review.objects.filter(delivery__in=failed).order_by("-finished_at").first() if count else None
    if last is None:
        return ""
    subject = f"{last.repo}#{last.pr_number}" if last.pr_number is not None else last.repo
    reason = visible(last.conclusion_reason)[:MAX_REASON]
    return f"{_runs(count)} failed in the last hour. The last one: {subject}: {reason}"


def _github_away(now: datetime) -> str:
    since = GitHubOutage.objects.current().aggregate(since=Min("since"))["since"]
    if since is None or now - since < GITHUB_AWAY_AFTER:
        return ""
    return f"GitHub cannot be reached since {since:%Y-%m-%d %H:%M} UTC. Runs wait, and use no attempts."


def _degraded(now: datetime) -> str:
    ended = Review.objects.filter(
        finished_at__gte=now - WINDOW, conclusion__in=(Conclusion.SUCCESS, Conclusion.PARTIAL)
    )
    found = ended.aggregate(all=Count("pk"), degraded=Count("pk", filter=~Q(degradation_path=DegradationPath.NONE)))
    share = 100 * found["degraded"] / max(1, found["all"])
    if found["all"] < MIN_REVIEWS or share < settings.KODIAI_NOTIFY_DEGRADED_PERCENT:
        return ""
    return f"{found['degraded']} of {found['all']} reviews of the last hour are partial due to GitHub's limits."


def _telemetry_pending(now: datetime) -> str:
    before = now - timedelta(seconds=settings.KODIAI_NOTIFY_PENDING_SECONDS)
    events = Review.objects.filter(PENDING_RATE_LIMIT_EVENT, enriched_at__lt=before).count()
    executions = Review.objects.filter(PENDING_EXECUTION, finished_at__lt=before).count()
    if not events and not executions:
        return ""
    return f"Telemetry is pending for too long: {events} rate-limit events and {executions} executions are not stored."


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _update(problems: dict[NotificationKind, str]) -> None:
    """Bring the rows up to date: a new one for what has begun, an end for what is over, none if it is back."""
    known = {row.kind: row for row in Notification.objects.all()}
    for kind in NotificationKind:
        text, row = problems.get(kind), known.get(kind)
        if text is not None and row is None:
            Notification.objects.bulk_create([Notification(kind=kind, message=text)], ignore_conflicts=True)
        elif text is not None and row is not None:
            # It may be back before every channel has heard of its end; those that have hear of it anew.
            still = [name for name in row.begin_sent if name not in row.end_sent]
            Notification.objects.filter(pk=row.pk).update(message=text, ended_at=None, begin_sent=still, end_sent=[])
        elif row is not None and row.ended_at is None:
            Notification.objects.filter(pk=row.pk).update(ended_at=timezone.now())


def _field_to_send(row: Notification, channel: str) -> str | None:
    """Return where it is noted that the channel has what it has not heard yet; None if there is nothing."""
    if row.ended_at is None:
        return "begin_sent" if channel not in row.begin_sent else None
    return "end_sent" if channel in row.begin_sent and channel not in row.end_sent else None


def _is_known_to_be_over(row: Notification, ended_at: datetime) -> bool:
    return set(row.begin_sent) <= set(row.end_sent) or ended_at < timezone.now() - END_KEPT


def _message(row: Notification) -> Message:
    return Message(
        id=f"{row.kind}-{row.since:%Y%m%dT%H%M%S%fZ}",
        kind=row.kind,
        ended=row.ended_at is not None,
        since=row.since,
        title=NotificationKind(row.kind).label,
        text=row.message,
    )
