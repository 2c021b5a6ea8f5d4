"""Times and queries of the operators' pages at many rows: `python -m tests.benchmarks.pages fill|measure [ROWS YEARS]`.

Run it with `DJANGO_SETTINGS_MODULE=kodiai.settings` and a `DATABASE_URL` of its own. `fill` migrates the database and
fills it with a year of runs, and as many years of telemetry, which outlives runs; `measure` asks for each page as a
browser does and prints a table in Markdown.
"""

import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import django
from django.db import connection

from tests.support import past_runs
from tests.support.databases import Database

DAYS = 365
ROWS = 1_000_000
TIMES = 5
"""Requests of each page; the median counts."""


def fill(count: int, years: int) -> None:
    """Migrate the database and fill its empty tables."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    past_runs.fill(Database(os.environ["DATABASE_URL"]), count, DAYS)
    with connection.cursor() as cursor:
        cursor.execute(FINDINGS)
        for table in ("rate_limit_events", "executions"):
            # What is older has the lower ids.
            cursor.execute(f"UPDATE {table} SET id = id + %s", [(years - 1) * count])
            cursor.execute(f"SELECT * FROM {table} LIMIT 0")
            columns = [column.name for column in cursor.description]
            for year in range(1, years):
                earlier = {
                    "id": f"id - {year * count}",
                    "created_at": EARLIER[connection.vendor].format(year * DAYS),
                    "delivery_id": f"delivery_id || '-{year}'",
                }
                values = ", ".join(earlier.get(name, name) for name in columns)
                cursor.execute(
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} WHERE id > %s",
                    [(years - 1) * count],
                )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


EARLIER = {
    "postgresql": "created_at - interval '{} days'",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', created_at, '-{} days')",
}

FINDINGS = """
    INSERT INTO reviews_reportedfinding
        (repo, pr_number, fingerprint, engine, rule, severity, path, reported_at, fixed_at)
    SELECT repo, pr_number, substr(head_sha, 1, 24), 'ruff',
        CASE id % 5 WHEN 0 THEN 'F401' WHEN 1 THEN 'F841' WHEN 2 THEN 'B006' ELSE 'F821' END,
        'minor', 'src/part_1.py', published_at, CASE WHEN id % 5 <> 1 AND id % 3 = 0 THEN finished_at END
    FROM reviews_review WHERE published_at IS NOT NULL
"""
"""One finding of each published review; of one rule none is fixed."""

PAGES = {
    "dashboard, 24 hours": "/admin/",
    "dashboard, 7 days": "/admin/?range=7d",
    "dashboard, 30 days": "/admin/?range=30d",
    "dashboard, 62 days": "/admin/?since={two_months_ago}",
    "rules, 90 days": "/admin/reviews/reportedfinding/rules/",
    "rules, 90 days of the repository with most rows": "/admin/reviews/reportedfinding/rules/?repo=acme/shop",
    "API: repositories, 7 days": "/api/v1/aggregates/repositories/",
    "API: repositories, 31 days": "/api/v1/aggregates/repositories/?days=31",
    "API: event types, 31 days": "/api/v1/aggregates/event-types/?days=31",
    "API: authors, 31 days": "/api/v1/aggregates/authors/?days=31",
    "API: models, 31 days": "/api/v1/aggregates/models/?days=31",
    "API: author tiers, 31 days": "/api/v1/aggregates/author-tiers/?days=31",
    "API: rules, 90 days": "/api/v1/aggregates/rules/",
    "{list}, newest": "{list}",
    "{list}, in the middle": "{list}?before=500000",
    "{list}, oldest": "{list}?before=100",
    "{list}, a day ten months ago": "{list}?since={day}&until={day}",
    "{list}, a month": "{list}?since={month_start}&until={day}",
    "{list}, frequent value": "{list}?{frequent}",
    "{list}, rare value": "{list}?{rare}",
    "{list}, value of no row": "{list}?{none}",
    "{list}, frequent value on a day": "{list}?{frequent}&since={day}&until={day}",
    "{list}, repository with most rows": "{list}?repo=acme/shop",
    "{list}, repository with few rows": "{list}?repo=acme/repo-299",
    "{list}, search by delivery": "{list}?q={delivery_id}",
    "{list}, one row": "{list}500002/change/",
}
LISTS = {
    "deliveries": ("/admin/reviews/delivery/", "status__exact=done", "status__exact=failed", "status__exact=running"),
    "reviews": (
        "/admin/reviews/review/",
        "conclusion__exact=success",
        "conclusion__exact=error",
        "conclusion__exact=timeout",
    ),
    "rate-limit events": (
        "/admin/telemetry/ratelimitevent/",
        "degradation_path__exact=none",
        "degradation_path__exact=search-api-rate-limit",
        "degradation_path__exact=search-api-error",
    ),
    "executions": (
        "/admin/telemetry/execution/",
        "conclusion__exact=success",
        "conclusion__exact=error",
        "conclusion__exact=timeout",
    ),
}
"""Each list with a filter that most rows match, one that few match, and one that none matches."""


def pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the address of each page."""
    today = datetime.now(UTC).date()
    days = {"two_months_ago": 61, "day": 300, "month_start": 330}
    values = {name: str(today - timedelta(days=back)) for name, back in days.items()}
    values["delivery_id"] = past_runs.delivery_id(500_001)
    for name, address in PAGES.items():
        if "{list}" not in address:
            yield name, address.format(**values)
            continue
        for title, (path, frequent, rare, none) in LISTS.items():
            query = address.format(list=path, frequent=frequent, rare=rare, none=none, **values)
            yield name.format(list=title), query


def measure() -> None:
    """Print how long each page takes, and how many queries it makes."""
    from django.contrib.auth.models import User
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(headers={"Host": "localhost"})
    user, _ = User.objects.get_or_create(username="benchmark", is_staff=True, is_superuser=True)
    client.force_login(user)
    print("| page | ms | of them processor | queries |\n| --- | ---: | ---: | ---: |")
    for name, address in pages():
        times = []
        for _ in range(TIMES):
            started, used = time.perf_counter(), time.process_time()
            with CaptureQueriesContext(connection) as captured:
                answer = client.get(address)
            times.append(((time.perf_counter() - started) * 1000, (time.process_time() - used) * 1000))
            assert answer.status_code == 200, (address, answer.status_code)
        whole, processor = sorted(times)[len(times) // 2]
        print(f"| {name} | {whole:.0f} | {processor:.0f} | {len(captured)} |", flush=True)


def main(command: str, count: str = str(ROWS), years: str = "1") -> None:
    """Run a command."""
    django.setup()
    if command == "fill":
        fill(int(count), int(years))
    else:
        measure()


if __name__ == "__main__":
    main(*sys.argv[1:])
