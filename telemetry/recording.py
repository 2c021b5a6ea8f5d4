"""Record telemetry: the first write of an identity is the truth, and a broken store never stops a review.

Both functions return the stored row, or `None` when the store failed. They raise no `Exception` and cost the caller
at most a second. A failure leaves the caller's transaction usable and logs one warning that holds the whole event. A
replay adds no row and returns the stored one. A delivery id is an opaque string, kept as given; `None` means that no
webhook is behind the run, and such a run is always written. An empty string is not `None`: it is one identity.
"""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import router
from django.db.models import Model

from telemetry import failures
from telemetry.models import Execution, RateLimitEvent
from telemetry.timeouts import write_in_time

logger = logging.getLogger(__name__)

Row = TypeVar("Row", RateLimitEvent, Execution)


def record_rate_limit_event(
    *,
    delivery_id: str | None,
    event_type: str,
    repo: str,
    pr_number: int | None,
    cache_hit_rate: float,
    skipped_queries: int,
    retry_attempts: int,
    degradation_path: str,
) -> RateLimitEvent | None:
    """Store how GitHub's limits touched a run; return the row of its identity, or `None` when the store failed.

    `cache_hit_rate` is 0 to 1, the two counts are 0 or more (the database refuses anything else, which counts as a
    failure), `degradation_path` is a `DegradationPath`. A replay returns the first row, whatever its own values are.
    """
    identity: dict[str, Any] = {"delivery_id": delivery_id, "event_type": event_type}
    values = {
        "repo": repo,
        "pr_number": pr_number,
        "cache_hit_rate": cache_hit_rate,
        "skipped_queries": skipped_queries,
        "retry_attempts": retry_attempts,
        "degradation_path": degradation_path,
    }

    def write() -> RateLimitEvent:
        if delivery_id is None:
            return RateLimitEvent.objects.create(**identity, **values)
        return RateLimitEvent.objects.get_or_create(**identity, defaults=values)[0]

    return _fail_open("rate_limit_event", {**identity, **values}, RateLimitEvent, write)


def record_execution(
    *,
    delivery_id: str | None,
    event_type: str,
    repo: str,
    pr_number: int | None,
    pr_author: str | None,
    provider: str,
    model: str,
    conclusion: str,
    duration_ms: int = 0,
    input_tokens: int = 0,
    output_tokens: int = 0,
    cache_read_tokens: int = 0,
    cache_creation_tokens: int = 0,
    cost_usd: float = 0.0,
) -> Execution | None:
    """Store how a run ended; return the row of its identity, or `None` when the store failed.

    `duration_ms` is in milliseconds, `cost_usd` in US dollars, `conclusion` is a `Conclusion`. An identity has one
    row, which holds the last conclusion: a run that failed and was queued again ends a second time and updates it.
    """
    identity: dict[str, Any] = {"delivery_id": delivery_id, "event_type": event_type}
    values = {
        "repo": repo,
        "pr_number": pr_number,
        "pr_author": pr_author,
        "provider": provider,
        "model": model,
        "conclusion": conclusion,
        "duration_ms": duration_ms,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cache_read_tokens": cache_read_tokens,
        "cache_creation_tokens": cache_creation_tokens,
        "cost_usd": cost_usd,
    }

    def write() -> Execution:
        if delivery_id is None:
            return Execution.objects.create(**identity, **values)
        return Execution.objects.update_or_create(**identity, defaults=values)[0]

    return _fail_open("execution", {**identity, **values}, Execution, write)


def _fail_open(kind: str, event: dict[str, Any], model: type[Model], write: Callable[[], Row]) -> Row | None:
    """Return the row that `write` stores; if anything goes wrong log `event` and return `None`."""
    try:
        return write_in_time(write, using=router.db_for_write(model))
    except Exception as error:  # the review goes on, whatever is wrong with the store
        logger.warning(
            "%s not recorded",
            kind.replace("_", "-"),
            extra={kind: event, "error": f"{type(error).__name__}: {error}"},
            exc_info=True,
        )
        failures.count(kind)
        return None
