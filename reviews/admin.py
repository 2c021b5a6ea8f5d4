"""Deliveries and runs in the admin: read-only, except that failed deliveries can be queued again."""

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from reviews.intake.inbox import requeue
from reviews.models import (
    CheckRunReport,
    CommandOutcome,
    Delivery,
    IgnoredFinding,
    LanguageModelUsage,
    MissedDelivery,
    PeriodicTask,
    Review,
    ThumbsDown,
)
from telemetry.read_only_admin import (
    ReadOnlyAdmin,
    delivery_link,
    execution_link,
    rate_limit_event_link,
    review_link,
)


class ReadOnlyInline(admin.StackedInline):
    """A row that belongs to a run, on the page of the run."""

    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("id", "received_at", "delivery_id", "event_type", "repo", "pr_number", "status", "ignore_reason")
    list_filter = ("status", "ignore_reason", "received_at")
    search_fields = ("delivery_id__exact", "repo__exact")
    search_help_text = "Delivery id, or owner/name"
    actions = ("queue_again",)
    readonly_fields = ("run", "telemetry")

    @admin.action(description="Queue failed deliveries again", permissions=["queue_again"])
    def queue_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        queued = sum(requeue(delivery) for delivery in queryset)
        left = len(queryset) - queued
        self.message_user(
            request,
            f"{queued} queued again." + (f" {left} left alone, because they had not failed." if left else ""),
            messages.SUCCESS if queued else messages.WARNING,
        )

    def has_queue_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("reviews.change_delivery")

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
    list_display = (
        "id",
        "created_at",
        "repo",
        "pr_number",
        "conclusion",
        "conclusion_reason",
        "author_tier",
        "degradation_path",
        "attempts",
        "published",
        "telemetry",
    )
    list_filter = ("conclusion", "degradation_path", "author_tier", "created_at")
    list_select_related = ("delivery",)
    search_fields = ("delivery__delivery_id__exact", "repo__exact", "head_sha__exact")
    search_help_text = "Delivery id, owner/name, or head commit"
    readonly_fields = ("published", "telemetry")
    inlines = (CheckRunReportInline, CommandOutcomeInline, LanguageModelUsageInline)

    @admin.display(description="on GitHub")
    def published(self, review: Review) -> SafeString | str:
        if not review.github_review_url.startswith(("https://", "http://")):
            return "-"
        return format_html('<a href="{}" rel="noreferrer">review</a>', review.github_review_url)

    @admin.display(description="telemetry")
    def telemetry(self, review: Review) -> SafeString:
        return telemetry_links(review.delivery)


@admin.register(IgnoredFinding)
class IgnoredFindingAdmin(ReadOnlyAdmin):
    """The only rows that people may delete: the finding is reported again then."""

    list_display = ("id", "ignored_at", "repo", "rule", "message", "path", "pr_number", "ignored_by")
    search_fields = ("repo__exact", "rule__exact")
    search_help_text = "owner/name, or rule"

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


@admin.register(ThumbsDown)
class ThumbsDownAdmin(ReadOnlyAdmin):
    """The filter counts comments per rule: it shows which rules do not help."""

    list_display = ("id", "seen_at", "rule", "people", "repo", "pr_number", "path")
    list_filter = ("rule",)
    show_facets = admin.ShowFacets.ALWAYS
    search_fields = ("repo__exact", "rule__exact")
    search_help_text = "owner/name, or rule"


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(ReadOnlyAdmin):
    list_display = ("name", "finished_at", "outcome", "failed_at", "due_at", "held_until")
    ordering = ["name"]


@admin.register(MissedDelivery)
class MissedDeliveryAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "delivery_id",
        "event_type",
        "delivered_at",
        "status_code",
        "requests",
        "requested_at",
        "came",
    )
    search_fields = ("delivery_id__exact",)
    search_help_text = "Delivery id"

    @admin.display(description="in the inbox")
    def came(self, missed: MissedDelivery) -> SafeString | str:
        return delivery_link(missed.delivery_id, "delivery")


def telemetry_links(delivery: Delivery) -> SafeString:
    """Link to the rate-limit event and the execution of a delivery's identity."""
    identity = delivery.delivery_id, delivery.event_type
    return format_html("{} · {}", rate_limit_event_link(*identity), execution_link(*identity))
