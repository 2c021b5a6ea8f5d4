"""What is true of Kodiai at any moment between two steps, whatever happened before; and what is true at rest."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Model, Q
from django.utils import timezone

from reviews.models import PENDING_CHECK_RUN, CheckRunReport, Delivery, DeliveryStatus, Review
from reviews.publishing.check_runs import check_run_of, external_id
from sandbox import PullRequest
from telemetry.models import Conclusion, Execution, RateLimitEvent
from tests.support.published import MARKER, app_answers, app_reviews, check_reported_once

ENDED_BEFORE_PUBLISHING = (Conclusion.SKIPPED, Conclusion.SUPERSEDED)
EXECUTION_FINAL = ("created_at", "delivery_id", "event_type", "repo", "pr_number")
FINAL_WHEN = {
    "loaded_at": ("head_sha", "pr_author", "telemetry_enabled"),
    "enriched_at": ("author_tier", "cache_hit_rate", "skipped_queries", "retry_attempts", "degradation_path"),
    "analysed_at": ("report",),
    "published_at": ("github_review_id", "github_review_url"),
}
"""Of each step of a run the values that never change once its time stamp is stored."""


@dataclass(frozen=True)
class State:
    """What is stored, and what the App has on GitHub, at one moment."""

    reviews: list[Review]
    events: list[RateLimitEvent]
    executions: list[Execution]
    published: dict[str, list[dict[str, Any]]]
    """Reviews of the App by the digest in their marker."""
    check_runs: dict[str, list[dict[str, Any]]]
    """Check runs by their external id."""
    answers: dict[str, list[dict[str, Any]]]
    """Answers of the App to comments by the digest in their marker."""


def state(pulls: Iterable[PullRequest]) -> State:
    """Read what is there now."""
    pulls = list(pulls)
    return State(
        list(Review.objects.select_related("delivery", "command_outcome", "check_run_report")),
        list(RateLimitEvent.objects.all()),
        list(Execution.objects.all()),
        app_reviews(pulls),
        app_check_runs(pulls),
        app_answers(pulls),
    )


class Memory:
    """What was seen first: stored values that may not change later."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, int], dict[str, Any]] = {}

    def check(self, now: State) -> None:
        """No stored event or execution changes or goes, nor does what a finished step stored."""
        seen: dict[tuple[str, int], dict[str, Any]] = {}
        for event in now.events:
            seen["event", event.pk] = _values(event, [field.attname for field in event._meta.concrete_fields])
        for execution in now.executions:
            seen["execution", execution.pk] = _values(execution, EXECUTION_FINAL)
        for review in now.reviews:
            for stamp, names in FINAL_WHEN.items():
                if getattr(review, stamp) is not None:
                    seen[stamp, review.pk] = _values(review, (stamp, *names))
        for key, first in self._first.items():
            assert seen.get(key) == first, f"{key} was {first}, is {seen.get(key)}"
        self._first = seen


def check_always(now: State, abandoned: set[tuple[int, str]]) -> None:
    """Check what holds at any moment. `abandoned` are the claims (run, owner) of workers that were killed."""
    runs = {review.delivery.identity_digest: review for review in now.reviews}
    for marker, posted in now.published.items():
        review = runs[marker]
        assert len(posted) == 1, f"published {len(posted)} times: {review.delivery}"
        assert review.publishing_at is not None, "posted before it was stored that GitHub may have it"
        assert review.conclusion not in ENDED_BEFORE_PUBLISHING, f"published though it ended: {review}"
        if MARKER.findall(posted[0]["body"])[0] == marker:  # and not one that joined a summary later
            assert posted[0]["commit_id"] == review.head_sha, "published on another commit"
    for marker, given in now.answers.items():
        assert len(given) == 1, f"answered {len(given)} times: {runs[marker].delivery}"
        assert runs[marker].command_outcome.answering_at is not None, "answered before it was announced"
    for marker, review in runs.items():
        outcome = getattr(review, "command_outcome", None)
        answered = outcome is not None and outcome.answered_at is not None
        assert not answered or marker in now.answers, f"said to be answered, and is not: {review}"
    events = {_identity(event): event for event in now.events}
    executions = {_identity(execution): execution for execution in now.executions}
    assert len(events) == len(now.events), "an identity with two events"
    assert len(executions) == len(now.executions), "an identity with two executions"
    assert {_identity(review.delivery) for review in now.reviews} >= events.keys() | executions.keys(), "a stray row"
    for marker, review in runs.items():
        identity = _identity(review.delivery)
        _check_run(review, now.published.get(marker, []), events.get(identity), executions.get(identity))
    _check_claims([review for review in now.reviews if review.lease_owner], abandoned)
    _check_check_runs(now)


def _check_run(
    review: Review, posted: list[dict[str, Any]], event: RateLimitEvent | None, execution: Execution | None
) -> None:
    if review.published_at is not None:
        # None: it had nothing new to say, and its check run says that, or GitHub refused the edit of the summary.
        assert review.github_review_id in (None, *(one["id"] for one in posted)), (
            f"not the review that is there: {review}"
        )
    if event is not None:
        assert review.enriched_at is not None, f"an event of a run that has none: {review}"
        assert review.telemetry_enabled, f"an event though telemetry is off: {review}"
        for name in ("repo", "pr_number", *FINAL_WHEN["enriched_at"][1:]):
            assert getattr(event, name) == getattr(review, name), f"an event with another {name} than its run"
    else:
        assert review.rate_limit_event_recorded_at is None, f"said to be recorded, and is not: {review}"
    if execution is not None:
        assert review.telemetry_enabled, f"an execution though telemetry is off: {review}"
    else:
        assert review.execution_recorded_at is None, f"said to be recorded, and is not: {review}"
    status = review.delivery.status
    assert (review.finished_at is not None) == (status in (DeliveryStatus.DONE, DeliveryStatus.FAILED)), status
    assert (review.lease_owner != "") == (status == DeliveryStatus.RUNNING), f"claimed or not, but {status}: {review}"
    assert (review.lease_owner != "") == (review.lease_expires_at is not None)
    assert review.attempts <= settings.KODIAI_MAX_ATTEMPTS
    if status == DeliveryStatus.FAILED:
        # A run is abandoned for its attempts, for its deferrals, or because GitHub refused: nothing else ends one.
        reason = review.conclusion_reason
        abandoned = reason.startswith("abandoned after") and review.attempts == settings.KODIAI_MAX_ATTEMPTS
        assert abandoned or "KODIAI_MAX_DEFERRAL" in reason or reason.startswith("GitHub answered"), reason


def _check_check_runs(now: State) -> None:
    """Each run has one check run at most, announced in the database before; what is stored as reported is there."""
    runs = {external_id(review): review for review in now.reviews}
    for identity, shown in now.check_runs.items():
        review = runs[identity]
        assert len(shown) == 1, f"reported {len(shown)} times: {review.delivery}"
        assert review.check_run_report.posting_at is not None, "reported before it was stored that GitHub may have it"
        assert shown[0]["head_sha"] == review.reported_commit, "reported on another commit"
    for review in now.reviews:
        report = getattr(review, "check_run_report", None)
        if report is not None and report.reported_at is not None:
            assert report.due_at is None, f"pending though it was reported: {review}"
            said, body = now.check_runs[external_id(review)][0], check_run_of(review)
            assert said["conclusion"] == body["conclusion"], f"reported as {said['conclusion']}: {review}"
            assert said["output"]["title"] == body["output"]["title"], f"reports an earlier end: {review}"
            assert len(said["annotations"]) == len(body["output"]["annotations"]), f"annotated twice: {review}"


def _check_claims(claimed: list[Review], abandoned: set[tuple[int, str]]) -> None:
    """Between two steps nobody works: each claim is one of a killed worker, and ends by itself."""
    held_by_nobody = {(review.pk, review.lease_owner) for review in claimed} - abandoned
    assert not held_by_nobody, f"claims that nobody holds: {held_by_nobody}"
    latest = timezone.now() + timedelta(seconds=settings.KODIAI_LEASE_SECONDS)
    for review in claimed:
        assert review.lease_expires_at is not None, f"a claim without an end: {review}"
        assert review.lease_expires_at <= latest, f"a claim that is longer than a lease: {review}"
    claims = [(review.repo, review.pr_number) for review in claimed]
    assert len(set(claims)) == len(claims), "two claimed runs of one pull request"


def check_at_rest(pulls: Iterable[PullRequest]) -> None:
    """Check what holds once every fault is over and nothing is left to do."""
    pulls = list(pulls)
    published = app_reviews(pulls)
    unfinished = Delivery.objects.exclude(
        status__in=(DeliveryStatus.DONE, DeliveryStatus.FAILED, DeliveryStatus.IGNORED)
    )
    assert not unfinished.exists(), f"never ended: {list(unfinished.values_list('event_type', 'status', 'failure'))}"
    assert not Review.objects.exclude(lease_owner="").exists(), "a claim on a run that has ended"
    assert not Review.objects.pending_rate_limit_event().exists(), "events are pending for ever"
    assert not Review.objects.pending_execution().exists(), "executions are pending for ever"
    assert not CheckRunReport.objects.filter(PENDING_CHECK_RUN).exists(), "check runs are pending for ever"
    for review in Review.objects.select_related("delivery"):
        identity = dict(zip(("delivery_id", "event_type"), _identity(review.delivery), strict=True))
        recorded = review.telemetry_enabled
        assert RateLimitEvent.objects.filter(**identity).count() == int(recorded and review.enriched_at is not None)
        conclusions = list(Execution.objects.filter(**identity).values_list("conclusion", flat=True))
        assert conclusions == [review.conclusion] * recorded, f"{conclusions}, not {review.conclusion}: {review}"
        if review.conclusion in (Conclusion.SUCCESS, Conclusion.PARTIAL):
            posted = published.get(review.delivery.identity_digest, [])
            assert len(posted) == 1 or review.github_review_id is None, f"not published: {review}"
    check_reported_once(pulls)
    for pull in pulls:
        _check_head_is_reviewed(pull)


def _check_head_is_reviewed(pull: PullRequest) -> None:
    """Runs end for one another, but not all of them: the head commit of which deliveries came has its review.

    Unless a run of such a delivery ended for a reason of its own: it failed, or the pull request was closed then.
    """
    runs = Review.objects.filter(repo=pull.repository.full_name, pr_number=pull.number)
    shown = runs.filter(delivery__head_sha=pull.head_sha)
    own_reason = Q(delivery__status=DeliveryStatus.FAILED) | Q(conclusion_reason__contains="pull request ")
    if not shown.exists() or shown.filter(own_reason).exists():
        return
    assert runs.filter(head_sha=pull.head_sha, published_at__isnull=False).exists(), (
        f"no run published for the head commit of {pull.number}: "
        f"{list(shown.values_list('delivery__event_type', 'conclusion', 'conclusion_reason'))}"
    )


def app_check_runs(pulls: Iterable[PullRequest]) -> dict[str, list[dict[str, Any]]]:
    """The check runs that the App has on GitHub, by external id."""
    found: dict[str, list[dict[str, Any]]] = {}
    for repository in {pull.repository.full_name: pull.repository for pull in pulls}.values():
        for check_run in repository.check_runs:
            found.setdefault(check_run["external_id"], []).append(check_run)
    return found


def _identity(row: Delivery | RateLimitEvent | Execution) -> tuple[str | None, str]:
    return row.delivery_id, row.event_type


def _values(row: Model, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
