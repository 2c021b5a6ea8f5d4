"""`/api/v1/reviews/`: runs, their findings and their coverage, read-only."""

from dataclasses import replace
from typing import Any

from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from reviews.findings import LeftOutReason, Report, Severity, by_severity, coverage_json
from reviews.models import Review
from telemetry.api import ReadOnlyViewSet, limited_read
from telemetry.filters import IntegerFilter, PageQuery, TimeFilter, text_filter


class ReviewFilter(filters.FilterSet):
    """Filters of runs."""

    repo = text_filter("Repository, as `owner/name`.")
    pr_number = IntegerFilter(help_text="Number of the pull request.")
    head_sha = text_filter("Head commit that was reviewed.")
    conclusion = text_filter("`success`, `partial`, `skipped`, `superseded`, `error` or `timeout`.")
    delivery_id = text_filter("Id of the webhook delivery.", "delivery__delivery_id")
    event_type = text_filter("`<event>.<action>` of the delivery.", "delivery__event_type")
    created_after = TimeFilter("created_at", "gte", help_text="Created at this time or later; UTC without an offset.")
    created_before = TimeFilter("created_at", "lt", help_text="Created before this time; UTC without an offset.")


class ReviewSerializer(serializers.ModelSerializer[Review]):
    delivery_id = serializers.CharField(source="delivery.delivery_id", read_only=True)
    event_type = serializers.CharField(source="delivery.event_type", read_only=True)
    author_tier = serializers.CharField(read_only=True, help_text="Empty until it is known.")
    conclusion = serializers.CharField(read_only=True, help_text="How the run ended; empty while it has not.")

    class Meta:
        model = Review
        fields = (
            "id",
            "created_at",
            "delivery_id",
            "event_type",
            "repo",
            "pr_number",
            "head_sha",
            "pr_author",
            "author_tier",
            "degradation_path",
            "attempts",
            "deferred_until",
            "started_at",
            "published_at",
            "github_review_url",
            "finished_at",
            "conclusion",
            "conclusion_reason",
        )
        read_only_fields = fields


class EngineVersionSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    version = serializers.CharField(help_text="Empty if unknown.")


class UnreadSerializer(serializers.Serializer[Any]):
    engine = serializers.CharField()
    reason = serializers.CharField()


class FileCoverageSerializer(serializers.Serializer[Any]):
    path = serializers.CharField()
    changed_lines = serializers.IntegerField()
    read_by = serializers.ListField(child=serializers.CharField())
    unread = UnreadSerializer(many=True, help_text="Engines that could not read the whole file.")
    left_out = serializers.ChoiceField(
        [reason.value for reason in LeftOutReason], allow_null=True, help_text="Why it was not analysed."
    )


class CoverageSerializer(serializers.Serializer[Any]):
    complete = serializers.BooleanField(help_text="Whether everything was read that should have been.")
    engines = EngineVersionSerializer(many=True)
    files = FileCoverageSerializer(many=True)


class FindingSerializer(serializers.Serializer[Any]):
    path = serializers.CharField()
    start_line = serializers.IntegerField(help_text="First line, from 1, in the head commit.")
    end_line = serializers.IntegerField(help_text="Last line.")
    severity = serializers.ChoiceField([severity.value for severity in Severity])
    engine = serializers.CharField()
    rule = serializers.CharField()
    rule_url = serializers.CharField(help_text="Empty if the rule has no page.")
    message = serializers.CharField(source="description")
    fingerprint = serializers.CharField(help_text="Stays when the line moves or the file is renamed.")


class FindingsSerializer(serializers.Serializer[Any]):
    findings = FindingSerializer(many=True, help_text="Those of the analysis, most severe first.")
    outside_changes = serializers.IntegerField(help_text="Introduced findings on unchanged lines, not reported.")
    pre_existing = serializers.IntegerField(help_text="Findings that the base has too, not reported.")
    suppressed = serializers.IntegerField(help_text="Findings that `.kodiai.yml` suppresses.")


@extend_schema_view(
    list=extend_schema(summary="List review runs", parameters=[PageQuery]),
    retrieve=extend_schema(summary="Get one review run"),
)
class ReviewViewSet(ReadOnlyViewSet):
    """Review runs: one for each delivery that asks for a review."""

    queryset = Review.objects.select_related("delivery").defer("report", "config")
    serializer_class = ReviewSerializer
    filterset_class = ReviewFilter

    @extend_schema(summary="Get the coverage of a review run", responses=CoverageSerializer)
    @action(detail=True, filter_backends=[], pagination_class=None)
    def coverage(self, request: Request, pk: int) -> Response:
        """Which engine, in which version, has read each changed file, and what was not read, and why.

        A run that ended before its analysis has read nothing: its coverage has no files and is not complete.
        """
        review = self._with_report(pk)
        return Response(coverage_json(_report(review)) | ({} if review.analysed_at else {"complete": False}))

    @extend_schema(summary="Get the findings of a review run", responses=FindingsSerializer)
    @action(detail=True, filter_backends=[], pagination_class=None)
    def findings(self, request: Request, pk: int) -> Response:
        """What the analysis found on changed lines. Comments have at most ten of them, and only what is new.

        A run that ended before its analysis has none.
        """
        report = _report(self._with_report(pk))
        return Response(FindingsSerializer(replace(report, findings=tuple(by_severity(report.findings)))).data)

    def _with_report(self, pk: int) -> Review:
        with limited_read(self.queryset.db):
            return get_object_or_404(Review.objects.only("report", "analysed_at"), pk=pk)


def _report(review: Review) -> Report:
    return Report.from_json(review.report) if review.report else Report()
