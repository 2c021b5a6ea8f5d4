"""What became of findings, row by row, and a page that sums it up by rule: which rules help, and which do not."""

from datetime import timedelta

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString

from reviews.models import ReportedFinding
from reviews.publishing.rule_statistics import FLOOR, MIN_REPORTED, statistics_of_rules
from telemetry.date_ranges import DateRangeFilter
from telemetry.read_only_admin import ReadOnlyAdmin, badge, recent_values

DAYS = (7, 30, 90)
"""Ranges of the page, in days that end now; the last unless another is asked for. The command and the API have longer
ones, which take longer than a page may."""


class ReportedFindingAdmin(ReadOnlyAdmin):
    """Findings that were published, and what became of each."""

    when_column = "reported_at"
    list_display = ("rule", "where", "when", "ended", "path")
    list_filter = ("severity", ("reported_at", DateRangeFilter))
    search_fields = ("repo__exact", "rule__exact")
    search_help_text = "owner/name, or rule"

    @admin.display(description="how it ended")
    def ended(self, finding: ReportedFinding) -> SafeString | str:
        """Return what became of a finding."""
        fixed, resolved = finding.fixed_at is not None, finding.resolved_at is not None
        return badge("fixed" if fixed else "resolved by a person" if resolved else "stands")

    def get_urls(self) -> list[URLPattern]:
        """Add the page of the rules."""
        view = self.admin_site.admin_view(self.rules)
        return [path("rules/", view, name="reviews_reportedfinding_rules"), *super().get_urls()]

    def rules(self, request: HttpRequest) -> HttpResponse:
        """Show what became of the findings of each rule, in all repositories or in one. Changes nothing."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked, repo = request.GET.get("days", ""), request.GET.get("repo", "").strip()
        days = int(asked) if asked in map(str, DAYS) else DAYS[-1]
        now = timezone.now()
        context = {
            **self.admin_site.each_context(request),
            "title": "Rules",
            "opts": self.opts,
            "rules": statistics_of_rules(now - timedelta(days=days), now, repo),
            "days": days,
            "ranges": DAYS,
            "repo": repo,
            "repos": recent_values(ReportedFinding.objects.all(), "repo"),
            "min_reported": MIN_REPORTED,
            "floor": FLOOR,
        }
        return TemplateResponse(request, "admin/rules.html", context)
