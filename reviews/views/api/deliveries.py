"""`/api/v1/deliveries/`: the inbox, and the one thing that a caller can change: a failed delivery is queued again."""

from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import permissions, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from reviews.intake.inbox import requeue
from reviews.models import Delivery
from telemetry.api import ReadOnlyViewSet
from telemetry.filters import IntegerFilter, PageQuery, TimeFilter, text_filter
from telemetry.problems import Conflict


class DeliveryFilter(filters.FilterSet):
    """Filters of deliveries."""

    repo = text_filter("Repository, as `owner/name`.")
    pr_number = IntegerFilter(help_text="Number of the pull request.")
    event_type = text_filter("`<event>.<action>`, such as `pull_request.opened`.")
    delivery_id = text_filter("GitHub's id of the webhook delivery.")
    status = text_filter("`queued`, `running`, `done`, `failed` or `ignored`.")
    ignore_reason = text_filter("Why it was not acted on, such as `bot-sender`.")
    installation_id = IntegerFilter(help_text="Id of the App's installation.")
    received_after = TimeFilter("received_at", "gte", help_text="Received then or later; UTC without an offset.")
    received_before = TimeFilter("received_at", "lt", help_text="Received before this time; UTC without an offset.")


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    ignore_reason = serializers.CharField(read_only=True, help_text="Why it was not acted on; empty if it was.")
    review = serializers.IntegerField(
        source="review.id", allow_null=True, read_only=True, default=None, help_text="Its run; null without one."
    )

    class Meta:
        model = Delivery
        fields: tuple[str, ...] = (
            "id",
            "received_at",
            "delivery_id",
            "event_type",
            "status",
            "ignore_reason",
            "repo",
            "pr_number",
            "installation_id",
            "head_sha",
            "sender",
            "command",
            "queued_at",
            "finished_at",
            "review",
        )
        read_only_fields: tuple[str, ...] = fields


class DeliveryDetailSerializer(DeliverySerializer):
    class Meta(DeliverySerializer.Meta):
        fields = (*DeliverySerializer.Meta.fields, "failure")
        read_only_fields = fields


class ChangePermission(permissions.DjangoModelPermissions):
    """Require Django's change permission for the model; answer 405 to other methods than POST."""

    perms_map = {"POST": ["%(app_label)s.change_%(model_name)s"]}


@extend_schema_view(
    list=extend_schema(summary="List deliveries", parameters=[PageQuery]),
    retrieve=extend_schema(summary="Get one delivery"),
)
class DeliveryViewSet(ReadOnlyViewSet):
    """Webhook deliveries: what GitHub sent, and what became of it."""

    http_method_names = ["get", "head", "post"]
    queryset = Delivery.objects.select_related("review").defer("review__report", "review__config")
    serializer_class = DeliveryDetailSerializer
    filterset_class = DeliveryFilter

    def get_serializer_class(self) -> type[DeliverySerializer]:
        return DeliverySerializer if self.action == "list" else DeliveryDetailSerializer

    @extend_schema(summary="Queue a failed delivery again", request=None, responses=DeliveryDetailSerializer)
    @action(detail=True, methods=["post"], permission_classes=[ChangePermission], filter_backends=[])
    def requeue(self, request: Request, pk: int) -> Response:
        """Queue a delivery whose run has failed, with all its attempts. The run resumes where it stopped.

        Needs the permission "Can change delivery", and is noted in the admin's history of the delivery. A delivery
        that has not failed is a conflict (409).
        """
        delivery = get_object_or_404(Delivery, pk=pk)
        with transaction.atomic():
            if not requeue(delivery):
                raise Conflict("The delivery has not failed, so there is nothing to queue again.")
            user_id: int = request.user.pk  # type: ignore[assignment]
            LogEntry.objects.log_actions(user_id, [delivery], CHANGE, "Queued again by the API.", single_object=True)
        return Response(self.get_serializer(self.get_queryset().get(pk=pk)).data)
