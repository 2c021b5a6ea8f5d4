"""Rows with realistic values; a test names only what it is about."""

from typing import Any

import factory
from factory.django import DjangoModelFactory

from telemetry.models import Conclusion, DegradationPath, Execution, RateLimitEvent


class RateLimitEventFactory(DjangoModelFactory):
    class Meta:
        model = RateLimitEvent

    delivery_id = factory.Faker("uuid4")
    repo = "acme/web"
    pr_number = factory.Sequence(lambda n: n + 1)
    event_type = "pull_request.opened"
    cache_hit_rate = 0.5
    skipped_queries = 0
    retry_attempts = 0
    degradation_path = DegradationPath.NONE


class ExecutionFactory(DjangoModelFactory):
    class Meta:
        model = Execution

    delivery_id = factory.Faker("uuid4")
    repo = "acme/web"
    pr_number = factory.Sequence(lambda n: n + 1)
    pr_author = "octocat"
    event_type = "pull_request.opened"
    provider = "analyzers"
    model = "ruff"
    duration_ms = 1200
    conclusion = Conclusion.SUCCESS


def event_values(**values: Any) -> dict[str, Any]:
    """Arguments of `record_rate_limit_event`."""
    return {
        "delivery_id": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "event_type": "pull_request.opened",
        "repo": "acme/web",
        "pr_number": 7,
        "cache_hit_rate": 0.5,
        "skipped_queries": 1,
        "retry_attempts": 1,
        "degradation_path": DegradationPath.SEARCH_RATE_LIMIT.value,
        **values,
    }


def execution_values(**values: Any) -> dict[str, Any]:
    """Arguments of `record_execution`."""
    return {
        "delivery_id": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "event_type": "pull_request.opened",
        "repo": "acme/web",
        "pr_number": 7,
        "pr_author": "octocat",
        "provider": "anthropic",
        "model": "a-model",
        "conclusion": Conclusion.PARTIAL.value,
        "duration_ms": 1500,
        "input_tokens": 1000,
        "output_tokens": 200,
        "cache_read_tokens": 30,
        "cache_creation_tokens": 4,
        "cost_usd": 0.0125,
        **values,
    }
