"""One factory for each model, with realistic values; a test names only what it is about."""

from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from reviews.models import (
    Attempt,
    AttemptOutcome,
    AuthorTier,
    CheckRunReport,
    CommandOutcome,
    CountedUntil,
    Delivery,
    DeliveryStatus,
    GitHubLimit,
    GitHubOutage,
    IgnoredFinding,
    LanguageModelUsage,
    MissedDelivery,
    Notification,
    NotificationKind,
    PeriodicTask,
    ReportedFinding,
    Review,
    Tally,
    ThumbsDown,
    Turn,
)
from telemetry.models import Conclusion, DegradationPath, Execution, RateLimitEvent

NOW = factory.LazyFunction(timezone.now)
NUMBER = factory.Sequence(lambda n: n + 1000)
"""Larger than the numbers of the sandbox, so that no row is about its pull requests by accident."""


class RateLimitEventFactory(DjangoModelFactory):
    class Meta:
        model = RateLimitEvent

    delivery_id = factory.Faker("uuid4")
    repo = "acme/web"
    pr_number = NUMBER
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
    pr_number = NUMBER
    pr_author = "octocat"
    event_type = "pull_request.opened"
    provider = "kodiai"
    model = "analyzers"
    duration_ms = 1200
    conclusion = Conclusion.SUCCESS


class DeliveryFactory(DjangoModelFactory):
    """A delivery whose review is published."""

    class Meta:
        model = Delivery

    delivery_id = factory.Faker("uuid4")
    event = factory.LazyAttribute(lambda delivery: delivery.event_type.partition(".")[0])
    event_type = "pull_request.opened"
    status = DeliveryStatus.DONE
    repo = "acme/web"
    pr_number = NUMBER
    installation_id = 4242
    head_sha = factory.Faker("sha1")
    sender = "octocat"
    author = "octocat"
    queued_at = NOW
    finished_at = NOW


class ReviewFactory(DjangoModelFactory):
    """A run that is finished and has recorded and reported everything."""

    class Meta:
        model = Review

    delivery = factory.SubFactory(
        DeliveryFactory,
        repo=factory.SelfAttribute("..repo"),
        pr_number=factory.SelfAttribute("..pr_number"),
        head_sha=factory.SelfAttribute("..head_sha"),
    )
    repo = "acme/web"
    pr_number = NUMBER
    head_sha = factory.Faker("sha1")
    pr_author = "octocat"
    author_tier = AuthorTier.REGULAR
    started_at = NOW
    loaded_at = NOW
    enriched_at = NOW
    rate_limit_event_recorded_at = NOW
    analysed_at = NOW
    publishing_at = NOW
    published_at = NOW
    github_review_id = NUMBER
    github_review_url = factory.LazyAttribute(
        lambda r: f"https://github.com/{r.repo}/pull/{r.pr_number}#pullrequestreview-{r.github_review_id}"
    )
    finished_at = NOW
    conclusion = Conclusion.SUCCESS
    execution_recorded_at = NOW


class AttemptFactory(DjangoModelFactory):
    """An attempt that finished its run with one call."""

    class Meta:
        model = Attempt

    review = factory.SubFactory(ReviewFactory)
    worker = "worker-1:4711"
    started_at = NOW
    ended_at = NOW
    outcome = AttemptOutcome.FINISHED
    calls = factory.LazyFunction(
        lambda: [
            {
                "at": timezone.now().isoformat(),
                "method": "GET",
                "endpoint": "/repos/acme/web/pulls/7",
                "status": 200,
                "duration_ms": 120,
                "resource": "core",
                "remaining": 4870,
            }
        ]
    )
    calls_made = 1


class CheckRunReportFactory(DjangoModelFactory):
    """A check run that is reported."""

    class Meta:
        model = CheckRunReport

    review = factory.SubFactory(ReviewFactory)
    posting_at = NOW
    reported_at = NOW


class CommandOutcomeFactory(DjangoModelFactory):
    """A command that is answered."""

    class Meta:
        model = CommandOutcome

    review = factory.SubFactory(ReviewFactory)
    answering_at = NOW
    answered_at = NOW


class LanguageModelUsageFactory(DjangoModelFactory):
    """A call that is paid for."""

    class Meta:
        model = LanguageModelUsage

    review = factory.SubFactory(ReviewFactory)
    reserved_at = NOW
    paid_usd = 0.02


class IgnoredFindingFactory(DjangoModelFactory):
    class Meta:
        model = IgnoredFinding

    repo = "acme/web"
    content_hash = factory.Faker("md5")
    rule = "ruff/F401"
    message = "`os` imported but unused"
    path = "app/views.py"
    pr_number = NUMBER
    ignored_by = "octocat"


class ReportedFindingFactory(DjangoModelFactory):
    """A finding that nobody has fixed."""

    class Meta:
        model = ReportedFinding

    repo = "acme/web"
    repo_id = 7
    pr_number = NUMBER
    fingerprint = factory.Faker("md5")
    engine = "ruff"
    rule = "F401"
    severity = "minor"
    path = "app/views.py"
    reported_at = NOW


class TallyFactory(DjangoModelFactory):
    class Meta:
        model = Tally

    metric = "runs"
    label = factory.Sequence(lambda n: f"conclusion-{n}")
    value = 3.0


class CountedUntilFactory(DjangoModelFactory):
    class Meta:
        model = CountedUntil

    source = factory.Sequence(lambda n: f"source-{n}")
    moment = NOW


class ThumbsDownFactory(DjangoModelFactory):
    class Meta:
        model = ThumbsDown

    comment_id = NUMBER
    repo = "acme/web"
    pr_number = NUMBER
    path = "app/views.py"
    rule = "ruff/F401"
    people = 2


class MissedDeliveryFactory(DjangoModelFactory):
    """A delivery that GitHub was answered 502 and has not been asked to send again."""

    class Meta:
        model = MissedDelivery

    delivery_id = factory.Faker("uuid4")
    event_type = "pull_request.opened"
    delivered_at = NOW
    status_code = 502


class GitHubLimitFactory(DjangoModelFactory):
    """A limit of which little is used."""

    class Meta:
        model = GitHubLimit

    installation_id = NUMBER
    resource = "core"
    limit = 5000
    remaining = 4990
    reset_at = factory.LazyFunction(lambda: timezone.now() + timedelta(hours=1))
    seen_at = NOW


class GitHubOutageFactory(DjangoModelFactory):
    """An outage that one run has met."""

    class Meta:
        model = GitHubOutage

    installation_id = NUMBER
    failed_run = NUMBER
    error = "GitHub answered 503 to GET /repos/acme/web/pulls/7"


class TurnFactory(DjangoModelFactory):
    class Meta:
        model = Turn

    installation_id = 4242
    author = factory.Sequence(lambda n: f"author-{n}")
    runs = 1
    used_seconds = 1.5


class NotificationFactory(DjangoModelFactory):
    """One that no channel has yet."""

    class Meta:
        model = Notification

    kind = factory.Iterator(NotificationKind.values)
    message = "2 runs have failed in the last hour."


class PeriodicTaskFactory(DjangoModelFactory):
    class Meta:
        model = PeriodicTask

    name = factory.Sequence(lambda n: f"task-{n}")
    finished_at = NOW
    outcome = "nothing to do"


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
