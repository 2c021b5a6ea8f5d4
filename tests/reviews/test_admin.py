"""Deliveries and runs in the admin: read, searched, and requeued where they failed."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_tasks_db.models import DBTaskResult

from reviews.models import Delivery, DeliveryStatus, Review
from tests.support.webhooks import deliver, pull_request_payload

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def delivery(client: Client) -> Delivery:
    deliver(client, pull_request_payload(), delivery_id="d-1")
    return Delivery.objects.get()


def queue_again(client: Client, *deliveries: Delivery) -> str:
    answer = client.post(
        "/admin/reviews/delivery/",
        {"action": "queue_again", "_selected_action": [delivery.pk for delivery in deliveries]},
        follow=True,
    )
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_failed_delivery_is_queued_again(admin_client: Client, delivery: Delivery) -> None:
    Delivery.objects.update(status=DeliveryStatus.FAILED)

    assert "1 queued again." in queue_again(admin_client, delivery)

    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.QUEUED
    assert DBTaskResult.objects.count() == 2


def test_a_delivery_that_has_not_failed_is_left_alone(admin_client: Client, delivery: Delivery) -> None:
    assert "0 queued again. 1 left alone" in queue_again(admin_client, delivery)
    assert DBTaskResult.objects.count() == 1


@pytest.mark.parametrize("page", ["delivery", "review"])
def test_pages_cost_the_same_for_many_rows(admin_client: Client, client: Client, page: str) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(f"/admin/reviews/{page}/?q=octo/demo").status_code == 200
        return len(captured.captured_queries)

    deliver(client, pull_request_payload(), delivery_id="first")
    one = cost()
    for number in range(30):
        deliver(client, pull_request_payload(), delivery_id=str(number))

    assert cost() == one
    assert "31 " in admin_client.get(f"/admin/reviews/{page}/?q=octo/demo").content.decode()
    row = (Delivery if page == "delivery" else Review).objects.latest("pk")
    assert admin_client.get(f"/admin/reviews/{page}/{row.pk}/change/").status_code == 200
