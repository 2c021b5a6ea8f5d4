"""Runs of the past, as many as wanted, straight into the tables: for benchmarks, browser tests and screenshots."""

import json
import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.databases import Database

BATCH = 20_000
REPOS = ("shop", "web", "api", "billing", "mobile", "search", "infra", "docs")
FAILURES = (
    "Refused: GitHub answered 403 to GET /repos/acme/{repo}/pulls/{number}: Resource not accessible by integration",
    "Refused: GitHub answered 451 to GET /repos/acme/{repo}/contents/.kodiai.yml: Repository access blocked",
    "RuntimeError: oxlint ended with status 137",
)

Row = dict[str, Any]


def fill(database: Database, count: int, days: float) -> None:
    """Fill empty, migrated tables with the deliveries and runs of the last `days`."""
    with closing(database.connect()) as connection:
        mark = "%s" if database.is_postgresql else "?"
        pending: dict[str, list[list[Any]]] = {}
        for number, found in enumerate(rows(count, days), 1):
            for table, row in found.items():
                marks = ", ".join([mark] * len(row))
                statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"
                values = [str(v).removesuffix("+00:00") if isinstance(v, datetime) else v for v in row.values()]
                pending.setdefault(statement, []).append(list(row.values()) if database.is_postgresql else values)
            if number % BATCH == 0 or number == count:
                cursor = connection.cursor()
                cursor.execute("BEGIN")
                for statement, batch in pending.items():
                    cursor.executemany(statement, batch)
                cursor.execute("COMMIT")
                pending.clear()
        if database.is_postgresql:
            for table in ("reviews_delivery", "reviews_review"):
                connection.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {count + 1})")


def times(count: int, days: float, dice: random.Random) -> list[datetime]:
    """Return times in order: few at night and at weekends."""
    start, found = datetime.now(UTC) - timedelta(days=days), []
    while len(found) < count:
        at = start + timedelta(days=days * dice.random())
        busy = 1.0 if 8 <= at.hour < 18 else 0.25
        if dice.random() < (busy if at.weekday() < 5 else busy / 3):
            found.append(at)
    return sorted(found)


def rows(count: int, days: float) -> Iterator[dict[str, Row]]:
    """Yield the rows of one delivery after the other, by table."""
    dice = random.Random(1)
    for number, at in enumerate(times(count, days, dice)):
        repo = int(dice.paretovariate(0.8)) - 1
        name = REPOS[repo] if repo < len(REPOS) else f"repo-{min(repo, 299)}"
        chance = dice.random()
        ending = ("error", "timeout", "partial", "superseded", "skipped", "success")
        conclusion = ending[sum(chance > limit for limit in (0.006, 0.008, 0.04, 0.09, 0.17))]
        published = conclusion in ("success", "partial")
        took = dice.lognormvariate(2, 0.6) if published else 1.5
        # Of every twenty deliveries one is not acted on.
        yield _rows_of(number, at, at + timedelta(seconds=took), name, conclusion, published, number % 20 == 0)


def delivery_id(number: int) -> str:
    """Return the id of a delivery. It differs from its neighbours' in all digits, as real ones do."""
    return f"{number * 2_654_435_761 % 2**32:08x}-cc78-11e3-81ab-{number * 40_503 % 2**48:012x}"


def _rows_of(
    number: int, at: datetime, end: datetime, name: str, conclusion: str, published: bool, ignored: bool
) -> dict[str, Row]:
    identity = {"delivery_id": delivery_id(number), "event_type": "pull_request.synchronize"}
    place = {"repo": f"acme/{name}", "pr_number": number % 5000}
    degraded = "search-api-rate-limit" if conclusion == "partial" else "none"
    failed = conclusion in ("error", "timeout")
    failure = FAILURES[number % 3].format(repo=name, number=number % 5000) if failed else ""
    status = "ignored" if ignored else "failed" if failed else "done"
    head = delivery_id(number).replace("-", "").ljust(40, "0")
    found: dict[str, Row] = {
        "reviews_delivery": {
            "id": number + 1,
            **identity,
            **place,
            "event": "pull_request",
            "repo_id": None,
            "head_sha": head,
            "status": status,
            "ignore_reason": "action-not-handled" if ignored else "",
            "base_ref": "",
            "base_sha": "",
            "installation_id": 4242 + number % 3,
            "repositories": "[]",
            "sender": "mona",
            "author": "mona",
            "addressed": False,
            "command": "",
            "failure": f"Traceback …\n{failure}" if failure else "",
            "task_id": "",
            "received_at": at,
            "queued_at": at,
            "finished_at": end,
        }
    }
    if ignored:
        return found
    limits = {
        "cache_hit_rate": (1.0, 1.0, 0.5, 0.0)[number % 4],
        "skipped_queries": int(degraded != "none"),
        "retry_attempts": 0,
        "degradation_path": degraded,
    }
    report = {"files": [{"path": f"src/part_{n}.py", "changed_lines": 9, "read_by": ["ruff"]} for n in range(8)]}
    found["reviews_review"] = {
        "id": number + 1,
        "delivery_id": number + 1,
        **place,
        "repo_id": None,
        "created_at": at,
        "lease_owner": "",
        "attempts": 0,
        "started_at": at,
        "loaded_at": at,
        "head_sha": head,
        "base_ref": "main",
        "pr_author": "mona",
        "telemetry_enabled": True,
        "config": "{}",
        "enriched_at": at,
        "author_tier": "regular",
        **limits,
        "rate_limit_event_recorded_at": at,
        "analysed_at": at,
        "report": json.dumps(report),
        "github_review_url": "",
        "finished_at": end,
        "publishing_at": end if published else None,
        "published_at": end if published else None,
        "conclusion": conclusion,
        "conclusion_reason": f"degraded: {degraded}" if conclusion == "partial" else failure,
        "execution_recorded_at": end,
    }
    found["rate_limit_events"] = {
        **identity, **place, "created_at": at, **limits,
    }  # fmt: skip
    model = ("analyzers", "analyzers", "claude-sonnet", "gpt-mini")[number % 4]
    paid = model != "analyzers"
    cost = {"claude-sonnet": 0.021, "gpt-mini": 0.004}.get(model, 0.0)
    found["executions"] = {
        **identity, **place, "created_at": end, "pr_author": "mona", "provider": "kodiai", "model": model,
        "input_tokens": 5200 * paid, "output_tokens": 600 * paid, "cache_read_tokens": 0, "cache_creation_tokens": 0,
        "duration_ms": int((end - at).total_seconds() * 1000), "cost_usd": cost, "conclusion": conclusion,
    }  # fmt: skip
    return found
