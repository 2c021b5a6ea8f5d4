"""`/api/v1/limits/`: what is left of GitHub's limits, as last seen."""

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from reviews.models import GitHubLimit
from telemetry.api import ReadOnlyViewSet
from telemetry.filters import IntegerFilter, PageQuery, text_filter


class LimitFilter(filters.FilterSet):
    """Filters of limits."""

    installation_id = IntegerFilter(help_text="Id of the App's installation; 0 for the App itself.")
    resource = text_filter("`core`, `search` or `graphql`.")


class LimitSerializer(serializers.ModelSerializer[GitHubLimit]):
    class Meta:
        model = GitHubLimit
        fields = ("id", "installation_id", "resource", "limit", "remaining", "reset_at", "seen_at")
        read_only_fields = fields


@extend_schema_view(
    list=extend_schema(summary="List GitHub's limits", parameters=[PageQuery]),
    retrieve=extend_schema(summary="Get one of GitHub's limits"),
)
class LimitViewSet(ReadOnlyViewSet):
    """GitHub's rate limits: one row for each installation and resource, with when it was seen."""

    queryset = GitHubLimit.objects.all()
    serializer_class = LimitSerializer
    filterset_class = LimitFilter
