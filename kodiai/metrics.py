"""`/metrics`: what Prometheus reads. docs/metrics.md lists the names.

Everything comes from the database, so that the answer is the same whatever process gives it. Counters are the tallies
(`reviews.maintenance.tallies`); gauges count small sets of rows by index. No label names a repository or a person.
"""

import json
import math
import platform
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Count, Min, Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from reviews.intake.request_timeouts import database_time_limit
from reviews.local.version import version
from reviews.maintenance.tallies import BUCKETS, TOKENS
from reviews.models import (
    PENDING_CHECK_RUN,
    PENDING_EXECUTION,
    PENDING_RATE_LIMIT_EVENT,
    CheckRunReport,
    Delivery,
    DeliveryStatus,
    GitHubLimit,
    GitHubOutage,
    IgnoreReason,
    PeriodicTask,
    Review,
    Tally,
)
from telemetry.models import Conclusion, DegradationPath

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CACHE_SECONDS = 10.0
"""For which an answer is given again: many may ask, and each costs a dozen queries."""
MAX_LIMITS = 300
"""Limits that are shown: those seen last."""
MAX_MODELS = 20
"""Language models that are shown by name: those that cost most."""
UNFINISHED = (DeliveryStatus.QUEUED, DeliveryStatus.RUNNING, DeliveryStatus.FAILED)

_cached: tuple[float, list["Metric"]] | None = None
"""The last metrics, and their time by time.monotonic()."""


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in the format that the client asks for; 401 without the token, if one is set; 503 without a database."""
    # Imported here: nothing else needs it, and it takes 0.3 s.
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    token = settings.KODIAI_METRICS_TOKEN
    if token and not constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {token}"):
        return HttpResponse(
            "Send KODIAI_METRICS_TOKEN as a bearer token.\n", status=401, content_type=PLAIN, headers=ASK
        )
    try:
        families = _current()
    except (DatabaseError, InterfaceError) as error:
        return HttpResponse(f"database: {type(error).__name__}\n", status=503, content_type=PLAIN)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(families))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)


PLAIN = "text/plain; charset=utf-8"
ASK = {"WWW-Authenticate": "Bearer"}


class _Collected:
    """Metrics in the form that prometheus_client asks for."""

    def __init__(self, families: list["Metric"]) -> None:
        self._families = families

    def collect(self) -> list["Metric"]:
        return self._families


def _current() -> list["Metric"]:
    global _cached
    if _cached is None or time.monotonic() - _cached[0] > CACHE_SECONDS:
        with database_time_limit():
            _cached = time.monotonic(), list(collect())
    return _cached[1]


def collect() -> Iterator["Metric"]:
    """Read every metric. Raises `DatabaseError` or `InterfaceError`."""
    yield from _queue()
    yield from _pending()
    yield from _github()
    yield from _periodic_tasks()
    yield from _counters()
    yield _family(
        "gauge",
        "build_info",
        "What runs here.",
        {(version(), platform.python_version(), django.__version__, connection.vendor): 1},
        ("version", "python", "django", "database"),
    )


def _family(kind: str, name: str, says: str, values: Mapping[Any, float], labels: tuple[str, ...] = ()) -> "Metric":
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    of_kind = GaugeMetricFamily if kind == "gauge" else CounterMetricFamily
    family = of_kind(f"kodiai_{name}", says, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return family


def _gauge(name: str, says: str, value: float) -> "Metric":
    return _family("gauge", name, says, {(): value})


def _queue() -> Iterator["Metric"]:
    # One status at a time: then both databases use an index, whatever they believe about the others.
    by_status = {(status.value,): Delivery.objects.filter(status=status).count() for status in UNFINISHED}
    yield _family("gauge", "deliveries", "Deliveries that are not done, by status.", by_status, ("status",))
    is_due = Q(queued_at__lte=timezone.now())
    queued = Delivery.objects.filter(status=DeliveryStatus.QUEUED).aggregate(
        due=Count("pk", filter=is_due), deferred=Count("pk", filter=~is_due), oldest=Min("queued_at", filter=is_due)
    )
    yield _gauge("deliveries_due", "Deliveries that wait for a worker.", queued["due"])
    yield _gauge("deliveries_deferred", "Deliveries that wait for a time in the future.", queued["deferred"])
    says = "How long the oldest due delivery has waited; 0 if none is."
    yield _gauge("oldest_due_seconds", says, _age(queued["oldest"]))


def _pending() -> Iterator["Metric"]:
    values = {
        ("rate_limit_event",): float(Review.objects.filter(PENDING_RATE_LIMIT_EVENT).count()),
        ("execution",): float(Review.objects.filter(PENDING_EXECUTION).count()),
    }
    yield _family("gauge", "telemetry_pending", "Rows of telemetry that are not stored yet.", values, ("kind",))
    pending = CheckRunReport.objects.filter(PENDING_CHECK_RUN).count()
    yield _gauge("check_runs_pending", "Check runs that GitHub does not have yet.", pending)


def _github() -> Iterator["Metric"]:
    outages = GitHubOutage.objects.current().aggregate(count=Count("pk"), since=Min("since"))
    yield _gauge("github_outages", "Installations for which GitHub cannot be reached.", outages["count"])
    yield _gauge("github_outage_seconds", "How long the longest outage lasts; 0 without one.", _age(outages["since"]))
    limits = GitHubLimit.objects.order_by("-seen_at")[:MAX_LIMITS]
    by_name: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for limit in limits:
        owner = str(limit.installation_id), limit.resource
        by_name["limit"][owner] = limit.limit
        by_name["remaining"][owner] = limit.remaining
        by_name["reset"][owner] = limit.reset_at.timestamp()
        by_name["seen"][owner] = limit.seen_at.timestamp()
    labels = ("installation_id", "resource")
    for name, says, key in (
        ("github_limit", "GitHub's limit of calls; installation 0 is the App itself.", "limit"),
        ("github_limit_remaining", "Calls that were left when GitHub last said so.", "remaining"),
        ("github_limit_reset_timestamp_seconds", "When the whole limit is available again.", "reset"),
        ("github_limit_seen_timestamp_seconds", "When GitHub said so.", "seen"),
    ):
        yield _family("gauge", name, says, by_name[key], labels)


def _periodic_tasks() -> Iterator["Metric"]:
    tasks = PeriodicTask.objects.filter(finished_at__isnull=False).values_list("name", "finished_at")
    values = {(name,): moment.timestamp() for name, moment in tasks if moment is not None}
    says = "Last success of each periodic task."
    yield _family("gauge", "periodic_task_success_timestamp_seconds", says, values, ("task",))


def _counters() -> Iterator["Metric"]:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for metric, label, value in Tally.objects.values_list("metric", "label", "value"):
        found[metric][label] = value
    says = "Deliveries that were acted on."
    yield _family("counter", "deliveries_accepted", says, {(): found["deliveries_accepted"].get("", 0.0)})
    for name, says, label, values in (
        ("deliveries_ignored", "Deliveries that were not acted on.", "reason", IgnoreReason.values),
        ("runs", "Runs that ended. One that failed and was requeued ends again.", "conclusion", Conclusion.values),
        (
            "degradations",
            "Runs that went on without an enrichment.",
            "path",
            [path for path in DegradationPath.values if path != DegradationPath.NONE],
        ),
        (
            "telemetry_write_failures",
            "Writes of telemetry that failed; the rows stay pending.",
            "kind",
            ["rate_limit_event", "execution"],
        ),
    ):
        yield _family("counter", name, says, {(value,): found[name].get(value, 0.0) for value in values}, (label,))
    for name, says in (
        ("search_queries_skipped", "Search queries abandoned."),
        ("search_retries", "Search retries made."),
    ):
        yield _family("counter", name, says, {(): found[name].get("", 0.0)})
    yield from _language_model(found["language_model_cost_usd"], found["language_model_tokens"])
    yield _webhook_to_published(found["webhook_to_published"], found["webhook_to_published_sum"].get("", 0.0))


def _language_model(costs: dict[str, float], tokens: dict[str, float]) -> Iterator["Metric"]:
    by_model = {tuple(json.loads(label)): value for label, value in tokens.items()}
    models = sorted({model for model, _ in by_model} | set(costs), key=lambda model: -costs.get(model, 0.0))
    shown = models[:MAX_MODELS]
    values = {(model,): costs.get(model, 0.0) for model in shown}
    yield _family("counter", "language_model_cost_usd", "Cost of the language model in US dollars.", values, ("model",))
    used = {(model, kind): by_model.get((model, kind), 0.0) for model in shown for kind in TOKENS}
    yield _family("counter", "language_model_tokens", "Tokens of the language model.", used, ("model", "kind"))


def _webhook_to_published(counts: dict[str, float], total: float) -> "Metric":
    from prometheus_client.core import HistogramMetricFamily

    cumulated = 0.0
    buckets: list[tuple[str, float]] = []
    for bound in BUCKETS:
        cumulated += counts.get(str(bound), 0.0)
        buckets.append(("+Inf" if math.isinf(bound) else f"{bound:.1f}", cumulated))
    return HistogramMetricFamily(
        "kodiai_webhook_to_published_seconds",
        "Time from a webhook to its published review, waits for GitHub's limits included.",
        buckets=buckets,
        sum_value=total,
    )


def _age(moment: datetime | None) -> float:
    return 0.0 if moment is None else max(0.0, (timezone.now() - moment).total_seconds())
