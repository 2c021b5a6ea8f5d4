"""Values of another type than their column's, NaN and infinity: such rows are shown, named, and left out of sums."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from telemetry.models import Execution, RateLimitEvent
from telemetry.verification import check_ranges
from tests.support.databases import POSTGRES_URL
from tests.support.factories import ExecutionFactory, RateLimitEventFactory

pytestmark = [pytest.mark.database, pytest.mark.django_db, pytest.mark.ops04]

NAN, INFINITY = float("nan"), float("inf")
NUMBERS: list[tuple[Any, str, Any]] = [
    (RateLimitEvent, "cache_hit_rate", INFINITY),
    (Execution, "cost_usd", INFINITY),
    (Execution, "cost_usd", -INFINITY),
    *(
        [(RateLimitEvent, "cache_hit_rate", NAN), (Execution, "cost_usd", NAN)]
        if POSTGRES_URL
        else [
            (RateLimitEvent, "cache_hit_rate", "25%"),
            (RateLimitEvent, "cache_hit_rate", b"x"),
            (RateLimitEvent, "skipped_queries", "n/a"),
            (RateLimitEvent, "retry_attempts", 2**62),
            (RateLimitEvent, "pr_number", "seven"),
            (RateLimitEvent, "pr_number", 7.5),
            (Execution, "duration_ms", "fast"),
            (Execution, "duration_ms", b"1"),
            (Execution, "cost_usd", "$0.1"),
            (Execution, "input_tokens", 2**62),
            (Execution, "num_turns", "some"),
        ]
    ),
]
TEXTS: list[tuple[Any, str, Any]] = [
    (RateLimitEvent, "repo", b"acme/\xff"),
    (RateLimitEvent, "event_type", b"\xff"),
    (RateLimitEvent, "degradation_path", b"\xff\xfe"),
    (Execution, "conclusion", b"\xff"),
    (Execution, "pr_author", b"\xff"),
    (Execution, "model", b"\xff"),
]
ODD = NUMBERS if POSTGRES_URL else NUMBERS + TEXTS


@pytest.fixture(autouse=True)
def _without_checks() -> Iterator[None]:
    """As in a table that was adopted."""
    with connection.cursor() as cursor:
        if POSTGRES_URL:
            cursor.execute("ALTER TABLE rate_limit_events DROP CONSTRAINT rate_limit_events_cache_hit_rate_range")
            yield
        else:
            cursor.execute("PRAGMA ignore_check_constraints = ON")
            yield
            cursor.execute("PRAGMA ignore_check_constraints = OFF")


def write(model: Any, column: str, value: Any) -> list[int]:
    """Write a good row, and two that another program might have written; return the ids of these."""
    factory = RateLimitEventFactory if model is RateLimitEvent else ExecutionFactory
    factory()
    pks = [row.pk for row in factory.create_batch(2)]
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {model._meta.db_table} SET {column} = %s WHERE id <> %s", [value, pks[0] - 1])
    return pks


def strict_json(text: str) -> Any:
    """Parse JSON as browsers do, which know no NaN."""
    return json.loads(text, parse_constant=pytest.fail)


def report(*arguments: str) -> str:
    output = io.StringIO()
    call_command("telemetry_report", *arguments, stdout=output)
    return output.getvalue()


@pytest.mark.parametrize(("model", "column", "value"), ODD)
def test_every_page_comes(admin_client: Client, model: Any, column: str, value: Any) -> None:
    pks = write(model, column, value)
    kind = "rate-limit-events" if model is RateLimitEvent else "executions"
    expected = "\N{REPLACEMENT CHARACTER}" if isinstance(value, bytes) and (model, column, value) in TEXTS else None

    for page in ("", "export.csv", *(f"{pk}/change/" for pk in pks)):
        answer = admin_client.get(f"/admin/telemetry/{model._meta.model_name}/{page}")
        assert answer.status_code == 200
        assert answer.getvalue()
    for line in admin_client.get(f"/admin/telemetry/{model._meta.model_name}/export.jsonl").getvalue().splitlines()[:2]:
        found = strict_json(line)[column]
        assert found is None if expected is None else expected in found
    row = strict_json(admin_client.get(f"/api/v1/{kind}/{pks[0]}/").content.decode())
    listed = strict_json(admin_client.get(f"/api/v1/{kind}/").content.decode())["results"]
    assert row == listed[1]
    if column in row:
        assert row[column] is None if expected is None else expected in row[column]
    for aggregate in ("repositories", "authors", "event-types", "models"):
        strict_json(admin_client.get(f"/api/v1/aggregates/{aggregate}/").content.decode())
    for by in ("repo", "event-type", "author", "model"):
        assert strict_json(report("--format", "json", "--by", by))["total"]
    assert report("--format", "html", "--by", "repo")
    assert report("--format", "csv", "--by", "repo")


@pytest.mark.parametrize(("model", "column", "value"), [each for each in NUMBERS if each[1] != "pr_number"])
def test_sums_leave_it_out(model: Any, column: str, value: Any) -> None:
    pks = write(model, column, value)
    odd = strict_json(report("--format", "json"))["total"]
    model.objects.filter(pk__in=pks).delete()

    total = strict_json(report("--format", "json"))["total"]

    counts = {"runs", "events", "conclusions"}
    assert {**odd, **{name: total[name] for name in counts}} == total


def test_groups_without_a_readable_name_are_one() -> None:
    if POSTGRES_URL:
        pytest.skip("a text of PostgreSQL is one")
    pks = write(Execution, "repo", b"\xff")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE executions SET repo = %s WHERE id = %s", [b"\xfe", pks[0]])

    groups = strict_json(report("--format", "json", "--by", "repo"))["groups"]

    assert {group["name"]: group["runs"] for group in groups} == {"(unknown)": 2, "acme/web": 1}


@pytest.mark.parametrize(("model", "column", "value"), ODD)
def test_it_is_named_as_a_violation(model: Any, column: str, value: Any) -> None:
    pks = write(model, column, value)

    violations = check_ranges(None).violations

    for pk in pks:
        assert f"{model._meta.db_table}, row {pk}: {column} is unreadable." in violations
    assert not [each for each in violations if f"row {pks[0] - 1}:" in each]
