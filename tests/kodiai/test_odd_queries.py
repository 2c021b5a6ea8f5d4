"""No query string, id or cursor makes a page of the admin, or of the API, fail."""

from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, models
from django.test import Client
from pytest_django import Settings

from tests.support.factories import DeliveryFactory, ExecutionFactory, RateLimitEventFactory, ReviewFactory

pytestmark = [
    # In one transaction PostgreSQL would refuse all that comes after a value that it cannot compare.
    pytest.mark.django_db(transaction=True),
    # Django's, of a day without a time zone in the address.
    pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning"),
]

LARGE = "9" * 30
QUERIES = [
    "q=" + "+".join(["w"] * 2000),
    "q=" + "+".join(["w"] * 19),
    "q=%00",
    "q=%ff",
    "p=" + LARGE,
    "p=-1",
    "o=" + LARGE + ".1",
    "o=x",
    "id=" + LARGE,
    "id__exact=x",
    "id__gte=1e999",
    "id__in=" + ",".join(map(str, range(4000))),
    "id__regex=(",
    "pk__isnull=x",
    "nope=1",
    "id__nope=1",
    "all=&_facets=True&_popup=1&_to_field=id",
    "_changelist_filters=%00",
]
LOOKUPS = ["year=99999999", "year=-1", "date=", "date=2026-01-01", "gte=0001-01-01", "gte=99999999", "isnull=x", "in="]
LOOKUPS += ["exact=%00", "regex=(", "month=" + LARGE, "range=1", "time=25:00"]
API = [
    "cursor=x",
    "cursor=%00",
    "cursor=cD0xMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA%3D",
    "page_size=" + LARGE,
    "pr_number=" + LARGE,
]
API += ["pr_number=" + "9" * 5000, "pr_number=NaN", "repo=%00", "repo=%ED%A0%80", "created_after=99999999-01-01", "a=1"]
API += ["created_before=9999-12-31T23:59:59-14:00", "created_after=0001-01-01T00:00:00%2B14:00", "ordering=x"]


@pytest.fixture
def rows(client: Client, settings: Settings) -> None:
    """A row of each table, in SQLite with times that no parser reads."""
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": {"user": None, "anon": None}}
    ReviewFactory(delivery=DeliveryFactory())
    for factory in (RateLimitEventFactory, ExecutionFactory):
        table = factory()._meta.db_table
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute(f"UPDATE {table} SET created_at = 'garbage'")


def lists() -> list[Any]:
    """The lists of the admin; those of Django's own apps are slow tests, because each takes seconds."""
    return [
        pytest.param(
            model,
            id=model._meta.label_lower,
            marks=pytest.mark.database if model._meta.app_label in ("reviews", "telemetry") else pytest.mark.slow,
        )
        for model in admin.site._registry
    ]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("model", lists())
def test_no_query_makes_a_list_fail(admin_client: Client, rows: None, model: type[models.Model]) -> None:
    admin_client.raise_request_exception = False
    page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    times = [field.name for field in model._meta.fields if isinstance(field, models.DateTimeField)][:2]
    queries = QUERIES + [f"{field}__{lookup}" for field in times for lookup in LOOKUPS]
    asked = [f"{page}?{query}" for query in queries] + [f"{page}{pk}/change/" for pk in (LARGE, "-1", "%00")]

    failed = [address for address in asked if admin_client.get(address, follow=True).status_code not in (200, 400)]

    assert failed == []


@pytest.mark.database
@pytest.mark.parametrize("page", ["rate-limit-events", "executions", "reviews"])
def test_no_query_makes_the_api_fail(admin_client: Client, rows: None, page: str) -> None:
    admin_client.raise_request_exception = False
    asked = [f"/api/v1/{page}/?{query}" for query in API] + [f"/api/v1/{page}/{LARGE}/"]

    failed = [address for address in asked if admin_client.get(address).status_code not in (200, 400, 404)]

    assert failed == []
