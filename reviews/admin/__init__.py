"""Deliveries and runs in the admin: read-only, except that operators can run failed deliveries again."""

import re
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.main import ChangeList
from django.db.models import F, Model, Q, QuerySet
from django.db.models.functions import Right
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from reviews.admin.acts import OperatedAdmin, ask_github
from reviews.admin.rules import ReportedFindingAdmin
from reviews.admin.timeline import timeline_of
from reviews.findings import Report
from reviews.github.facts import REDELIVERY_WINDOW
from reviews.intake.inbox import requeue
from reviews.models import (
    CheckRunReport,
    CommandOutcome,
    Delivery,
    DeliveryStatus,
    GitHubLimit,
    GitHubOutage,
    IgnoredFinding,
    LanguageModelUsage,
    MissedDelivery,
    Notification,
    PeriodicTask,
    ReportedFinding,
    Review,
    ThumbsDown,
    Turn,
)
from reviews.redaction import visible
from telemetry.date_ranges import DateRangeFilter
from telemetry.read_only_admin import (
    IndexedValuesFilter,
    ReadOnlyAdmin,
    RecentValuesFilter,
    badge,
    by_index,
    delivery_link,
    execution_link,
    moment,
    pull_request,
    rate_limit_event_link,
    review_link,
)

REASON = 300
"""Characters of a reason in a list."""


class ReadOnlyInline(admin.StackedInline):
    """A row that belongs to a run, on the page of the run."""

    can_delete = False
    template = "admin/includes/read_only_inline.html"

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Delivery)
class DeliveryAdmin(OperatedAdmin):
    when_column = "received_at"
    list_display = ("event_type", "where", "when", "ended", "why")
    list_filter = (
        "status",
        "ignore_reason",
        ("event_type", RecentValuesFilter),
        ("repo", RecentValuesFilter),
        ("received_at", DateRangeFilter),
    )
    search_fields = ("delivery_id__exact", "repo__exact")
    search_help_text = "Delivery id, owner/name or owner/name#7"
    list_defer = ("failure",)
    actions = ("queue_again",)
    readonly_fields = ("run", "telemetry")
    change_form_template = "admin/delivery.html"
    acts = {
        "run-again": (
            "Run again",
            "The delivery is queued with all its attempts. Its run resumes at the step where it stopped; nothing is "
            "published or recorded twice.",
        ),
        "redeliver": (
            "Ask GitHub to send again",
            "GitHub sends the webhook once more. A failed delivery is queued again when it arrives; any other counts "
            "as a duplicate.",
        ),
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        rows: QuerySet[Delivery] = super().get_queryset(request)
        return rows.annotate(failure_end=Right("failure", REASON), conclusion_reason=F("review__conclusion_reason"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        return _found(queryset, search_term.strip(), "delivery_id"), False

    @admin.display(description="how it ended")
    def ended(self, delivery: Delivery) -> SafeString | str:
        later = delivery.queued_at is not None and delivery.queued_at > timezone.now()
        is_deferred = delivery.status == DeliveryStatus.QUEUED and later
        return badge("deferred") if is_deferred else badge(delivery.status)

    @admin.display(description="why", empty_value="")
    def why(self, delivery: Delivery) -> SafeString | str:
        if delivery.status == DeliveryStatus.FAILED:
            row: Any = delivery
            return visible((row.failure_end or row.conclusion_reason or "").strip().rpartition("\n")[2])
        if delivery.status == DeliveryStatus.QUEUED and delivery.queued_at and delivery.queued_at > timezone.now():
            return format_html("until {}", moment(delivery.queued_at))
        return delivery.ignore_reason or (f"command {visible(delivery.command)}" if delivery.command else "")

    @admin.action(description="Run failed deliveries again", permissions=["queue_again"])
    def queue_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        again = [delivery for delivery in queryset if requeue(delivery)]
        for delivery in again:
            self.log_change(request, delivery, "Queued again.")
        left = len(queryset) - len(again)
        self.message_user(
            request,
            f"{len(again)} queued again." + (f" {left} left alone, because they had not failed." if left else ""),
            messages.SUCCESS if again else messages.WARNING,
        )

    def has_queue_again_permission(self, request: HttpRequest) -> bool:
        return self.may_operate(request)

    def open_acts(self, row: Delivery) -> list[str]:
        if row.status != DeliveryStatus.FAILED:
            return []
        return ["run-again", *(["redeliver"] if row.received_at > timezone.now() - REDELIVERY_WINDOW else [])]

    def perform(self, request: HttpRequest, row: Delivery, act: str) -> tuple[int, str]:
        if act == "redeliver":
            return ask_github(row.delivery_id, row.event_type)
        if requeue(row):
            return messages.SUCCESS, "Queued again."
        return messages.WARNING, "Left alone, because it had not failed."

    def context_of(self, row: Delivery) -> dict[str, Any]:
        log = LogEntry.objects.filter(
            content_type__app_label="reviews", content_type__model="delivery", object_id=row.pk, action_flag=CHANGE
        )
        return {"timeline": timeline_of(row), "log": list(log.select_related("user").order_by("action_time")[:50])}

    @admin.display(description="review")
    def run(self, delivery: Delivery) -> SafeString | str:
        return review_link(delivery.delivery_id)

    @admin.display(description="telemetry")
    def telemetry(self, delivery: Delivery) -> SafeString:
        return telemetry_links(delivery)


class CheckRunReportInline(ReadOnlyInline):
    model = CheckRunReport


class CommandOutcomeInline(ReadOnlyInline):
    model = CommandOutcome


class LanguageModelUsageInline(ReadOnlyInline):
    model = LanguageModelUsage


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    list_display = ("what", "where", "when", "ended", "why")
    list_filter = ("conclusion", "author_tier", ("repo", IndexedValuesFilter), ("created_at", DateRangeFilter))
    list_select_related = ("delivery",)
    list_defer = not_exported = ("config", "report")
    search_fields = ("delivery__delivery_id__exact", "repo__exact", "head_sha__exact")
    search_help_text = "Delivery id, owner/name, owner/name#7 or commit"
    readonly_fields = ("published", "telemetry", "findings", "coverage")
    exclude = ("report",)
    inlines = (CheckRunReportInline, CommandOutcomeInline, LanguageModelUsageInline)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Review], search_term: str
    ) -> tuple[QuerySet[Review], bool]:
        term = search_term.strip()
        is_commit = re.fullmatch("[0-9a-f]{40}", term)
        return _found(queryset, term, "head_sha" if is_commit else "delivery__delivery_id"), False

    @admin.display(description="event type")
    def what(self, review: Review) -> str:
        return review.delivery.event_type

    @admin.display(description="how it ended")
    def ended(self, review: Review) -> SafeString | str:
        return badge(review.conclusion or ("running" if review.lease_owner else "waiting"))

    @admin.display(description="why", empty_value="")
    def why(self, review: Review) -> SafeString | str:
        if not review.conclusion and review.deferred_until and review.deferred_until > timezone.now():
            return format_html("until {}", moment(review.deferred_until))
        reason = visible(review.conclusion_reason)
        return reason if len(reason) <= REASON else f"{reason[:REASON]}…"

    @admin.display(description="on GitHub")
    def published(self, review: Review) -> SafeString | str:
        if not review.github_review_url.startswith(("https://", "http://")):
            return "-"
        return format_html('<a href="{}" rel="noreferrer">review</a>', review.github_review_url)

    @admin.display(description="telemetry")
    def telemetry(self, review: Review) -> SafeString:
        return telemetry_links(review.delivery)

    @admin.display(description="findings")
    def findings(self, review: Review) -> SafeString | str:
        """What the run found on changed lines."""
        found = Report.from_json(review.report).findings if review.report else ()
        if not found:
            return "-"
        rows = [
            (one.severity, visible(one.rule), f"{visible(one.path)}:{one.start_line}", visible(one.message))
            for one in found
        ]
        body = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", rows)
        head = "<tr><th>Severity</th><th>Rule</th><th>Line</th><th>Message</th></tr>"
        return format_html('<table class="plain">' + head + "{}</table>", body)

    @admin.display(description="coverage")
    def coverage(self, review: Review) -> SafeString | str:
        """Each changed file with the engines that read it, and the reasons why others did not."""
        if not review.report:
            return "-"
        rows = [
            (
                visible(file.path),
                ", ".join(file.read_by) or "-",
                "; ".join([*filter(None, [file.left_out]), *map(str, file.unread)]),
            )
            for file in Report.from_json(review.report).coverage.files
        ]
        body = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", rows)
        return format_html(
            '<table class="plain"><tr><th>File</th><th>Read by</th><th>Not read</th></tr>{}</table>', body
        )


@admin.register(IgnoredFinding)
class IgnoredFindingAdmin(ReadOnlyAdmin):
    """The only rows that people may delete: the finding is reported again then."""

    when_column = "ignored_at"
    list_display = ("rule", "where", "when", "ignored_by", "message")
    list_filter = (("rule", RecentValuesFilter), ("repo", RecentValuesFilter), ("ignored_at", DateRangeFilter))
    search_fields = ("repo__exact", "rule__exact")
    search_help_text = "owner/name, or rule"

    @admin.display(description="where")
    def where(self, finding: IgnoredFinding) -> str:
        return f"{pull_request(finding.repo, finding.pr_number)} {visible(finding.path)}"

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


@admin.register(ThumbsDown)
class ThumbsDownAdmin(ReadOnlyAdmin):
    """The filter counts comments per rule: it shows which rules do not help."""

    when_column = "seen_at"
    list_display = ("rule", "where", "when", "people", "path")
    list_filter = ("rule", ("seen_at", DateRangeFilter))
    show_facets = admin.ShowFacets.ALWAYS
    search_fields = ("repo__exact", "rule__exact")
    search_help_text = "owner/name, or rule"


admin.site.register(ReportedFinding, ReportedFindingAdmin)


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    """Empty while nothing is wrong."""

    list_display = ("kind", "message", "since", "ended_at", "failure")


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(ReadOnlyAdmin):
    list_display = ("name", "finished_at", "outcome", "failed_at", "due_at")
    ordering = ["name"]
    exports = False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        # A handful of rows, whose key is their name.
        return ChangeList


@admin.register(GitHubLimit)
class GitHubLimitAdmin(ReadOnlyAdmin):
    """What is left of GitHub's limits, as last seen."""

    list_display = ("installation_id", "resource", "remaining", "reset_at", "seen_at")
    list_filter = ("resource",)
    search_fields = ("installation_id__exact",)
    search_help_text = "Id of the installation; 0 for the App itself"


@admin.register(GitHubOutage)
class GitHubOutageAdmin(ReadOnlyAdmin):
    """Empty while GitHub can be reached."""

    list_display = ("installation_id", "since", "failed_at", "retry_at", "error")


@admin.register(Turn)
class TurnAdmin(ReadOnlyAdmin):
    """Who uses the workers' time."""

    list_display = ("author", "installation_id", "started_at", "runs", "used_seconds")
    search_fields = ("author__exact", "installation_id__exact")
    search_help_text = "Author, or id of the installation"


@admin.register(MissedDelivery)
class MissedDeliveryAdmin(OperatedAdmin):
    list_display = ("event_type", "delivery_id", "delivered_at", "requests", "came")
    list_filter = (("event_type", RecentValuesFilter), ("delivered_at", DateRangeFilter))
    search_fields = ("delivery_id__exact",)
    search_help_text = "Delivery id"
    readonly_fields = ("came",)
    acts = {"redeliver": ("Ask GitHub to send again", "GitHub sends the webhook once more.")}

    def open_acts(self, row: MissedDelivery) -> list[str]:
        return ["redeliver"] if row.delivered_at > timezone.now() - REDELIVERY_WINDOW else []

    def perform(self, request: HttpRequest, row: MissedDelivery, act: str) -> tuple[int, str]:
        return ask_github(row.delivery_id, row.event_type)

    @admin.display(description="in the inbox")
    def came(self, missed: MissedDelivery) -> SafeString | str:
        return delivery_link(missed.delivery_id, "delivery")


def _found(rows: QuerySet[Any], term: str, column: str) -> QuerySet[Any]:
    """Return the rows of a repository or a pull request, or those that have `term` in `column`.

    One column and not any of several: an index answers that.
    """
    if not term:
        return rows
    if "/" not in term:
        return rows.filter(**{column: term})
    repo, _, number = term.partition("#")
    if not number:
        return by_index(rows, Q(repo=repo))
    return rows.filter(repo=repo, pr_number=int(number)) if number.isdecimal() else rows.none()


def telemetry_links(delivery: Delivery) -> SafeString:
    """Link to the rate-limit event and the execution of a delivery's identity."""
    identity = delivery.delivery_id, delivery.event_type
    return format_html("{} · {}", rate_limit_event_link(*identity), execution_link(*identity))
